//! Findings about neighbours: several owners of an address, from every seat, addresses that keep moving, answers for
//! addresses of other devices, next hops that do not answer; and what looks like them and is as it should be.

mod behind;
mod contrary;
mod lan;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use self::lan::{DEVICE, Lan, OFF_THE_WIRE, believed, give, give_off_the_wire, know_for_good, macs};
use super::{Case, Setting, note};
use crate::{
    expect::OPENS,
    namespace::Namespace,
    need::Need,
    topology::{self, Family, hardware_address, heal, host_bits, lose},
    tracer::Tracer,
    traffic, wait,
};

pub(super) use self::{behind::CASES as BEHIND, contrary::CASES as CONTRARY};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "finding-duplicate-cached",
        proves: "the host that caches the wrong of several MACs is told so within 10 s, until the others are gone",
        needs: &[Need::Nftables],
        run: |setting| cached(setting, Repair::Removed),
    },
    Case {
        name: "finding-duplicate-ignore",
        proves: "the same, repaired by arp_ignore 1 where the address is not on the wire",
        needs: &[Need::Nftables],
        run: |setting| cached(setting, Repair::Ignored),
    },
    Case {
        name: "finding-duplicate-v6",
        proves: "several hosts that advertise one IPv6 address are told, until one is left",
        needs: &[Need::Nftables],
        run: cached_v6,
    },
    Case {
        name: "finding-duplicate-own",
        proves: "a node is told that another host uses its address, until that gives it up",
        needs: &[Need::FunctionHooks],
        run: own_address,
    },
    Case {
        name: "finding-foreign-answer",
        proves: "the node that answers for an address of kube-ipvs0 is told so, with the settings, until they are right",
        needs: &[Need::FunctionHooks],
        run: foreign_answer,
    },
    Case {
        name: "finding-address-flap",
        proves: "an address that two hosts take from each other over and over is told, until it rests",
        needs: &[],
        run: flap,
    },
    Case {
        name: "finding-gateway-silent",
        proves: "a gateway that does not answer is told while flows wait for it, until it answers, IPv4 and IPv6",
        needs: &[Need::Nftables],
        run: |setting| {
            Family::BOTH.into_iter().try_for_each(|family| {
                silent_gateway(setting, family).with_context(|| format!("over {family}"))
            })
        },
    },
];

const PORT: u16 = 8_443;
const SERVER: u8 = 1;
const EDGE: u8 = 20;

/// Traces as from one node: what other namespaces see is another node's.
fn trace_in(setting: &Setting, node: &Namespace) -> Result<Tracer> {
    setting.trace(&["--netns", node.name()])
}

/// How the others stop answering.
#[derive(Clone, Copy)]
enum Repair {
    Removed,
    Ignored,
}

/// Tells in how many seconds a finding opened and closed.
fn note_times(setting: &Setting, opened: Duration, closed: Duration) {
    note(&format!(
        "{}: open after {:.1} s, closed after {:.1} s",
        setting.case,
        opened.as_secs_f64(),
        closed.as_secs_f64()
    ));
}

/// Dials until a host answers who is not the one dialled for, and something of the connection is repeated.
///
/// The one dialling knows the server's hardware address for good, so that the server has to ask for that of whom it
/// replies to, as it does when its entry has timed out.
fn dial_astray(
    tracer: &Tracer,
    (server, edge): (&Namespace, &Namespace),
    family: Family,
    macs: &[String],
) -> Result<(std::net::TcpStream, Instant)> {
    const TRIES: usize = 8;
    const LEFT_TO_CHANCE: usize = 3;
    let (at, from) = (family.at(SERVER, PORT), family.host(EDGE));
    let server_mac = hardware_address(server, DEVICE)?;
    edge.ip(&format!("neigh replace {} lladdr {server_mac} nud permanent dev {DEVICE}", at.ip()))?;
    for attempt in 0..TRIES {
        // Whose answer counts is the switch's whim; in the end the true owner's is lost.
        if attempt == LEFT_TO_CHANCE {
            let answer = match family {
                Family::V4 => "arp operation reply",
                Family::V6 => "icmpv6 type nd-neighbor-advert",
            };
            lose(server, DEVICE, &format!("ether saddr {} {answer}", macs[0]))?;
        }
        let dialling = traffic::dial(edge, family.at(EDGE, 0), at)?;
        // Which answer came last is known once the connection is there, or its replies go astray.
        let is_astray = believed(server, from, macs)? != 0
            && wait::until("a connection, or replies that are repeated", || {
                let is_repeated =
                    tracer.has(|events| !events.of("retransmit", server).with("kind", "syn-ack").is_empty());
                let is_connected = dialling.peer_addr().is_ok();
                Ok((is_repeated || is_connected).then_some(!is_connected))
            })?;
        if !is_astray {
            server.ip(&format!("neigh flush {from} dev {DEVICE}"))?;
            continue;
        }
        return Ok((dialling, Instant::now()));
    }
    anyhow::bail!("the true owner answered first, {TRIES} times of {TRIES}")
}

