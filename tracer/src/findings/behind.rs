//! The flows that go by way of a neighbour: to it, or to a peer whose next hop it is.

use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Affects,
    rules::View,
    sums::{PeerKey, Sums, recent_flows},
    way::Ways,
};
use crate::{
    event::{Netns, Timestamp},
    state::State,
    words::{counted, duration},
};

pub(super) use super::way::NextHop;

/// What the flows behind one neighbour that are resent now amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Behind {
    /// How many there are.
    pub(super) flows: u64,
    /// Those that are not answered at the moment.
    pub(super) unanswered: u64,
    /// For how long at most, nanoseconds.
    pub(super) unanswered_ns: u64,
    /// Those that go on to another address by way of it.
    pub(super) by_way: u64,
    /// The newest attempt.
    pub(super) last: Option<Timestamp>,
    /// Who they are.
    pub(super) affects: Affects,
}

impl Behind {
    fn add(&mut self, sums: &Sums, is_by_way: bool) {
        self.flows += u64::from(sums.flows);
        self.unanswered += u64::from(sums.unanswered);
        self.unanswered_ns = self.unanswered_ns.max(sums.unanswered_ns);
        self.by_way += if is_by_way { u64::from(sums.flows) } else { 0 };
        self.last = self.last.max(Some(sums.last));
    }

    /// That flows wait for an answer, if any do.
    pub(super) fn evidence(&self) -> Option<String> {
        (self.unanswered > 0).then(|| {
            let flows = counted(self.unanswered, "flow");
            format!("{flows} to it or behind it not answered, for up to {}", duration(self.unanswered_ns))
        })
    }
}

/// The flows behind each of these neighbours, of those that have any.
pub(super) fn behind(view: &View<'_>, wanted: &FxHashSet<NextHop>) -> FxHashMap<NextHop, Behind> {
    let mut found: FxHashMap<NextHop, Behind> = FxHashMap::default();
    if wanted.is_empty() {
        return found;
    }
    let state = view.state;
    let known = Known::of(state, wanted);
    let ways = Ways::of(state);
    let mut hops: FxHashMap<PeerKey, NextHop> = FxHashMap::default();
    for (&(netns, peer), sums) in view.peers.iter() {
        let by_way = ways.hops(netns, peer).find(|hop| wanted.contains(hop));
        let hop = by_way.or_else(|| known.elsewhere(netns, peer));
        if let Some(hop) = hop {
            found.entry(hop).or_default().add(sums, hop.1 != peer);
            hops.insert((netns, peer), hop);
        }
    }
    if hops.is_empty() {
        return found;
    }
    let mut flows: FxHashMap<NextHop, Vec<_>> = FxHashMap::default();
    for (key, flow) in recent_flows(state) {
        if let Some(&hop) = hops.get(&(key.netns, key.endpoints.destination.ip())) {
            flows.entry(hop).or_default().push((key, flow));
        }
    }
    for (hop, mut flows) in flows {
        flows.sort_unstable_by_key(|&(key, _)| *key);
        if let Some(behind) = found.get_mut(&hop) {
            behind.affects = Affects::of_flows(state, flows);
        }
    }
    found
}

/// Where these addresses are neighbours. A pod's flows to one leave by another namespace, the node's own, whose
/// neighbour it is; the pod's namespace has no entry for it.
struct Known {
    places: FxHashSet<NextHop>,
    wanted: FxHashMap<IpAddr, NextHop>,
}

impl Known {
    fn of(state: &State, wanted: &FxHashSet<NextHop>) -> Self {
        let mut by_address: FxHashMap<IpAddr, NextHop> = FxHashMap::default();
        for &hop in wanted {
            by_address.entry(hop.1).and_modify(|first| *first = hop.min(*first)).or_insert(hop);
        }
        let places = state
            .neighbours
            .iter()
            .map(|(key, _)| (key.netns, key.address))
            .filter(|(_, address)| by_address.contains_key(address))
            .collect();
        Self { places, wanted: by_address }
    }

    fn elsewhere(&self, netns: Netns, peer: IpAddr) -> Option<NextHop> {
        let hop = *self.wanted.get(&peer)?;
        (hop.0.node == netns.node && !self.places.contains(&(netns, peer))).then_some(hop)
    }
}
