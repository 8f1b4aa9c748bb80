//! ICMP errors, sent and received. Truth: the kernel's counters of ICMP messages by type.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

use super::{Case, Setting, note};
use crate::{
    counters::Counters,
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    topology::{FAR, Family, NEAR, Pair, Routers},
    tracer::{Run, Tracer},
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "icmp-sent",
        proves: "every ICMP error a router and a host send is told, with the flow it is about",
        needs: &[],
        run: |setting| sent(setting, Family::V4),
    },
    Case {
        name: "icmp-sent-v6",
        proves: "the same of ICMPv6",
        needs: &[Need::FunctionHooks],
        run: |setting| sent(setting, Family::V6),
    },
    Case {
        name: "icmp-limited",
        proves: "what the kernel's rate limit keeps back is not told as sent",
        needs: &[],
        run: limited,
    },
    Case {
        name: "icmp-received",
        proves: "ICMP errors a client receives are told with its flow, who sent them and what would fit",
        needs: &[Need::FunctionHooks],
        run: |setting| {
            Family::BOTH
                .into_iter()
                .try_for_each(|family| received(setting, family).with_context(|| format!("over {family}")))
        },
    },
    Case {
        name: "icmp-no-neighbour",
        proves: "a router whose next hop does not answer tells the sender, and tracer that it did",
        needs: &[Need::FunctionHooks],
        run: |setting| {
            Family::BOTH.into_iter().try_for_each(|family| {
                no_neighbour(setting, family).with_context(|| format!("over {family}"))
            })
        },
    },
    Case {
        name: "icmp-hostile",
        proves: "messages cut short or with impossible headers are told as far as they go, and no further",
        needs: &[Need::FunctionHooks],
        run: hostile,
    },
];

const PORT: u16 = 7_001;
const CLOSED: u16 = 7_002;

fn trace(setting: &Setting) -> Result<Tracer> {
    setting.trace(&["--only", "path"])
}

/// What a namespace tells of ICMP errors in a direction.
fn told<'a>(events: &'a Events, namespace: &Namespace, direction: &str) -> Selection<'a> {
    events.of("icmp", namespace).with("direction", direction)
}

/// The counters of the errors a host can send, in and out.
fn types(family: Family) -> ([String; 3], [String; 3]) {
    let (prefix, types) = match family {
        Family::V4 => ("IcmpMsg", [3, 11, 12]),
        Family::V6 => ("Icmp6", [1, 2, 3]),
    };
    (
        types.map(|number| format!("{prefix}OutType{number}")),
        types.map(|number| format!("{prefix}InType{number}")),
    )
}

/// How much the counters of errors sent and received grew since `before`.
fn growth(namespace: &Namespace, before: &Counters, family: Family) -> Result<(u64, u64)> {
    let now = Counters::icmp(namespace)?;
    let sum = |names: [String; 3]| {
        names.iter().map(|name| now.growth_from_nothing(before, name)).sum::<Result<u64>>()
    };
    let (sent, received) = types(family);
    Ok((sum(sent)?, sum(received)?))
}

fn finish(tracer: Tracer) -> Result<Run> {
    let run = tracer.stop()?;
    let accounting = run.events.accounting("icmp")?;
    accounting.balances()?;
    ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
    Ok(run)
}

/// Fails unless an event is about the UDP flow between two addresses.
fn is_about(event: &Value, from: SocketAddr, to: SocketAddr) -> Result<()> {
    let about = &event["about"];
    ensure!(
        about["src"] == from.ip().to_string()
            && about["sport"] == from.port()
            && about["dst"] == to.ip().to_string()
            && about["dport"] == to.port()
            && about["protocol"] == "udp",
        "not about {from} to {to}: {event}"
    );
    Ok(())
}

/// Destinations that are refused in different ways, and what that is called.
struct Refusals {
    /// No route, at the near router.
    unreachable: IpAddr,
    /// A route that forbids, at the near router.
    prohibited: IpAddr,
    /// Thrown away without a word, at the near router.
    blackhole: IpAddr,
    /// What `unreachable` is called.
    no_route: &'static str,
}

