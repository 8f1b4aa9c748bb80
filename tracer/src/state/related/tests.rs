//! What belongs to which subject.

use super::story::{CLIENT, CLIENT_POD, MASQUERADED, REAL, SERVER_POD, VIRTUAL, lookup, story, within};
use crate::{
    event::{
        Address, Body, Change, ConntrackEvent, Direction, Event, IpvsDecision, Link, LookupResult, Netns,
        Prefix, RetransmitKind, Route, RouteType, Text, Verdict,
    },
    state::{
        FlowKey, NeighbourKey, NetworkKey, RELATED_FLOWS, RealKey, ServiceKey, State, Subject,
        fixture::{
            NETNS, claim, conntrack, duplicate, endpoints, hook_status, icmp, ipvs, ipvs_change, mac,
            proposal, retransmit, tcp_service,
        },
    },
};

/// A namespace that has nothing to do with it.
const ELSEWHERE: Netns = Netns::here(77);

fn flow(netns: Netns, source: &str, destination: &str) -> Subject {
    Subject::Flow(FlowKey { netns, endpoints: endpoints(source, destination) })
}

fn service() -> ServiceKey {
    ServiceKey { netns: NETNS, service: tcp_service(VIRTUAL) }
}

fn real(address: &str) -> Subject {
    Subject::Real(RealKey { service: service(), address: Some(address.parse().unwrap()) })
}

fn network(netns: Netns, address: &str, bits: u8) -> Subject {
    Subject::Network(NetworkKey { netns, prefix: Prefix { address: address.parse().unwrap(), bits } })
}

fn neighbour() -> Subject {
    Subject::Neighbour(NeighbourKey {
        netns: NETNS,
        interface_index: 2,
        address: "192.168.100.1".parse().unwrap(),
    })
}

fn resent(source: &str, destination: &str) -> Body {
    Body::Retransmit(retransmit(RetransmitKind::Timeout, source, destination))
}

fn route(prefix: &str, bits: u8, gateway: Option<&str>) -> Body {
    let record = tracer_common::record::RouteRecord::default();
    Body::Route(Route {
        prefix: Prefix { address: prefix.parse().unwrap(), bits },
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        ..Route::from_record(&record, &[])
    })
}

fn own_address(address: &str) -> Body {
    let record = tracer_common::record::AddressRecord::default();
    Body::Address(Address {
        change: Change::Added,
        address: address.parse().unwrap(),
        ..Address::from(&record)
    })
}

fn link(device: &str) -> Body {
    let record = tracer_common::record::LinkRecord::default();
    Body::Link(Link { change: Change::Down, device: Text::new(device), ..Link::from(&record) })
}

/// Whether an event that happens after the story belongs to a subject of it.
fn is_related(subject: Subject, netns: Netns, body: Body) -> bool {
    let mut state = story();
    let told = within(netns, 99_000, body);
    state.apply(&told);
    let events = state.related(subject).events;
    assert!(events.is_sorted_by_key(|event: &&Event| event.time));
    events.last().is_some_and(|last| **last == told)
}

