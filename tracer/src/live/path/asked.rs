//! Which flows have their peers looked up, and when: seen from the collector, where their retransmits pass.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use tracer_common::record::{Flow, Record as _, RetransmitRecord};
use zerocopy::FromBytes as _;

use crate::{
    decode,
    live::{watch::Question, watches::Watchers},
};

/// A flow that goes on retransmitting is looked up again after this.
const INTERVAL: Duration = Duration::from_secs(2);

/// Flows remembered as looked up.
const REMEMBERED: usize = 32_768;

/// The flows looked up lately.
#[derive(Debug, Default)]
pub(in crate::live) struct Asked {
    last: FxHashMap<(u32, Flow), Instant>,
    unasked: Unasked,
}

/// How many flows were due and not asked for; those who look up have it too, so that their accounts are whole.
#[derive(Clone, Debug, Default)]
pub(in crate::live) struct Unasked(Arc<AtomicU64>);

impl Unasked {
    fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many since the start.
    pub(in crate::live) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Asked {
    /// With the counter that the watch of paths has too.
    pub(in crate::live) fn new(unasked: Unasked) -> Self {
        Self { last: FxHashMap::default(), unasked }
    }

    /// Asks for the flows that retransmit in `records` and are due.
    pub(in crate::live) fn ask(&mut self, records: &[u8], watchers: &Watchers) {
        let now = Instant::now();
        for (header, record) in decode::records(records) {
            if header.kind == RetransmitRecord::KIND as u16
                && let Ok((record, _)) = RetransmitRecord::read_from_prefix(record)
                && self.is_due(&record, now)
            {
                let is_taken = watchers.ask(Question::Retransmit(Box::new(record)));
                if !is_taken {
                    self.unasked.add_one();
                }
            }
        }
    }

    fn is_due(&mut self, record: &RetransmitRecord, now: Instant) -> bool {
        let key = (record.header.netns, record.flow);
        if let Some(last) = self.last.get_mut(&key) {
            let is_due = now.duration_since(*last) >= INTERVAL;
            if is_due {
                *last = now;
            }
            return is_due;
        }
        if self.last.len() >= REMEMBERED {
            // Whoever has been quiet for so long is as good as new; this is rare enough to go through all.
            self.last.retain(|_, last| now.duration_since(*last) < INTERVAL);
            if self.last.len() >= REMEMBERED {
                self.unasked.add_one();
                return false;
            }
        }
        self.last.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tracer_common::record::RetransmitRecord;

    use super::{Asked, INTERVAL, REMEMBERED};

    fn of_port(port: u32) -> RetransmitRecord {
        let mut record = RetransmitRecord::default();
        record.header.netns = port >> 16;
        record.flow.source_port = u16::try_from(port & 0xffff).unwrap();
        record
    }

    #[test]
    fn a_flow_is_asked_for_at_once_and_again_after_a_while() {
        let mut asked = Asked::default();
        let began = Instant::now();
        assert!(asked.is_due(&of_port(1), began));
        assert!(!asked.is_due(&of_port(1), began + INTERVAL / 2));
        assert!(asked.is_due(&of_port(2), began + INTERVAL / 2));
        assert!(asked.is_due(&of_port(1), began + INTERVAL));
        assert!(!asked.is_due(&of_port(1), began + INTERVAL));
    }

    #[test]
    fn a_storm_of_new_flows_is_bounded_and_counted() {
        let mut asked = Asked::default();
        let began = Instant::now();
        let many = u32::try_from(REMEMBERED).unwrap() + 7;
        let due = (0..many).filter(|&port| asked.is_due(&of_port(port), began)).count();
        assert_eq!((due, asked.unasked.count(), asked.last.len()), (REMEMBERED, 7, REMEMBERED));
        assert!(asked.is_due(&of_port(many), began + INTERVAL), "what is old makes room");
    }
}
