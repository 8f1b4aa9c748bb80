//! What looks like a fault to somebody in a hurry, and is none: nodes that work, under traffic, while this or that happens
//! to them. Truth: nothing is wrong, so nothing may be found.

mod hosts;
mod servers;
mod wires;

use std::{
    collections::BTreeSet,
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Case, Setting, note};
use crate::{
    crowd::Crowd,
    expect::Events,
    namespace::Namespace,
    need::Need,
    topology::{Family, Segment},
    tracer::Run,
    wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "quiet-slow-path",
        proves: "5 % loss, 100 ms of delay and frames that overtake each other are no finding",
        needs: &[],
        run: wires::slow_path,
    },
    Case {
        name: "quiet-bridge-moves",
        proves: "a host whose port of the bridge changes is no finding",
        needs: &[],
        run: wires::bridge_moves,
    },
    Case {
        name: "quiet-fragments",
        proves: "a path whose packets have to be smaller is no finding",
        needs: &[Need::Nftables],
        run: wires::fragments,
    },
    Case {
        name: "quiet-hairpin",
        proves: "pods that reach themselves by their service's address, and others, are no finding",
        needs: &[Need::Nftables, Need::Conntrack],
        run: servers::hairpin,
    },
    Case {
        name: "quiet-impatience",
        proves: "clients that give up after milliseconds, and health checks of a closed port, are no finding",
        needs: &[Need::Nftables],
        run: servers::impatience,
    },
    Case {
        name: "quiet-restarts",
        proves: "servers that refuse for a second while they restart, a resolver that is down for 3 s too, are no finding",
        needs: &[],
        run: servers::restarts,
    },
    Case {
        name: "quiet-rolling-pods",
        proves: "ten pods that are replaced one after the other, each away for 2 s, are no finding",
        needs: &[],
        run: servers::rolling_pods,
    },
    Case {
        name: "quiet-vanished-peers",
        proves: "200 idle connections to a host that is gone, which keepalive ends, are no finding",
        needs: &[],
        run: servers::vanished_peers,
    },
    Case {
        name: "quiet-sleeping-neighbour",
        proves: "a host that sleeps for some seconds and is looked for meanwhile is no finding",
        needs: &[],
        run: hosts::sleeping_neighbour,
    },
    Case {
        name: "quiet-private-addresses",
        proves: "IPv6 addresses that come and go, with duplicate address detection, are no finding",
        needs: &[],
        run: hosts::private_addresses,
    },
    Case {
        name: "quiet-container-storm",
        proves: "twenty containers that start within a second, and end, are no finding",
        needs: &[],
        run: hosts::container_storm,
    },
    Case {
        name: "quiet-new-lease",
        proves: "a node that gets another address, its connections with it, is no finding",
        needs: &[],
        run: hosts::new_lease,
    },
    Case {
        name: "quiet-virtual-router",
        proves: "an address that fails over and back, announced, while both hosts have it for a moment, is no finding",
        // An emulated one takes seconds to hand the address over: for so long two hosts do have it.
        needs: &[Need::RealProcessor],
        run: hosts::virtual_router,
    },
];

const PORT: u16 = 8_080;

/// Fails if one of these namespaces, or of others this process made, has another finding than those: each an id and words
/// of the subject. Other cases may run beside this one.
pub(super) fn only_findings(run: &Run, nodes: &[Namespace], expected: &[(&str, &str)]) -> Result<()> {
    let inodes: BTreeSet<u64> = nodes.iter().map(Namespace::inode).collect();
    let beginning = format!("tracer-{}-", process::id());
    let is_own = |line: &&Value| {
        let named = line["netns_name"].as_str().is_some_and(|name| name.starts_with(&beginning));
        named || line["netns"].as_u64().is_some_and(|inode| inodes.contains(&inode))
    };
    Events::new(run.events.all().iter().filter(is_own).cloned().collect()).only_findings(expected)
}

/// Seconds after everything in which a finding would still open.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// Waits.
fn pass(time: Duration) -> Result<()> {
    let began = Instant::now();
    wait::until_within(time * 2 + wait::DEADLINE, "time to pass", || {
        Ok((began.elapsed() >= time).then_some(()))
    })
}

/// One end of traffic: the place of the namespace that serves or dials, and the host that is served or dialled.
type End = (usize, Family, u8);

/// Has hosts serve and one of them dial the others, while something happens to them; then nothing may have been found.
fn under_traffic(
    setting: &Setting,
    hosts: &[Namespace],
    (served, dialled): (&[End], &[End]),
    happens: impl FnOnce(&Crowd) -> Result<()>,
) -> Result<()> {
    let tracer = setting.trace(&[])?;
    let crowd = Crowd::default();
    let began = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let mut workers = Vec::new();
        let play = || -> Result<()> {
            for &(place, family, host) in served {
                workers.extend(crowd.serve(scope, &hosts[place], family.at(host, PORT), 2)?);
            }
            for &(place, family, host) in dialled {
                workers.extend(crowd.call(scope, &hosts[place], family.at(host, PORT), 3));
            }
            happens(&crowd)?;
            pass(AFTERWARDS)
        };
        let played = play();
        crowd.end();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        played
    })?;
    let seconds = began.elapsed().as_secs();
    let run = tracer.stop()?;
    let resent: u64 = hosts.iter().map(|host| run.events.of("retransmit", host).count()).sum();
    note(&format!(
        "{}: {seconds} s, {} connections, {} failed, {resent} retransmits",
        setting.case,
        crowd.answered(),
        crowd.failed()
    ));
    ensure!(dialled.is_empty() || crowd.answered() > seconds, "hardly anything was dialled");
    only_findings(&run, hosts, &[])
}

/// Has a host tell everybody that it has an address.
fn announce(host: &Namespace, address: std::net::IpAddr) -> Result<()> {
    host.run("arping", &format!("-q -U -c 1 -I {} {address}", Segment::DEVICE)).map(drop)
}
