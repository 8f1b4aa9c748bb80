//! All that is kept at a moment, for whoever writes it down.

use std::sync::Arc;

use bytes::Bytes;

use super::ring::Chapter;
use crate::block::Block;

/// Records as they are kept. Quickly made, for the chapters are shared; reading them takes longer and can be done
/// elsewhere, while more is kept and given up.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Whether nothing came before.
    pub(super) is_whole: bool,
    /// The time from which on everything is kept, nanoseconds since boot.
    pub(super) begin_ns: u64,
    /// The latest time of any record.
    pub(super) newest_ns: u64,
    pub(super) prologue: Vec<Bytes>,
    pub(super) chapters: Vec<Arc<Chapter>>,
    pub(super) open: Bytes,
}

impl Kept {
    /// Whether nothing came before: it begins where tracer began.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The time from which on everything is kept, nanoseconds since boot.
    pub(crate) fn begin_ns(&self) -> u64 {
        self.begin_ns
    }

    /// The latest time of any record.
    pub(crate) fn newest_ns(&self) -> u64 {
        self.newest_ns
    }

    /// The records that held by then, of all that came before.
    pub(crate) fn prologue(&self) -> &[Bytes] {
        &self.prologue
    }

    /// The records in the order they came.
    pub(crate) fn blocks(self) -> impl Iterator<Item = Block> {
        let open = Some(self.open).filter(|open| !open.is_empty());
        self.chapters.into_iter().map(|chapter| chapter.records()).chain(open).map(Block)
    }
}
