//! What looks like several owners, a flapping address or a dead neighbour, and is as it should be: nothing is found.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};

use super::{
    PORT, SERVER,
    lan::{DEVICE, Lan, let_pass},
    trace_in,
};
use crate::{
    case::{Case, Setting, note},
    namespace::Namespace,
    need,
    topology::{Family, forward, hardware_address, wire},
    traffic, wait,
};

pub(in super::super) const CASES: &[Case] = &[
    Case {
        name: "quiet-takeover",
        proves: "an address that goes to another host by a gratuitous announcement, and back, is no finding",
        needs: &[],
        run: takeover,
    },
    Case {
        name: "quiet-bond-failover",
        proves: "a bond that goes on with another device and hardware address is no finding",
        needs: &[],
        run: bond_failover,
    },
    Case {
        name: "quiet-proxy-arp",
        proves: "a router that answers for the addresses behind it is no finding, at it nor at those who ask",
        needs: &[],
        run: proxy_arp,
    },
    Case {
        name: "quiet-anycast",
        proves: "an address that several hosts have off the wire and do not answer for is no finding",
        needs: &[],
        run: anycast,
    },
    Case {
        name: "quiet-pod-churn",
        proves: "an address that goes from one pod to the next, each with a hardware address of its own, is no finding",
        needs: &[],
        run: pod_churn,
    },
    Case {
        name: "quiet-arp-churn",
        proves: "two hundred neighbours that are forgotten and found again over and over are no finding",
        needs: &[],
        run: arp_churn,
    },
    Case {
        name: "quiet-arp-scan",
        proves: "dialling addresses nobody has, one after the other, is no finding",
        needs: &[],
        run: scan,
    },
];

/// Seconds after the last thing that happened in which a finding would open.
const SECONDS_AFTER: usize = 4;

/// Two hosts that share an address, as routers with VRRP do: one has it, and announces that when it takes it over.
pub(super) struct Pair {
    hosts: [Namespace; 2],
    pub(super) address: IpAddr,
}

impl Pair {
    /// The first one has it.
    pub(super) fn new(lan: &Lan) -> Result<Self> {
        let pair = Self { hosts: [lan.host(3)?, lan.host(4)?], address: Family::V4.host(30) };
        pair.hosts[0].ip(&format!("address add {}/32 dev {DEVICE}", pair.address))?;
        Ok(pair)
    }

    /// The other takes it over.
    pub(super) fn take_over(&self, host: usize) -> Result<()> {
        let address = self.address;
        self.hosts[1 - host].ip(&format!("address del {address}/32 dev {DEVICE}"))?;
        self.hosts[host].ip(&format!("address add {address}/32 dev {DEVICE}"))?;
        self.hosts[host].run("arping", &format!("-q -U -c 1 -I {DEVICE} {address}")).map(drop)
    }
}

/// What is found in the namespace traced by then.
fn finds_nothing(setting: &Setting, tracer: crate::tracer::Tracer) -> Result<()> {
    let_pass(&tracer, SECONDS_AFTER)?;
    let run = tracer.stop()?;
    note(&format!("{}: {}", setting.case, run.events.summary()));
    run.only_findings(&[])
}

/// The client has used the address, and it moves; the client and both hosts go on talking.
fn takeover(setting: &Setting) -> Result<()> {
    const MOVES: u64 = 3;
    let lan = Lan::new()?;
    let client = lan.host(SERVER)?;
    let pair = Pair::new(&lan)?;
    let tracer = trace_in(setting, &client)?;
    let knock = || traffic::knock(&client, Family::V4.at(SERVER, 0), (pair.address, PORT).into());
    knock()?;
    tracer.wait_for("the first owner", |events| {
        !events
            .of("neighbour", &client)
            .with("verdict", "learned")
            .with("address", pair.address.to_string())
            .is_empty()
    })?;
    for moved in 1..=MOVES {
        let owner = usize::from(moved % 2 == 1);
        pair.take_over(owner)?;
        tracer.wait_for("the move", |events| {
            events.of("neighbour", &client).with("verdict", "changed").count() >= moved
        })?;
        knock()?;
        traffic::knock(&pair.hosts[owner], (pair.address, 0).into(), Family::V4.at(SERVER, PORT))?;
        let_pass(&tracer, 6)?;
    }
    finds_nothing(setting, tracer)
}

