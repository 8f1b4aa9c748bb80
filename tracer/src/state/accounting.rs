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
    /// Of kinds made in user space that are counted, in the order they were told; there are few.
    others: Vec<(RecordKind, KindCounters)>,
    /// Records the decoder could and could not read.
    pub decoded: DecodeCounts,
    /// Records a session lacks because they could not be written.
    pub unrecorded: u64,
}

impl Accounting {
    /// The counters of a kind, zero until the first sample, and where it is not counted.
    pub fn of(&self, kind: RecordKind) -> KindCounters {
        let other = || self.others.iter().find(|(known, _)| *known == kind).map(|(_, counters)| *counters);
        self.kinds.get(kind as usize).copied().or_else(other).unwrap_or_default()
    }

    /// The kinds of which something was seen, the kernel side's first.
    pub fn seen(&self) -> impl Iterator<Item = (RecordKind, KindCounters)> {
        let kernel = RecordKind::KERNEL.into_iter().map(|kind| (kind, self.of(kind)));
        kernel.chain(self.others.iter().copied()).filter(|(_, counters)| counters.seen > 0)
    }

    /// The sum over all kinds.
    pub fn total(&self) -> KindCounters {
        self.seen().fold(KindCounters::default(), |sum, (_, counters)| sum.plus(counters))
    }

    pub(crate) fn sample(&mut self, stats: &Stats) {
        let Some(kind) = stats.counted else { return };
        if let Some(counters) = self.kinds.get_mut(kind as usize) {
            *counters = stats.counters;
        } else if let Some((_, counters)) = self.others.iter_mut().find(|(known, _)| *known == kind) {
            *counters = stats.counters;
        } else {
            self.others.push((kind, stats.counters));
        }
    }
}
