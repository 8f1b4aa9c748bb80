//! A session in memory, for tests.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::Recorded;
use crate::{block::Block, decode::records, session::ReadError};

/// The session.
#[derive(Debug)]
pub(crate) struct Recording {
    blocks: Vec<Block>,
    pub(crate) newest_ns: Vec<u64>,
    /// How many chapters have been read.
    pub(crate) reads: AtomicUsize,
}

impl Recording {
    /// Each block is a chapter.
    pub(crate) fn new(blocks: &[Block]) -> Arc<Self> {
        let newest_ns = blocks
            .iter()
            .scan(0, |newest_ns: &mut u64, block| {
                *newest_ns = records(&block.0).map(|(header, _)| header.time_ns).fold(*newest_ns, u64::max);
                Some(*newest_ns)
            })
            .collect();
        Arc::new(Self { blocks: blocks.to_vec(), newest_ns, reads: AtomicUsize::new(0) })
    }
}

impl Recorded for Recording {
    fn chapters(&self) -> usize {
        self.blocks.len()
    }

    fn record_bytes(&self, index: usize) -> u64 {
        self.blocks[index].0.len() as u64
    }

    fn newest_ns(&self, index: usize) -> u64 {
        self.newest_ns[index]
    }

    fn begin_ns(&self) -> u64 {
        self.blocks.first().and_then(|block| records(&block.0).next()).map_or(0, |(header, _)| header.time_ns)
    }

    fn read(&self, index: usize) -> Result<Block, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.blocks[index].clone())
    }

    fn damage(&self) -> Vec<String> {
        vec!["what is missing".to_owned()]
    }
}
