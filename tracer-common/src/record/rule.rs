//! Rules that choose a routing table.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, RecordHeader};

/// A change of the policy rules.
///
/// Source: `RTM_NEWRULE` and `RTM_DELRULE` of rtnetlink (`include/uapi/linux/fib_rules.h`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RuleRecord {
    /// Kind [`Rule`](super::RecordKind::Rule).
    pub header: RecordHeader,
    /// Source network, all zero with `source_bits` 0 for any.
    pub source: [u8; 16],
    /// Destination network, all zero with `destination_bits` 0 for any.
    pub destination: [u8; 16],
    /// Its place among the rules: lower ones are asked first.
    pub priority: u32,
    /// Table it sends to.
    pub table: u32,
    /// Packet mark asked for.
    pub mark: u32,
    /// Bits of the mark that count; 0 if the mark does not.
    pub mark_mask: u32,
    /// Priority of the rule it jumps to, 0 if it does not.
    pub goto_priority: u32,
    /// Routes shorter than this or as long do not count, -1 if all count.
    pub suppress_prefix_bits: i32,
    /// Length of the source network in bits.
    pub source_bits: u8,
    /// Length of the destination network in bits.
    pub destination_bits: u8,
    /// What it does (`FR_ACT_*`): to table 1, goto 2, blackhole 6, unreachable 7, prohibit 8.
    pub action: u8,
    /// Who made it (`RTPROT_*`), 0 if not told.
    pub protocol: u8,
    /// 4 or 6.
    pub ip_version: u8,
    /// 1 if it holds for what does not match.
    pub is_inverted: u8,
    /// One of [`change`](super::change).
    pub change: u8,
    /// 1 if found by comparing after changes were missed.
    pub is_found_later: u8,
    /// Incoming device, empty for any.
    pub input_device: [u8; DEVICE_NAME_BYTES],
    /// Outgoing device a socket is bound to, empty for any.
    pub output_device: [u8; DEVICE_NAME_BYTES],
}

const _: () = assert!(size_of::<RuleRecord>() == 120);
