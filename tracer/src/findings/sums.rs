//! What the rules ask of every peer that segments are resent to, in few words: there may be a hundred thousand.

use std::{cmp::Reverse, net::IpAddr};

use rustc_hash::FxHashMap;

use crate::{
    event::{Netns, RetransmitKind},
    state::{Flow, State},
};

/// All flows of one network namespace towards one address.
pub(super) type PeerKey = (Netns, IpAddr);

/// What these flows amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// How many there are.
    pub(super) flows: u32,
    /// Those that the peer dialled: a SYN-ACK was resent.
    pub(super) dialled_by_peer: u32,
    /// The longest run of consecutive attempts of any.
    pub(super) longest_run: u32,
    /// Whether an attempt failed.
    pub(super) has_failed: bool,
    /// SYNs and SYN-ACKs that were resent.
    pub(super) handshakes: u64,
    /// Attempts in all, failed ones included.
    pub(super) attempts: u64,
}

impl Sums {
    fn add(&mut self, flow: &Flow) {
        let syn_acks = flow.of_kind(RetransmitKind::SynAck);
        self.flows += 1;
        self.dialled_by_peer += u32::from(syn_acks > 0);
        self.longest_run = self.longest_run.max(flow.longest_run);
        self.has_failed |= flow.failed > 0;
        self.handshakes += u64::from(flow.of_kind(RetransmitKind::Syn)) + u64::from(syn_acks);
        self.attempts += flow.attempts();
    }
}

/// Every peer.
#[derive(Debug)]
pub(super) struct Peers(FxHashMap<PeerKey, Sums>);

impl Peers {
    /// Goes through all flows.
    pub(super) fn of(state: &State) -> Self {
        let mut peers: FxHashMap<PeerKey, Sums> = FxHashMap::default();
        for (key, flow) in state.flows.iter() {
            peers.entry((key.netns, key.endpoints.destination.ip())).or_default().add(flow);
        }
        Self(peers)
    }

    /// All of them, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerKey, &Sums)> {
        self.0.iter()
    }

    /// Of those that `is_meant` gives something for, the `most` with the most attempts, and how many there are.
    pub(super) fn worst<T>(
        &self,
        most: usize,
        is_meant: impl Fn(&Sums) -> Option<T>,
    ) -> (Vec<(PeerKey, T)>, usize) {
        let meant =
            self.iter().filter_map(|(key, sums)| Some((Reverse(sums.attempts), *key, is_meant(sums)?)));
        let mut meant: Vec<_> = meant.collect();
        let all = meant.len();
        let order = |one: &(Reverse<u64>, PeerKey, T), other: &(Reverse<u64>, PeerKey, T)| {
            (one.0, one.1).cmp(&(other.0, other.1))
        };
        if most < all {
            meant.select_nth_unstable_by(most, order);
            meant.truncate(most);
        }
        meant.sort_unstable_by(order);
        (meant.into_iter().map(|(_, key, meaning)| (key, meaning)).collect(), all)
    }
}