impl Refusals {
    fn new(routers: &Routers, family: Family) -> Result<Self> {
        let parse = |text: &str| text.parse::<IpAddr>();
        let refusals = match family {
            Family::V4 => Self {
                unreachable: parse("10.78.8.1")?,
                prohibited: parse("10.78.8.2")?,
                blackhole: parse("10.78.8.3")?,
                no_route: "host-unreachable",
            },
            Family::V6 => Self {
                unreachable: parse("fd78:8::1")?,
                prohibited: parse("fd78:8::2")?,
                blackhole: parse("fd78:8::3")?,
                no_route: "no-route",
            },
        };
        for (kind, address) in [
            ("unreachable", refusals.unreachable),
            ("prohibit", refusals.prohibited),
            ("blackhole", refusals.blackhole),
        ] {
            routers.near.ip(&format!("route add {kind} {address}"))?;
        }
        routers.repair(family)?;
        Ok(refusals)
    }
}

/// One datagram from the client to each of the refusing destinations, and to a closed port of the far router.
fn sent(setting: &Setting, family: Family) -> Result<()> {
    let routers = Routers::new()?;
    let Routers { client, near, far } = &routers;
    let refusals = Refusals::new(&routers, family)?;
    let tracer = trace(setting)?;
    let before = [Counters::icmp(near)?, Counters::icmp(far)?];
    let from = SocketAddr::new(Routers::client_address(family), PORT);
    let socket = traffic::udp(client, from)?;
    let closed = SocketAddr::new(Routers::beyond(family), CLOSED);
    let refused = [refusals.unreachable, refusals.prohibited].map(|address| SocketAddr::new(address, CLOSED));
    for to in [SocketAddr::new(refusals.blackhole, CLOSED), refused[0], refused[1], closed] {
        socket.send_to(b"refused", to).with_context(|| format!("send to {to}"))?;
    }
    tracer.wait_for("the errors to be told", |events| {
        told(events, near, "out").count() >= 2 && told(events, far, "out").count() >= 1
    })?;
    let (near_grown, _) = growth(near, &before[0], family)?;
    let (far_grown, _) = growth(far, &before[1], family)?;
    let run = finish(tracer)?;

    ensure!((near_grown, far_grown) == (2, 1), "the kernel sent {near_grown} and {far_grown}");
    let of_near = told(&run.events, near, "out");
    of_near.exactly(2)?.all_have("ttl", 64)?;
    for (to, meaning) in [(refused[0], refusals.no_route), (refused[1], "prohibited")] {
        let event = of_near.clone().with("meaning", meaning).exactly(1)?.first()?;
        is_about(event, from, to)?;
    }
    let of_far = told(&run.events, far, "out");
    of_far.exactly(1)?.all_have("meaning", "port-unreachable")?.all_have("ttl", 63)?;
    is_about(of_far.first()?, from, closed)?;
    if family == Family::V4 {
        of_near.all_have("dev", Routers::NORTH)?.all_have("protocol", "icmp")?;
        of_far.all_have("dev", Routers::WEST)?;
    }
    Ok(())
}

/// Many packets die at once; the kernel tells their sender of a few (`icmp_ratelimit`).
fn limited(setting: &Setting) -> Result<()> {
    const FAMILY: Family = Family::V4;
    const PACKETS: u64 = 60;
    let routers = Routers::new()?;
    let Routers { client, near, .. } = &routers;
    let tracer = trace(setting)?;
    let before = Counters::icmp(near)?;
    let from = SocketAddr::new(Routers::client_address(FAMILY), PORT);
    let socket = traffic::udp_to(client, from, (Routers::beyond(FAMILY), CLOSED).into())?;
    socket.set_ttl(1)?;
    for _ in 0..PACKETS {
        traffic::send(&socket, b"dies")?;
    }
    let died = before_and_now(near, &before)?;
    tracer.wait_for("what was sent to be told", |events| told(events, near, "out").count() >= died)?;
    let run = finish(tracer)?;
    ensure!(died > 0 && died < PACKETS, "{died} of {PACKETS} errors were sent: no rate limit");
    told(&run.events, near, "out").exactly(died)?.all_have("meaning", "time-exceeded")?.all_have("ttl", 1)?;
    note(&format!("{}: {died} of {PACKETS} packets that died were told their sender", setting.case));
    Ok(())
}

fn before_and_now(near: &Namespace, before: &Counters) -> Result<u64> {
    Counters::icmp(near)?.growth_from_nothing(before, "IcmpMsgOutType11")
}

