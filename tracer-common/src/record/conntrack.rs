//! A decision of connection tracking about a first packet.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Flow, RecordHeader};

/// What conntrack decided where it did not simply make a new entry.
///
/// Source: `nf_conntrack_tcp_packet` (a SYN on an existing entry), `nf_ct_resolve_clash`, `early_drop`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ConntrackRecord {
    /// Kind [`Conntrack`](super::RecordKind::Conntrack).
    pub header: RecordHeader,
    /// The entry's original tuple; all zero where no entry is known (`table-full`).
    pub original: Flow,
    /// The entry's reply tuple.
    pub reply: Flow,
    /// `IPS_*` status bits before the decision.
    pub status: u32,
    /// The entry's mark.
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
}

const _: () = assert!(size_of::<ConntrackRecord>() == 128);

/// What a [`ConntrackRecord`] tells.
pub mod conntrack_event {
    /// An entry in TIME_WAIT or CLOSE was recreated for a new SYN.
    pub const REOPENED: u8 = 0;
    /// A SYN met an existing entry, which kept its mapping.
    pub const SYN_ON_ENTRY: u8 = 1;
    /// A new entry lost the race against an equal one and its packet was dropped.
    pub const INSERT_FAILED: u8 = 2;
    /// Such a race was settled without a loss.
    pub const CLASH_RESOLVED: u8 = 3;
    /// The table is full and nothing could be evicted.
    pub const TABLE_FULL: u8 = 4;
}
