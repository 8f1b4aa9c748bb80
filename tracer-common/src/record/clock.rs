//! The node's clocks.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// How the wall clock stands to the boot clock from now on; it gives later records their wall time. Written at the start,
/// and again when the wall clock was set, the node was suspended, or the wall clock is no longer kept in step or is so
/// again.
///
/// Source: `clock_gettime(2)` and `adjtimex(2)` with no modes, which changes nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ClockRecord {
    /// Kind [`Clock`](super::RecordKind::Clock).
    pub header: RecordHeader,
    /// Wall clock minus boot clock in nanoseconds (`CLOCK_REALTIME` − `CLOCK_BOOTTIME`).
    pub wall_minus_boot_ns: i64,
    /// Boot clock minus monotonic clock in nanoseconds (`CLOCK_BOOTTIME` − `CLOCK_MONOTONIC`): time spent suspended.
    pub boot_minus_monotonic_ns: i64,
    /// By how much the wall clock was set forward since the record before; negative if it was set back.
    pub step_ns: i64,
    /// How long the node was suspended since the record before.
    pub suspended_ns: u64,
    /// The wall clock's largest error in microseconds, as the kernel estimates it; meaningful unless `synchronised` is
    /// [`clock_synchronised::UNKNOWN`].
    pub largest_error_us: u32,
    /// One of [`clock_why`].
    pub why: u8,
    /// One of [`clock_synchronised`].
    pub synchronised: u8,
    /// Zero, for later.
    pub reserved: [u8; 2],
}

const _: () = assert!(size_of::<ClockRecord>() == 64);

/// Why the clocks are told.
pub mod clock_why {
    /// They were read first.
    pub const START: u8 = 0;
    /// The wall clock was set, by a millisecond or more.
    pub const STEPPED: u8 = 1;
    /// The node was suspended; the wall clock may have been set too.
    pub const RESUMED: u8 = 2;
    /// Whether the wall clock is kept in step changed.
    pub const SYNCHRONISATION: u8 = 3;
}

/// Whether somebody keeps the wall clock in step with the world's (`STA_UNSYNC` is not set).
pub mod clock_synchronised {
    /// The kernel was not asked, or gave no answer.
    pub const UNKNOWN: u8 = 0;
    /// Nobody does.
    pub const NO: u8 = 1;
    /// Somebody does.
    pub const YES: u8 = 2;
}