/// A bond of two devices; where the kernel has no bonds, a device that gets another hardware address and announces it.
fn bond_failover(setting: &Setting) -> Result<()> {
    const HOST: u8 = 3;
    let lan = Lan::new()?;
    let client = lan.host(SERVER)?;
    let host = Namespace::new("bonded")?;
    need::load("bonding");
    let is_bond =
        host.ip("link add bond0 type bond mode active-backup fail_over_mac active miimon 50").is_ok();
    let device = if is_bond { "bond0" } else { "slave0" };
    let mut ports = Vec::new();
    // Two devices of one host in one network would both answer.
    let slaves = if is_bond { ["slave0", "slave1"].as_slice() } else { &["slave0"] };
    for slave in slaves {
        ports.push(lan.plug(&host, slave)?);
        if is_bond {
            host.ip(&format!("link set {slave} down"))?;
            host.ip(&format!("link set {slave} master bond0"))?;
        }
    }
    host.ip(&format!("link set {device} up"))?;
    host.sysctl(&format!("net/ipv4/conf/{device}/arp_notify"), "1")?;
    super::give(&host, device, Family::V4.host(HOST))?;
    let before = hardware_address(&host, device)?;
    let tracer = trace_in(setting, &client)?;
    traffic::knock(&client, Family::V4.at(SERVER, 0), Family::V4.at(HOST, PORT))?;
    tracer.wait_for("the bond's first address", |events| {
        !events.of("neighbour", &client).with("verdict", "learned").with("mac", before.as_str()).is_empty()
    })?;
    if is_bond {
        let active = ports.iter().zip(slaves).find_map(|(port, slave)| {
            hardware_address(&host, slave).is_ok_and(|mac| mac == before).then_some(port)
        });
        lan.switch().ip(&format!("link set {} down", active.context("no device of the bond is active")?))?;
    } else {
        host.ip(&format!("link set {device} address 02:77:00:00:00:33"))?;
    }
    tracer.wait_for("the bond's other address", |events| {
        !events
            .of("neighbour", &client)
            .with("verdict", "changed")
            .with("previous", before.as_str())
            .is_empty()
    })?;
    traffic::knock(&client, Family::V4.at(SERVER, 0), Family::V4.at(HOST, PORT))?;
    note(&format!("{}: {}", setting.case, if is_bond { "a bond" } else { "no bonds here, a device" }));
    finds_nothing(setting, tracer)
}

/// The client takes the addresses behind the router for part of its own network. Seen from both.
fn proxy_arp(setting: &Setting) -> Result<()> {
    const ROUTER: u8 = 254;
    for is_at_router in [false, true] {
        let lan = Lan::new()?;
        let (client, router, behind) = (lan.host(SERVER)?, lan.host(ROUTER)?, Namespace::new("behind")?);
        wire(&router, "south0", &behind, "north0")?;
        forward(&router)?;
        router.ip("address add 10.79.0.1/24 dev south0")?;
        router.sysctl(&format!("net/ipv4/conf/{DEVICE}/proxy_arp"), "1")?;
        client.ip(&format!("route add 10.79.0.0/24 dev {DEVICE}"))?;
        behind.ip("address add 10.79.0.2/24 dev north0")?;
        behind.ip("route add default via 10.79.0.1")?;
        let mut listeners = Vec::new();
        for number in 2..12_u8 {
            if number > 2 {
                behind.ip(&format!("address add 10.79.0.{number}/24 dev north0"))?;
            }
            listeners.push(traffic::listen(&behind, ([10, 79, 0, number], PORT).into())?);
        }
        let tracer = trace_in(setting, if is_at_router { &router } else { &client })?;
        for number in 2..12_u8 {
            drop(traffic::connect(&client, Family::V4.at(SERVER, 0), ([10, 79, 0, number], PORT).into())?);
        }
        finds_nothing(setting, tracer)?;
    }
    Ok(())
}

