//! What became of everything the hooks saw.

use tracer_common::{
    counters::KindCounters,
    record::{KERNEL_KINDS, RecordKind},
};

use crate::{decode::DecodeCounts, event::Stats};

/// The latest accounting of every kind, and what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Accounting {
    kinds: [KindCounters; KERNEL_KINDS],
    /// Records the decoder could and could not read.
    pub decoded: DecodeCounts,
}

impl Accounting {
    /// The counters of a kind the kernel side writes, zero until the first sample.
    pub fn of(&self, kind: RecordKind) -> KindCounters {
        self.kinds.get(kind as usize).copied().unwrap_or_default()
    }

    /// The sum over all kinds.
    pub fn total(&self) -> KindCounters {
        self.kinds.iter().fold(KindCounters::default(), |sum, &counters| sum.plus(counters))
    }

    pub(crate) fn sample(&mut self, stats: &Stats) {
        let kept = stats.counted.and_then(|kind| self.kinds.get_mut(kind as usize));
        if let Some(counters) = kept {
            *counters = stats.counters;
        }
    }
}
