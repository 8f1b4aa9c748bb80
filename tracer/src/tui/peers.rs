//! Whom segments are resent to: flows gathered by their peer, so that three thousand callers of one dead address are
//! one line.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::{
    event::{Process, RetransmitKind, Timestamp},
    state::{Flow, FlowKey, State},
};

/// All flows of one network namespace towards one address.
pub(super) struct Peer<'a> {
    /// The peer.
    pub(super) address: IpAddr,
    /// Its port, if all flows go to the same.
    pub(super) port: Option<u16>,
    /// How many flows.
    pub(super) flows: u64,
    /// The flow, if there is only one.
    pub(super) only: Option<&'a FlowKey>,
    /// Successful attempts by kind, in the order of [`RetransmitKind::ALL`].
    pub(super) kinds: [u64; RetransmitKind::ALL.len()],
    /// Attempts that failed.
    pub(super) failed: u64,
    /// Needless retransmits.
    pub(super) undone: u64,
    /// The newest attempt.
    pub(super) last: Timestamp,
    /// A process that owns one of the flows.
    pub(super) process: Option<&'a Process>,
}

impl<'a> Peer<'a> {
    fn new(key: &'a FlowKey) -> Self {
        let destination = key.endpoints.destination;
        Self {
            address: destination.ip(),
            port: Some(destination.port()),
            flows: 0,
            only: Some(key),
            kinds: [0; RetransmitKind::ALL.len()],
            failed: 0,
            undone: 0,
            last: Timestamp::default(),
            process: None,
        }
    }

    fn add(&mut self, state: &'a State, key: &FlowKey, flow: &'a Flow) {
        self.flows += 1;
        self.only = self.only.filter(|_| self.flows == 1);
        self.port = self.port.filter(|&port| port == key.endpoints.destination.port());
        for (sum, count) in self.kinds.iter_mut().zip(flow.kinds) {
            *sum += u64::from(count);
        }
        self.failed += u64::from(flow.failed);
        self.undone += u64::from(flow.undone);
        self.last = self.last.max(flow.last);
        self.process = self.process.or_else(|| state.process_of(flow));
    }

    fn attempts(&self) -> u64 {
        self.kinds.iter().sum::<u64>() + self.failed
    }
}

/// The `most` peers with the most attempts.
pub(super) fn most_resent_to(state: &State, most: usize) -> Vec<Peer<'_>> {
    let mut peers: FxHashMap<(u32, IpAddr), Peer<'_>> = FxHashMap::default();
    for (key, flow) in state.flows.iter() {
        let place = (key.netns, key.endpoints.destination.ip());
        peers.entry(place).or_insert_with(|| Peer::new(key)).add(state, key, flow);
    }
    let mut sorted: Vec<_> = peers.into_iter().collect();
    sorted.sort_unstable_by_key(|(place, peer)| (std::cmp::Reverse(peer.attempts()), *place));
    sorted.truncate(most);
    sorted.into_iter().map(|(_, peer)| peer).collect()
}

#[cfg(test)]
mod tests {
    use super::most_resent_to;
    use crate::state::fixture::busy;

    #[test]
    fn flows_are_gathered_by_their_peer_and_none_is_left_out() {
        let state = busy();
        let peers = most_resent_to(&state, 100);
        let told: Vec<_> =
            peers.iter().map(|peer| (peer.flows, peer.attempts(), peer.port, peer.only.is_some())).collect();
        assert_eq!(
            told,
            [(3_000, 3_000, Some(443), false), (1, 400, Some(5432), true), (1, 250, Some(44321), true)]
        );
    }
}
