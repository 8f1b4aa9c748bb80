//! What conntrack decided.

mod failures;
mod stale;

use std::collections::VecDeque;

pub use self::{
    failures::{Failed, Failure, Failures},
    stale::{AllStale, Stale, StaleKey},
};
use super::{
    bounded::{Asked, Bounded},
    flows::FlowKey,
    rates::second_of,
    span::Span,
};
use crate::event::{
    Conntrack as ConntrackDecision, ConntrackCounter, ConntrackCounters, ConntrackEvent, Endpoints, Netns,
    Timestamp,
};

/// Numbers of entries kept of a table, one a second at most.
pub const CONNTRACK_HISTORY: usize = 60;

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
    pub tables: Bounded<Netns, ConntrackTable>,
    /// New connections that were dropped, by namespace.
    pub failures: Failures,
    /// Unanswered connections by old translations.
    pub stale: AllStale,
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
    /// Entries it had, oldest first; counted when something changed.
    pub history: VecDeque<(Timestamp, u64)>,
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

    /// By how many entries it grew a second, or shrank, over the last `seconds`; `None` if it was not counted before.
    pub fn growth_per_second(&self, now: Timestamp, seconds: u64) -> Option<i64> {
        let begin = second_of(now).saturating_sub(seconds);
        let is_before = |&&(time, _): &&(Timestamp, u64)| second_of(time) <= begin;
        let before = self.history.iter().rev().find(is_before).or_else(|| self.history.front())?;
        let elapsed_s = second_of(now).saturating_sub(second_of(before.0)).clamp(1, seconds.max(1));
        let grown = i64::try_from(self.counters.entries).ok()?.checked_sub_unsigned(before.1)?;
        (self.history.len() > 1).then(|| grown / i64::try_from(elapsed_s).unwrap_or(i64::MAX))
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
    /// The last new connection that met it and kept its translation.
    met: Option<stale::Met>,
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
            failures: Bounded::new(2 * tables),
            stale: stale::new(),
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

    pub(super) fn counters(&mut self, netns: Netns, time: Timestamp, counters: &ConntrackCounters) {
        let table = self.tables.touch(netns, || ConntrackTable {
            first: time,
            last: time,
            counters: counters.clone(),
            history: VecDeque::new(),
            growth: [0; ConntrackCounter::ALL.len()],
        });
        table.last = table.last.max(time);
        table.counters = counters.clone();
        if table.history.back().is_some_and(|(last, _)| second_of(*last) == second_of(time)) {
            table.history.pop_back();
        } else if table.history.len() == CONNTRACK_HISTORY {
            table.history.pop_front();
        }
        table.history.push_back((time, counters.entries));
        for (counter, count) in counters.counts() {
            table.growth[counter as usize] += count.growth;
            self.growth[counter as usize] += count.growth;
        }
        failures::counters(&mut self.failures, netns, time, counters, table.fill_permille());
    }

    /// Asks for the place where the row is told that a decision will change.
    pub(super) fn ask(&self, netns: Netns, decision: &ConntrackDecision) -> Option<Asked> {
        decision.original.map(|endpoints| self.entries.ask(&FlowKey { netns, endpoints }))
    }

    pub(super) fn decision(
        &mut self,
        netns: Netns,
        time: Timestamp,
        decision: &ConntrackDecision,
        row: Option<Asked>,
    ) {
        let &ConntrackDecision { event, original, reply, previous_reply, tcp_state, status: _, mark, zone } =
            decision;
        self.counts[event as usize] += 1;
        Span::extend(&mut self.spans[event as usize], time);
        failures::decision(&mut self.failures, netns, time, decision);
        let Some(endpoints) = original else { return };
        let key = FlowKey { netns, endpoints };
        let (_, entry) = self.entries.touch_asked(
            row,
            |known| *known == key,
            || key,
            || ConntrackEntry {
                first: time,
                last: time,
                event,
                counts: [0; ConntrackEvent::ALL.len()],
                reply,
                previous_reply,
                tcp_state,
                mark,
                zone,
                met: None,
            },
        );
        entry.last = entry.last.max(time);
        entry.event = event;
        entry.counts[event as usize] += 1;
        entry.reply = reply.or(entry.reply);
        entry.previous_reply = previous_reply.or(entry.previous_reply);
        entry.tcp_state = tcp_state;
        (entry.mark, entry.zone) = (mark, zone);
        stale::decision(&mut self.stale, entry, netns, time, decision);
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNTRACK_HISTORY, Conntrack};
    use crate::event::Netns;
    use crate::{
        event::Body,
        state::fixture::{at, conntrack_counters},
    };

    #[test]
    fn growth_is_told_once_there_is_something_to_compare_with() {
        let mut conntrack = Conntrack::new(1, 1);
        let mut count = |milliseconds: u64, entries| {
            let Body::ConntrackCounters(counters) = conntrack_counters(entries, 1_000, 0, 0) else {
                unreachable!("it makes nothing else")
            };
            conntrack.counters(Netns::here(7), at(milliseconds), &counters);
            conntrack.tables.get(&Netns::here(7)).unwrap().clone()
        };
        assert_eq!(count(1_000, 100).growth_per_second(at(1_000), 10), None);
        assert_eq!(count(3_000, 300).growth_per_second(at(3_000), 10), Some(100));
        // Within a second the last count stays.
        assert_eq!(count(3_900, 320).history.len(), 2);
        assert_eq!(count(20_000, 920).growth_per_second(at(20_000), 10), Some(60));
        assert_eq!(count(22_000, 120).growth_per_second(at(22_000), 10), Some(-20));
        for second in 30..200 {
            count(second * 1_000, second);
        }
        assert_eq!(count(200_000, 5).history.len(), CONNTRACK_HISTORY);
    }
}
