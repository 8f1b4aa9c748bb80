//! Sessions as a source of blocks.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use rustc_hash::FxHashSet;
use tracer_common::record::{RecordHeader, RecordKind, SessionRecord};
use zerocopy::FromBytes as _;

use super::scope::Scope;
use crate::{
    block::Block,
    decode::split_record,
    session::{SessionReader, Shift, Tape},
};

/// How the clocks of several nodes are corrected.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(super) struct Shifts {
    /// Add this to the times of a node whose clock was wrong: node-b=+1.5s.
    #[arg(long, value_name = "NODE=TIME")]
    pub(super) shift: Vec<Shift>,
}

/// The blocks of one session or of several, as many as the duration asks for.
pub(super) struct Playback {
    blocks: Blocks,
    end: Option<End>,
    is_over: bool,
}

/// Where the blocks come from.
enum Blocks {
    /// Files, which can be put together.
    Tape { tape: Tape, next: usize },
    /// One session from a pipe.
    Stream { path: PathBuf, reader: SessionReader<File> },
}

impl Playback {
    /// Opens sessions: parts of one recording, or of several nodes. One alone may come from a pipe.
    pub(super) fn open(files: &[PathBuf], shifts: &Shifts, scope: &Scope) -> anyhow::Result<Self> {
        let blocks = match files {
            [path] if !is_regular(path) && shifts.shift.is_empty() => {
                Blocks::Stream { path: path.clone(), reader: SessionReader::open(path)? }
            }
            _ => Blocks::Tape { tape: tape(files, shifts)?, next: 0 },
        };
        Ok(Self { blocks, end: scope.duration().map(End::after), is_over: false })
    }

    /// What could not be read so far, a sentence each.
    pub(super) fn damage(&self) -> Vec<String> {
        match &self.blocks {
            Blocks::Tape { tape, .. } => tape.damage(),
            Blocks::Stream { path, reader } => {
                reader.damage().iter().map(|damage| format!("{}: {damage}", path.display())).collect()
            }
        }
    }

    /// How the sessions of several nodes stand to each other in time, a sentence each.
    pub(super) fn clocks(&self) -> Vec<String> {
        match &self.blocks {
            Blocks::Tape { tape, .. } => tape.clocks(),
            Blocks::Stream { .. } => Vec::new(),
        }
    }

    fn next_block(&mut self) -> Option<anyhow::Result<Block>> {
        match &mut self.blocks {
            Blocks::Tape { tape, next } => {
                let index = *next;
                *next += 1;
                (index < tape.chapters().len()).then(|| Ok(tape.read(index)?))
            }
            Blocks::Stream { path, reader } => {
                let context = || format!("cannot read the session {}", path.display());
                Some(reader.next()?.with_context(context))
            }
        }
    }
}

/// Opens sessions that can be read at any place.
pub(super) fn tape(files: &[PathBuf], shifts: &Shifts) -> anyhow::Result<Tape> {
    if let Some(path) = files.iter().find(|path| !is_regular(path)) {
        bail!(
            "{} is no regular file, and only one session by itself can be read from anything else: write it to a file first",
            path.display()
        );
    }
    Ok(Tape::open_shifted(files, &shifts.shift)?)
}

/// Whether a path leads to a regular file. What is not there is told when it is opened.
pub(super) fn is_regular(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

impl Iterator for Playback {
    type Item = anyhow::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let block = match self.next_block()? {
            Ok(block) => block,
            Err(error) => {
                self.is_over = true;
                return Some(Err(error));
            }
        };
        let end = self.end.as_mut().and_then(|end| end.within(&block));
        Some(Ok(match end {
            Some(bytes) => {
                self.is_over = true;
                Block(block.0.slice(..bytes))
            }
            None => block,
        }))
    }
}

/// Where a duration ends in these blocks, in nanoseconds since boot; `None` if they do not tell.
pub(super) fn end_ns(blocks: impl Iterator<Item = Block>, duration: Duration) -> Option<u64> {
    let mut end = End::after(duration);
    blocks.into_iter().find_map(|block| {
        end.within(&block);
        end.at_ns
    })
}

/// Where a duration ends. It is counted by the records' clock, from when everything was attached on the first node; of a
/// file that begins in the middle of a recording, from its beginning.
struct End {
    duration_ns: u64,
    /// Records from this time on are left out.
    at_ns: Option<u64>,
    /// Nodes of which it is being told what was known before.
    in_prologue: FxHashSet<u16>,
    /// Nodes whose file begins in the middle.
    under_way: FxHashSet<u16>,
}