#[test]
fn a_flow_is_told_with_all_that_its_packets_meet() {
    let (client, server) = (flow(CLIENT_POD, CLIENT, VIRTUAL), flow(SERVER_POD, REAL, MASQUERADED));
    let other = "10.42.1.18:40000";
    for subject in [client, server] {
        for (expected, netns, body) in [
            (true, CLIENT_POD, resent(CLIENT, VIRTUAL)),
            (true, SERVER_POD, resent(REAL, MASQUERADED)),
            (true, NETNS, resent(MASQUERADED, REAL)),
            (false, CLIENT_POD, resent(other, VIRTUAL)),
            (false, SERVER_POD, resent(REAL, other)),
            (true, NETNS, icmp(Direction::Out, 11, 0, MASQUERADED, REAL)),
            (false, NETNS, icmp(Direction::Out, 11, 0, MASQUERADED, VIRTUAL)),
            (true, NETNS, duplicate(CLIENT, REAL, 2, 60)),
            (true, NETNS, ipvs(IpvsDecision::Reused, CLIENT, VIRTUAL, Some(REAL), 0)),
            (false, NETNS, ipvs(IpvsDecision::Reused, other, VIRTUAL, Some(REAL), 0)),
            (true, NETNS, conntrack(ConntrackEvent::InsertFailed, CLIENT, VIRTUAL, REAL)),
            (false, NETNS, conntrack(ConntrackEvent::InsertFailed, other, VIRTUAL, REAL)),
            (true, NETNS, ipvs_change_of(Some(REAL))),
            (true, NETNS, ipvs_change_of(None)),
            (false, NETNS, ipvs_change_of(Some("10.42.9.9:8443"))),
            (false, ELSEWHERE, ipvs_change_of(Some(REAL))),
            (true, NETNS, proposal("192.168.100.1", Verdict::Failed, None, Some(mac(1)))),
            (false, ELSEWHERE, proposal("192.168.100.1", Verdict::Failed, None, Some(mac(1)))),
            (true, ELSEWHERE, claim("10.96.0.10", mac(7), Direction::Out)),
            (false, NETNS, claim("10.96.0.11", mac(7), Direction::Out)),
            (true, NETNS, route("10.42.2.0", 24, None)),
            (true, CLIENT_POD, route("0.0.0.0", 0, None)),
            (false, ELSEWHERE, route("0.0.0.0", 0, None)),
            (false, NETNS, route("10.42.3.0", 24, None)),
            (false, NETNS, route("fd00::", 8, None)),
            (true, NETNS, own_address("10.42.2.17")),
            (false, NETNS, own_address("10.42.2.18")),
            (true, NETNS, link("eth0")),
            (false, NETNS, link("eth1")),
            (false, ELSEWHERE, link("eth0")),
        ] {
            assert_eq!(
                is_related(subject, netns, body.clone()),
                expected,
                "{subject:?} in {netns}: {body:?}"
            );
        }
    }
}

fn ipvs_change_of(real: Option<&str>) -> Body {
    ipvs_change(crate::event::IpvsChangeKind::Added, VIRTUAL, real, None, real.map(|_| 1))
}

#[test]
fn every_other_subject_is_told_with_its_own() {
    let other_client = "10.42.1.18:40000";
    let with =
        |service: &str, real: &str| ipvs(IpvsDecision::Scheduled, other_client, service, Some(real), 1);
    for (subject, netns, body, expected) in [
        (Subject::Service(service()), NETNS, with(VIRTUAL, "10.42.9.9:1"), true),
        (Subject::Service(service()), NETNS, with("10.96.0.10:80", REAL), false),
        (Subject::Service(service()), CLIENT_POD, resent(other_client, VIRTUAL), true),
        (Subject::Service(service()), SERVER_POD, resent(REAL, MASQUERADED), true),
        (Subject::Service(service()), SERVER_POD, resent(REAL, other_client), false),
        (Subject::Service(service()), NETNS, ipvs_change_of(Some("10.42.9.9:1")), true),
        (real(REAL), NETNS, with(VIRTUAL, REAL), true),
        (real(REAL), NETNS, with(VIRTUAL, "10.42.9.9:1"), false),
        (real(REAL), SERVER_POD, resent(REAL, other_client), true),
        (real(REAL), CLIENT_POD, resent(CLIENT, VIRTUAL), true),
        (real(REAL), CLIENT_POD, resent(other_client, VIRTUAL), false),
        (real(REAL), NETNS, ipvs_change_of(Some("10.42.9.9:1")), false),
        (neighbour(), NETNS, proposal("192.168.100.1", Verdict::Changed, Some(mac(3)), Some(mac(1))), true),
        (neighbour(), NETNS, proposal("192.168.100.2", Verdict::Changed, Some(mac(3)), Some(mac(1))), false),
        (neighbour(), NETNS, route("10.9.0.0", 16, Some("192.168.100.1")), true),
        (neighbour(), NETNS, route("192.168.100.0", 24, None), false),
        (neighbour(), NETNS, resent(MASQUERADED, REAL), true),
        (neighbour(), NETNS, resent(MASQUERADED, "10.42.3.3:1"), false),
        (network(NETNS, "10.42.2.0", 24), NETNS, resent(MASQUERADED, REAL), true),
        (network(NETNS, "10.42.2.0", 24), SERVER_POD, resent(REAL, MASQUERADED), false),
        (network(NETNS, "10.42.2.0", 24), NETNS, route("10.42.0.0", 16, None), true),
        (network(NETNS, "10.42.2.0", 24), NETNS, route("10.42.3.0", 24, None), false),
        (network(NETNS, "10.42.2.17", 32), NETNS, own_address("10.42.2.17"), true),
        (Subject::Namespace(NETNS), NETNS, link("eth9"), true),
        (Subject::Namespace(NETNS), CLIENT_POD, link("eth9"), false),
    ] {
        assert_eq!(is_related(subject, netns, body.clone()), expected, "{subject:?} in {netns}: {body:?}");
    }
    let hook = tracer_common::hook::HookId::NeighbourTimer;
    assert!(is_related(Subject::Hook(hook), Netns::default(), hook_status(hook, None, "")));
    assert!(!is_related(
        Subject::Hook(hook),
        Netns::default(),
        hook_status(tracer_common::hook::HookId::SocketState, None, "")
    ));
}

