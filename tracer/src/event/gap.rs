//! What a session lacks.

use std::fmt;

use tracer_common::record::GapRecord;

use crate::words::counted;

/// Records that could not be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many.
    pub records: u64,
    /// Nanoseconds from the oldest to the newest of them.
    pub duration_ns: u64,
}

impl From<&GapRecord> for Gap {
    fn from(record: &GapRecord) -> Self {
        let duration_ns = record.header.time_ns.saturating_sub(record.since_ns);
        Self { records: record.records, duration_ns }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MILLISECOND_NS: u64 = 1_000_000;
        let milliseconds = self.duration_ns / MILLISECOND_NS;
        let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
        let records = counted(self.records, "record");
        write!(formatter, "{records} of {seconds}.{rest:03} s could not be recorded")
    }
}