impl End {
    fn after(duration: Duration) -> Self {
        Self {
            duration_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            at_ns: None,
            in_prologue: FxHashSet::default(),
            under_way: FxHashSet::default(),
        }
    }

    /// How many bytes of the block are before the end; `None` if all are.
    fn within(&mut self, block: &Block) -> Option<usize> {
        let mut taken = 0;
        while let Some((header, record, _)) = block.0.get(taken..).and_then(split_record) {
            let is_known = self.in_prologue.contains(&header.node);
            if !is_known && self.at_ns.is_some_and(|at_ns| header.time_ns >= at_ns) {
                return Some(taken);
            }
            self.take_in(header, record);
            taken += record.len();
        }
        None
    }

    fn take_in(&mut self, header: RecordHeader, record: &[u8]) {
        let is_begin = match RecordKind::from_number(header.kind) {
            Some(RecordKind::Session) => {
                self.in_prologue.insert(header.node);
                let session = SessionRecord::read_from_prefix(record).ok();
                if session.is_some_and(|(session, _)| session.is_under_way != 0) {
                    self.under_way.insert(header.node);
                }
                false
            }
            Some(RecordKind::SessionBegin) => {
                self.in_prologue.remove(&header.node);
                self.under_way.contains(&header.node)
            }
            Some(RecordKind::Ready) => !self.in_prologue.contains(&header.node),
            _ => false,
        };
        if is_begin {
            self.at_ns.get_or_insert(header.time_ns.saturating_add(self.duration_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracer_common::record::{
        ReadyRecord, Record, RecordHeader, RecordKind, SessionBeginRecord, SessionRecord,
    };
    use zerocopy::IntoBytes as _;

    use super::End;
    use crate::block::Block;

    fn record(kind: RecordKind, time_ns: u64, node: u16, is_under_way: u8) -> Vec<u8> {
        let length_bytes = u16::try_from(match kind {
            RecordKind::Session => size_of::<SessionRecord>(),
            _ => size_of::<ReadyRecord>(),
        })
        .unwrap();
        let header =
            RecordHeader { time_ns, kind: kind as u16, length_bytes, node, ..RecordHeader::default() };
        match kind {
            RecordKind::Session => {
                SessionRecord { header, is_under_way, ..SessionRecord::default() }.as_bytes().to_vec()
            }
            SessionBeginRecord::KIND => SessionBeginRecord { header }.as_bytes().to_vec(),
            _ => ReadyRecord { header }.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_duration_is_counted_from_when_everything_is_there() {
        use RecordKind::{Marker, Ready, Session, SessionBegin};
        /// Kind, time, node.
        type Told = (RecordKind, u64, u16);
        // What is told; of how many nodes; the first record that is left out, for ten nanoseconds.
        let table: [(&[Told], u8, Option<usize>); 5] = [
            (&[(Marker, 1, 0), (Ready, 5, 0), (Marker, 14, 0), (Marker, 15, 0)], 0, Some(3)),
            (
                &[(Session, 1, 0), (SessionBegin, 1, 0), (Marker, 12, 0), (Ready, 20, 0), (Marker, 29, 0)],
                0,
                None,
            ),
            // What was known before is old, however late it is told.
            (
                &[(Session, 50, 0), (Ready, 5, 0), (Marker, 40, 0), (SessionBegin, 50, 0), (Marker, 60, 0)],
                1,
                Some(4),
            ),
            // The node that was there first.
            (&[(Ready, 5, 1), (Marker, 14, 0), (Ready, 14, 0), (Marker, 15, 0)], 0, Some(3)),
            // A second node's prologue is not cut, what it tells behind is.
            (
                &[(Ready, 5, 0), (Session, 9, 1), (Ready, 30, 1), (SessionBegin, 9, 1), (Marker, 15, 1)],
                1,
                Some(4),
            ),
        ];
        for (records, is_under_way, expected) in table {
            let mut end = End::after(Duration::from_nanos(10));
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for &(kind, time_ns, node) in records {
                ends.push(bytes.len());
                bytes.extend(record(kind, time_ns, node, is_under_way));
            }
            let cut = end.within(&Block(bytes.into()));
            assert_eq!(cut, expected.map(|index| ends[index]), "{records:?}");
        }
    }
}
