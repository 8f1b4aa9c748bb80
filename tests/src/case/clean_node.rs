//! A node on which everything works: it is busy, loses a segment now and then, its neighbours move, it scans ports. Truth:
//! nothing is wrong, so nothing may be found.

use std::{
    env,
    io::Write as _,
    net::{Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Case, Setting, note, quiet::only_findings};
use crate::{
    crowd::Crowd,
    namespace::Namespace,
    need::Need,
    topology::{Family, Segment, hardware_address, lose},
    traffic, wait,
};

pub(super) const CASES: &[Case] = &[Case {
    name: "finding-clean-node",
    proves: "a busy node without a fault has no finding",
    needs: &[Need::Nftables],
    run: clean_node,
}];

/// Hosts of the segment: the node, servers, two that share a virtual address, and one that is replaced again and again.
const NODE: u8 = 1;
const SERVERS: [u8; 2] = [2, 3];
const SHARERS: [u8; 2] = [4, 5];
const REPLACED: u8 = 6;
/// The address the sharers hand over to each other.
const VIRTUAL: u8 = 50;
const PORT: u16 = 8_080;
/// The pod that comes and goes.
const POD: u8 = 60;
/// Ports on the first server where nobody listens, others behind a filter, and addresses nobody has: for the scan.
const CLOSED: std::ops::Range<u16> = 21_000..21_100;
const FILTERED: std::ops::Range<u16> = 20_000..20_300;
const ABSENT: std::ops::Range<u8> = 200..250;

/// For how long, where the environment does not say otherwise: longer than every rule looks back.
const SECONDS: u64 = 45;
const SECONDS_VARIABLE: &str = "TRACER_CLEAN_SECONDS";

/// Connections a second, at the very least: what an emulated processor makes beside everything else.
const LEAST_A_SECOND: u64 = 20;

fn clean_node(setting: &Setting) -> Result<()> {
    let seconds = match env::var(SECONDS_VARIABLE) {
        Ok(seconds) => seconds.parse().with_context(|| format!("{SECONDS_VARIABLE} is {seconds}"))?,
        Err(_) => SECONDS,
    };
    let segment = Segment::new(&[NODE, SERVERS[0], SERVERS[1], SHARERS[0], SHARERS[1], REPLACED])?;
    prepare(&segment.hosts)?;
    let tracer = setting.trace(&[])?;
    let (crowd, pods) = (Crowd::default(), AtomicU64::new(0));
    let begin = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let mut workers = disturb(scope, &segment, &crowd, &pods);
        let played = talk(scope, &segment, &crowd).and_then(|talking| {
            workers.extend(talking);
            wait::until_within_every(
                Duration::from_millis(200),
                Duration::from_secs(seconds + 60),
                "the time to pass",
                || Ok((begin.elapsed().as_secs() >= seconds).then_some(())),
            )
        });
        crowd.end();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        played
    })?;
    let lasted = begin.elapsed().as_secs();
    let run = tracer.stop()?;
    let retransmits = run.events.of("retransmit", &segment.hosts[0]).count();
    note(&format!(
        "{lasted} s: {} connections, {} a second; {} failed; {} pods; {retransmits} retransmits of the node told",
        crowd.answered(),
        crowd.answered() / lasted.max(1),
        crowd.failed(),
        pods.into_inner(),
    ));
    ensure!(crowd.answered() > seconds * LEAST_A_SECOND, "hardly anything was dialled");
    ensure!(retransmits > 0, "nothing was lost, though something should be now and then");
    only_findings(&run, &segment.hosts, &[])
}

type Worker<'scope> = ScopedJoinHandle<'scope, Result<()>>;

