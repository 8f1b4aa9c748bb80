//! Sessions as one run of records: the parts of a rotated recording in their order, and several nodes on one axis of
//! time.
//!
//! A *track* is one session, its files end to end. Of a single track the chapters are its frames, and the records are
//! those in the files. Several tracks are moved to one axis of time and cut into chapters at common times.

mod axis;
mod chain;
mod clocks;
mod merge;
mod opening;
mod shift;
#[cfg(test)]
mod tests;
mod track;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

pub use self::shift::Shift;
use self::{
    axis::Placement,
    merge::Cut,
    track::{Part, Track},
};
use super::{OpenError, ReadError, SessionFile};
use crate::{
    block::Block,
    decode::records,
    event::{Clock, SessionPart, Text, Timestamp},
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
    /// Two names lead to the same records.
    #[error("{} and {} are the same part of one session: name it once", first.display(), second.display())]
    Twice {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// More nodes than can be shown together.
    #[error("more than {} nodes cannot be put together: name fewer sessions", axis::NODES_AT_MOST)]
    TooMany,
    /// A shift is for a node that no session is of.
    #[error("no session is of the node {name:?}; there are {nodes}")]
    NoSuchNode {
        /// The name.
        name: String,
        /// The names there are.
        nodes: String,
    },
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

/// One session: what one node recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The number its records have. Sessions of one boot of one node have the same.
    pub node: u16,
    /// The node's name: the host's, told apart where several have the same.
    pub name: Text,
    /// Its files, in their order.
    pub files: Vec<PathBuf>,
    /// Which session, and the number of its first file; none before format 1.1.
    pub session: Option<SessionPart>,
    /// When recording began, on the tape's axis.
    pub first: Timestamp,
    /// Time of its newest record, on the tape's axis.
    pub last: Timestamp,
    /// Whether and how well the wall clock was kept when recording began, where that is told.
    pub clock: Option<Clock>,
    /// Nanoseconds that were asked to be added to its times.
    pub shift_ns: i64,
    /// Nanoseconds from its boot clock to the tape's axis.
    pub later_by_ns: u64,
}

/// Sessions as one run of records. Any chapter can be read at any time, by several threads at once.
///
/// The axis of a single session is its boot clock. That of several nodes begins when the first of them was booted; their
/// records have the node's number and that time in their headers.
pub struct Tape {
    tracks: Vec<Track>,
    placements: Vec<Placement>,
    sources: Vec<Source>,
    chapters: Vec<Chapter>,
    /// Where the chapters of several tracks end.
    cuts: Vec<Cut>,
    /// The nodes' names, ahead of everything: every row names its node from the first.
    names: Vec<u8>,
    /// What could not be read when the files were opened, a sentence each.
    damage: Vec<String>,
    /// The same of what was found later.
    found: Mutex<Vec<String>>,
}

impl Tape {
    /// Opens sessions in regular files, puts them together and lists their chapters.
    ///
    /// # Errors
    /// If a file is no session, is too new, is named twice or cannot be read. What is damaged or missing is left out and
    /// told by [`damage`](Self::damage).
    pub fn open(paths: &[PathBuf]) -> Result<Self, TapeError> {
        Self::open_shifted(paths, &[])
    }

    /// The same with the clocks of nodes corrected.
    ///
    /// # Errors
    /// Also if a shift is for an unknown node.
    pub fn open_shifted(paths: &[PathBuf], shifts: &[Shift]) -> Result<Self, TapeError> {
        if paths.is_empty() {
            return Err(TapeError::Empty);
        }
        Self::of_tracks(chain::tracks(paths)?, shifts)
    }

    /// One session in a regular file that is open at its beginning and need not have a name; `path` names it in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_file(file: File, path: &Path) -> Result<Self, TapeError> {
        let part = Part::of(SessionFile::of(file, path)?, path.to_owned())?;
        Self::of_tracks(vec![Track::new(vec![part])], &[])
    }

    fn of_tracks(tracks: Vec<Track>, shifts: &[Shift]) -> Result<Self, TapeError> {
        let placements = axis::placements(&tracks, shifts)?;
        let cuts = if tracks.len() > 1 { merge::cuts(&tracks, &placements) } else { Vec::new() };
        let chapters = match &tracks[..] {
            [track] => alone(track, placements.first()),
            _ => cuts.iter().map(|cut| cut.chapter).collect(),
        };
        let sources: Vec<Source> =
            tracks.iter().zip(&placements).map(|(track, placement)| source(track, placement)).collect();
        let mut damage: Vec<String> = tracks.iter().flat_map(Track::damage).collect();
        damage.extend(clocks::doubts(&sources, &placements));
        let names = names(&tracks, &placements);
        Ok(Self { tracks, placements, sources, chapters, cuts, names, damage, found: Mutex::default() })
    }

    /// The sessions, in the order they were named.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The chapters, in the order of time.
    pub fn chapters(&self) -> &[Chapter] {
        &self.chapters
    }

    /// The records of a chapter, by its index; none behind the last one. Of a damaged frame there are none, which
    /// [`damage`](Self::damage) tells from then on.
    ///
    /// # Errors
    /// If a file cannot be read any more.
    pub fn read(&self, index: usize) -> Result<Block, ReadError> {
        if let ([track], [placement]) = (&self.tracks[..], &self.placements[..]) {
            return match track.read(index) {
                Ok(records) if placement.is_identity() && is_of_one_node(&records) => Ok(Block(records)),
                Ok(records) => Ok(Block(placement.moved(&records).into())),
                Err(error @ ReadError::Damaged { .. }) => {
                    self.note(&error);
                    Ok(Block::default())
                }
                Err(error) => Err(error),
            };
        }
        let Some(until) = self.cuts.get(index) else { return Ok(Block::default()) };
        let before = index.checked_sub(1).and_then(|before| self.cuts.get(before));
        let mut records = if before.is_none() { self.names.clone() } else { Vec::new() };
        merge::append(&mut records, &self.tracks, &self.placements, (before, until), |error| {
            self.note(error);
        })?;
        Ok(Block(Bytes::from(records)))
    }

    fn note(&self, error: &ReadError) {
        let text = error.to_string();
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < FOUND_KEPT && !found.contains(&text) {
            found.push(text);
        }
    }

    /// What could not be read so far, what is missing, and what is doubtful, a sentence each.
    pub fn damage(&self) -> Vec<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        self.damage.iter().chain(found.iter()).cloned().collect()
    }

    /// How the sessions of several nodes stand to each other in time, a sentence each; none of one alone.
    pub fn clocks(&self) -> Vec<String> {
        clocks::sentences(&self.sources)
    }
}

