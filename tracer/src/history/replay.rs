//! A session, shown at any moment of it.
//!
//! ```text
//!  │ chapter │ chapter │ chapter │ chapter │ chapter │ chapter │ …
//!  ◆ checkpoint        ◆ checkpoint        ◆ checkpoint     ▲ indexer
//!                           ▲ shown
//! ```
//!
//! The [`Indexer`] goes through the session once and leaves checkpoints, states with their places. A moment is shown by
//! going forward from the last of them before it, or from a state that is nearer. What the indexer has not come to yet
//! has to wait for it: nothing could be there sooner. Another filter is another indexer.

use std::sync::Arc;

use super::{
    cursor::Cursor,
    indexer::{Found, Indexer},
    landmarks::{Landmarks, Lookout},
    records::Place,
    reel::{Recorded, Reel},
};
use crate::{
    event::Timestamp,
    filter::Filter,
    findings::Rules,
    state::{Limits, State},
};

/// Memory for checkpoints if nobody says otherwise.
pub const USUAL_CHECKPOINT_BYTES: usize = 512 << 20;

/// Bytes of records that are gone along so quickly that nothing has to be left on the way. Tests have fewer.
const SHORT_WAY_BYTES: u64 = if cfg!(test) { 1 << 10 } else { 4 << 20 };

/// States left on long ways at most, for whoever goes back a step at a time.
const STONES: usize = 2;

/// A session and the moment of it that is shown.
#[derive(Debug)]
pub struct Replay {
    reel: Reel,
    limits: Limits,
    rules: Arc<Rules>,
    filter: Option<Filter>,
    checkpoint_bytes: usize,
    /// Which indexer is at work; what earlier ones found is about another filter.
    run: u32,
    /// Not yet asked for.
    indexer: Option<Indexer>,
    /// How far the indexer has come.
    head: Place,
    /// The time of the newest event up to there.
    head_now: Timestamp,
    /// In the order of their places.
    checkpoints: Vec<Arc<Cursor>>,
    landmarks: Landmarks,
    /// Of this run or, until one of this run has arrived, the one before.
    shown: Arc<Cursor>,
    shown_run: u32,
    /// The time asked for, which is that of the newest record shown or later; `None` for the end.
    time: Option<Timestamp>,
    journey: Option<Journey>,
    stones: Vec<Arc<Cursor>>,
}

/// The way to a moment.
#[derive(Debug)]
struct Journey {
    goal: Place,
    time: Option<Timestamp>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// The indexer has to come there first. On the way to the end each checkpoint is shown if `is_growing`.
    Waiting { is_growing: bool },
    /// What is shown goes there itself.
    Walking { began: Place },
    /// Another state goes there and is shown when it has arrived.
    Apart {
        cursor: Arc<Cursor>,
        began: Place,
        /// How far before the goal the next stone is left, in bytes of records.
        stone_before: u64,
    },
}

impl Replay {
    /// A session up to the first record at `until_ns` or later, on the way to its end, of what meets a filter. About
    /// `checkpoint_bytes` of memory are taken for checkpoints.
    pub fn new(
        session: Arc<dyn Recorded>,
        until_ns: Option<u64>,
        filter: Option<Filter>,
        limits: Limits,
        checkpoint_bytes: usize,
    ) -> Self {
        let reel = Reel::new(session, until_ns);
        let shown = Arc::new(Cursor::new(State::new(limits), filter.clone(), Place::default()));
        let journey = Journey { goal: reel.end(), time: None, way: Way::Waiting { is_growing: true } };
        let mut replay = Self {
            reel,
            limits,
            rules: Arc::default(),
            filter,
            checkpoint_bytes,
            run: 0,
            indexer: None,
            head: Place::default(),
            head_now: Timestamp::default(),
            checkpoints: Vec::new(),
            landmarks: Landmarks::default(),
            shown,
            shown_run: 0,
            time: None,
            journey: Some(journey),
            stones: Vec::new(),
        };
        replay.index();
        replay
    }

    /// Judged by these rules, from the beginning.
    #[must_use]
    pub fn judged_by(mut self, rules: Arc<Rules>) -> Self {
        self.rules = rules;
        self.shown = Arc::new(Cursor::new(self.beginning(), self.filter.clone(), Place::default()));
        self.index();
        self
    }

    /// The state before anything happened.
    fn beginning(&self) -> State {
        State::new(self.limits).judged_by(Arc::clone(&self.rules))
    }