/// What goes on beside the traffic of a node and is no fault.
fn disturb<'scope>(
    scope: &'scope Scope<'scope, '_>,
    segment: &'scope Segment,
    crowd: &'scope Crowd,
    pods: &'scope AtomicU64,
) -> Vec<Worker<'scope>> {
    let [node, server, _, first, second, replaced] = segment.hosts.as_slice() else {
        unreachable!("so many were asked for")
    };
    vec![
        scope.spawn(move || {
            churn(crowd, node);
            Ok(())
        }),
        scope.spawn(move || hand_over(crowd, [first, second])),
        scope.spawn(move || replace(crowd, replaced)),
        scope.spawn(move || {
            scan(crowd, node);
            Ok(())
        }),
        scope.spawn(move || transfer(crowd, node, server)),
        scope.spawn(move || come_and_go(crowd, segment, pods)),
    ]
}

/// Everybody serves, and the node and a server dial.
fn talk<'scope>(
    scope: &'scope Scope<'scope, '_>,
    segment: &'scope Segment,
    crowd: &'scope Crowd,
) -> Result<Vec<Worker<'scope>>> {
    let mut workers = Vec::new();
    for (host, namespace) in (1..).zip(&segment.hosts) {
        if SHARERS.contains(&host) {
            // At whatever addresses it has at the moment, IPv4 ones too.
            let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
            workers.extend(crowd.serve(scope, namespace, any, 2)?);
            continue;
        }
        for family in Family::BOTH {
            workers.extend(crowd.serve(scope, namespace, family.at(host, PORT), 2)?);
        }
    }
    let node = &segment.hosts[0];
    // Many, for each waits a second now and then for what was lost.
    for (to, family, threads) in [
        (SERVERS[0], Family::V4, 40),
        (SERVERS[1], Family::V6, 40),
        (VIRTUAL, Family::V4, 16),
        (REPLACED, Family::V4, 16),
    ] {
        workers.extend(crowd.call(scope, node, family.at(to, PORT), threads));
    }
    workers.extend(crowd.call(scope, &segment.hosts[2], Family::V4.at(NODE, PORT), 16));
    Ok(workers)
}

/// One segment of a hundred is lost, neighbours announce themselves, and a filter hides some ports.
fn prepare(hosts: &[Namespace]) -> Result<()> {
    for (place, host) in hosts.iter().enumerate() {
        let hidden = if place == 1 {
            format!("tcp dport {}-{} drop; ", FILTERED.start, FILTERED.end - 1)
        } else {
            String::new()
        };
        lose(host, Segment::DEVICE, &format!("{hidden}meta l4proto tcp numgen random mod 100 < 1"))?;
        host.sysctl(&format!("net/ipv4/conf/{}/arp_notify", Segment::DEVICE), "1")?;
        host.sysctl(&format!("net/ipv6/conf/{}/ndisc_notify", Segment::DEVICE), "1")?;
    }
    Ok(())
}

/// Long transfers, one after the other.
fn transfer(crowd: &Crowd, from: &Namespace, to: &Namespace) -> Result<()> {
    const BULK: u16 = PORT + 1;
    let listener = traffic::listen(to, Family::V4.at(SERVERS[0], BULK))?;
    while crowd.goes_on() {
        let mut sender = traffic::connect(from, Family::V4.at(NODE, 0), Family::V4.at(SERVERS[0], BULK))?;
        let mut receiver = traffic::accept(&listener)?;
        thread::scope(|scope| -> Result<()> {
            let reading = scope.spawn(move || std::io::copy(&mut receiver, &mut std::io::sink()));
            let piece = vec![0; 64 * 1_024];
            let mut pace = wait::Pace::new(Duration::from_millis(20));
            for _ in 0..100 {
                if !crowd.goes_on() {
                    break;
                }
                sender.write_all(&piece).context("send")?;
                pace.step();
            }
            drop(sender);
            reading.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?.context("receive")?;
            Ok(())
        })?;
    }
    Ok(())
}

/// The node forgets its neighbours twice a second.
fn churn(crowd: &Crowd, node: &Namespace) {
    let mut pace = wait::Pace::new(Duration::from_millis(500));
    while crowd.goes_on() {
        // It gives up when they come back as fast as they go.
        let _ = node.ip(&format!("neigh flush dev {}", Segment::DEVICE));
        pace.step();
    }
}

