//! What is counted in user space: how much of it may be told or asked in a second, and its account in the stream.

use std::time::Instant;

use tracer_common::{
    budget::KindBudget,
    counters::KindCounters,
    record::{RecordKind, StatsRecord},
};

use super::watch::Records;

/// So many a second.
#[derive(Debug)]
pub(super) struct Budget {
    began: Instant,
    taken: KindBudget,
    per_second: u32,
}

impl Budget {
    /// All of it is left.
    pub(super) fn new(per_second: u32) -> Self {
        Self { began: Instant::now(), taken: KindBudget::default(), per_second }
    }

    /// Takes one; whether there was one left.
    pub(super) fn take(&mut self) -> bool {
        let elapsed_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.taken.take(elapsed_ns, self.per_second)
    }
}

/// The account of a kind in the stream.
#[derive(Debug)]
pub(super) struct Account {
    kind: RecordKind,
    /// As last put into the stream.
    known: KindCounters,
}

impl Account {
    /// Nothing is counted yet.
    pub(super) fn new(kind: RecordKind) -> Self {
        Self { kind, known: KindCounters::default() }
    }

    /// Puts the counters into the stream, if they changed.
    pub(super) fn append(&mut self, counters: KindCounters, records: &mut Records) {
        if counters == self.known {
            return;
        }
        self.known = counters;
        let KindCounters { seen, delivered, suppressed, lost } = counters;
        let counted_kind = self.kind as u16;
        let record =
            StatsRecord { seen, delivered, suppressed, lost, counted_kind, ..StatsRecord::default() };
        records.append(0, &record, &[]);
    }
}