    /// Has the session gone through from the beginning, by an indexer of this run.
    fn index(&mut self) {
        self.run += 1;
        (self.head, self.head_now) = <(Place, Timestamp)>::default();
        self.checkpoints.clear();
        self.stones.clear();
        self.landmarks = Landmarks::default();
        self.indexer = Some(Indexer {
            run: self.run,
            reel: self.reel.clone(),
            cursor: Cursor::new(self.beginning(), self.filter.clone(), Place::default()),
            lookout: Lookout::default(),
            checkpoint_bytes: self.checkpoint_bytes as u64,
            left_at: None,
        });
    }

    /// The indexer whose finds are waited for, once: whoever has it drives it, and gives up the one before.
    pub fn take_indexer(&mut self) -> Option<Indexer> {
        self.indexer.take()
    }

    /// Takes in what the indexer found.
    pub fn take_found(&mut self, found: Found) {
        if found.run != self.run {
            return;
        }
        (self.head, self.head_now) = (found.place, found.now);
        self.landmarks.add(found.landmarks);
        if let Some(checkpoint) = found.checkpoint {
            let is_growing = matches!(
                &self.journey,
                Some(Journey { goal, way: Way::Waiting { is_growing: true }, .. }) if checkpoint.place <= *goal
            );
            if is_growing {
                (self.shown, self.shown_run) = (Arc::clone(&checkpoint), self.run);
            }
            self.checkpoints.push(checkpoint);
        }
        if let Some(Journey { goal, time, way: Way::Waiting { .. } }) = self.journey
            && self.head >= goal
        {
            self.depart(goal, time);
        }
    }

    /// The state to show.
    pub fn shown(&self) -> &State {
        &self.shown.state
    }

    /// The moment that is shown, or on the way there the one asked for.
    pub fn moment(&self) -> Timestamp {
        let time = self.journey.as_ref().map_or(self.time, |journey| journey.time);
        time.unwrap_or_else(|| self.end())
    }

    /// The moment up to which the picture has come.
    pub fn reached(&self) -> Timestamp {
        if self.journey.is_some() { self.shown.state.now().max(self.begin()) } else { self.moment() }
    }

    /// When recording began.
    pub fn begin(&self) -> Timestamp {
        self.at_boot_ns(self.reel.extent_ns().0)
    }

    /// The time of the last record.
    pub fn end(&self) -> Timestamp {
        self.at_boot_ns(self.reel.extent_ns().1)
    }

    /// A time since boot, by the wall clock as it is known.
    fn at_boot_ns(&self, boot_ns: u64) -> Timestamp {
        let shown = self.shown.state.now();
        let known = if shown == Timestamp::default() { self.head_now } else { shown };
        let wall_minus_boot_ns = i128::from(known.wall_ns) - i128::from(known.boot_ns);
        let wall_ns = i64::try_from(wall_minus_boot_ns + i128::from(boot_ns)).unwrap_or(i64::MAX);
        Timestamp { boot_ns, wall_ns }
    }

    /// Whether the wall clock is known by which times are told.
    pub fn has_times(&self) -> bool {
        self.head_now != Timestamp::default() || self.is_indexed()
    }

    /// How much has been indexed, as the time up to which all landmarks are known.
    pub fn indexed(&self) -> Timestamp {
        if self.is_indexed() { self.end() } else { self.head_now }
    }

    /// Whether the whole session has been gone through.
    pub fn is_indexed(&self) -> bool {
        self.head >= self.reel.end() && !self.checkpoints.is_empty()
    }

    /// Moments worth going to, as far as the session has been indexed.
    pub fn landmarks(&self) -> &Landmarks {
        &self.landmarks
    }

    /// Whether the last moment is shown, and not on the way to another.
    pub fn is_at_end(&self) -> bool {
        self.journey.is_none() && self.shown.place >= self.reel.end()
    }

    /// Checkpoints so far, and about how many bytes they take.
    pub fn checkpoints(&self) -> (usize, usize) {
        (self.checkpoints.len(), self.checkpoints.iter().map(|cursor| cursor.state.memory_bytes()).sum())
    }

    /// Shows a moment: everything before the first record that is later. Outside of the session it is its beginning or
    /// its end.
    pub fn go_to(&mut self, time: Timestamp) {
        let (begin_ns, end_ns) = self.reel.extent_ns();
        if time.boot_ns >= end_ns {
            return self.go_to_end();
        }
        let time = if time.boot_ns < begin_ns { self.begin() } else { time };
        self.depart(self.reel.place_after(time.boot_ns), Some(time));
    }

    /// Shows everything.
    pub fn go_to_end(&mut self) {
        self.depart(self.reel.end(), None);
    }

    /// Stays where the picture has come to.
    pub fn stop(&mut self) {
        if let Some(Journey { way: Way::Walking { .. }, .. }) = &self.journey {
            self.time = Some(self.reached());
            self.journey = None;
        }
    }