/// Has a host tell everybody which hardware address its addresses have.
fn announce(host: &Namespace) -> Result<()> {
    let device = Segment::DEVICE;
    host.ip(&format!("link set {device} address {}", hardware_address(host, device)?)).map(drop)
}

/// The virtual address changes hands every ten seconds: the old holder gives it up before the new one takes it.
fn hand_over(crowd: &Crowd, sharers: [&Namespace; 2]) -> Result<()> {
    let address = format!("{}/24 dev {}", Family::V4.host(VIRTUAL), Segment::DEVICE);
    let mut pace = wait::Pace::new(Duration::from_millis(500));
    for turn in 0.. {
        let holder = sharers[turn % sharers.len()];
        holder.ip(&format!("address add {address}"))?;
        announce(holder)?;
        for _ in 0..20 {
            if !crowd.goes_on() {
                return Ok(());
            }
            pace.step();
        }
        holder.ip(&format!("address del {address}"))?;
    }
    Ok(())
}

/// A pod is replaced every seven seconds: the next one has its address and another hardware address.
fn replace(crowd: &Crowd, pod: &Namespace) -> Result<()> {
    let mut pace = wait::Pace::new(Duration::from_millis(500));
    for turn in 0_u8.. {
        for _ in 0..14 {
            if !crowd.goes_on() {
                return Ok(());
            }
            pace.step();
        }
        pod.ip(&format!("link set {} address 02:77:00:00:01:{turn:02x}", Segment::DEVICE))?;
    }
    Ok(())
}

/// Knocks once at ports behind a filter and at addresses nobody has, and waits two seconds for an answer.
fn scan(crowd: &Crowd, node: &Namespace) {
    let filtered = FILTERED.map(|port| Family::V4.at(SERVERS[0], port));
    let closed = CLOSED.map(|port| Family::V4.at(SERVERS[0], port));
    let absent = ABSENT.map(|host| Family::V4.at(host, PORT));
    let targets: Vec<SocketAddr> = filtered.chain(closed).chain(absent).collect();
    while crowd.goes_on() {
        let knocking: Vec<_> =
            targets.iter().filter_map(|&to| traffic::dial(node, Family::V4.at(NODE, 0), to).ok()).collect();
        let mut pace = wait::Pace::new(Duration::from_millis(500));
        for _ in 0..4 {
            pace.step();
        }
        drop(knocking);
        for _ in 0..16 {
            if !crowd.goes_on() {
                return;
            }
            pace.step();
        }
    }
}

/// A pod comes every other second, with an address that another had before it: the node talks to it, and it is taken away in
/// the middle of that, as a runtime does: first its device, then its namespace.
fn come_and_go(crowd: &Crowd, segment: &Segment, pods: &AtomicU64) -> Result<()> {
    let node = &segment.hosts[0];
    let mut pace = wait::Pace::new(Duration::from_millis(500));
    for turn in 0_u64.. {
        let pod = Namespace::new("pod")?;
        segment.plug(&pod, &format!("pod{turn}"), POD)?;
        let at = Family::V4.at(POD, PORT);
        let listener = traffic::listen(&pod, at)?;
        // The kernel of the node may still have the one before it, until the new one speaks.
        announce(&pod)?;
        let mut connections = Vec::new();
        for _ in 0..4 {
            if let Ok(connection) = traffic::dial(node, Family::V4.at(NODE, 0), at) {
                connections.push(connection);
            }
            pace.step();
            connections.extend(listener.accept().map(|(accepted, _)| accepted));
            for connection in &mut connections {
                let _ = connection.write(b"word");
            }
        }
        pod.ip(&format!("link del {}", Segment::DEVICE))?;
        drop((pod, listener));
        pods.fetch_add(1, Ordering::Relaxed);
        if !crowd.goes_on() {
            return Ok(());
        }
        // Their owner does not know yet, and writes on.
        for connection in &mut connections {
            let _ = connection.write(b"too late");
        }
        pace.step();
        pace.step();
    }
    Ok(())
}
