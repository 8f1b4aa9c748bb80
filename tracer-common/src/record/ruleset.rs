//! How many rules a table has.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// Chains told by name, the longest of a table.
pub const LARGEST_CHAINS: usize = 8;

/// A table of iptables or nftables, counted in user space. The table's name and those of its longest chains follow as
/// text, each ended by a line feed, padded with zeros. Where a rule is repeated, an empty line, how often one is there,
/// and that rule follow them, each ended by a line feed too.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RulesetRecord {
    /// Kind [`Ruleset`](super::RecordKind::Ruleset).
    pub header: RecordHeader,
    /// Rules of all chains.
    pub entries: u32,
    /// Rules that were looked at.
    pub examined: u32,
    /// Those of them that are equal to an earlier one of their chain.
    pub duplicates: u32,
    /// Chains, with and without rules.
    pub chains: u32,
    /// Rules as told last; meaningful with [`ruleset_flag::HAS_PREVIOUS`].
    pub previous: u32,
    /// How long counting took, in microseconds.
    pub took_us: u32,
    /// How long ago the change was noticed, in milliseconds; meaningful with [`ruleset_flag::HAS_PREVIOUS`].
    pub changed_ms_ago: u32,
    /// Bits of [`ruleset_flag`].
    pub flags: u16,
    /// `NFPROTO_*`: inet 1, ip 2, arp 3, netdev 5, bridge 7, ip6 10.
    pub family: u8,
    /// One of [`ruleset_backend`].
    pub backend: u8,
    /// Rules of the longest chains, in the order of their names; zero where there are fewer.
    pub largest: [u32; LARGEST_CHAINS],
}

const _: () = assert!(size_of::<RulesetRecord>() == 88);

/// Which half of the kernel a table is in.
pub mod ruleset_backend {
    /// `ip_tables`, `ip6_tables` or `arp_tables`.
    pub const LEGACY: u8 = 0;
    /// `nf_tables`.
    pub const NFT: u8 = 1;
}

/// What else is known of a table.
pub mod ruleset_flag {
    /// The table was told before, or its namespace was, without it.
    pub const HAS_PREVIOUS: u16 = 1;
    /// The table is gone.
    pub const REMOVED: u16 = 2;
    /// What was not looked at may hold a few that are no rules: jumps to long chains, heads and ends of chains.
    pub const AT_MOST: u16 = 4;
    /// The table changed while it was counted.
    pub const MOVING: u16 = 8;
    /// There are more rules than those counted.
    pub const PARTIAL: u16 = 16;
}
