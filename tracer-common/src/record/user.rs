//! Facts found in user space, written into the same stream so that a replay knows what live knew.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{COMMAND_NAME_BYTES, RecordHeader};

/// The accounting of one kind, sampled: totals since the start, summed over CPUs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct StatsRecord {
    /// Kind [`Stats`](super::RecordKind::Stats).
    pub header: RecordHeader,
    /// Events the hooks saw.
    pub seen: u64,
    /// Events handed over as records.
    pub delivered: u64,
    /// Events left out because their budget was spent.
    pub suppressed: u64,
    /// Events lost because the ring buffer was full.
    pub lost: u64,
    /// The [`RecordKind`](super::RecordKind) counted.
    pub counted_kind: u16,
    /// 1 on the last sample of a batch covering all kinds.
    pub last_of_batch: u16,
    /// Zero, for later.
    pub reserved: u32,
}

const _: () = assert!(size_of::<StatsRecord>() == 64);

/// How a hook is attached, or why not. The reason follows as UTF-8 text to the end of the record, padded with zeros.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct HookStatusRecord {
    /// Kind [`HookStatus`](super::RecordKind::HookStatus).
    pub header: RecordHeader,
    /// The [`HookId`](crate::hook::HookId).
    pub hook: u16,
    /// The [`Way`](crate::hook::Way) it is attached by; meaningful if attached or on standby.
    pub way: u16,
    /// 1 if attached, 2 if not needed on this kernel, 3 if on standby (attached when there is something to
    /// look for), 0 if missing.
    pub attached: u8,
    /// Zero, for later.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<HookStatusRecord>() == 32);

/// Which process owns a socket, found by the socket's inode.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OwnerRecord {
    /// Kind [`Owner`](super::RecordKind::Owner).
    pub header: RecordHeader,
    /// The `N` of `socket:[N]`.
    pub socket_inode: u64,
    /// The process that holds it.
    pub process_id: u32,
    /// Zero, for later.
    pub reserved: u32,
    /// That process's command name.
    pub command: [u8; COMMAND_NAME_BYTES],
}

const _: () = assert!(size_of::<OwnerRecord>() == 56);

/// What the times and numbers of the following records mean: clock and tick. The kernel's release and the host's name
/// follow as UTF-8 text, separated by a line feed, to the end of the record, padded with zeros.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NodeRecord {
    /// Kind [`Node`](super::RecordKind::Node).
    pub header: RecordHeader,
    /// Wall clock minus boot clock in nanoseconds (`CLOCK_REALTIME` − `CLOCK_BOOTTIME`).
    pub wall_minus_boot_ns: i64,
    /// Length of a jiffy in nanoseconds.
    pub tick_ns: u64,
}

const _: () = assert!(size_of::<NodeRecord>() == 40);

/// Every hook has been tried: from here on nothing that can be seen is missed. No more than a header.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReadyRecord {
    /// Kind [`Ready`](super::RecordKind::Ready).
    pub header: RecordHeader,
}
