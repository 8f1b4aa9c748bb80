//! The way of packets through the namespaces of a node, and what findings make of it.

use super::Ways;
use crate::{
    event::{Body, Change, Event, HardwareAddress, Link, NeighbourState, Netns, RetransmitKind, Verdict},
    findings::{Finding, Severity},
    state::{
        State,
        fixture::{
            NETNS, at, mac, retransmit,
            wire::{by_way_of, device, failed, look, looking, open, proposed, told},
        },
    },
};

const POD: Netns = Netns::here(77);
const GATEWAY: &str = "10.0.0.254";
const PEER: &str = "10.9.0.1:443";

fn within(netns: Netns, milliseconds: u64, body: Body) -> Event {
    Event { time: at(milliseconds), netns, cpu: 0, body }
}

/// How the pod reaches the peer: by way of an address that nobody has, whose hardware address is a device's.
fn by_way_of_device(hardware_address: HardwareAddress) -> Body {
    let mut body = by_way_of("169.254.1.1", "10.1.0.5:40000", PEER);
    if let Body::RouteLookup(lookup) = &mut body {
        lookup.neighbour = Some(hardware_address);
        lookup.neighbour_state = Some(NeighbourState(2));
    }
    body
}

fn apply(state: &mut State, events: impl IntoIterator<Item = Event>) {
    events.into_iter().for_each(|event| {
        state.apply(&event);
    });
}

#[test]
fn a_pods_packets_go_on_by_the_next_hop_of_the_node() {
    let peer = "10.9.0.1".parse().unwrap();
    let (first, second) = ((POD, "169.254.1.1".parse().unwrap()), (NETNS, GATEWAY.parse().unwrap()));
    let hops = |state: &State| Ways::of(state).hops(POD, peer).collect::<Vec<_>>();
    let mut state = State::default();
    assert_eq!(hops(&state), [(POD, peer)], "nothing was looked up");
    apply(&mut state, [within(POD, 1_000, by_way_of_device(mac(0xee)))]);
    assert_eq!(hops(&state), [first], "whose device it is, is not known");
    apply(&mut state, [within(NETNS, 1_100, device("cali1", 9, mac(0xee)))]);
    assert_eq!(hops(&state), [first], "the node was not asked");
    apply(&mut state, [within(NETNS, 1_200, by_way_of(GATEWAY, "10.1.0.5:40000", PEER))]);
    assert_eq!(hops(&state), [first, second]);
    apply(&mut state, [within(NETNS, 1_300, device("cali2", 10, mac(0xee)))]);
    assert_eq!(hops(&state), [first, second], "all pods' devices may have one address");
    apply(&mut state, [within(Netns::here(78), 1_400, device("cali1", 9, mac(0xee)))]);
    assert_eq!(hops(&state), [first], "two namespaces may be meant");
    let mut other = device("cali1", 9, mac(0xee));
    if let Body::Link(Link { change, .. }) = &mut other {
        *change = Change::Removed;
    }
    apply(&mut state, [within(Netns::here(78), 1_500, other)]);
    assert_eq!(hops(&state), [first, second]);
    assert_eq!(Ways::of(&state).hops(Netns { node: 1, ..POD }, peer).count(), 1, "another node's");
}

/// A pod dials somebody behind the node's gateway, from which nobody answers the node.
fn silent_gateway(knows_way: bool) -> State {
    let mut state = State::default();
    let mut events = vec![
        within(NETNS, 500, device("cali1", 9, mac(0xee))),
        within(NETNS, 600, proposed(GATEWAY, Verdict::Learned, (mac(9), None), true)),
        within(POD, 5_001, by_way_of_device(mac(0xee))),
    ];
    events.extend([8_500, 14_000].map(|time| within(NETNS, time, failed(GATEWAY))));
    if knows_way {
        events.push(within(NETNS, 5_002, by_way_of(GATEWAY, "10.1.0.5:40000", PEER)));
    }
    let mut syn = retransmit(RetransmitKind::Syn, "10.1.0.5:40000", PEER);
    for time in [5_000, 6_000, 8_000, 12_000] {
        events.push(within(POD, time, Body::Retransmit(syn.clone())));
        syn.rto_us = syn.rto_us.map(|rto_us| rto_us * 2);
    }
    events.extend((1..=16).map(|second| within(NETNS, second * 1_000, look())));
    events.sort_by_key(|event| event.time);
    apply(&mut state, events);
    state
}

#[test]
fn flows_of_pods_hang_below_the_nodes_silent_gateway() {
    const ID: &str = "neighbour-unreachable";
    let state = silent_gateway(true);
    assert_eq!(told(&state, ID), [(9_000, "open")]);
    let finding: &Finding = open(&state, ID).unwrap();
    assert_eq!((finding.severity, finding.who.as_str()), (Severity::Critical, "10.0.0.254 on eth0"));
    assert_eq!((finding.affects.flows, finding.affects.retransmits), (1, 4));
    let tops: Vec<&str> = state.findings.open().iter().map(|finding| finding.id).collect();
    assert_eq!(tops, [ID], "an outage beside its cause");
    assert_eq!(told(&silent_gateway(false), ID), []);
}

#[test]
fn an_outage_tells_that_its_next_hop_went_to_another_host() {
    let mut events = vec![
        (500, proposed("10.0.0.9", Verdict::Learned, (mac(0xa), None), true)),
        (3_500, proposed("10.0.0.9", Verdict::Changed, (mac(0xb), Some(mac(0xa))), false)),
    ];
    let mut syn = retransmit(RetransmitKind::Syn, "10.0.0.1:40000", "10.0.0.9:443");
    for time in [5_000, 6_000, 8_000, 12_000] {
        events.push((time, Body::Retransmit(syn.clone())));
        syn.rto_us = syn.rto_us.map(|rto_us| rto_us * 2);
    }
    let state = looking(events, 13_000);
    let finding = open(&state, "path-outage").unwrap();
    let expected = "10.0.0.9 went from 02:42:ac:11:00:0a to 02:42:ac:11:00:0b, 0.5s before";
    assert!(finding.what.ends_with(expected), "{}", finding.what);
    assert!(finding.evidence.iter().any(|line| line == expected), "{:?}", finding.evidence);
}
