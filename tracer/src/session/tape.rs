//! Sessions as one run of records: the parts of a rotated recording in their order, and several nodes on one axis of
//! time.
//!
//! A *track* is what one node recorded, its files end to end. Of a single track the chapters are its frames, and the
//! records are those in the file. Several tracks are cut into chapters at common times.

mod opening;
#[cfg(test)]
mod tests;
mod track;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use self::track::Track;
use super::{OpenError, ReadError, SessionFile};
use crate::{
    block::Block,
    event::{Text, Timestamp},
};

/// Places of damage remembered that show only when they are read.
const FOUND_KEPT: usize = 1_000;

/// Sessions that cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// No file was named.
    #[error("no session is named")]
    Empty,
    /// A file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The beginning of a file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A run of records that is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// The latest time of any record up to its end, in nanoseconds on the tape's axis: it never goes back from chapter
    /// to chapter.
    pub newest_ns: u64,
    /// Bytes of its records. Of several sources an estimate, for how much lies between two places.
    pub record_bytes: usize,
}

/// What one node recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The number its records have.
    pub node: u16,
    /// The host's name.
    pub name: Text,
    /// Its files, in their order.
    pub files: Vec<PathBuf>,
    /// When recording began.
    pub first: Timestamp,
    /// Time of its newest record.
    pub last: Timestamp,
}

/// Sessions as one run of records. Any chapter can be read at any time, by several threads at once.
pub struct Tape {
    tracks: Vec<Track>,
    sources: Vec<Source>,
    chapters: Vec<Chapter>,
    /// What could not be read when the files were opened, a sentence each.
    damage: Vec<String>,
    /// The same of what was found later.
    found: Mutex<Vec<String>>,
}

impl Tape {
    /// Opens sessions in regular files and lists their chapters.
    ///
    /// # Errors
    /// If a file is no session, is too new, or cannot be read. What is damaged is left out and told by
    /// [`damage`](Self::damage).
    pub fn open(paths: &[PathBuf]) -> Result<Self, TapeError> {
        let path = paths.first().ok_or(TapeError::Empty)?;
        let track = Track::new(path, SessionFile::open(path)?)?;
        let damage = track.damage().collect();
        let sources = vec![track.source(0)];
        let chapters = track.frames().iter().map(|frame| frame.chapter()).collect();
        Ok(Self { tracks: vec![track], sources, chapters, damage, found: Mutex::default() })
    }

    /// What each node recorded, by the number of the node.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The chapters, in the order of time.
    pub fn chapters(&self) -> &[Chapter] {
        &self.chapters
    }

    /// The records of a chapter, by its index. Of one that turns out to be damaged there are none, which
    /// [`damage`](Self::damage) tells from then on.
    ///
    /// # Errors
    /// If a file cannot be read any more, or there is no such chapter.
    pub fn read(&self, index: usize) -> Result<Block, ReadError> {
        let Some(track) = self.tracks.first() else { return Ok(Block::default()) };
        match track.read(index) {
            Ok(records) => Ok(Block(records)),
            Err(error @ ReadError::Damaged { .. }) => {
                self.note(error.to_string());
                Ok(Block::default())
            }
            Err(error) => Err(error),
        }
    }

    fn note(&self, text: String) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < FOUND_KEPT && !found.contains(&text) {
            found.push(text);
        }
    }

    /// What could not be read so far, a sentence each.
    pub fn damage(&self) -> Vec<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        self.damage.iter().chain(found.iter()).cloned().collect()
    }
}

/// A sentence about a file.
fn about(path: &Path, what: impl std::fmt::Display) -> String {
    format!("{}: {what}", path.display())
}
