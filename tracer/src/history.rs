//! The last while, kept: the records themselves and the state before them, so that any moment of it can be shown again,
//! and any filter applied to all of it.
//!
//! ```text
//!  base ─▶ │ chapter │ chapter │ … │ open chapter │
//!          begin          ▲                  end ▲
//!                       shown                  live
//! ```
//!
//! A [`Cursor`] is a state with its place among the records, and all cursors move along the same records. The *base*
//! stands before the oldest, and moves on when that is given up; *live* stands behind the newest; what is *shown*
//! instead of it stands wherever the user went. To go back is to go forward from the base; to filter is to go forward
//! from a base that is filtered. The long ways are gone a chapter at a time ([`History::work`]), and until a cursor has
//! arrived the one before it is shown.

mod ahead;
mod cursor;
mod flight;
mod indexer;
mod kept;
mod landmarks;
mod moments;
#[cfg(test)]
pub(crate) mod recording;
mod records;
mod reel;
mod replay;
mod ring;
#[cfg(test)]
mod tests;

use self::{cursor::Cursor, records::Place, ring::Ring};
pub(crate) use self::{flight::Flight, kept::Kept};
pub use self::{
    indexer::{Found, Indexer},
    landmarks::{Landmark, LandmarkKind, Landmarks},
    moments::Moments,
    reel::Recorded,
    replay::{Replay, USUAL_CHECKPOINT_BYTES},
};
use crate::{
    block::Block,
    event::Timestamp,
    filter::Filter,
    state::{Limits, State},
};

/// Compressed bytes of records kept if nobody says otherwise: most of a minute of 60,000
/// records a second, days of an ordinary node.
pub const USUAL_HISTORY_BYTES: usize = 64 << 20;

/// The records of the last while, the state of now, and the state of the moment that is shown instead, if one is.
#[derive(Debug)]
pub struct History {
    ring: Ring,
    limits: Limits,
    /// Before the oldest kept record, of everything.
    base: Cursor,
    /// The same of what meets the filter, if there is one.
    filtered_base: Option<Cursor>,
    filtered_since: Option<Timestamp>,
    live: Cursor,
    shown: Option<Stop>,
    /// On its way to become live, under another filter.
    to_live: Option<Cursor>,
    /// On its way to become what is shown.
    to_shown: Option<Journey>,
    /// Left behind on the way: whoever goes further back, a step at a time, begins there and not at the base.
    stones: Vec<Cursor>,
}

/// A moment that is shown.
#[derive(Debug)]
struct Stop {
    cursor: Cursor,
    /// The time asked for, which is that of its newest record or later.
    time: Timestamp,
}

/// The way to such a moment.
#[derive(Debug)]
struct Journey {
    cursor: Cursor,
    began: Place,
    goal: Place,
    time: Timestamp,
    /// How far before the goal the next stone is left, in bytes of records.
    stone_before: usize,
}

/// Stones left at most: each holds a state.
const STONES: usize = 2;

/// Chapters that are gone through quickly enough without one.
const SHORT_WAY_CHAPTERS: usize = 4;

impl History {
    /// A history that begins with a state, shows what meets a filter, and keeps about `limit_bytes` of what follows.
    pub fn new(state: State, filter: Option<Filter>, limits: Limits, limit_bytes: usize) -> Self {
        let ring = Ring::new(limit_bytes);
        let base = Cursor::new(state, None, ring.begin());
        let filtered_base = filter.map(|filter| base.with(filter, (*base.state).clone()));
        let live = filtered_base.as_ref().unwrap_or(&base).clone();
        Self {
            ring,
            limits,
            base,
            filtered_base,
            filtered_since: None,
            live,
            shown: None,
            to_live: None,
            to_shown: None,
            stones: Vec::new(),
        }
    }

    /// Takes in the next block. What is shown stays as it is, unless it is live.
    pub fn take(&mut self, block: &Block) {
        self.ring.push(block);
        self.live.apply(block, self.ring.end());
        while let Some(next) = self.ring.excess() {
            self.give_up_before(next);
        }
    }

    /// Moves the bases to the second chapter and gives the first one up.
    fn give_up_before(&mut self, next: Place) {
        self.base.advance(&self.ring, next);
        if let Some(base) = &mut self.filtered_base {
            base.advance(&self.ring, next);
        }
        // Whoever has not come so far yet would miss it.
        let base = self.filtered_base.as_ref().unwrap_or(&self.base);
        if let Some(cursor) = &mut self.to_live
            && cursor.place < next
        {
            *cursor = base.clone();
        }
        if let Some(journey) = &mut self.to_shown
            && journey.cursor.place < next
        {
            journey.cursor = base.clone();
            journey.began = next;
            journey.goal = journey.goal.max(next);
            journey.time = journey.time.max(base.state.now());
        }
        self.stones.retain(|stone| stone.place >= next);
        self.ring.give_up_first();
    }

    /// The state of now.
    pub fn live(&self) -> &State {
        &self.live.state
    }

    /// The state of now, for changes that no record tells; they are in no moment before.
    pub fn live_mut(&mut self) -> &mut State {
        &mut self.live.state
    }

    /// The state to show: of now, or of the moment gone to.
    pub fn shown(&self) -> &State {
        self.shown.as_ref().map_or(&self.live.state, |stop| &stop.cursor.state)
    }

