//! A decision of connection tracking about a first packet.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Flow, RecordHeader};

/// What conntrack decided where it did not simply make a new entry.
///
/// Source: `nf_conntrack_tcp_packet` (a SYN on an existing entry), `__nf_conntrack_confirm`, `nf_ct_resolve_clash`,
/// `__nf_conntrack_alloc`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ConntrackRecord {
    /// Kind [`Conntrack`](super::RecordKind::Conntrack).
    pub header: RecordHeader,
    /// The packet's tuple: the entry's original one.
    pub original: Flow,
    /// The tuple of replies: the mapping. All zero where none was made (`TABLE_FULL`) or none is known (`REOPENED`,
    /// where the packet did not get so far).
    pub reply: Flow,
    /// The tuple of replies of the entry that was given up, for `REOPENED`; else all zero.
    pub previous_reply: Flow,
    /// `IPS_*` status bits before the decision.
    pub status: u32,
    /// The entry's mark; of a reopened one the new entry's, if it is known.
    pub mark: u32,
    /// What the hooked function returned.
    pub verdict: i32,
    /// The SYN's sequence number.
    pub sequence: u32,
    /// Where the entry's original direction last ended (`td_end`), to tell a repeated SYN from a new one.
    pub last_end: u32,
    /// The entry's zone.
    pub zone: u16,
    /// One of [`conntrack_event`].
    pub event: u8,
    /// TCP conntrack state before the packet (NONE 0, SYN_SENT 1, … TIME_WAIT 7, CLOSE 8).
    pub tcp_state: u8,
    /// 1 for a SYN with the sequence number of the last that met this entry.
    pub is_again: u8,
    /// Zero, for later.
    pub reserved: [u8; 7],
}

const _: () = assert!(size_of::<ConntrackRecord>() == 176);

/// What a [`ConntrackRecord`] tells.
pub mod conntrack_event {
    /// An entry in TIME_WAIT or CLOSE was recreated for a new SYN.
    pub const REOPENED: u8 = 0;
    /// A SYN met an existing entry, which kept its mapping.
    pub const SYN_ON_ENTRY: u8 = 1;
    /// A new entry did not get into the table and its packet was dropped: it lost the race against an equal one, was
    /// killed meanwhile, or its chain is too long.
    pub const INSERT_FAILED: u8 = 2;
    /// A race of equal new entries was settled without a loss.
    pub const CLASH_RESOLVED: u8 = 3;
    /// No entry could be had for a packet, which was dropped: the table is full and nothing could be evicted, or there
    /// was no memory.
    pub const TABLE_FULL: u8 = 4;
    /// An entry in TIME_WAIT or CLOSE was to be recreated for a new SYN while somebody else removed it; the SYN was
    /// dropped.
    pub const REOPEN_FAILED: u8 = 5;
}

/// Places for conntrack's counters, those for later versions included.
pub const CONNTRACK_COUNTER_PLACES: usize = 16;

/// A counter that this kernel does not have, or a limit that could not be read.
pub const ABSENT_COUNT: u64 = u64::MAX;

/// The connection tracking of one namespace in numbers, sampled; the namespace is the header's.
///
/// Source: `/proc/net/stat/nf_conntrack`, summed over CPUs, or the same by ctnetlink.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ConntrackCountersRecord {
    /// Kind [`ConntrackCounters`](super::RecordKind::ConntrackCounters).
    pub header: RecordHeader,
    /// Entries in the table.
    pub entries: u64,
    /// The most there may be (`nf_conntrack_max`), or [`ABSENT_COUNT`].
    pub limit: u64,
    /// By [`conntrack_counter`], or [`ABSENT_COUNT`]. The kernel counts in 32 bits a CPU; of counters that wrapped while
    /// tracer looked the sum goes on.
    pub totals: [u64; CONNTRACK_COUNTER_PLACES],
    /// What came to them since the record before of that namespace; zero in the first.
    pub growth: [u64; CONNTRACK_COUNTER_PLACES],
}

const _: () = assert!(size_of::<ConntrackCountersRecord>() == 296);

/// Places in a [`ConntrackCountersRecord`], part of the session format.
pub mod conntrack_counter {
    /// Tuples wanted for a translation that were taken.
    pub const FOUND: usize = 0;
    /// Packets that fit no connection.
    pub const INVALID: usize = 1;
    /// New entries put into the table.
    pub const INSERT: usize = 2;
    /// New entries that could not be.
    pub const INSERT_FAILED: usize = 3;
    /// Packets dropped: no entry for them could be had or inserted.
    pub const DROP: usize = 4;
    /// Entries evicted to make room.
    pub const EARLY_DROP: usize = 5;
    /// ICMP packets that could not be understood.
    pub const ERROR: usize = 6;
    /// Searches begun again because the table was resized.
    pub const SEARCH_RESTART: usize = 7;
    /// Races of equal new entries settled without a loss.
    pub const CLASH_RESOLVE: usize = 8;
    /// New entries refused because their chain is too long.
    pub const CHAIN_TOO_LONG: usize = 9;
}
