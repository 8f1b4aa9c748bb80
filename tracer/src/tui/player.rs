//! Playing a session: the moment that is shown goes on with time.

use std::time::Duration;

use super::when::{When, moved};
use crate::history::Replay;

/// How many times as fast as it happened, from the slowest on.
pub const SPEEDS: [u32; 6] = [1, 2, 4, 10, 60, 600];

/// Whether a session plays, and how fast.
#[derive(Clone, Debug, Default)]
pub struct Player {
    /// Whether it plays.
    pub is_playing: bool,
    /// Which of the [`SPEEDS`].
    speed: usize,
    /// Where to begin, as soon as the times of the session are known; else it is its end.
    pub start: Option<When>,
    /// Whether the picture could not follow when time went on last.
    pub is_behind: bool,
}

impl Player {
    /// How many times as fast as it happened.
    pub fn speed(&self) -> u32 {
        SPEEDS.get(self.speed).copied().unwrap_or(1)
    }

    /// Plays faster, or slower; as fast as it can, or as slow, it stays so.
    pub fn change_speed(&mut self, is_faster: bool) {
        let speed = if is_faster { self.speed + 1 } else { self.speed.saturating_sub(1) };
        self.speed = speed.min(SPEEDS.len() - 1);
    }

    /// Plays, from the beginning if the end is shown, or stops.
    pub fn toggle(&mut self, replay: &mut Replay) {
        self.is_playing = !self.is_playing;
        if !self.is_playing {
            replay.stop();
        } else if replay.moment().boot_ns >= replay.end().boot_ns {
            replay.go_to(replay.begin());
        }
        self.is_behind = false;
    }

    /// Lets time go on. As long as the picture has not arrived at the moment it should show, time stands still: it
    /// plays as fast as it can.
    pub fn go_on(&mut self, replay: &mut Replay, elapsed: Duration) {
        if !self.is_playing {
            return;
        }
        self.is_behind = replay.progress().is_some();
        if self.is_behind {
            return;
        }
        let moment = replay.moment();
        if moment.boot_ns >= replay.end().boot_ns {
            self.is_playing = false;
            return;
        }
        let elapsed_ns = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX);
        replay.go_to(moved(moment, elapsed_ns.saturating_mul(self.speed().into())));
    }
}