/// The client is told that a port is closed, that there is no route, that its packet died, and how much fits.
fn received(setting: &Setting, family: Family) -> Result<()> {
    const NARROW_BYTES: u64 = 1_300;
    let routers = Routers::new()?;
    let Routers { client, near, .. } = &routers;
    let refusals = Refusals::new(&routers, family)?;
    near.ip(&format!("link set {} mtu {NARROW_BYTES}", Routers::EAST))?;
    let tracer = trace(setting)?;
    let before = Counters::icmp(client)?;
    let from = SocketAddr::new(Routers::client_address(family), PORT);
    let beyond = SocketAddr::new(Routers::beyond(family), CLOSED);
    let nowhere = SocketAddr::new(refusals.unreachable, CLOSED);
    let socket = traffic::udp(client, from)?;
    socket.send_to(b"refused", beyond)?;
    socket.send_to(b"refused", nowhere)?;
    socket.send_to(&[0; 1_400], beyond)?;
    let short_lived = traffic::udp(client, (from.ip(), PORT + 10).into())?;
    set_ttl(&short_lived, family, 1)?;
    short_lived.send_to(b"dies", beyond)?;
    tracer.wait_for("the client to be told", |events| told(events, client, "in").count() >= 4)?;
    let (_, grown) = growth(client, &before, family)?;
    let run = finish(tracer)?;

    let all = told(&run.events, client, "in");
    ensure!(grown == 4, "the kernel received {grown}");
    all.exactly(grown)?.all_have("dev", "client0")?;
    let too_big = if family == Family::V4 { "fragmentation-needed" } else { "packet-too-big" };
    let near_address = Routers::near_address(family);
    for (meaning, sender, from, to) in [
        ("port-unreachable", Routers::beyond(family), from, beyond),
        (refusals.no_route, near_address, from, nowhere),
        (too_big, near_address, from, beyond),
        ("time-exceeded", near_address, SocketAddr::new(from.ip(), PORT + 10), beyond),
    ] {
        let one = all.clone().with("meaning", meaning);
        is_about(one.exactly(1)?.first()?, from, to)?;
        one.all_have("from", sender.to_string())?;
    }
    all.clone().with("meaning", too_big).all_have("mtu", NARROW_BYTES)?;
    all.filter("an mtu", |event| event.get("mtu").is_some()).exactly(1)?;
    Ok(())
}

fn set_ttl(socket: &UdpSocket, family: Family, ttl: i32) -> Result<()> {
    match family {
        Family::V4 => setsockopt(socket, sockopt::Ipv4Ttl, &ttl),
        Family::V6 => setsockopt(socket, sockopt::Ipv6Ttl, &ttl),
    }
    .context("set the TTL")
}

/// The near router's next hop is an address nobody has.
fn no_neighbour(setting: &Setting, family: Family) -> Result<()> {
    let routers = Routers::new()?;
    let Routers { client, near, .. } = &routers;
    let (lonely, nobody): (IpAddr, &str) = match family {
        Family::V4 => ("10.78.9.1".parse()?, "10.78.5.77"),
        Family::V6 => ("fd78:9::1".parse()?, "fd78:5::77"),
    };
    near.ip(&format!("route add {lonely} via {nobody}"))?;
    let tracer = trace(setting)?;
    let before = Counters::icmp(near)?;
    let from = SocketAddr::new(Routers::client_address(family), PORT);
    let to = SocketAddr::new(lonely, CLOSED);
    traffic::knock(client, from, to)?;
    tracer.wait_for("the router to give up", |events| !told(events, near, "out").is_empty())?;
    let (grown, _) = growth(near, &before, family)?;
    let run = finish(tracer)?;
    let told = told(&run.events, near, "out");
    told.exactly(grown)?.exactly(1)?.all_have("meaning", "host-unreachable")?;
    is_about(told.first()?, from, to)
}

/// A message that quotes `quoted`.
fn quoting(icmp_type: u8, quoted: &[u8]) -> Vec<u8> {
    const HEADER_BYTES: usize = 8;
    let mut message = vec![0; HEADER_BYTES];
    message[0] = icmp_type;
    message.extend_from_slice(quoted);
    message
}

/// A UDP packet's IPv4 header with options of `words - 5` words claimed, its ports, and its length.
fn quoted_v4(version: u8, words: u8) -> Vec<u8> {
    let mut packet = vec![version << 4 | words, 0, 0, 28, 0, 7, 0, 0, 9, 17, 0, 0];
    packet.extend([10, 77, 0, 1, 10, 77, 0, 200]);
    packet.extend([0x11, 0x11, 0x22, 0x22, 0, 8, 0, 0]);
    packet
}

