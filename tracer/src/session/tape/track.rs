//! What one node recorded: the files of a session end to end.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::{TapeError, about, opening::Opening};
use crate::session::{ReadError, SessionFile};

/// A session file, and what its beginning tells.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) file: SessionFile,
    pub(super) opening: Opening,
}

impl Part {
    /// Opens a file and reads its beginning.
    pub(super) fn open(path: PathBuf) -> Result<Self, TapeError> {
        let file = SessionFile::open(&path)?;
        Self::of(file, path)
    }

    /// The same of a file that is open.
    pub(super) fn of(file: SessionFile, path: PathBuf) -> Result<Self, TapeError> {
        let opening = Opening::of(&file)?;
        Ok(Self { path, file, opening })
    }

    /// Its number among the files of its session, if it says one.
    pub(super) fn number(&self) -> Option<u32> {
        self.opening.session.map(|session| session.part)
    }

    /// Whether all of it is there, as far as is known without reading it.
    fn is_whole(&self) -> bool {
        self.file.damage().is_empty()
    }
}

/// A frame of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackFrame {
    /// Which of its files.
    part: usize,
    /// Which of the file's frames.
    index: usize,
    /// Bytes of records at its beginning that are left out.
    skip: usize,
    /// Bytes of the records behind those.
    pub(super) record_bytes: usize,
    /// The latest time of any record up to its end, by the node's own boot clock. It never goes back.
    pub(super) newest_ns: u64,
}

/// The files of a session, end to end.
pub(super) struct Track {
    opening: Opening,
    parts: Vec<Part>,
    frames: Vec<TrackFrame>,
    /// What was read last, which is often wanted again: chapters end within frames.
    last_read: Mutex<Option<(usize, Bytes)>>,
}

impl Track {
    /// Of files in their order. A later file begins with what the one before had told; where that one is there to its
    /// end, it is left out.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        let mut frames = Vec::new();
        let mut newest_ns = 0;
        let mut before: Option<&Part> = None;
        for (number, part) in parts.iter().enumerate() {
            let is_known = before.is_some_and(|before| before.is_whole() && follows(part, before));
            let begin = part.opening.stream.filter(|_| is_known).unwrap_or_default();
            for (index, frame) in part.file.frames().iter().enumerate().skip(begin.frame) {
                newest_ns = frame.newest_ns.max(newest_ns);
                let skip = if index == begin.frame { begin.byte } else { 0 };
                let record_bytes = (frame.record_bytes as usize).saturating_sub(skip);
                frames.push(TrackFrame { part: number, index, skip, record_bytes, newest_ns });
            }
            before = Some(part);
        }
        let opening = parts.first().map(|part| part.opening.clone()).unwrap_or_default();
        Self { opening, parts, frames, last_read: Mutex::default() }
    }

    pub(super) fn frames(&self) -> &[TrackFrame] {
        &self.frames
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What its first file tells.
    pub(super) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The time of its newest record.
    pub(super) fn newest_ns(&self) -> u64 {
        self.frames.last().map_or(0, |frame| frame.newest_ns)
    }

    /// What could not be read when it was opened, and which files are missing between those there are.
    pub(super) fn damage(&self) -> Vec<String> {
        let mut damage: Vec<String> = Vec::new();
        let mut before: Option<&Part> = None;
        for part in &self.parts {
            if let Some(before) = before.filter(|before| !follows(part, before)) {
                damage.push(format!(
                    "files of the session are missing between {} and {}",
                    before.path.display(),
                    part.path.display()
                ));
            }
            damage.extend(part.file.damage().iter().map(|damage| about(&part.path, damage)));
            before = Some(part);
        }
        damage
    }

    /// The records of a frame as they are in the file; those of a damaged frame are none, and `Err` says so.
    pub(super) fn read(&self, index: usize) -> Result<Bytes, ReadError> {
        let mut last_read = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, records)) = last_read.as_ref().filter(|(of, _)| *of == index) {
            return Ok(records.clone());
        }
        let Some(frame) = self.frames.get(index) else { return Ok(Bytes::new()) };
        let Some(part) = self.parts.get(frame.part) else { return Ok(Bytes::new()) };
        // Others may read meanwhile.
        drop(last_read);
        let records = part.file.read(frame.index)?;
        let records = records.slice(frame.skip.min(records.len())..);
        last_read = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
        *last_read = Some((index, records.clone()));
        Ok(records)
    }
}

/// Whether a file is the next of its session.
fn follows(part: &Part, before: &Part) -> bool {
    match (before.number(), part.number()) {
        (Some(before), Some(number)) => before.checked_add(1) == Some(number),
        _ => false,
    }
}
