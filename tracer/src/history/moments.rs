//! What the screens can show: a node and its last while, or a session.

use std::borrow::Cow;

use super::{History, Kept, Landmark, Replay, landmarks};
use crate::{block::Block, event::Timestamp, filter::Filter, state::State};

/// The moments that can be shown, and which of them is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it stays where it is")]
pub enum Moments {
    /// Records that come in, and what is kept of them.
    Coming(History),
    /// A session, all of which is there.
    Session(Replay),
}

impl From<History> for Moments {
    fn from(history: History) -> Self {
        Self::Coming(history)
    }
}

impl From<Replay> for Moments {
    fn from(replay: Replay) -> Self {
        Self::Session(replay)
    }
}

impl Moments {
    /// The session, if it is one.
    pub fn session(&self) -> Option<&Replay> {
        match self {
            Self::Coming(_) => None,
            Self::Session(replay) => Some(replay),
        }
    }

    /// The same, to do something with it.
    pub fn session_mut(&mut self) -> Option<&mut Replay> {
        match self {
            Self::Coming(_) => None,
            Self::Session(replay) => Some(replay),
        }
    }

    /// All records that are kept of what comes in.
    pub(crate) fn kept(&self) -> Option<Kept> {
        match self {
            Self::Coming(history) => Some(history.kept()),
            Self::Session(_) => None,
        }
    }

    /// Takes in the next block. A session has all of its own.
    pub fn take(&mut self, block: &Block) {
        if let Self::Coming(history) = self {
            history.take(block);
        }
    }

    /// The state to show.
    pub fn shown(&self) -> &State {
        match self {
            Self::Coming(history) => history.shown(),
            Self::Session(replay) => replay.shown(),
        }
    }

    /// The state of now; of a session, the one that is shown.
    pub fn live(&self) -> &State {
        match self {
            Self::Coming(history) => history.live(),
            Self::Session(replay) => replay.shown(),
        }
    }

    /// The moment that is shown, or on the way there the one asked for; `None` if that is now.
    pub fn moment(&self) -> Option<Timestamp> {
        match self {
            Self::Coming(history) => history.moment(),
            Self::Session(replay) => Some(replay.moment()),
        }
    }

    /// The earliest moment that can be shown.
    pub fn begin(&self) -> Timestamp {
        match self {
            Self::Coming(history) => history.begin(),
            Self::Session(replay) => replay.begin(),
        }
    }

    /// The latest moment that can be shown.
    pub fn end(&self) -> Timestamp {
        match self {
            Self::Coming(history) => history.live().now(),
            Self::Session(replay) => replay.end(),
        }
    }

    /// Moments worth going to, in the order of time.
    pub fn landmarks(&self) -> Cow<'_, [Landmark]> {
        match self {
            Self::Coming(history) => Cow::Owned(landmarks::of_state(history.live())),
            Self::Session(replay) => Cow::Borrowed(replay.landmarks().all()),
        }
    }

    /// Since when the filter applies, if it came when older records had been given up.
    pub fn filtered_since(&self) -> Option<Timestamp> {
        match self {
            Self::Coming(history) => history.filtered_since(),
            Self::Session(_) => None,
        }
    }

    /// Shows this very moment from now on. A session does anyhow.
    pub fn pause(&mut self) {
        match self {
            Self::Coming(history) => history.pause(),
            Self::Session(replay) => replay.stop(),
        }
    }

    /// Shows what is now, or the end of a session.
    pub fn resume(&mut self) {
        match self {
            Self::Coming(history) => history.resume(),
            Self::Session(replay) => replay.go_to_end(),
        }
    }

    /// Shows a moment: everything before the first record that is later.
    pub fn go_to(&mut self, time: Timestamp) {
        match self {
            Self::Coming(history) => history.go_to(time),
            Self::Session(replay) => replay.go_to(time),
        }
    }

    /// Shows from now on only what meets a filter, or everything.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        match self {
            Self::Coming(history) => history.set_filter(filter),
            Self::Session(replay) => replay.set_filter(filter),
        }
    }

    /// Whether there is a way to go.
    pub fn has_work(&self) -> bool {
        match self {
            Self::Coming(history) => history.has_work(),
            Self::Session(replay) => replay.has_work(),
        }
    }

    /// Goes on by a chapter; some milliseconds at most.
    pub fn work(&mut self) {
        match self {
            Self::Coming(history) => history.work(),
            Self::Session(replay) => replay.work(),
        }
    }

    /// How far the way has come, in percent; `None` if there is none.
    pub fn progress(&self) -> Option<usize> {
        match self {
            Self::Coming(history) => history.progress(),
            Self::Session(replay) => replay.progress(),
        }
    }
}
