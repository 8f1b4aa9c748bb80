//! Accounting.

use tracer_common::{
    counters::KindCounters,
    record::{RecordKind, StatsRecord},
};

/// What became of all events of one kind since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The kind counted; `None` for one this version does not know.
    pub counted: Option<RecordKind>,
    /// Seen, delivered, suppressed and lost.
    pub counters: KindCounters,
    /// Whether this sample closes a batch over all kinds.
    pub last_of_batch: bool,
}

impl From<&StatsRecord> for Stats {
    fn from(record: &StatsRecord) -> Self {
        let &StatsRecord { seen, delivered, suppressed, lost, counted_kind, last_of_batch, .. } = record;
        Self {
            counted: RecordKind::from_number(counted_kind),
            counters: KindCounters { seen, delivered, suppressed, lost },
            last_of_batch: last_of_batch != 0,
        }
    }
}