    /// Begins a journey, from whatever state is the cheapest to go there from.
    fn depart(&mut self, goal: Place, time: Option<Timestamp>) {
        if self.head < goal || self.checkpoints.is_empty() {
            self.journey = Some(Journey { goal, time, way: Way::Waiting { is_growing: false } });
            return;
        }
        let going = match self.journey.take() {
            Some(Journey { way: Way::Apart { cursor, .. }, .. }) => Some(cursor),
            _ => None,
        };
        let before = self.checkpoints.partition_point(|checkpoint| checkpoint.place <= goal);
        let checkpoint = before.checked_sub(1).and_then(|index| self.checkpoints.get(index));
        let nearest = going
            .iter()
            .chain(checkpoint)
            .chain(&self.stones)
            .filter(|cursor| cursor.place <= goal)
            .max_by_key(|cursor| cursor.place)
            .cloned();
        let shown_bytes = (self.shown_run == self.run && self.shown.place <= goal)
            .then(|| self.reel.distance(self.shown.place, goal));
        // Another state has to be copied before it can go on, which takes about as long as reading as many records.
        let nearest_bytes = nearest.as_ref().map(|cursor| {
            let copied = if cursor.place == goal { 0 } else { cursor.state.memory_bytes() as u64 };
            self.reel.distance(cursor.place, goal).saturating_add(copied)
        });
        let way = match (nearest, shown_bytes) {
            (Some(cursor), shown_bytes) if shown_bytes.is_none_or(|bytes| Some(bytes) > nearest_bytes) => {
                let began = cursor.place;
                Way::Apart { stone_before: self.reel.distance(began, goal) / 4, cursor, began }
            }
            _ => Way::Walking { began: self.shown.place },
        };
        self.journey = Some(Journey { goal, time, way });
        self.arrive();
    }

    /// Shows from now on only what meets a filter, or everything. It takes until the session has been gone through
    /// anew up to the moment that is shown.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        let journey = self.journey.take().map(|journey| (journey.goal, journey.time));
        let (goal, time) = journey.unwrap_or((self.shown.place, self.time));
        self.filter = filter;
        self.index();
        self.depart(goal, time);
    }

    /// Whether there is work to do here: not while the indexer has to come first.
    pub fn has_work(&self) -> bool {
        matches!(&self.journey, Some(Journey { way: Way::Walking { .. } | Way::Apart { .. }, .. }))
    }

    /// Goes on by a chapter; some milliseconds at most.
    pub fn work(&mut self) {
        let Self { reel, journey, shown, stones, .. } = self;
        match journey {
            Some(Journey { goal, way: Way::Walking { .. }, .. }) => {
                Arc::make_mut(shown).advance(reel, *goal);
            }
            Some(Journey { goal, way: Way::Apart { cursor, stone_before, .. }, .. }) => {
                Arc::make_mut(cursor).advance(reel, *goal);
                let left = reel.distance(cursor.place, *goal);
                if (SHORT_WAY_BYTES..=*stone_before).contains(&left) {
                    *stone_before /= 4;
                    if stones.len() == STONES {
                        stones.remove(0);
                    }
                    stones.push(Arc::clone(cursor));
                }
            }
            _ => {}
        }
        self.arrive();
    }

    fn arrive(&mut self) {
        let has_arrived = self.journey.as_ref().is_some_and(|journey| match &journey.way {
            Way::Waiting { .. } => false,
            Way::Walking { .. } => self.shown.place >= journey.goal,
            Way::Apart { cursor, .. } => cursor.place >= journey.goal,
        });
        if has_arrived && let Some(Journey { time, way, .. }) = self.journey.take() {
            if let Way::Apart { cursor, .. } = way {
                (self.shown, self.shown_run) = (cursor, self.run);
            }
            self.time = time;
        }
    }

    /// How far the way to the moment asked for has come, in percent; `None` if it is shown.
    pub fn progress(&self) -> Option<usize> {
        let journey = self.journey.as_ref()?;
        let (began, place) = match &journey.way {
            Way::Waiting { .. } => (Place::default(), self.head),
            Way::Walking { began } => (*began, self.shown.place),
            Way::Apart { cursor, began, .. } => (*began, cursor.place),
        };
        let whole = self.reel.distance(began, journey.goal).max(1);
        usize::try_from(u128::from(self.reel.distance(began, place).min(whole)) * 100 / u128::from(whole))
            .ok()
    }

    /// Whether the moment asked for has to wait until the session has been gone through up to there.
    pub fn is_reading(&self) -> bool {
        matches!(&self.journey, Some(Journey { way: Way::Waiting { .. }, .. }))
    }
}
