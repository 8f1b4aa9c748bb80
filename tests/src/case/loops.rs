//! Packets that go round. Truth: the TTLs a loop of one or two routers has to give, and the kernel's counter of packets
//! that died of it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Case, Setting, lifecycle::Held};
use crate::{
    counters::Counters,
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    topology::{FAR, Family, NEAR, NEAR_DEVICE, Pair, Routers, forward, give, hardware_address, lose, wire},
    tracer::{Run, Tracer},
    traffic, wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "loop-two-routers",
        proves: "two routers that bounce a packet are seen by its TTL in each, until the route is right",
        needs: &[],
        run: |setting| two_routers(setting, Family::V4),
    },
    Case {
        name: "loop-two-routers-v6",
        proves: "the same of IPv6",
        needs: &[Need::FunctionHooks],
        run: |setting| two_routers(setting, Family::V6),
    },
    Case {
        name: "loop-unanswered",
        proves: "a loop nobody complains of is found by the SYNs that are not answered, IPv4 and IPv6",
        needs: &[Need::Nftables],
        run: |setting| {
            Family::BOTH
                .into_iter()
                .try_for_each(|family| unanswered(setting, family).with_context(|| format!("over {family}")))
        },
    },
    Case {
        name: "loop-self",
        proves: "a router that sends a packet to itself is seen by its TTL",
        needs: &[],
        run: self_loop,
    },
    Case {
        name: "loop-none",
        proves: "repeated SYNs that pass a bridge and a router are looked at and are no loop",
        needs: &[Need::Nftables],
        run: no_loop,
    },
    Case {
        name: "loop-quiet",
        proves: "healthy traffic raises nothing, and no program looks at its packets",
        needs: &[],
        run: quiet,
    },
];

const PORT: u16 = 7_777;

/// What programs that look at every packet are called.
const PER_PACKET: &str = "received_";

/// How often a packet came when that is told: the first time again, and powers of two later.
const TOLD: [u64; 5] = [2, 3, 5, 9, 17];

/// How many programs of the tracer look at every packet.
fn looking(tracer: &Tracer) -> Result<usize> {
    Held::by(tracer.id())?.programs_named(PER_PACKET)
}

fn is_hook(event: &Value, state: &str) -> bool {
    event["type"] == "hook" && event["hook"] == "net:netif_receive_skb" && event["state"] == state
}

fn wait_for_hook(tracer: &Tracer, state: &str) -> Result<()> {
    tracer.wait_for(&format!("the hook on every packet to be {state}"), |events| {
        events
            .all()
            .iter()
            .rev()
            .find(|event| event["type"] == "hook")
            .is_some_and(|event| is_hook(event, state))
    })
}

fn duplicates<'a>(events: &'a Events, namespace: &Namespace) -> Selection<'a> {
    events.of("duplicate", namespace)
}

fn balanced(run: &Run) -> Result<()> {
    for kind in ["icmp", "duplicate"] {
        let accounting = run.events.accounting(kind)?;
        accounting.balances()?;
        ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
    }
    Ok(())
}

/// The counter of packets that died of TTL in a namespace, and were told their sender.
fn died(family: Family) -> &'static str {
    match family {
        Family::V4 => "IcmpMsgOutType11",
        Family::V6 => "Icmp6OutType3",
    }
}

/// Every one of them is of a packet that first came with `first_ttl` and lost `step` each round, and is from the client
/// to the address beyond.
fn falls(selection: &Selection<'_>, family: Family, first_ttl: u64, step: u64) -> Result<()> {
    selection
        .all_have("first_ttl", first_ttl)?
        .all_have("src", Routers::client_address(family).to_string())?
        .all_have("dst", Routers::beyond(family).to_string())?;
    for event in selection.events() {
        let number = |field: &str| event[field].as_u64().with_context(|| format!("no {field} in {event}"));
        let (ttl, times) = (number("ttl")?, number("times")?);
        ensure!(ttl == first_ttl - step * (times - 1), "the TTL does not fall by {step}: {event}");
        ensure!(number("previous_ttl")? == ttl + step, "the TTL before is wrong: {event}");
        ensure!(event.get("ip_id").is_some() == (family == Family::V4), "{event}");
    }
    Ok(())
}

