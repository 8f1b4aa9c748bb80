//! Which flows towards a peer get no answer, and which got one: what tells a path that is out from a packet that was lost.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::{
    gone,
    sums::{PeerKey, last_outage, recent_flows},
};
use crate::{
    event::{Netns, Timestamp},
    state::{Flow, FlowKey, State},
};

/// What a flow waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// It dials: its SYN is not answered.
    SynAck,
    /// It was dialled: its SYN-ACK is not answered.
    ThirdOfHandshake,
    /// It is, or was, a connection: what it sends is not acknowledged.
    Acknowledgement,
}

impl Waits {
    fn of(flow: &Flow) -> Self {
        const SYN_SENT: u8 = 2;
        const SYN_RECEIVED: [u8; 2] = [3, 12];
        match flow.tcp_state.0 {
            SYN_SENT => Self::SynAck,
            state if SYN_RECEIVED.contains(&state) => Self::ThirdOfHandshake,
            _ => Self::Acknowledgement,
        }
    }
}

/// A flow that got no answer for long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent<'a> {
    /// Which flow.
    pub(super) key: &'a FlowKey,
    /// Its row.
    pub(super) flow: &'a Flow,
    /// What it waits for.
    pub(super) waits: Waits,
    /// Since when.
    pub(super) began: Timestamp,
    /// Its last attempt, up to which it certainly got none.
    pub(super) last: Timestamp,
    /// Attempts since then.
    pub(super) attempts: u32,
}

impl Silent<'_> {
    /// For how long it certainly got no answer, nanoseconds.
    pub(super) fn proven_ns(&self) -> u64 {
        self.last.boot_ns.saturating_sub(self.began.boot_ns)
    }

    /// How long it waited before its last attempt, nanoseconds. The longer that is, the less that attempt tells of now.
    pub(super) fn pause_ns(&self) -> u64 {
        const SECOND_NS: u64 = 1_000_000_000;
        match self.waits {
            // Its timeout is not told; it doubles from one second on.
            Waits::ThirdOfHandshake => SECOND_NS << self.attempts.saturating_sub(1).min(16),
            _ => self.flow.rto_us.map_or(SECOND_NS, |rto_us| rto_us.saturating_mul(1_000)),
        }
    }
}

/// The flows of one network namespace towards one address that were resent lately.
#[derive(Debug)]
pub(super) struct Silence<'a> {
    /// The network namespace.
    pub(super) netns: Netns,
    /// The address.
    pub(super) peer: IpAddr,
    /// Those without an answer for long, in the order of their keys.
    pub(super) silent: Vec<Silent<'a>>,
    /// When those that had got an answer by now were last resent.
    pub(super) answered: Vec<Timestamp>,
}

impl Silence<'_> {
    /// How many got an answer that were resent after that.
    pub(super) fn answered_since(&self, then: Timestamp) -> usize {
        self.answered.iter().filter(|&&answered| answered > then).count()
    }
}

/// Gathers the flows towards these peers; those that were without an answer for `long_ns` count as silent.
pub(super) fn of_peers(
    state: &State,
    peers: impl Iterator<Item = PeerKey>,
    long_ns: u64,
) -> Vec<Silence<'_>> {
    let place =
        |(netns, peer)| ((netns, peer), Silence { netns, peer, silent: Vec::new(), answered: Vec::new() });
    let mut gathered: FxHashMap<PeerKey, Silence<'_>> = peers.map(place).collect();
    if gathered.is_empty() {
        return Vec::new();
    }
    let now = state.now();
    let given_away = gone::given_away(state);
    for (key, flow) in recent_flows(state) {
        // From there nothing can be sent any more, whatever the path is.
        if given_away.contains(&(key.netns, key.endpoints.source.ip())) {
            continue;
        }
        let Some(silence) = gathered.get_mut(&(key.netns, key.endpoints.destination.ip())) else { continue };
        let left = state.routes.left.get(&(key.netns, key.endpoints.source.ip()));
        match last_outage(now, flow) {
            // It was not there meanwhile, though it is back by now.
            Some(outage) if left.is_some_and(|&left| outage.began <= left) => {}
            Some(outage) if outage.duration_ns() >= long_ns => silence.silent.push(Silent {
                key,
                flow,
                waits: Waits::of(flow),
                began: outage.began,
                last: outage.last,
                attempts: outage.attempts,
            }),
            _ if flow.outage_at(now).is_none() => silence.answered.push(flow.last),
            _ => {}
        }
    }
    let mut all: Vec<_> = gathered.into_values().collect();
    for silence in &mut all {
        silence.silent.sort_unstable_by_key(|silent| silent.key);
    }
    all.sort_unstable_by_key(|silence| (silence.netns, silence.peer));
    all
}
