//! A session as a source of blocks.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tracer_common::record::RecordKind;

use super::scope::Scope;
use crate::{block::Block, decode::split_record, session::SessionReader};

/// The blocks of a session, as many as the duration asks for. It is counted by the records' clock, from when
/// everything was attached.
pub(super) struct Playback {
    path: PathBuf,
    reader: SessionReader<File>,
    duration_ns: Option<u64>,
    /// Records from this time on are left out.
    end_ns: Option<u64>,
    is_over: bool,
}

impl Playback {
    /// Opens a session.
    pub(super) fn open(path: &Path, scope: &Scope) -> anyhow::Result<Self> {
        let reader = SessionReader::open(path)?;
        let duration_ns =
            scope.duration().map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        Ok(Self { path: path.to_owned(), reader, duration_ns, end_ns: None, is_over: false })
    }

    /// What could not be read so far, a sentence each.
    pub(super) fn damage(&self) -> Vec<String> {
        self.reader.damage().iter().map(|damage| format!("{}: {damage}", self.path.display())).collect()
    }

    /// The block up to the end of the duration.
    fn cut(&mut self, block: &Block) -> Block {
        let mut taken = 0;
        while let Some((header, record, _)) = block.0.get(taken..).and_then(split_record) {
            if self.end_ns.is_some_and(|end_ns| header.time_ns >= end_ns) {
                self.is_over = true;
                return Block(block.0.slice(..taken));
            }
            if header.kind == RecordKind::Ready as u16
                && let Some(duration_ns) = self.duration_ns.take()
            {
                self.end_ns = Some(header.time_ns.saturating_add(duration_ns));
            }
            taken += record.len();
        }
        block.clone()
    }
}

impl Iterator for Playback {
    type Item = anyhow::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.reader.next()? {
            Ok(block) => Some(Ok(self.cut(&block))),
            Err(error) => {
                Some(Err(error).with_context(|| format!("cannot read the session {}", self.path.display())))
            }
        }
    }
}