/// The first packet that dies makes the node look, so it is missed; those after it are seen in both routers. When the
/// far router has the address, nothing comes again, and the node soon stops looking.
fn two_routers(setting: &Setting, family: Family) -> Result<()> {
    const PACKETS: u64 = 3;
    let routers = Routers::new()?;
    let Routers { client, near, far } = &routers;
    let tracer = setting.trace(&["--only", "path"])?;
    ensure!(looking(&tracer)? == 0, "a program looks at every packet before there is a reason");
    let before = Counters::icmp(far)?;
    let (from, to) = (Routers::client_address(family), Routers::beyond(family));
    let socket = traffic::udp_to(client, (from, PORT).into(), (to, PORT).into())?;
    traffic::send(&socket, b"unseen")?;
    wait_for_hook(&tracer, "attached")?;
    ensure!(looking(&tracer)? == 1, "{} programs look at every packet", looking(&tracer)?);
    for packet in 1..=PACKETS {
        traffic::send(&socket, b"round")?;
        tracer.wait_for("a packet to go round in both routers", |events| {
            [near, far]
                .iter()
                .all(|router| duplicates(events, router).with("times", TOLD[4]).count() == packet)
        })?;
    }
    routers.repair(family)?;
    let arrived = traffic::udp(far, (to, PORT).into())?;
    arrived.set_read_timeout(Some(wait::DEADLINE))?;
    traffic::send(&socket, b"arrives")?;
    arrived.recv(&mut [0; 16]).context("wait for a datagram once the route is right")?;
    wait_for_hook(&tracer, "standby")?;
    ensure!(looking(&tracer)? == 0, "a program still looks at every packet");
    let grown = Counters::icmp(far)?.growth_from_nothing(&before, died(family))?;
    let run = tracer.stop()?;

    balanced(&run)?;
    for (router, first_ttl) in [(near, 64), (far, 63)] {
        let told = duplicates(&run.events, router);
        told.exactly(PACKETS * TOLD.len() as u64)?.all_have("protocol", "udp")?.all_have("sport", PORT)?;
        falls(&told, family, first_ttl, 2)?;
        for times in TOLD {
            told.clone().with("times", times).exactly(PACKETS)?;
        }
    }
    duplicates(&run.events, near).all_have("dev", Routers::EAST)?;
    duplicates(&run.events, far).all_have("dev", Routers::WEST)?;
    ensure!(grown == PACKETS + 1, "{grown} packets of {} died of TTL", PACKETS + 1);
    let deaths = run.events.of("icmp", far).with("direction", "out");
    deaths.exactly(grown)?.all_have("meaning", "time-exceeded")?.all_have("ttl", 1)?;
    for death in deaths.events() {
        let about = &death["about"];
        ensure!(
            about["src"] == from.to_string()
                && about["dst"] == to.to_string()
                && about["sport"] == PORT
                && about["dport"] == PORT
                && about["protocol"] == "udp",
            "about another flow: {death}"
        );
    }
    run.events.of("icmp", near).with("direction", "out").exactly(0)?;
    Ok(())
}

/// The client never hears that its packets die. Its SYN is repeated and not answered: reason enough to look.
fn unanswered(setting: &Setting, family: Family) -> Result<()> {
    let routers = Routers::new()?;
    let Routers { client, near, far } = &routers;
    lose(client, "client0", "icmp type time-exceeded")?;
    client.nft("add rule netdev loss ingress icmpv6 type time-exceeded drop")?;
    let tracer = setting.trace(&["--only", "path,retransmit"])?;
    let (from, to) = (Routers::client_address(family), Routers::beyond(family));
    let dialling = traffic::dial(client, (from, PORT).into(), (to, 80).into())?;
    tracer.wait_for("a SYN to go round", |events| {
        [near, far].iter().all(|router| duplicates(events, router).with("times", TOLD[4]).count() >= 1)
    })?;
    drop(dialling);
    let run = tracer.stop()?;
    balanced(&run)?;
    for (router, first_ttl) in [(near, 64), (far, 63)] {
        let told = duplicates(&run.events, router);
        told.all_have("protocol", "tcp")?.all_have("sport", PORT)?.all_have("dport", 80)?;
        falls(&told, family, first_ttl, 2)?;
    }
    Ok(())
}

