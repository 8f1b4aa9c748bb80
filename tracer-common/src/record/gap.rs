//! What a session file lacks.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// Records are missing here, because the disk took no more. Written by whoever writes the file, when there is room again;
/// its time is that of the newest record that is missing. What these had told that still holds follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct GapRecord {
    /// Kind [`Gap`](super::RecordKind::Gap).
    pub header: RecordHeader,
    /// How many are missing.
    pub records: u64,
    /// Time of the oldest of them, in nanoseconds since boot.
    pub since_ns: u64,
}

const _: () = assert!(size_of::<GapRecord>() == 40);
