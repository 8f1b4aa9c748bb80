//! Records one can go along, wherever they are kept.

use bytes::Bytes;

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Its chapter, counted from the first there ever was.
    pub(super) chapter: u64,
    /// Bytes of records before it in that chapter.
    pub(super) byte: usize,
}

/// Records in chapters, in the order they came.
pub(super) trait Records {
    /// The records from a place to the end of its chapter, or to `goal` if that comes first, and the place behind
    /// them.
    fn records(&self, from: Place, goal: Place) -> (Bytes, Place);
}
