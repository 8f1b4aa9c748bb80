//! A session that can be read only once, from its beginning to its end: all of it, in memory.

use crate::{block::Block, cli::playback::Playback, decode::records, history::Recorded, session::ReadError};

/// The records of a session.
#[derive(Debug)]
pub(super) struct Loaded {
    chapters: Vec<Chapter>,
    begin_ns: u64,
    damage: Vec<String>,
}

#[derive(Debug)]
struct Chapter {
    records: Block,
    newest_ns: u64,
}

impl Loaded {
    /// Reads everything there is. Fails if that fails; what is damaged is left out.
    pub(super) fn read(mut playback: Playback) -> anyhow::Result<Self> {
        let mut chapters: Vec<Chapter> = Vec::new();
        let mut begin_ns = None;
        for block in &mut playback {
            let block = block?;
            let before_ns = chapters.last().map_or(0, |chapter| chapter.newest_ns);
            let newest_ns = records(&block.0).map(|(header, _)| header.time_ns).fold(before_ns, u64::max);
            begin_ns = begin_ns.or_else(|| records(&block.0).map(|(header, _)| header.time_ns).next());
            chapters.push(Chapter { records: block, newest_ns });
        }
        Ok(Self { chapters, begin_ns: begin_ns.unwrap_or_default(), damage: playback.damage() })
    }
}

impl Recorded for Loaded {
    fn chapters(&self) -> usize {
        self.chapters.len()
    }

    fn record_bytes(&self, index: usize) -> u64 {
        self.chapters.get(index).map_or(0, |chapter| chapter.records.0.len() as u64)
    }

    fn newest_ns(&self, index: usize) -> u64 {
        self.chapters.get(index).map_or(0, |chapter| chapter.newest_ns)
    }

    fn begin_ns(&self) -> u64 {
        self.begin_ns
    }

    fn read(&self, index: usize) -> Result<Block, ReadError> {
        Ok(self.chapters.get(index).map(|chapter| chapter.records.clone()).unwrap_or_default())
    }

    fn damage(&self) -> Vec<String> {
        self.damage.clone()
    }
}
