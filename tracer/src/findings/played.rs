//! Nodes on which something happens second by second, for tests of rules: each second is looked at.

use std::sync::Arc;

use crate::{
    event::{
        Address, Body, Change, Event, Link, LookupResult, Namespace, Netns, Prefix, Retransmit,
        RetransmitKind, Route, RouteLookup, RouteProtocol, RouteTable, RouteType, Stats, TcpState, Text,
    },
    findings::{Finding, Rules},
    state::{
        Limits, State,
        fixture::{NETNS, at, endpoints, retransmit},
    },
};
use tracer_common::counters::KindCounters;

/// What happens in the node's namespace, with the milliseconds since boot.
pub(super) type Happening = (u64, Body);

/// A node that is looked at.
#[derive(Debug)]
pub(super) struct Played(Box<State>);

impl Default for Played {
    fn default() -> Self {
        Self::judged_by(|_| {})
    }
}

impl Played {
    /// With other thresholds.
    pub(super) fn judged_by(change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules::default();
        change(&mut rules);
        Self(Box::new(State::new(Limits::default()).judged_by(Arc::new(rules))))
    }

    /// Something happens in a namespace.
    pub(super) fn apply_in(&mut self, milliseconds: u64, netns: Netns, body: Body) {
        self.0.apply(&Event { time: at(milliseconds), netns, cpu: 0, body });
    }

    /// What is open at that time, after all of the events up to then, which are taken out.
    pub(super) fn until(&mut self, events: &mut Vec<Happening>, milliseconds: u64) -> Vec<Finding> {
        let (now, later) = events.drain(..).partition(|(time, _)| *time <= milliseconds);
        *events = later;
        let now: Vec<Happening> = now;
        for (time, body) in now {
            self.apply_in(time, NETNS, body);
        }
        let counters = KindCounters::default();
        let sample = Stats { counted: None, counters, last_of_batch: true };
        self.apply_in(milliseconds, Netns::here(0), Body::Stats(sample));
        self.0.findings.open().to_vec()
    }

    /// What is open at every second until long after the last of the events.
    pub(super) fn all(&mut self, mut events: Vec<Happening>) -> impl Iterator<Item = Vec<Finding>> {
        let last = events.iter().map(|(time, _)| time / 1_000).max().unwrap_or_default();
        (1..last + 40).map(move |second| self.until(&mut events, second * 1_000))
    }
}

/// A segment that is sent again.
pub(super) fn resent(kind: RetransmitKind, source: &str, destination: &str, timeout_ms: u64) -> Retransmit {
    let mut told = retransmit(kind, source, destination);
    told.rto_us = Some(timeout_ms * 1_000);
    if kind == RetransmitKind::SynAck {
        told.rto_us = None;
        told.tcp_state = TcpState(12);
    }
    told
}

/// What is sent again so often, after twice the time each time.
pub(super) fn backed_off(
    kind: RetransmitKind,
    (began_ms, timeout_ms): (u64, u64),
    attempts: u32,
    (source, destination): (&str, &str),
) -> Vec<Happening> {
    let one = |attempt: u32| {
        let time = began_ms + timeout_ms * ((2 << attempt) - 1);
        (time, Body::Retransmit(resent(kind, source, destination, timeout_ms << attempt)))
    };
    (0..attempts).map(one).collect()
}

/// A dial whose SYN is sent again after 1, 3, 7, … seconds.
pub(super) fn dial(began_ms: u64, attempts: u32, source: &str, destination: &str) -> Vec<Happening> {
    backed_off(RetransmitKind::Syn, (began_ms, 1_000), attempts, (source, destination))
}

/// A dial of the peer whose SYN-ACK is.
pub(super) fn answer(began_ms: u64, attempts: u32, source: &str, destination: &str) -> Vec<Happening> {
    backed_off(RetransmitKind::SynAck, (began_ms, 1_000), attempts, (source, destination))
}

/// A connection whose segment is sent again after 200, 600, 1,400, … milliseconds.
pub(super) fn stuck(began_ms: u64, attempts: u32, source: &str, destination: &str) -> Vec<Happening> {
    backed_off(RetransmitKind::Timeout, (began_ms, 200), attempts, (source, destination))
}

/// All of these, in order of time.
pub(super) fn together(parts: impl IntoIterator<Item = Vec<Happening>>) -> Vec<Happening> {
    let mut all: Vec<Happening> = parts.into_iter().flatten().collect();
    all.sort_by_key(|(time, _)| *time);
    all
}

/// How the kernel would send to the flow's peer.
pub(super) fn lookup(
    source: &str,
    destination: &str,
    result: LookupResult,
    gateway: Option<&str>,
    device: &str,
) -> Body {
    Body::RouteLookup(RouteLookup {
        flow: endpoints(source, destination),
        result,
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        device: Some(Text::new(device)),
        source: None,
        table: None,
        mark: 0,
        neighbour_state: None,
        neighbour: None,
    })
}

/// A route that BIRD takes away.
pub(super) fn route_removed(address: &str, bits: u8, gateway: &str) -> Body {
    Body::Route(Route {
        change: Change::Removed,
        prefix: Prefix { address: address.parse().unwrap(), bits },
        kind: RouteType::UNICAST,
        gateway: Some(gateway.parse().unwrap()),
        device: Some(Text::new("eth0")),
        next_hops: Vec::new(),
        next_hops_left_out: 0,
        source: None,
        table: RouteTable(254),
        protocol: RouteProtocol(12),
        metric: 0,
        next_hop_id: None,
        is_found_later: false,
    })
}

/// An address that a device gets, has or loses.
pub(super) fn address(change: Change, address: &str, device: &str, interface_index: u32) -> Body {
    let address: std::net::IpAddr = address.parse().unwrap();
    Body::Address(Address {
        change,
        address,
        prefix_bits: if address.is_ipv4() { 32 } else { 128 },
        peer: None,
        device: Some(Text::new(device)),
        interface_index,
        flags: 0,
        scope: 0,
        is_found_later: false,
    })
}

/// A device of a type, none for hardware.
pub(super) fn link(change: Change, device: &str, link_type: Option<&str>) -> Body {
    Body::Link(Link {
        change,
        device: Text::new(device),
        interface_index: 4,
        link_type: link_type.map(Text::new),
        hardware_address: None,
        mtu_bytes: 1_500,
        master_index: None,
        flags: 0,
        operational_state: 0,
        is_found_later: false,
    })
}

/// A namespace that ends.
pub(super) fn ended() -> Body {
    Body::Namespace(Arc::new(Namespace {
        change: Change::Removed,
        is_of_node: false,
        name: None,
        process: None,
        pod: None,
    }))
}
