//! Going through a whole session once, from its beginning to its end, and leaving checkpoints: states to begin at when
//! somebody wants to see a moment of it.

use std::sync::Arc;

use super::{
    cursor::Cursor,
    landmarks::{Landmark, Lookout},
    records::Place,
    reel::Reel,
};
use crate::event::Timestamp;

/// Bytes of records from one checkpoint to the next, at least: these are gone along in some 30 ms. Tests have fewer.
const LEAST_APART_BYTES: u64 = if cfg!(test) { 4 << 10 } else { 16 << 20 };

/// Checkpoints at most.
const MOST: u64 = 256;

/// Goes through a session, a chapter at a time. It does so on a thread of its own; what it finds goes to the
/// [`Replay`](super::Replay) it was made by.
#[derive(Debug)]
pub struct Indexer {
    /// Which of the replay's indexers it is.
    pub(super) run: u32,
    pub(super) reel: Reel,
    pub(super) cursor: Cursor,
    pub(super) lookout: Lookout,
    /// Memory that all checkpoints together may take.
    pub(super) checkpoint_bytes: u64,
    /// Where the last checkpoint is.
    pub(super) left_at: Option<Place>,
}

/// What an [`Indexer`] found in a chapter.
#[derive(Debug)]
pub struct Found {
    pub(super) run: u32,
    /// How far it has come.
    pub(super) place: Place,
    /// The time of the newest event up to there.
    pub(super) now: Timestamp,
    pub(super) checkpoint: Option<Arc<Cursor>>,
    pub(super) landmarks: Vec<Landmark>,
    /// What could not be read, told with the last chapter.
    pub(super) damage: Vec<String>,
}

impl Found {
    /// What could not be read of the whole session, a sentence each; empty until its end has been reached.
    pub fn damage(&self) -> &[String] {
        &self.damage
    }
}

impl Iterator for Indexer {
    type Item = Found;

    /// Goes on by a chapter.
    fn next(&mut self) -> Option<Found> {
        let is_first = self.left_at.is_none();
        let end = self.reel.end();
        if !is_first && self.cursor.place >= end {
            return None;
        }
        if !is_first {
            self.cursor.advance(&self.reel, end);
        }
        let place = self.cursor.place;
        let state = &self.cursor.state;
        let is_last = place >= end;
        let checkpoint = (is_first || is_last || self.is_far_enough(place)).then(|| {
            self.left_at = Some(place);
            Arc::new(self.cursor.clone())
        });
        Some(Found {
            run: self.run,
            place,
            now: state.now(),
            checkpoint,
            landmarks: self.lookout.look(state),
            damage: if is_last { self.reel.session().damage() } else { Vec::new() },
        })
    }
}

impl Indexer {
    /// Whether the next checkpoint belongs here. If all states were as large as this one, those of the whole session
    /// would just fill the memory there is for them; small states, as at the beginning, stand closer.
    fn is_far_enough(&self, place: Place) -> bool {
        let all_bytes = self.reel.bytes_before(self.reel.end());
        let state_bytes = self.cursor.state.memory_bytes() as u64;
        let share =
            u128::from(all_bytes) * u128::from(state_bytes) / u128::from(self.checkpoint_bytes.max(1));
        let apart_bytes =
            u64::try_from(share).unwrap_or(u64::MAX).max(LEAST_APART_BYTES).max(all_bytes / MOST);
        self.reel.distance(self.left_at.unwrap_or_default(), place) >= apart_bytes
    }
}
