//! Neighbours of the node that its pods depend on: their packets leave by its namespace, and it is the node that asks.

use std::{
    net::{IpAddr, TcpListener},
    time::Instant,
};

use anyhow::{Result, ensure};

use super::{
    PORT, SERVER, give_off_the_wire,
    lan::{DEVICE, Lan, OFF_THE_WIRE, believed, know_for_good, let_pass, macs},
    note_times, trace_in,
};
use crate::{
    case::{Case, Setting},
    expect::OPENS,
    namespace::Namespace,
    need::Need,
    topology::{Family, forward, heal, lose, wire},
    tracer::Tracer,
    traffic, wait,
};

pub(in super::super) const CASES: &[Case] = &[
    Case {
        name: "finding-gateway-silent-pod",
        proves: "the node's silent gateway is told for the flows of its pods, whose outage stands below it",
        needs: &[Need::Nftables],
        run: silent_gateway,
    },
    Case {
        name: "finding-duplicate-gateway-pod",
        proves: "two that answer for the node's gateway, which is on no network of it, are told for the flows of its pods",
        needs: &[Need::Nftables],
        run: doubled_gateway,
    },
    Case {
        name: "finding-duplicate-refused",
        proves: "an IPv6 address that the kernel does not use, for somebody had it, is told until it is taken anew",
        needs: &[],
        run: refused,
    },
];

const GATEWAY: u8 = 254;
const POD: [u8; 4] = [10, 80, 0, 5];
const BEYOND: [u8; 4] = [10, 79, 0, 9];

/// A pod, as Calico wires them, on a node whose gateway leads to a server.
struct Cluster {
    lan: Lan,
    node: Namespace,
    pod: Namespace,
    gateway: Namespace,
    listener: TcpListener,
}

impl Cluster {
    fn new() -> Result<Self> {
        const INSIDE: &str = "169.254.1.1";
        let lan = Lan::new()?;
        let (node, gateway, pod) = (lan.host(SERVER)?, lan.host(GATEWAY)?, Namespace::new("pod")?);
        let via = Family::V4.host(GATEWAY);
        let [server, own] = [BEYOND, POD].map(IpAddr::from);
        wire(&pod, "pod0", &node, "cali0")?;
        forward(&node)?;
        pod.ip(&format!("address add {own}/32 dev pod0"))?;
        pod.ip(&format!("route add {INSIDE} dev pod0 scope link"))?;
        pod.ip(&format!("route add default via {INSIDE} dev pod0"))?;
        node.ip(&format!("route add {own} dev cali0"))?;
        node.sysctl("net/ipv4/conf/cali0/proxy_arp", "1")?;
        node.sysctl("net/ipv4/neigh/cali0/proxy_delay", "0")?;
        node.ip(&format!("route add default via {via}"))?;
        gateway.ip(&format!("address add {server}/32 dev lo"))?;
        gateway.ip(&format!("route add {own} via {}", Family::V4.host(SERVER)))?;
        know_for_good(&gateway, &node, Family::V4.host(SERVER))?;
        let listener = traffic::listen(&gateway, (server, PORT).into())?;
        Ok(Self { lan, node, pod, gateway, listener })
    }

    fn dial(&self) -> Result<std::net::TcpStream> {
        traffic::dial(&self.pod, (IpAddr::from(POD), 0).into(), (IpAddr::from(BEYOND), PORT).into())
    }

    /// A connection that the gateway ends.
    fn connect(&self) -> Result<()> {
        let [from, to] = [POD, BEYOND].map(IpAddr::from);
        let connection = traffic::connect(&self.pod, (from, 0).into(), (to, PORT).into())?;
        traffic::close_at(&self.listener, connection)
    }

    /// Dials once a second until a finding about the gateway is open.
    fn dial_until_found(&self, tracer: &Tracer, id: &str) -> Result<Vec<std::net::TcpStream>> {
        let mut callers = Vec::new();
        wait::until_within_every(std::time::Duration::from_secs(1), OPENS, "the finding", || {
            callers.push(self.dial()?);
            let via = Family::V4.host(GATEWAY).to_string();
            Ok(tracer.ask(|events| {
                events
                    .open_finding(id, &via)
                    .filter(|found| found["affects"]["flows"].as_u64() > Some(0))
                    .cloned()
            }))
        })?;
        Ok(callers)
    }
}

