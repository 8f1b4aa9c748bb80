//! What conntrack decided.

use super::{bounded::Bounded, flows::FlowKey, span::Span};
use crate::event::{
    Conntrack as ConntrackDecision, ConntrackCounter, ConntrackCounters, ConntrackEvent, Endpoints, Timestamp,
};

/// The decisions of conntrack on this node.
#[derive(Clone, Debug)]
pub struct Conntrack {
    counts: [u64; ConntrackEvent::ALL.len()],
    spans: [Option<Span>; ConntrackEvent::ALL.len()],
    /// Growth of the counters of all namespaces, those whose table was given up included.
    growth: [u64; ConntrackCounter::ALL.len()],
    /// Entries by the original tuple.
    pub entries: Bounded<FlowKey, ConntrackEntry>,
    /// Tables by the inode number of their namespace.
    pub tables: Bounded<u32, ConntrackTable>,
}

/// The table of one namespace, by its counters.
#[derive(Clone, Debug)]
pub struct ConntrackTable {
    /// When it was first counted.
    pub first: Timestamp,
    /// When it was last counted.
    pub last: Timestamp,
    /// What was counted last.
    pub counters: ConntrackCounters,
    /// Growth since it was first counted.
    growth: [u64; ConntrackCounter::ALL.len()],
}

impl ConntrackTable {
    /// How much a counter grew since it was first counted.
    pub fn growth(&self, counter: ConntrackCounter) -> u64 {
        self.growth[counter as usize]
    }

    /// How full it is, in thousandths; `None` if nothing limits it (a limit of 0 is none).
    pub fn fill_permille(&self) -> Option<u64> {
        let limit = self.counters.limit.filter(|&limit| limit > 0)?;
        Some(self.counters.entries.saturating_mul(1_000) / limit)
    }

    /// Failures since it was first counted.
    pub fn failures(&self) -> u64 {
        ConntrackCounter::ALL
            .into_iter()
            .filter(|counter| counter.is_failure())
            .map(|counter| self.growth(counter))
            .sum()
    }
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
    pub(super) fn new(entries: usize, tables: usize) -> Self {
        Self {
            counts: [0; ConntrackEvent::ALL.len()],
            spans: [None; ConntrackEvent::ALL.len()],
            growth: [0; ConntrackCounter::ALL.len()],
            entries: Bounded::new(entries),
            tables: Bounded::new(tables),
        }
    }

    /// How often something happened.
    pub fn count(&self, event: ConntrackEvent) -> u64 {
        self.counts[event as usize]
    }

    /// From when to when something happened.
    pub fn span(&self, event: ConntrackEvent) -> Option<Span> {
        self.spans[event as usize]
    }

    /// How much a counter grew over all namespaces, each since it was first counted.
    pub fn growth(&self, counter: ConntrackCounter) -> u64 {
        self.growth[counter as usize]
    }

    pub(super) fn counters(&mut self, netns: u32, time: Timestamp, counters: &ConntrackCounters) {
        let table = self.tables.touch(netns, || ConntrackTable {
            first: time,
            last: time,
            counters: counters.clone(),
            growth: [0; ConntrackCounter::ALL.len()],
        });
        table.last = table.last.max(time);
        table.counters = counters.clone();
        for (counter, count) in counters.counts() {
            table.growth[counter as usize] += count.growth;
            self.growth[counter as usize] += count.growth;
        }
    }

    pub(super) fn decision(&mut self, netns: u32, time: Timestamp, decision: &ConntrackDecision) {
        let &ConntrackDecision { event, original, reply, previous_reply, tcp_state, status: _, mark, zone } =
            decision;
        self.counts[event as usize] += 1;
        Span::extend(&mut self.spans[event as usize], time);
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
