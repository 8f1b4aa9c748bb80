//! What the rules ask of every peer that segments are resent to now, in few words: there may be a hundred thousand.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::{
    event::{Endpoint, Netns, RetransmitKind, Timestamp},
    state::{ACTIVE_SECONDS, Flow, FlowKey, Outage, State, second_of},
};

/// Seconds after its last attempt for which a flow counts.
pub(super) const RECENT_SECONDS: u32 = ACTIVE_SECONDS;

/// All flows of one network namespace towards one address.
pub(super) type PeerKey = (Netns, IpAddr);

/// What those of these flows amount to that were resent within the last [`RECENT_SECONDS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// How many there are.
    pub(super) flows: u32,
    /// Those that are not answered at the moment: nothing was acknowledged since they were resent, and the next attempt
    /// is not overdue.
    pub(super) unanswered: u32,
    /// Those of them that never were: a SYN or SYN-ACK is resent.
    pub(super) opening: u32,
    /// Those that the peer dialled: a SYN-ACK was resent.
    pub(super) dialled_by_peer: u32,
    /// The longest run of consecutive attempts that goes on.
    pub(super) longest_run: u32,
    /// For how long nothing was answered at most, nanoseconds, of what is not answered at the moment.
    pub(super) unanswered_ns: u64,
    /// For how long one was not answered at most, as its last attempt proved, nanoseconds.
    pub(super) proven_ns: u64,
    /// Flows an attempt of which failed within the node.
    pub(super) failed: u32,
    /// Attempts over the last [`RECENT_SECONDS`], failed ones included.
    pub(super) attempts: u64,
    /// When the first of the flows was first seen.
    pub(super) first: Timestamp,
    /// The newest attempt.
    pub(super) last: Timestamp,
}

impl Sums {
    fn add(&mut self, now: Timestamp, flow: &Flow) {
        let is_opening = flow.of_kind(RetransmitKind::Syn) + flow.of_kind(RetransmitKind::SynAck) > 0;
        self.first = if self.flows == 0 { flow.first } else { self.first.min(flow.first) };
        self.last = self.last.max(flow.last);
        self.flows += 1;
        self.dialled_by_peer += u32::from(flow.of_kind(RetransmitKind::SynAck) > 0);
        self.failed += u32::from(flow.failed > 0);
        self.attempts += flow.recent.sum_since(second_of(now).saturating_sub(u64::from(RECENT_SECONDS)));
        let outage = flow.outage_at(now);
        if let Some(outage) = outage.or_else(|| ended_outage(flow)) {
            self.proven_ns = self.proven_ns.max(outage.duration_ns());
        }
        if let Some(outage) = outage {
            self.unanswered += 1;
            self.opening += u32::from(is_opening);
            self.longest_run = self.longest_run.max(flow.run);
            self.unanswered_ns = self.unanswered_ns.max(now.boot_ns.saturating_sub(outage.began.boot_ns));
        }
    }
}

/// A peer as its flows have it, without the port: every flow is asked, and this is less work than its address.
type Place = (Netns, Endpoint);

/// Every peer that something was resent to lately.
#[derive(Debug)]
pub(super) struct Peers {
    sums: Vec<(PeerKey, Sums)>,
    active_flows: usize,
}

impl Peers {
    /// Goes through the flows that are active.
    pub(super) fn of(state: &State) -> Self {
        let now = state.now();
        let mut sums: Vec<(PeerKey, Sums)> = Vec::new();
        let mut places: FxHashMap<Place, usize> = FxHashMap::default();
        let mut active_flows = 0;
        for (key, flow) in recent_flows(state) {
            let place = *places.entry(place_of(key)).or_insert_with(|| {
                sums.push(((key.netns, key.endpoints.destination.ip()), Sums::default()));
                sums.len() - 1
            });
            sums[place].1.add(now, flow);
            active_flows += 1;
        }
        Self { sums, active_flows }
    }

    /// How many flows there are towards all of them.
    pub(super) fn active_flows(&self) -> usize {
        self.active_flows
    }

    /// All of them, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerKey, &Sums)> {
        self.sums.iter().map(|(key, sums)| (key, sums))
    }
}

/// The outage that a flow's last attempt belongs to: one that goes on, or one it was given up in, or answered at last.
/// `None` if that attempt was not the last of its outage, or of one far shorter than others before.
pub(super) fn last_outage(now: Timestamp, flow: &Flow) -> Option<Outage> {
    flow.outage_at(now).or_else(|| ended_outage(flow))
}

fn ended_outage(flow: &Flow) -> Option<Outage> {
    /// Outages tell whole milliseconds.
    const PRECISION_NS: u64 = 1_000_000;
    let ends_it = |outage: &Outage| flow.last.boot_ns.saturating_sub(outage.last.boot_ns) <= PRECISION_NS;
    flow.longest_outage().filter(ends_it)
}

fn place_of(key: &FlowKey) -> Place {
    (key.netns, key.endpoints.destination.host())
}

/// The flows that were resent lately.
pub(super) fn recent_flows(state: &State) -> impl Iterator<Item = (&FlowKey, &Flow)> {
    state.flows.active(state.now())
}

#[cfg(test)]
mod tests {
    use super::Peers;
    use crate::state::fixture::busy;

    #[test]
    fn every_active_flow_is_counted_with_its_peer() {
        let state = busy();
        let peers = Peers::of(&state);
        assert!(peers.active_flows() > 1);
        for (&(netns, peer), sums) in peers.iter() {
            let flows = state.flows.active(state.now());
            let own = flows.filter(|(key, _)| (key.netns, key.endpoints.destination.ip()) == (netns, peer));
            assert_eq!(own.count(), sums.flows as usize, "{peer}");
        }
        let counted: usize = peers.iter().map(|(_, sums)| sums.flows as usize).sum();
        let active = state.flows.active(state.now()).count();
        assert_eq!((counted, peers.active_flows()), (active, active));
    }
}