/// Seat 1 of the incident: a server among hosts of which two have the edge node's address off the wire and answer for it.
fn cached(setting: &Setting, repair: Repair) -> Result<()> {
    const ID: &str = "duplicate-address";
    let lan = Lan::new()?;
    let server = lan.host(SERVER)?;
    let edge = lan.host(EDGE)?;
    let impostors = [lan.host(3)?, lan.host(4)?];
    let address = Family::V4.host(EDGE);
    for impostor in &impostors {
        give_off_the_wire(impostor, address)?;
        lose(impostor, DEVICE, &format!("tcp sport {PORT}"))?;
    }
    let macs = macs(&[&edge, &impostors[0], &impostors[1]])?;
    let listener = traffic::listen(&server, Family::V4.at(SERVER, PORT))?;
    let tracer = trace_in(setting, &server)?;
    let (dialling, symptom) = dial_astray(&tracer, (&server, &edge), Family::V4, &macs)?;
    let opened = tracer.wait_for_finding(ID, &address.to_string())?;
    let opened_after = symptom.elapsed();
    let kept = believed(&server, address, &macs)?;
    ensure!(
        opened["title"].as_str().is_some_and(|title| title.contains(&macs[kept])),
        "not told who is kept: {opened}"
    );

    let repaired = Instant::now();
    for impostor in &impostors {
        match repair {
            Repair::Removed => drop(impostor.ip(&format!("address del {address}/32 dev {OFF_THE_WIRE}"))?),
            Repair::Ignored => impostor.sysctl("net/ipv4/conf/all/arp_ignore", "1")?,
        }
    }
    // Where the true owner's answers are not lost there is nothing to heal.
    let _ = heal(&server);
    server.ip(&format!("neigh del {address} dev {DEVICE}"))?;
    let connection = traffic::wait_connected(dialling)?;
    tracer.wait_for_closed(ID, &address.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    drop((connection, listener));
    let run = tracer.stop()?;
    let told = run.events.findings(ID);
    told.says("evidence", "the kernel ignored it")?;
    told.says("advice", "net.ipv4.conf.all.arp_ignore=1")?;
    told.says("advice", &format!("neigh del {address} dev {DEVICE}"))?;
    run.only_findings(&[(ID, &address.to_string())])
}

/// The same in IPv6, where the last answer is kept, and the others have the address on the wire.
fn cached_v6(setting: &Setting) -> Result<()> {
    const ID: &str = "duplicate-address";
    let lan = Lan::new()?;
    let server = lan.host(SERVER)?;
    let impostors = [lan.host(3)?, lan.host(4)?];
    let edge = lan.host(EDGE)?;
    let address = Family::V6.host(EDGE);
    for impostor in &impostors {
        give(impostor, DEVICE, address)?;
        lose(impostor, DEVICE, &format!("tcp sport {PORT}"))?;
    }
    let macs = macs(&[&edge, &impostors[0], &impostors[1]])?;
    let listener = traffic::listen(&server, Family::V6.at(SERVER, PORT))?;
    let tracer = trace_in(setting, &server)?;
    let (dialling, symptom) = dial_astray(&tracer, (&server, &edge), Family::V6, &macs)?;
    tracer.wait_for_finding(ID, &address.to_string())?;
    let opened_after = symptom.elapsed();
    let repaired = Instant::now();
    for impostor in &impostors {
        impostor.ip(&format!("address del {address}/64 dev {DEVICE}"))?;
    }
    // Where the true owner's answers are not lost there is nothing to heal.
    let _ = heal(&server);
    server.ip(&format!("neigh del {address} dev {DEVICE}"))?;
    let connection = traffic::wait_connected(dialling)?;
    tracer.wait_for_closed(ID, &address.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    drop((connection, listener));
    let run = tracer.stop()?;
    run.events.findings(ID).says("evidence", "took it in its place")?.says("advice", "ndisc6")?;
    run.only_findings(&[(ID, &address.to_string())])
}

/// Seat 2: the edge node hears another host ask in its name.
fn own_address(setting: &Setting) -> Result<()> {
    const ID: &str = "duplicate-address";
    let lan = Lan::new()?;
    let (edge, other, impostor) = (lan.host(EDGE)?, lan.host(3)?, lan.host(4)?);
    let address = Family::V4.host(EDGE);
    give_off_the_wire(&impostor, address)?;
    let mac = hardware_address(&impostor, DEVICE)?;
    let tracer = trace_in(setting, &edge)?;
    let symptom = Instant::now();
    traffic::knock(&impostor, (address, 0).into(), Family::V4.at(3, PORT))?;
    let opened = tracer.wait_for_finding(ID, &address.to_string())?;
    let opened_after = symptom.elapsed();
    ensure!(opened["title"].as_str().is_some_and(|title| title.contains(&mac)), "not told who: {opened}");
    let repaired = Instant::now();
    impostor.ip(&format!("address del {address}/32 dev {OFF_THE_WIRE}"))?;
    tracer.wait_for_closed(ID, &address.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    drop(other);
    tracer.stop()?.only_findings(&[(ID, &address.to_string())])
}

/// Seat 3: the node that answers wrongly.
fn foreign_answer(setting: &Setting) -> Result<()> {
    const ID: &str = "answers-for-foreign-address";
    let lan = Lan::new()?;
    let (server, node) = (lan.host(SERVER)?, lan.host(3)?);
    let address = Family::V4.host(EDGE);
    give_off_the_wire(&node, address)?;
    let tracer = trace_in(setting, &node)?;
    let symptom = Instant::now();
    traffic::knock(&server, Family::V4.at(SERVER, 0), (address, PORT).into())?;
    tracer.wait_for_finding(ID, &address.to_string())?;
    let opened_after = symptom.elapsed();
    let repaired = Instant::now();
    node.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
    server.ip(&format!("neigh flush dev {DEVICE}"))?;
    traffic::knock(&server, Family::V4.at(SERVER, 0), (address, PORT).into())?;
    tracer.wait_for_closed(ID, &address.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    let run = tracer.stop()?;
    let told = run.events.findings(ID);
    told.says("evidence", &format!("arp_ignore is 0 of all devices and 0 of {DEVICE}"))?;
    told.says("evidence", OFF_THE_WIRE)?.says("advice", "arp_announce=2")?;
    run.only_findings(&[(ID, &address.to_string())])
}

/// Two hosts that take an address from each other, each with an announcement.
fn flap(setting: &Setting) -> Result<()> {
    const ID: &str = "address-flap";
    const MOVES: u64 = 6;
    /// What it takes to be found.
    const ENOUGH: u64 = 4;
    let lan = Lan::new()?;
    let client = lan.host(SERVER)?;
    let pair = contrary::Pair::new(&lan)?;
    let address = pair.address;
    let tracer = trace_in(setting, &client)?;
    traffic::knock(&client, Family::V4.at(SERVER, 0), (address, PORT).into())?;
    tracer.wait_for("the first owner", |events| {
        let told = events.of("neighbour", &client).with("verdict", "learned");
        !told.with("address", address.to_string()).is_empty()
    })?;
    let moves =
        |events: &crate::expect::Events| events.of("neighbour", &client).with("verdict", "changed").count();
    let mut pace = wait::Pace::new(Duration::from_secs(2));
    let symptom = Instant::now();
    let mut opened_after = None;
    for taken in 1..=MOVES {
        pair.take_over(usize::from(taken % 2 == 1))?;
        tracer.wait_for("the move", |events| moves(events) >= taken)?;
        if taken == ENOUGH {
            tracer.wait_for_finding(ID, &address.to_string())?;
            opened_after = Some(symptom.elapsed());
        }
        pace.step();
    }
    let opened_after = opened_after.context("it was not found while it moved")?;
    let repaired = Instant::now();
    tracer.wait_for_closed(ID, &address.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    tracer.stop()?.only_findings(&[(ID, &address.to_string())])
}

/// A gateway whose device goes down and comes back, and a peer behind it.
fn silent_gateway(setting: &Setting, family: Family) -> Result<()> {
    const ID: &str = "neighbour-unreachable";
    const GATEWAY: u8 = 254;
    let lan = Lan::new()?;
    let (client, gateway) = (lan.host(SERVER)?, lan.host(GATEWAY)?);
    let (via, beyond): (_, std::net::IpAddr) = match family {
        Family::V4 => (family.host(GATEWAY), [10, 79, 0, 9].into()),
        Family::V6 => (family.host(GATEWAY), [0xfd79, 0, 0, 0, 0, 0, 0, 9].into()),
    };
    let bits = host_bits(family);
    topology::give(&gateway, "lo", beyond, bits)?;
    client.ip(&format!("route add {beyond}/{bits} via {via}"))?;
    let listener = traffic::listen(&gateway, (beyond, PORT).into())?;
    let tracer = trace_in(setting, &client)?;
    know_for_good(&gateway, &client, family.host(SERVER))?;
    let connection = traffic::connect(&client, family.at(SERVER, 0), (beyond, PORT).into())?;
    traffic::close_at(&listener, connection)?;
    // It hears nothing any more, and the entry is gone, as after a while without traffic.
    lose(&gateway, DEVICE, "counter")?;
    client.ip(&format!("neigh flush dev {DEVICE}"))?;
    let symptom = Instant::now();
    let mut callers = Vec::new();
    let found = wait::until_within_every(Duration::from_secs(1), OPENS, "the finding", || {
        callers.extend(traffic::dial(&client, family.at(SERVER, 0), (beyond, PORT).into()));
        Ok(tracer.ask(|events| events.open_finding(ID, &via.to_string()).cloned()))
    })?;
    let opened_after = symptom.elapsed();
    ensure!(found["severity"] == "critical", "{found}");
    let repaired = Instant::now();
    heal(&gateway)?;
    tracer.wait_for_closed(ID, &via.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    drop((callers, listener));
    tracer.stop()?.only_findings(&[(ID, &via.to_string())])
}
