//! The connection tracking of a namespace in numbers.

use std::fmt;

use tracer_common::record::{
    ABSENT_COUNT, CONNTRACK_COUNTER_PLACES, ConntrackCountersRecord, conntrack_counter,
};

/// What a namespace's connection tracking has counted by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConntrackCounters {
    /// Entries in the table.
    pub entries: u64,
    /// The most there may be.
    pub limit: Option<u64>,
    counts: [Option<Count>; ConntrackCounter::ALL.len()],
}

/// One counter's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Since the namespace began.
    pub total: u64,
    /// Of it, since the event before about this namespace.
    pub growth: u64,
}

impl ConntrackCounters {
    /// One counter; `None` if this kernel has none such.
    pub fn count(&self, counter: ConntrackCounter) -> Option<Count> {
        self.counts[counter as usize]
    }

    /// The counters this kernel has, in the order of [`ConntrackCounter::ALL`].
    pub fn counts(&self) -> impl Iterator<Item = (ConntrackCounter, Count)> {
        ConntrackCounter::ALL
            .into_iter()
            .zip(self.counts)
            .filter_map(|(counter, count)| Some((counter, count?)))
    }

    /// Whether packets were dropped, or entries evicted, since the event before.
    pub fn tells_failures(&self) -> bool {
        self.counts().any(|(counter, count)| counter.is_failure() && count.growth > 0)
    }
}

impl From<&ConntrackCountersRecord> for ConntrackCounters {
    fn from(record: &ConntrackCountersRecord) -> Self {
        let known = |number: u64| (number != ABSENT_COUNT).then_some(number);
        let counts = ConntrackCounter::ALL.map(|counter| {
            let place = counter.place();
            Some(Count { total: known(record.totals[place])?, growth: record.growth[place] })
        });
        Self { entries: record.entries, limit: known(record.limit), counts }
    }
}

/// What conntrack counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConntrackCounter {
    /// Tuples wanted for a translation that were taken.
    Found,
    /// Packets that fit no connection.
    Invalid,
    /// New entries put into the table.
    Insert,
    /// New entries that could not be.
    InsertFailed,
    /// Packets dropped: no entry for them could be had or inserted.
    Drop,
    /// Entries evicted to make room.
    EarlyDrop,
    /// ICMP packets that could not be understood.
    Error,
    /// Searches begun again because the table was resized.
    SearchRestart,
    /// Races of equal new entries settled without a loss.
    ClashResolve,
    /// New entries refused because their chain is too long.
    ChainTooLong,
}

impl ConntrackCounter {
    /// All of them, in the order of this enum.
    pub const ALL: [Self; 10] = [
        Self::Found,
        Self::Invalid,
        Self::Insert,
        Self::InsertFailed,
        Self::Drop,
        Self::EarlyDrop,
        Self::Error,
        Self::SearchRestart,
        Self::ClashResolve,
        Self::ChainTooLong,
    ];

    /// Its name in output: that of `conntrack -S`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Invalid => "invalid",
            Self::Insert => "insert",
            Self::InsertFailed => "insert_failed",
            Self::Drop => "drop",
            Self::EarlyDrop => "early_drop",
            Self::Error => "error",
            Self::SearchRestart => "search_restart",
            Self::ClashResolve => "clash_resolve",
            Self::ChainTooLong => "chaintoolong",
        }
    }

    /// Whether it counts connections that conntrack failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::InsertFailed | Self::Drop | Self::EarlyDrop | Self::ChainTooLong)
    }

    /// Its place in the record.
    pub(crate) fn place(self) -> usize {
        const _: () = assert!(ConntrackCounter::ALL.len() <= CONNTRACK_COUNTER_PLACES);
        match self {
            Self::Found => conntrack_counter::FOUND,
            Self::Invalid => conntrack_counter::INVALID,
            Self::Insert => conntrack_counter::INSERT,
            Self::InsertFailed => conntrack_counter::INSERT_FAILED,
            Self::Drop => conntrack_counter::DROP,
            Self::EarlyDrop => conntrack_counter::EARLY_DROP,
            Self::Error => conntrack_counter::ERROR,
            Self::SearchRestart => conntrack_counter::SEARCH_RESTART,
            Self::ClashResolve => conntrack_counter::CLASH_RESOLVE,
            Self::ChainTooLong => conntrack_counter::CHAIN_TOO_LONG,
        }
    }
}

impl fmt::Display for ConntrackCounter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
