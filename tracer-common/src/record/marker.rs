//! Markers the user sets.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// A moment the user marked while watching. What they typed follows as UTF-8 text to the end of the record, padded with
/// zeros; it may be empty.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct MarkerRecord {
    /// Kind [`Marker`](super::RecordKind::Marker).
    pub header: RecordHeader,
}

const _: () = assert!(size_of::<MarkerRecord>() == 24);