/// A packet's IPv6 header, its next header as given, and eight bytes behind it.
fn quoted_v6(next: u8, behind: [u8; 8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 8, next, 9];
    for last in [1, 200] {
        let mut address = [0; 16];
        (address[0], address[1], address[15]) = (0xfd, 0x77, last);
        packet.extend(address);
    }
    packet.extend(behind);
    packet
}

/// Messages nobody would send, each once, and how much of the flow they give away.
fn hostile_messages(family: Family) -> Vec<(Vec<u8>, Told)> {
    const PORTS: [u8; 8] = [0x11, 0x11, 0x22, 0x22, 0, 8, 0, 0];
    match family {
        Family::V4 => vec![
            (quoting(3, &quoted_v4(4, 5)), Told::Ports),
            (quoting(11, &quoted_v4(4, 5)[..27]), Told::Addresses),
            (quoting(3, &quoted_v4(4, 5)[..20]), Told::Addresses),
            (quoting(11, &quoted_v4(4, 5)[..19]), Told::Nothing),
            (quoting(3, &quoted_v4(4, 5)[..1]), Told::Nothing),
            (quoting(3, &[]), Told::Nothing),
            (quoting(12, &quoted_v4(4, 15)), Told::Addresses),
            (quoting(3, &quoted_v4(4, 4)), Told::Nothing),
            (quoting(3, &quoted_v4(4, 0)), Told::Nothing),
            (quoting(3, &quoted_v4(6, 5)), Told::Nothing),
            (quoting(3, &[0xff; 64]), Told::Nothing),
        ],
        Family::V6 => vec![
            (quoting(1, &quoted_v6(17, PORTS)), Told::Ports),
            (quoting(3, &quoted_v6(17, PORTS)[..47]), Told::Addresses),
            (quoting(1, &quoted_v6(17, PORTS)[..40]), Told::Addresses),
            (quoting(1, &quoted_v6(17, PORTS)[..39]), Told::Nothing),
            (quoting(1, &[]), Told::Nothing),
            // A hop-by-hop header that claims 2 KiB, one that ends with the message, and a middle fragment.
            (quoting(1, &quoted_v6(0, [17, 255, 0, 0, 0, 0, 0, 0])), Told::Addresses),
            (quoting(1, &quoted_v6(0, [0, 0, 0, 0, 0, 0, 0, 0])), Told::Addresses),
            (quoting(1, &quoted_v6(44, [17, 0, 0, 8, 0, 0, 0, 1])), Told::Addresses),
            (quoting(1, &[0xff; 64]), Told::Nothing),
        ],
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Ports,
    Addresses,
    Nothing,
}

fn hostile(setting: &Setting) -> Result<()> {
    for family in Family::BOTH {
        let pair = Pair::new()?;
        let tracer = trace(setting)?;
        let before = Counters::icmp(&pair.near)?;
        let messages = hostile_messages(family);
        for (sent, (message, expected)) in (0_usize..).zip(&messages) {
            traffic::send_icmp(&pair.far, family.host(NEAR), message)?;
            tracer.wait_for(&format!("message {sent} ({expected:?}) to be told"), |events| {
                told(events, &pair.near, "in").count() > sent as u64
            })?;
        }
        let (_, grown) = growth(&pair.near, &before, family)?;
        let run = finish(tracer)?;
        let told = told(&run.events, &pair.near, "in");
        told.exactly(messages.len() as u64)?
            .exactly(grown)?
            .all_have("from", family.host(FAR).to_string())?;
        for ((_, expected), event) in messages.iter().zip(told.events()) {
            let about = event.get("about");
            let found = match about {
                None => Told::Nothing,
                Some(about) if about.get("sport").is_none() => Told::Addresses,
                Some(_) => Told::Ports,
            };
            ensure!(found == *expected, "over {family}: {expected:?} was to be told: {event}");
            let is_right = about.is_none_or(|about| {
                about["src"] == family.host(NEAR).to_string()
                    && (found == Told::Addresses || (about["sport"] == 0x1111 && about["dport"] == 0x2222))
            });
            ensure!(is_right, "over {family}: not what was quoted: {event}");
        }
    }
    Ok(())
}
