//! Findings about the way of packets: replies that do not leave, loops, outages; and what looks like them and is none.

mod contrary;
mod node;
mod ring;

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

pub(super) use self::{contrary::CASES as CONTRARY, node::CASES as BY_NODE, ring::CASES as RING};
use super::{Case, Setting, note};
use crate::{
    expect::Events,
    namespace::Namespace,
    need::Need,
    topology::{
        FAR, FAR_DEVICE, Family, NEAR, Pair, Routers, give, heal, host_bits, lose, take_from_anywhere,
    },
    tracer::{Run, Tracer},
    traffic, wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "finding-reply-misrouted",
        proves: "a server whose vxlan device has the client's address is told that its replies never leave, until it is gone",
        needs: &[Need::Nftables],
        run: |setting| over_both(|family| misrouted(setting, Seat::Server, family)),
    },
    Case {
        name: "finding-reply-misrouted-dialled",
        proves: "who dials such a server is told that it does not answer, until it does",
        needs: &[Need::Nftables],
        run: |setting| over_both(|family| misrouted(setting, Seat::Client, family)),
    },
    Case {
        name: "finding-reply-dropped",
        proves: "a server whose route to the client is by a dummy device is told that its replies never leave, until the route is gone",
        needs: &[Need::Dummy],
        run: |setting| over_both(|family| dropped(setting, family)),
    },
    Case {
        name: "finding-transient-loop",
        proves: "two routers that loop for 13 s under many dials and one connection are told; the outage is below it",
        needs: &[Need::Nftables],
        run: |setting| transient_loop(setting, Family::V4),
    },
    Case {
        name: "finding-transient-loop-v6",
        proves: "the same of IPv6",
        needs: &[Need::Nftables, Need::FunctionHooks],
        run: |setting| transient_loop(setting, Family::V6),
    },
    Case {
        name: "finding-loop-by-icmp",
        proves: "the host whose packets die in a loop elsewhere is told by the errors it gets",
        needs: &[Need::FunctionHooks],
        run: loop_elsewhere,
    },
    Case {
        name: "finding-path-outage",
        proves: "twenty connections that get no answer for 15 s are one outage, IPv4 and IPv6",
        needs: &[Need::Nftables],
        run: |setting| over_both(|family| outage(setting, family)),
    },
];

const PORT: u16 = 8_443;

fn over_both(play: impl Fn(Family) -> Result<()>) -> Result<()> {
    Family::BOTH.into_iter().try_for_each(|family| play(family).with_context(|| format!("over {family}")))
}

/// Traces as from one node: what other namespaces see is another node's.
fn trace_in(setting: &Setting, node: &Namespace) -> Result<Tracer> {
    setting.trace(&["--netns", node.name()])
}

/// Fails if one of these namespaces has another finding than those: each an id and words of the subject. Other cases may
/// run beside this one.
fn only_findings(run: &Run, nodes: &[&Namespace], expected: &[(&str, &str)]) -> Result<()> {
    let is_own = |line: &&Value| nodes.iter().any(|node| line["netns"] == node.inode());
    Events::new(run.events.all().iter().filter(is_own).cloned().collect()).only_findings(expected)
}

/// Waits for a finding to open after the first symptom, which is now.
fn opens(tracer: &Tracer, id: &str, subject: &str) -> Result<Duration> {
    let began = Instant::now();
    tracer.wait_for_finding(id, subject)?;
    Ok(began.elapsed())
}

