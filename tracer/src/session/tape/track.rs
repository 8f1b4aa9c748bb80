//! What one node recorded: its files end to end.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Chapter, Source, about, opening::Opening};
use crate::{
    event::Timestamp,
    session::{ReadError, SessionFile},
};

/// A file of a track.
struct Part {
    path: PathBuf,
    file: SessionFile,
}

/// A frame of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackFrame {
    /// Which of its files.
    part: usize,
    /// Which of the file's frames.
    index: usize,
    record_bytes: usize,
    /// The latest time of any record up to its end, by the node's own boot clock.
    newest_ns: u64,
}

impl TrackFrame {
    pub(super) fn chapter(self) -> Chapter {
        Chapter { newest_ns: self.newest_ns, record_bytes: self.record_bytes }
    }
}

/// The files of a node, end to end.
pub(super) struct Track {
    opening: Opening,
    parts: Vec<Part>,
    frames: Vec<TrackFrame>,
}

impl Track {
    /// Of a single file.
    pub(super) fn new(path: &Path, file: SessionFile) -> Result<Self, ReadError> {
        let opening = Opening::of(&file)?;
        let mut track = Self { opening, parts: Vec::new(), frames: Vec::new() };
        track.append(path, file);
        Ok(track)
    }

    fn append(&mut self, path: &Path, file: SessionFile) {
        let part = self.parts.len();
        let mut newest_ns = self.newest_ns();
        for (index, frame) in file.frames().iter().enumerate() {
            newest_ns = newest_ns.max(frame.newest_ns);
            self.frames.push(TrackFrame {
                part,
                index,
                record_bytes: frame.record_bytes as usize,
                newest_ns,
            });
        }
        self.parts.push(Part { path: path.to_owned(), file });
    }

    pub(super) fn frames(&self) -> &[TrackFrame] {
        &self.frames
    }

    fn newest_ns(&self) -> u64 {
        self.frames.last().map_or(0, |frame| frame.newest_ns)
    }

    /// What could not be read when it was opened, a sentence each.
    pub(super) fn damage(&self) -> impl Iterator<Item = String> {
        self.parts.iter().flat_map(|part| part.file.damage().iter().map(|damage| about(&part.path, damage)))
    }

    /// The records of a frame as they are in the file.
    pub(super) fn read(&self, index: usize) -> Result<Bytes, ReadError> {
        let Some(frame) = self.frames.get(index) else { return Ok(Bytes::new()) };
        let Some(part) = self.parts.get(frame.part) else { return Ok(Bytes::new()) };
        part.file.read(frame.index)
    }

    pub(super) fn source(&self, node: u16) -> Source {
        let wall_minus_boot_ns = self.opening.wall_minus_boot_ns.unwrap_or_default();
        let at =
            |boot_ns| Timestamp { boot_ns, wall_ns: wall_minus_boot_ns.saturating_add_unsigned(boot_ns) };
        Source {
            node,
            name: self.opening.host.clone(),
            files: self.parts.iter().map(|part| part.path.clone()).collect(),
            first: at(self.opening.began_ns.unwrap_or_default()),
            last: at(self.newest_ns()),
        }
    }
}