/// As where routers spread an address over hosts: each has it on `lo`, and the client a route to it by way of one.
fn anycast(setting: &Setting) -> Result<()> {
    let shared = Family::V4.host(40);
    let lan = Lan::new()?;
    let client = lan.host(SERVER)?;
    let hosts = [lan.host(3)?, lan.host(4)?];
    let mut listeners = Vec::new();
    for host in &hosts {
        for (name, value) in [("arp_ignore", "1"), ("arp_announce", "2")] {
            host.sysctl(&format!("net/ipv4/conf/all/{name}"), value)?;
        }
        host.ip(&format!("address add {shared}/32 dev lo"))?;
        listeners.push(traffic::listen(host, (shared, PORT).into())?);
    }
    let tracer = trace_in(setting, &client)?;
    for turn in 0..6_u8 {
        let via = Family::V4.host(3 + turn % 2);
        client.ip(&format!("route replace {shared}/32 via {via}"))?;
        drop(traffic::connect(&client, Family::V4.at(SERVER, 0), (shared, PORT).into())?);
        // The host talks from the address too, and asks for the client in its own name.
        let host = &hosts[usize::from(turn % 2)];
        host.ip(&format!("neigh flush dev {DEVICE}"))?;
        traffic::knock(host, (shared, 0).into(), Family::V4.at(SERVER, PORT))?;
    }
    finds_nothing(setting, tracer)
}

/// One address, and twelve pods that have it in turn: each has traffic with the node, and is removed.
fn pod_churn(setting: &Setting) -> Result<()> {
    const PODS: u8 = 12;
    const POD: u8 = 50;
    let lan = Lan::new()?;
    let node = lan.host(SERVER)?;
    let tracer = trace_in(setting, &node)?;
    for number in 0..PODS {
        let pod = Namespace::new("pod")?;
        lan.plug(&pod, DEVICE)?;
        pod.ip(&format!("link set {DEVICE} address 02:77:00:00:01:{number:02x}"))?;
        super::give(&pod, DEVICE, Family::V4.host(POD))?;
        let listener = traffic::listen(&pod, Family::V4.at(POD, PORT))?;
        // Half of them speak first, so that the node hears of the new one; of the others it has to forget the old one.
        if number % 2 == 0 {
            traffic::knock(&pod, Family::V4.at(POD, 0), Family::V4.at(SERVER, PORT))?;
        } else {
            node.ip(&format!("neigh flush {} dev {DEVICE}", Family::V4.host(POD)))?;
        }
        let connection = traffic::connect(&node, Family::V4.at(SERVER, 0), Family::V4.at(POD, PORT))?;
        traffic::abort(connection)?;
        drop(listener);
        // A namespace goes some time after its name, and would answer until then.
        pod.ip(&format!("link del {DEVICE}"))?;
    }
    finds_nothing(setting, tracer)
}

/// A host with two hundred addresses, all forgotten and asked for again, five times.
fn arp_churn(setting: &Setting) -> Result<()> {
    const ROUNDS: u64 = 5;
    let lan = Lan::new()?;
    let (client, hosts) = (lan.host(SERVER)?, lan.host(2)?);
    for number in 30..230_u8 {
        super::give(&hosts, DEVICE, Family::V4.host(number))?;
    }
    let tracer = trace_in(setting, &client)?;
    for round in 1..=ROUNDS {
        for number in 30..230_u8 {
            traffic::knock(&client, Family::V4.at(SERVER, 0), Family::V4.at(number, PORT))?;
        }
        tracer.wait_for("every neighbour", |events| {
            events.of("neighbour", &client).with("verdict", "learned").count() >= round * 200
        })?;
        client.ip(&format!("neigh flush dev {DEVICE}"))?;
    }
    finds_nothing(setting, tracer)
}

/// Forty addresses nobody has, three ports each.
fn scan(setting: &Setting) -> Result<()> {
    const PORTS: [u16; 3] = [22, 80, 443];
    let lan = Lan::new()?;
    let client = lan.host(SERVER)?;
    let tracer = trace_in(setting, &client)?;
    for port in PORTS {
        let mut dialled = Vec::new();
        for number in 100..140_u8 {
            dialled.push(traffic::dial(&client, Family::V4.at(SERVER, 0), Family::V4.at(number, port))?);
        }
        for dialling in &dialled {
            let error = wait::until("a failure", || Ok(dialling.take_error()?))?;
            ensure!(error.raw_os_error() == Some(libc::EHOSTUNREACH), "{error}");
        }
    }
    finds_nothing(setting, tracer)
}