/// Waits for it to close after the repair, which is now, and tells both times.
fn closes(setting: &Setting, tracer: &Tracer, id: &str, subject: &str, opened: Duration) -> Result<()> {
    let began = Instant::now();
    tracer.wait_for_closed(id, subject)?;
    note(&format!(
        "{} {subject}: open after {:.1} s, closed after {:.1} s",
        setting.case,
        opened.as_secs_f64(),
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn repeated(tracer: &Tracer, node: &Namespace, kind: &str) -> Result<()> {
    tracer.wait_for("a segment that is repeated", |events| {
        !events.of("retransmit", node).with("kind", kind).is_empty()
    })
}

/// From where a fault is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seat {
    Server,
    Client,
}

/// S3. The client's address is put on the server's vxlan device: SYN-ACKs stay there.
fn misrouted(setting: &Setting, seat: Seat, family: Family) -> Result<()> {
    const VXLAN: &str = "vxlan7";
    let pair = Pair::new()?;
    let Pair { near: client, far: server } = &pair;
    let address = family.host(NEAR);
    let bits = host_bits(family);
    let listener = traffic::listen(server, family.at(FAR, PORT))?;
    server.ip(&format!("link add {VXLAN} type vxlan id 7 dstport 4789 local {}", Family::V4.host(FAR)))?;
    server.ip(&format!("link set {VXLAN} up"))?;
    // Nor does the server's own stack refuse what was meant for another: the SYN-ACK goes on being repeated.
    lose(server, "lo", "tcp flags & syn == syn")?;
    for scope in ["all", FAR_DEVICE] {
        server.sysctl(&format!("net/ipv4/conf/{scope}/accept_local"), "1")?;
    }
    take_from_anywhere(server, FAR_DEVICE)?;
    let (node, kind) = if seat == Seat::Server { (server, "syn-ack") } else { (client, "syn") };
    let tracer = trace_in(setting, node)?;
    give(server, VXLAN, address, bits)?;
    let dialling = traffic::dial(client, family.at(NEAR, 0), family.at(FAR, PORT))?;
    repeated(&tracer, node, kind)?;
    let (id, subject) = match seat {
        Seat::Server => ("reply-misrouted", address.to_string()),
        Seat::Client => ("path-outage", family.host(FAR).to_string()),
    };
    let opened = opens(&tracer, id, &subject)?;
    server.ip(&format!("address del {address}/{bits} dev {VXLAN}"))?;
    let connection = traffic::wait_connected(dialling)?;
    closes(setting, &tracer, id, &subject, opened)?;
    drop((connection, listener));
    let run = tracer.stop()?;
    run.only_findings(&[(id, &subject)])?;
    if seat == Seat::Server {
        let told = run.events.findings(id);
        told.says("evidence", &format!("address {address}/{bits} is on {VXLAN}"))?;
        told.says("advice", &format!("ip address del {address}/{bits} dev {VXLAN}"))?;
    }
    Ok(())
}

/// S3 by another device: the server's route to the client is by one that drops all it is given.
fn dropped(setting: &Setting, family: Family) -> Result<()> {
    const DUMMY: &str = "dummy7";
    let pair = Pair::new()?;
    let Pair { near: client, far: server } = &pair;
    let address = family.host(NEAR);
    let prefix = format!("{address}/{}", host_bits(family));
    let listener = traffic::listen(server, family.at(FAR, PORT))?;
    server.ip(&format!("link add {DUMMY} type dummy"))?;
    server.ip(&format!("link set {DUMMY} up"))?;
    take_from_anywhere(server, FAR_DEVICE)?;
    let tracer = trace_in(setting, server)?;
    server.ip(&format!("route add {prefix} dev {DUMMY}"))?;
    let dialling = traffic::dial(client, family.at(NEAR, 0), family.at(FAR, PORT))?;
    repeated(&tracer, server, "syn-ack")?;
    let subject = address.to_string();
    let opened = opens(&tracer, "reply-misrouted", &subject)?;
    server.ip(&format!("route del {prefix} dev {DUMMY}"))?;
    let connection = traffic::wait_connected(dialling)?;
    closes(setting, &tracer, "reply-misrouted", &subject, opened)?;
    drop((connection, listener));
    let run = tracer.stop()?;
    run.only_findings(&[("reply-misrouted", &subject)])?;
    run.events.findings("reply-misrouted").says("evidence", &format!("answers: unicast dev {DUMMY}"))?;
    Ok(())
}

/// A connection to the address beyond both routers, and who listens there.
fn beyond(routers: &Routers, family: Family) -> Result<(TcpStream, (TcpListener, TcpStream))> {
    let to: SocketAddr = (Routers::beyond(family), PORT).into();
    routers.repair(family)?;
    let listener = traffic::listen(&routers.far, to)?;
    let connection = traffic::connect(&routers.client, (Routers::client_address(family), 0).into(), to)?;
    let accepted = traffic::accept(&listener)?;
    Ok((connection, (listener, accepted)))
}

/// The far router loses the address beyond it, and sends what is for it back.
fn withdraw(routers: &Routers, family: Family) -> Result<()> {
    let bits = host_bits(family);
    routers.far.ip(&format!("address del {}/{bits} dev lo", Routers::beyond(family)))?;
    Ok(())
}

/// Routers that loop for a while, under dials and a connection.
struct Loop {
    dials: usize,
    lasts: Duration,
}

impl Loop {
    /// Begins it, waits until it is told, ends it and waits until that is told.
    fn play(
        &self,
        setting: &Setting,
        tracer: &Tracer,
        routers: &Routers,
        family: Family,
        connection: &mut TcpStream,
    ) -> Result<()> {
        let to: SocketAddr = (Routers::beyond(family), PORT).into();
        let subject = to.ip().to_string();
        withdraw(routers, family)?;
        let broken = Instant::now();
        connection.write_all(b"goes round")?;
        let mut dials = Vec::new();
        for _ in 0..self.dials {
            dials.push(traffic::dial(&routers.client, (Routers::client_address(family), 0).into(), to)?);
        }
        repeated(tracer, &routers.client, "syn")?;
        let opened = opens(tracer, "routing-loop", &subject)?;
        wait::until("the end of the loop", || Ok((broken.elapsed() >= self.lasts).then_some(())))?;
        routers.repair(family)?;
        closes(setting, tracer, "routing-loop", &subject, opened)
    }
}

/// The client goes on dialling, as it does where the errors about packets that died are filtered.
fn filter_errors(client: &Namespace, family: Family) -> Result<()> {
    let error = if family == Family::V4 { "icmp" } else { "icmpv6" };
    lose(client, "client0", &format!("{error} type time-exceeded"))
}

/// S4, as a node that has both routers and the client sees it.
fn transient_loop(setting: &Setting, family: Family) -> Result<()> {
    const LOOP: Loop = Loop { dials: 20, lasts: Duration::from_secs(13) };
    let routers = Routers::new()?;
    filter_errors(&routers.client, family)?;
    let (mut connection, server) = beyond(&routers, family)?;
    let tracer = setting.trace(&[])?;
    LOOP.play(setting, &tracer, &routers, family, &mut connection)?;
    drop((connection, server));
    let subject = Routers::beyond(family).to_string();
    let run = tracer.stop()?;
    only_findings(&run, &[&routers.client, &routers.near, &routers.far], &[("routing-loop", &subject)])?;
    run.events.findings("routing-loop").explaining("path-outage", &subject).at_least(1)?;
    run.events.findings("routing-loop").says("evidence", "TTL −2 each time")?;
    Ok(())
}

/// The same loop, as its client alone sees it.
fn loop_elsewhere(setting: &Setting) -> Result<()> {
    let family = Family::V4;
    let routers = Routers::new()?;
    let (mut connection, (listener, accepted)) = beyond(&routers, family)?;
    let tracer = trace_in(setting, &routers.client)?;
    withdraw(&routers, family)?;
    // A kernel forwards nothing that one of its own sockets is the end of (`ip_forward`); the reset finds no way out.
    traffic::abort(accepted)?;
    connection.write_all(b"goes round")?;
    tracer.wait_for("a packet that died", |events| !events.of("icmp", &routers.client).is_empty())?;
    let subject = Routers::beyond(family).to_string();
    let opened = opens(&tracer, "routing-loop", &subject)?;
    routers.repair(family)?;
    closes(setting, &tracer, "routing-loop", &subject, opened)?;
    drop((connection, listener));
    tracer.stop()?.only_findings(&[("routing-loop", &subject)])
}

/// Twenty connections whose packets are dropped on the way.
fn outage(setting: &Setting, family: Family) -> Result<()> {
    const FLOWS: usize = 20;
    const LASTS: Duration = Duration::from_secs(15);
    let pair = Pair::new()?;
    let to = family.at(FAR, PORT);
    let listener = traffic::listen(&pair.far, to)?;
    let mut connections = Vec::new();
    for _ in 0..FLOWS {
        let connection = traffic::connect(&pair.near, family.at(NEAR, 0), to)?;
        connections.push((connection, traffic::accept(&listener)?));
    }
    let tracer = trace_in(setting, &pair.near)?;
    pair.lose_at_far("meta l4proto tcp")?;
    let broken = Instant::now();
    for (connection, _) in &mut connections {
        connection.write_all(b"is lost")?;
    }
    repeated(&tracer, &pair.near, "rto")?;
    let subject = family.host(FAR).to_string();
    let opened = opens(&tracer, "path-outage", &subject)?;
    wait::until("the 15 s of the outage", || Ok((broken.elapsed() >= LASTS).then_some(())))?;
    heal(&pair.far)?;
    closes(setting, &tracer, "path-outage", &subject, opened)?;
    drop(connections);
    let run = tracer.stop()?;
    run.only_findings(&[("path-outage", &subject)])?;
    run.events.findings("path-outage").with("severity", "critical").at_least(1)?;
    Ok(())
}