/// Whether records are as a node writes them. Numbers of nodes are given here and by nobody else: tables are as long as
/// the largest.
fn is_of_one_node(run: &[u8]) -> bool {
    records(run).all(|(header, _)| header.node == 0)
}

/// The chapters of a single track: its frames.
fn alone(track: &Track, placement: Option<&Placement>) -> Vec<Chapter> {
    let on_axis = |newest_ns| placement.map_or(newest_ns, |placement| placement.on_axis(newest_ns));
    let chapter = |frame: &track::TrackFrame| Chapter {
        newest_ns: on_axis(frame.newest_ns),
        record_bytes: frame.record_bytes,
    };
    track.frames().iter().map(chapter).collect()
}

fn source(track: &Track, placement: &Placement) -> Source {
    let opening = track.opening();
    let wall_ns = placement.wall_minus_axis_ns(opening.wall_minus_boot_ns.unwrap_or_default());
    let at = |boot_ns| {
        let axis_ns = placement.on_axis(boot_ns);
        Timestamp { boot_ns: axis_ns, wall_ns: wall_ns.saturating_add_unsigned(axis_ns) }
    };
    Source {
        node: placement.node,
        name: placement.name.clone(),
        files: track.parts().iter().map(|part| part.path.clone()).collect(),
        session: opening.session,
        first: at(opening.began_ns.unwrap_or_default()),
        last: at(track.newest_ns()),
        clock: opening.clock,
        shift_ns: placement.shift_ns,
        later_by_ns: placement.later_by_ns,
    }
}

/// The records of the nodes' names, if there are several nodes.
fn names(tracks: &[Track], placements: &[Placement]) -> Vec<u8> {
    let mut records = Vec::new();
    let began = tracks.iter().zip(placements).filter_map(|(track, placement)| {
        track.opening().began_ns.map(|began_ns| placement.on_axis(began_ns))
    });
    let axis_ns = began.min().unwrap_or_default();
    if placements.iter().any(|placement| placement.node != 0) {
        let mut told = None;
        for (track, placement) in tracks.iter().zip(placements) {
            if told.is_none_or(|told| placement.node > told) {
                placement.append_names(&mut records, track, axis_ns);
                told = Some(placement.node);
            }
        }
    }
    records
}

/// A sentence about a file.
fn about(path: &Path, what: impl std::fmt::Display) -> String {
    format!("{}: {what}", path.display())
}