#[test]
fn a_connection_has_both_its_ends_and_the_ways_to_them() {
    let state = story();
    let related = state.related(flow(NETNS, CLIENT, REAL));
    let flows: Vec<_> = related.flows.iter().map(|(key, _)| (key.netns, key.endpoints.source)).collect();
    let expected = [(CLIENT_POD, CLIENT), (SERVER_POD, REAL)];
    assert_eq!(flows, expected.map(|(netns, source)| (netns, source.parse().unwrap())));
    assert_eq!((related.flows_in_all, related.attempts), (2, 6));
    let ways: Vec<String> = related
        .ways
        .iter()
        .map(|(key, reached)| format!("{} via {}", key.peer, reached.gateway.unwrap()))
        .collect();
    assert_eq!(ways, ["10.42.2.17 via 192.168.100.1", "10.96.0.10 via 10.42.1.1"]);
    assert_eq!(related.neighbours.len(), 1);
    assert_eq!(related.entries.len(), 1);
}

#[test]
fn of_many_flows_those_with_the_most_attempts_are_told_and_all_counted() {
    let mut state = State::default();
    for port in 1..100u16 {
        let source = format!("10.0.0.1:{port}");
        for _ in 0..port {
            state.apply(&within(NETNS, 1_000, resent(&source, "10.0.0.2:80")));
        }
    }
    let related = state.related(network(NETNS, "10.0.0.2", 32));
    let attempts: Vec<u64> = related.flows.iter().map(|(_, flow)| flow.attempts()).collect();
    let expected: Vec<u64> = (1..100).rev().take(RELATED_FLOWS).collect();
    assert_eq!((attempts, related.flows_in_all, related.attempts), (expected, 99, 4_950));
}

#[test]
fn a_look_up_is_told_when_it_says_something_new() {
    let mut state = story();
    let lookups = |state: &State| {
        let related = state.related(flow(CLIENT_POD, CLIENT, VIRTUAL));
        related.events.iter().filter(|event| matches!(event.body, Body::RouteLookup(_))).count()
    };
    assert_eq!(lookups(&state), 2);
    state.apply(&within(CLIENT_POD, 91_000, lookup(CLIENT, VIRTUAL, "10.42.1.1", mac(0x11))));
    assert_eq!(lookups(&state), 2);
    let Body::RouteLookup(astray) = lookup(CLIENT, VIRTUAL, "10.42.1.1", mac(0x11)) else { unreachable!() };
    let result = LookupResult::Route(RouteType::UNICAST);
    assert_eq!(astray.result, result);
    let gateway = Some("10.42.1.2".parse().unwrap());
    let other = crate::event::RouteLookup { gateway, ..astray };
    state.apply(&within(CLIENT_POD, 92_000, Body::RouteLookup(other)));
    assert_eq!(lookups(&state), 3);
}
