//! Whom segments are resent to: flows gathered by their peer, so that three thousand callers of one dead address are
//! one line.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::sums::PeerKey;
use crate::{
    event::{Endpoint, RetransmitKind, Timestamp},
    state::{Flow, FlowKey, State},
    words::{describe::flow_name, exact, owner::owner_column},
};

/// Seconds over which a peer counts as busy now.
const RECENT_SECONDS: u64 = 10;

/// All flows of one network namespace towards one address.
pub(crate) struct Peer<'a> {
    /// The peer.
    pub(crate) address: IpAddr,
    /// Its port, if all flows go to the same.
    pub(crate) port: Option<u16>,
    /// How many flows.
    pub(crate) flows: u64,
    /// The flow with the most attempts.
    pub(crate) worst: &'a FlowKey,
    worst_flow: &'a Flow,
    worst_attempts: u64,
    /// Successful attempts by kind, in the order of [`RetransmitKind::ALL`].
    pub(crate) kinds: [u64; RetransmitKind::ALL.len()],
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// Needless retransmits.
    pub(crate) undone: u64,
    /// The longest run of consecutive attempts of any flow.
    pub(crate) longest_run: u32,
    /// For how long nothing got through to it at most, on any flow.
    pub(crate) outage_ns: u64,
    /// Attempts over the last 10 s, failed ones included.
    pub(crate) recent: u64,
    /// When the first of the flows was first seen.
    pub(crate) first: Timestamp,
    /// The newest attempt.
    pub(crate) last: Timestamp,
}

impl<'a> Peer<'a> {
    fn new(key: &'a FlowKey, flow: &'a Flow) -> Self {
        let destination = key.endpoints.destination;
        Self {
            address: destination.ip(),
            port: Some(destination.port()),
            flows: 0,
            worst: key,
            worst_flow: flow,
            worst_attempts: flow.attempts(),
            kinds: [0; RetransmitKind::ALL.len()],
            failed: 0,
            undone: 0,
            longest_run: 0,
            outage_ns: 0,
            recent: 0,
            first: flow.first,
            last: flow.last,
        }
    }

    fn add(&mut self, now: Timestamp, key: &'a FlowKey, flow: &'a Flow) {
        self.flows += 1;
        // Of equal ones the first by its key, whatever their order in the table.
        if (flow.attempts(), self.worst) > (self.worst_attempts, key) {
            (self.worst, self.worst_flow, self.worst_attempts) = (key, flow, flow.attempts());
        }
        self.port = self.port.filter(|&port| port == key.endpoints.destination.port());
        for (sum, count) in self.kinds.iter_mut().zip(flow.kinds) {
            *sum += u64::from(count);
        }
        self.failed += u64::from(flow.failed);
        self.undone += u64::from(flow.undone);
        self.longest_run = self.longest_run.max(flow.longest_run);
        self.outage_ns = self.outage_ns.max(flow.longest_outage_ns(now));
        self.first = self.first.min(flow.first);
        self.last = self.last.max(flow.last);
    }

    /// What it is called: the only flow, or how many there are to where.
    pub(crate) fn name(&self) -> String {
        match (self.flows, self.port) {
            (1, _) => flow_name(&self.worst.endpoints),
            (flows, Some(port)) => {
                format!("{} flows → {}", exact(flows), Endpoint::new(self.address, port))
            }
            (flows, None) => format!("{} flows → {}, several ports", exact(flows), self.address),
        }
    }

    /// Who is behind the flow with the most attempts, if that is known.
    pub(crate) fn owner(&self, state: &State) -> Option<String> {
        owner_column(state, self.worst, self.worst_flow)
    }

    /// Attempts in all, failed ones included.
    pub(crate) fn attempts(&self) -> u64 {
        self.kinds.iter().sum::<u64>() + self.failed
    }
}

/// All peers, those with the most attempts first.
pub(crate) fn most_resent_to(state: &State) -> Vec<Peer<'_>> {
    let mut peers: FxHashMap<PeerKey, Peer<'_>> = FxHashMap::default();
    for (key, flow) in state.flows.iter() {
        let place = (key.netns, key.endpoints.destination.ip());
        let peer = peers.entry(place).or_insert_with(|| Peer::new(key, flow));
        peer.add(state.now(), key, flow);
        peer.recent += flow.recent.sum_before(state.now(), RECENT_SECONDS);
    }
    let mut sorted: Vec<_> = peers.into_iter().collect();
    sorted.sort_unstable_by_key(|(place, peer)| (std::cmp::Reverse(peer.attempts()), *place));
    sorted.into_iter().map(|(_, peer)| peer).collect()
}

#[cfg(test)]
mod tests {
    use super::most_resent_to;
    use crate::state::fixture::busy;

    #[test]
    fn flows_are_gathered_by_their_peer_and_none_is_left_out() {
        let state = busy();
        let peers = most_resent_to(&state);
        let told: Vec<_> =
            peers.iter().map(|peer| (peer.flows, peer.attempts(), peer.port, peer.name())).collect();
        let names = [
            "3,000 flows → 10.96.0.10:443",
            "192.168.100.200:58204 → 203.0.113.250:5432",
            "[2001:db8:85a3:1234:5678:8a2e:370:7334]:65535 → [fd00:1234:5678:9abc:def0:1234:5678:9abc]:44321",
        ]
        .map(str::to_owned);
        let [many, one, other] = names;
        assert_eq!(
            told,
            [(3_000, 3_000, Some(443), many), (1, 400, Some(5432), one), (1, 250, Some(44321), other)]
        );
    }
}
