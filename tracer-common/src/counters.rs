//! Accounting: every event a hook sees is delivered, suppressed or lost, and counted as such.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::KERNEL_KINDS;

/// What became of the events of one kind on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct KindCounters {
    /// Events the hooks saw, counted first.
    pub seen: u64,
    /// Events handed over as records.
    pub delivered: u64,
    /// Events left out because their budget was spent.
    pub suppressed: u64,
    /// Events lost because the ring buffer was full.
    pub lost: u64,
}

impl KindCounters {
    /// Whether every event seen is accounted for. Between two counts of the kernel side it may not be, for one event.
    pub fn is_settled(&self) -> bool {
        self.seen == self.delivered + self.suppressed + self.lost
    }

    /// The sum with another CPU's counters.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            delivered: self.delivered + other.delivered,
            suppressed: self.suppressed + other.suppressed,
            lost: self.lost + other.lost,
        }
    }
}

/// The counters of every kernel-side kind on one CPU, by the kind's number: one map value, so that one system call
/// reads them all.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Counters {
    /// Indexed by [`RecordKind`](crate::record::RecordKind) number.
    pub kinds: [KindCounters; KERNEL_KINDS],
}
