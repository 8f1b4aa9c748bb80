//! What conntrack decided.

use super::{bounded::Bounded, flows::FlowKey};
use crate::event::{Conntrack as ConntrackDecision, ConntrackEvent, Endpoints, Timestamp};

/// The decisions of conntrack on this node.
#[derive(Clone, Debug)]
pub struct Conntrack {
    counts: [u64; ConntrackEvent::ALL.len()],
    /// Entries by the original tuple.
    pub entries: Bounded<FlowKey, ConntrackEntry>,
}

/// What happened to one entry.
#[derive(Clone, Debug)]
pub struct ConntrackEntry {
    /// When it was first seen here.
    pub first: Timestamp,
    /// When it was last decided about.
    pub last: Timestamp,
    /// What happened last.
    pub event: ConntrackEvent,
    /// Decisions by event, in the order of [`ConntrackEvent::ALL`].
    pub counts: [u32; ConntrackEvent::ALL.len()],
    /// The reply tuple: whither it is translated.
    pub reply: Option<Endpoints>,
    /// The reply tuple it had before it was last reopened.
    pub previous_reply: Option<Endpoints>,
    /// TCP state before the last packet.
    pub tcp_state: Option<&'static str>,
    /// The entry's mark.
    pub mark: u32,
    /// The entry's zone.
    pub zone: u16,
}

impl ConntrackEntry {
    /// Decisions that dropped a packet.
    pub fn failures(&self) -> u32 {
        ConntrackEvent::ALL
            .iter()
            .zip(self.counts)
            .filter_map(|(event, count)| event.is_failure().then_some(count))
            .sum()
    }

    /// Decisions in all.
    pub fn decisions(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }
}

impl Conntrack {
    pub(super) fn new(limit: usize) -> Self {
        Self { counts: [0; ConntrackEvent::ALL.len()], entries: Bounded::new(limit) }
    }

    /// How often something happened.
    pub fn count(&self, event: ConntrackEvent) -> u64 {
        self.counts[event as usize]
    }

    pub(super) fn decision(&mut self, netns: u32, time: Timestamp, decision: &ConntrackDecision) {
        let &ConntrackDecision { event, original, reply, previous_reply, tcp_state, status: _, mark, zone } =
            decision;
        self.counts[event as usize] += 1;
        let Some(endpoints) = original else { return };
        let entry = self.entries.touch(FlowKey { netns, endpoints }, || ConntrackEntry {
            first: time,
            last: time,
            event,
            counts: [0; ConntrackEvent::ALL.len()],
            reply,
            previous_reply,
            tcp_state,
            mark,
            zone,
        });
        entry.last = entry.last.max(time);
        entry.event = event;
        entry.counts[event as usize] += 1;
        entry.reply = reply.or(entry.reply);
        entry.previous_reply = previous_reply.or(entry.previous_reply);
        entry.tcp_state = tcp_state;
        (entry.mark, entry.zone) = (mark, zone);
    }
}