/// A route whose next hop is this router's own other device.
fn self_loop(setting: &Setting) -> Result<()> {
    const FAMILY: Family = Family::V4;
    const PACKETS: u64 = 2;
    let pair = Pair::new()?;
    let router = &pair.far;
    forward(router)?;
    wire(router, "out0", router, "back0")?;
    let own = hardware_address(router, "back0")?;
    router.ip("address add 10.78.7.1/24 dev out0")?;
    router.ip(&format!("neigh replace 10.78.7.2 lladdr {own} nud permanent dev out0"))?;
    router.ip(&format!("route add {}/32 via 10.78.7.2 dev out0", Routers::beyond(FAMILY)))?;
    pair.near.ip(&format!(
        "route add {} via {} dev {NEAR_DEVICE}",
        Routers::beyond(FAMILY),
        FAMILY.host(FAR)
    ))?;
    let tracer = setting.trace(&["--only", "path"])?;
    let socket = traffic::udp_to(&pair.near, FAMILY.at(NEAR, PORT), (Routers::beyond(FAMILY), PORT).into())?;
    traffic::send(&socket, b"unseen")?;
    wait_for_hook(&tracer, "attached")?;
    for packet in 1..=PACKETS {
        traffic::send(&socket, b"round")?;
        tracer.wait_for("a packet to come again and again", |events| {
            duplicates(events, router).with("times", 33).count() == packet
        })?;
    }
    let run = tracer.stop()?;
    balanced(&run)?;
    let told = duplicates(&run.events, router);
    told.exactly(PACKETS * (TOLD.len() as u64 + 1))?.all_have("first_ttl", 64)?.all_have("dev", "back0")?;
    for event in told.events() {
        let (ttl, times) = (event["ttl"].as_u64(), event["times"].as_u64());
        let expected = times.and_then(|times| 64_u64.checked_sub(times - 1));
        ensure!(ttl == expected, "the TTL does not fall by one: {event}");
    }
    Ok(())
}

/// SYNs that are not answered pass a bridge, where each is received twice, and its router. Nothing goes round, though
/// the repeated ones look like the first where no IP id tells them apart (IPv6).
fn no_loop(setting: &Setting) -> Result<()> {
    const SYNS: u64 = 5;
    for family in Family::BOTH {
        let routers = Routers::new()?;
        let Routers { client, near, far } = &routers;
        bridge(near)?;
        routers.repair(family)?;
        lose(far, Routers::WEST, "tcp dport 80")?;
        let tracer = setting.trace(&["--only", "path,retransmit"])?;
        let dialling = traffic::dial(
            client,
            (Routers::client_address(family), PORT).into(),
            (Routers::beyond(family), 80).into(),
        )?;
        tracer.wait_for("SYNs to be repeated", |events| {
            events.of("retransmit", client).with("kind", "syn").count() >= SYNS
        })?;
        drop(dialling);
        let run = tracer.stop()?;
        balanced(&run)?;
        ensure!(
            run.events.all().iter().any(|event| is_hook(event, "attached")),
            "over {family}: the SYNs were not looked at"
        );
        if let Some(event) = run.events.all().iter().find(|event| event["type"] == "duplicate") {
            bail!("over {family}: not a loop: {event}");
        }
    }
    Ok(())
}

/// Puts the near router's device towards the client under a bridge, which gets its addresses.
fn bridge(near: &Namespace) -> Result<()> {
    near.ip("link add bridge0 type bridge")?;
    near.ip(&format!("address flush dev {}", Routers::NORTH))?;
    near.ip(&format!("link set {} master bridge0", Routers::NORTH))?;
    near.ip("link set bridge0 up")?;
    give(near, "bridge0", Routers::near_address(Family::V4), 24)?;
    give(near, "bridge0", Routers::near_address(Family::V6), 120)
}

/// Connections and datagrams that arrive. The longest pause is that of a watch that should not have begun.
fn quiet(setting: &Setting) -> Result<()> {
    const ROUNDS: u16 = 20;
    const PAUSE: Duration = Duration::from_millis(50);
    let routers = Routers::new()?;
    let Routers { client, far, .. } = &routers;
    let tracer = setting.trace(&["--only", "path,retransmit"])?;
    let mut pace = wait::Pace::new(PAUSE);
    for family in Family::BOTH {
        routers.repair(family)?;
        let to = (Routers::beyond(family), PORT).into();
        let listener = traffic::listen(far, to)?;
        let bound = traffic::udp(far, to)?;
        bound.set_read_timeout(Some(wait::DEADLINE))?;
        for round in 0..ROUNDS {
            let from = (Routers::client_address(family), 20_000 + round).into();
            let dialled = traffic::connect(client, from, to)?;
            let accepted = traffic::accept(&listener)?;
            traffic::send(&traffic::udp_to(client, from, to)?, b"arrives")?;
            bound.recv(&mut [0; 16]).context("wait for a datagram")?;
            drop(accepted);
            traffic::wait_closed(dialled)?;
            ensure!(looking(&tracer)? == 0, "over {family}: a program looks at every packet");
            pace.step();
        }
    }
    let run = tracer.stop()?;
    balanced(&run)?;
    for kind in ["icmp", "duplicate", "hook"] {
        for namespace in [client, far, &routers.near] {
            run.events.of(kind, namespace).exactly(0)?;
        }
    }
    ensure!(
        !run.events.all().iter().any(|event| is_hook(event, "attached")),
        "the hook on every packet was attached"
    );
    Ok(())
}
