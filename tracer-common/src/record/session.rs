//! What a session file says of itself.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// Bytes of the number that tells one session from all others.
pub const SESSION_ID_BYTES: usize = 16;

/// The first record of a session file. Its time is when recording of this file began. Behind it, up to a
/// [`SessionBeginRecord`], stands the prologue: what was known by then, with the times at which it became known, so
/// that the file can be understood by itself. Records of the prologue are facts that hold, and nothing that happened
/// while this file was recorded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SessionRecord {
    /// Kind [`Session`](super::RecordKind::Session).
    pub header: RecordHeader,
    /// A random number, the same in all parts of a session.
    pub id: [u8; SESSION_ID_BYTES],
    /// Which of the session's files this is, counted from 1.
    pub part: u32,
    /// 1 if there were records before this file's first, 0 if it begins where tracer began.
    pub is_under_way: u8,
    /// Zero, for later.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<SessionRecord>() == 48);

/// The end of the prologue: what follows was told while this file was recorded. No more than a header; its time is when
/// recording of this file began.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SessionBeginRecord {
    /// Kind [`SessionBegin`](super::RecordKind::SessionBegin).
    pub header: RecordHeader,
}

const _: () = assert!(size_of::<SessionBeginRecord>() == 24);
