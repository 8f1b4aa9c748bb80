//! Facts of the machine and of tracer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// What machine and which tracer the records are of. Facts follow as UTF-8 text to the end of the record, padded with
/// zeros: lines of a name, a tab and a value, each ended by a line feed. A fact told again takes the place of the one
/// told before, and a record whose first fact was told before by another takes that record's place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FactsRecord {
    /// Kind [`Facts`](super::RecordKind::Facts).
    pub header: RecordHeader,
}

const _: () = assert!(size_of::<FactsRecord>() == 24);