    /// The moment that is shown, or on the way there the one asked for; `None` if that is now.
    pub fn moment(&self) -> Option<Timestamp> {
        let journey = self.to_shown.as_ref().map(|journey| journey.time);
        journey.or_else(|| self.shown.as_ref().map(|stop| stop.time))
    }

    /// The earliest moment that can be shown.
    pub fn begin(&self) -> Timestamp {
        let before = self.base.state.now();
        if before == Timestamp::default() { self.live.state.began() } else { before }
    }

    /// Since when the filter applies, if it came when older records had been given up.
    pub fn filtered_since(&self) -> Option<Timestamp> {
        self.filtered_since
    }

    /// All records that are kept, and what held before them.
    pub(crate) fn kept(&self) -> Kept {
        self.ring.kept()
    }

    /// Bytes the records take.
    pub fn kept_bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// Shows this very moment from now on.
    pub fn pause(&mut self) {
        self.depart(self.ring.end(), self.live.state.now());
    }

    /// Shows what is now.
    pub fn resume(&mut self) {
        self.shown = None;
        self.to_shown = None;
        self.stones.clear();
    }

    /// Shows a moment: everything before the first record that is later. Outside of what is kept it is the nearest
    /// moment that is.
    pub fn go_to(&mut self, time: Timestamp) {
        let time = time.clamp(self.begin(), self.live.state.now().max(self.begin()));
        let goal = self.ring.place_after(time.boot_ns);
        self.depart(goal, time);
    }

    /// Begins a journey from whichever cursor is the nearest before the goal.
    fn depart(&mut self, goal: Place, time: Timestamp) {
        let begin = self.ring.begin();
        let shown = self.shown.as_ref().map(|stop| &stop.cursor);
        let going = self.to_shown.take().map(|journey| journey.cursor);
        let base = self.filtered_base.as_ref().unwrap_or(&self.base);
        let nearest = [Some(base), shown, going.as_ref(), Some(&self.live)]
            .into_iter()
            .flatten()
            .chain(&self.stones)
            .filter(|cursor| (begin..=goal).contains(&cursor.place) && cursor.filter() == base.filter())
            .max_by_key(|cursor| cursor.place);
        let cursor = nearest.unwrap_or(base).clone();
        let stone_before = self.ring.distance(cursor.place, goal) / 4;
        self.to_shown = Some(Journey { began: cursor.place, cursor, goal, time, stone_before });
        self.arrive();
    }

    /// Shows from now on only what meets a filter, or everything. A filter that comes later than the oldest kept record
    /// sees what is kept, and no more: see [`State::facts`].
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        let is_whole = self.ring.begin() == Place::default();
        self.filtered_since = (filter.is_some() && !is_whole).then(|| self.base.state.now());
        self.filtered_base = filter.map(|filter| {
            let state =
                if is_whole { (*self.base.state).clone() } else { self.base.state.facts(self.limits) };
            self.base.with(filter, state)
        });
        let base = self.filtered_base.as_ref().unwrap_or(&self.base).clone();
        let going = self.to_shown.as_ref().map(|journey| (journey.goal, journey.time));
        let moment = going.or_else(|| self.shown.as_ref().map(|stop| (stop.cursor.place, stop.time)));
        self.to_live = Some(base);
        self.stones.clear();
        if let Some((goal, time)) = moment {
            self.depart(goal.max(self.ring.begin()), time);
        }
    }

    /// Whether some cursor has not arrived.
    pub fn has_work(&self) -> bool {
        self.to_shown.is_some() || self.to_live.is_some()
    }

    /// Goes on by a chapter; some milliseconds at most. What the user looks at comes first.
    pub fn work(&mut self) {
        if let Some(journey) = &mut self.to_shown {
            journey.cursor.advance(&self.ring, journey.goal);
            let left = self.ring.distance(journey.cursor.place, journey.goal);
            let short_way = self.ring.chapter_bytes() * SHORT_WAY_CHAPTERS;
            if (short_way..=journey.stone_before).contains(&left) {
                journey.stone_before /= 4;
                let cursor = journey.cursor.clone();
                if self.stones.len() == STONES {
                    self.stones.remove(0);
                }
                self.stones.push(cursor);
            }
            self.arrive();
        } else if let Some(cursor) = &mut self.to_live {
            cursor.advance(&self.ring, self.ring.end());
            if cursor.place == self.ring.end()
                && let Some(cursor) = self.to_live.take()
            {
                self.live = cursor;
            }
        }
    }

    fn arrive(&mut self) {
        if let Some(Journey { cursor, time, .. }) =
            self.to_shown.take_if(|journey| journey.cursor.place >= journey.goal)
        {
            self.shown = Some(Stop { cursor, time });
        }
    }

    /// How far the work has come, in percent; `None` if there is none.
    pub fn progress(&self) -> Option<usize> {
        let (began, place, goal) = match (&self.to_shown, &self.to_live) {
            (Some(journey), _) => (journey.began, journey.cursor.place, journey.goal),
            (None, Some(cursor)) => (self.ring.begin(), cursor.place, self.ring.end()),
            (None, None) => return None,
        };
        let whole = self.ring.distance(began, goal).max(1);
        Some(self.ring.distance(began, place).min(whole) * 100 / whole)
    }
}