/// The gateway hears nothing any more, and the node's entry is gone.
fn silent_gateway(setting: &Setting) -> Result<()> {
    const ID: &str = "neighbour-unreachable";
    let cluster = Cluster::new()?;
    let via = Family::V4.host(GATEWAY).to_string();
    let tracer = setting.trace(&[])?;
    cluster.connect()?;
    lose(&cluster.gateway, DEVICE, "counter")?;
    cluster.node.ip(&format!("neigh flush dev {DEVICE}"))?;
    let symptom = Instant::now();
    let callers = cluster.dial_until_found(&tracer, ID)?;
    let opened_after = symptom.elapsed();
    // The outage that the callers see comes a little later, and is not told by itself.
    let_pass(&tracer, 4)?;
    let repaired = Instant::now();
    heal(&cluster.gateway)?;
    tracer.wait_for_closed(ID, &via)?;
    note_times(setting, opened_after, repaired.elapsed());
    drop(callers);
    let run = tracer.stop()?;
    let critical = run.events.findings(ID).with("severity", "critical");
    ensure!(!critical.is_empty(), "connections fail, and it is not critical");
    run.only_findings(&[(ID, &via)])
}

/// Another host answers for the gateway, and does not pass on what it gets.
fn doubled_gateway(setting: &Setting) -> Result<()> {
    const ID: &str = "duplicate-address";
    let cluster = Cluster::new()?;
    let via = Family::V4.host(GATEWAY);
    // The gateway is reached by the device alone, as where every host has a network of its own.
    cluster.node.ip(&format!("route add {via}/32 dev {DEVICE} scope link"))?;
    cluster.node.ip(&format!("route replace default via {via} dev {DEVICE} onlink"))?;
    let tracer = setting.trace(&[])?;
    cluster.connect()?;
    let impostor = cluster.lan.host(3)?;
    give_off_the_wire(&impostor, via)?;
    lose(&impostor, DEVICE, &format!("ip daddr {}", IpAddr::from(BEYOND)))?;
    let macs = macs(&[&cluster.gateway, &impostor])?;
    // Whose answer is first is the switch's whim.
    wait::until("a node that believes the wrong one", || {
        cluster.node.ip(&format!("neigh flush dev {DEVICE}"))?;
        drop(cluster.dial()?);
        Ok((believed(&cluster.node, via, &macs)? == 1).then_some(()))
    })?;
    let symptom = Instant::now();
    let callers = cluster.dial_until_found(&tracer, ID)?;
    let opened_after = symptom.elapsed();
    let_pass(&tracer, 4)?;
    let repaired = Instant::now();
    impostor.ip(&format!("address del {via}/32 dev {OFF_THE_WIRE}"))?;
    cluster.node.ip(&format!("neigh del {via} dev {DEVICE}"))?;
    cluster.connect()?;
    tracer.wait_for_closed(ID, &via.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    drop(callers);
    // Where the impostor's own answers are seen, it is told of them.
    let impostors = ("answers-for-foreign-address", via.to_string());
    tracer.stop()?.only_findings(&[(ID, &via.to_string()), (impostors.0, &impostors.1)])
}

/// A host takes an IPv6 address that another one has; later the other gives it up.
fn refused(setting: &Setting) -> Result<()> {
    const ID: &str = "duplicate-address";
    let lan = Lan::new()?;
    let (host, other) = (lan.host(SERVER)?, lan.host(3)?);
    let address = Family::V6.host(30);
    super::give(&other, DEVICE, address)?;
    for scope in ["all", DEVICE] {
        host.sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "1")?;
    }
    let tracer = trace_in(setting, &host)?;
    let symptom = Instant::now();
    host.ip(&format!("address add {address}/64 dev {DEVICE}"))?;
    tracer.wait_for_finding(ID, &address.to_string())?;
    let opened_after = symptom.elapsed();
    let repaired = Instant::now();
    other.ip(&format!("address del {address}/64 dev {DEVICE}"))?;
    host.ip(&format!("address del {address}/64 dev {DEVICE}"))?;
    host.ip(&format!("address add {address}/64 dev {DEVICE}"))?;
    tracer.wait_for_closed(ID, &address.to_string())?;
    note_times(setting, opened_after, repaired.elapsed());
    let run = tracer.stop()?;
    run.events.findings(ID).says("evidence", "dadfailed")?.says("advice", "ip address add")?;
    run.only_findings(&[(ID, &address.to_string())])
}
