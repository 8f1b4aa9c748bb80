//! A story for tests: a client dials a drained real server again.

use crate::{
    event::{
        Body, Conntrack, ConntrackEvent, Direction, Event, HardwareAddress, Ipvs, IpvsChangeKind,
        IpvsDecision, IpvsForward, ListedWhy, LookupResult, NeighbourState, Netns, Process, Retransmit,
        RetransmitKind, RouteLookup, RouteType, TcpState, Text, Verdict,
    },
    state::{
        State,
        fixture::{
            NETNS, conntrack, endpoints, event, icmp, ipvs, ipvs_change, listed, mac, proposal, retransmit,
        },
    },
};

/// The namespaces of the pods that dial and that are dialled.
pub(crate) const CLIENT_POD: Netns = Netns::here(4_026_532_100);
pub(crate) const SERVER_POD: Netns = Netns::here(4_026_532_200);

pub(crate) const CLIENT: &str = "10.42.1.17:40000";
pub(crate) const VIRTUAL: &str = "10.96.0.10:443";
pub(crate) const REAL: &str = "10.42.2.17:8443";
pub(crate) const MASQUERADED: &str = "10.42.1.1:61000";

pub(crate) fn within(netns: Netns, milliseconds: u64, body: Body) -> Event {
    Event { netns, ..event(milliseconds, body) }
}

fn syn(attempt: u32) -> Body {
    Body::Retransmit(Retransmit {
        attempt: Some(attempt),
        process: Some(Process { id: 4_711, command: Text::new("curl") }),
        socket_inode: Some(99),
        ..retransmit(RetransmitKind::Syn, CLIENT, VIRTUAL)
    })
}

fn syn_ack(attempt: u32) -> Body {
    Body::Retransmit(Retransmit {
        attempt: Some(attempt),
        tcp_state: TcpState(12),
        congestion_window: None,
        ..retransmit(RetransmitKind::SynAck, REAL, MASQUERADED)
    })
}

fn decided(decision: IpvsDecision, weight: i32) -> Body {
    match ipvs(decision, CLIENT, VIRTUAL, Some(REAL), weight) {
        Body::Ipvs(decided) => Body::Ipvs(Ipvs { forward: Some(IpvsForward::Nat), ..decided }),
        other => other,
    }
}

fn tracked(event: ConntrackEvent) -> Body {
    match conntrack(event, CLIENT, VIRTUAL, REAL) {
        Body::Conntrack(decision) => {
            Body::Conntrack(Conntrack { reply: Some(endpoints(REAL, MASQUERADED)), ..decision })
        }
        other => other,
    }
}

pub(crate) fn lookup(source: &str, destination: &str, gateway: &str, hardware: HardwareAddress) -> Body {
    Body::RouteLookup(RouteLookup {
        flow: endpoints(source, destination),
        result: LookupResult::Route(RouteType::UNICAST),
        gateway: Some(gateway.parse().unwrap()),
        device: Some(Text::new("eth0")),
        source: None,
        table: None,
        mark: 0,
        neighbour_state: Some(NeighbourState(2)),
        neighbour: Some(hardware),
    })
}

/// A client dials a drained real server again, whose node's address two hosts answer for.
pub(crate) fn story() -> State {
    let drained = ipvs_change(IpvsChangeKind::Weight, VIRTUAL, Some(REAL), Some(100), Some(0));
    let mut state = State::default();
    for told in [
        within(NETNS, 1_000, listed(ListedWhy::News, VIRTUAL, REAL, 100)),
        within(NETNS, 10_000, decided(IpvsDecision::Scheduled, 100)),
        within(NETNS, 40_000, proposal("192.168.100.1", Verdict::Learned, Some(mac(1)), None)),
        within(NETNS, 50_000, drained),
        within(NETNS, 60_000, decided(IpvsDecision::Reused, 0)),
        within(NETNS, 60_001, tracked(ConntrackEvent::Reused)),
        within(CLIENT_POD, 61_000, syn(1)),
        within(CLIENT_POD, 61_010, lookup(CLIENT, VIRTUAL, "10.42.1.1", mac(0x11))),
        within(NETNS, 61_020, lookup(MASQUERADED, REAL, "192.168.100.1", mac(1))),
        within(SERVER_POD, 61_100, syn_ack(1)),
        within(CLIENT_POD, 63_000, syn(2)),
        within(SERVER_POD, 63_100, syn_ack(2)),
        within(NETNS, 63_500, proposal("192.168.100.1", Verdict::Ignored, Some(mac(0x66)), Some(mac(1)))),
        within(CLIENT_POD, 67_000, syn(3)),
        within(CLIENT_POD, 75_000, syn(4)),
        within(NETNS, 75_001, icmp(Direction::In, 3, 1, CLIENT, REAL)),
        within(NETNS, 90_000, Body::Marker(Text::new("rollout begins"))),
    ] {
        state.apply(&told);
    }
    state
}
