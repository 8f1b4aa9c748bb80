//! A value over time, in bounded memory.

use std::collections::VecDeque;

use crate::event::Timestamp;

/// Changes kept.
const KEPT: usize = 64;

/// When a value became what it is, oldest first. Of more changes than are kept the oldest are given up.
#[derive(Clone, Debug)]
pub(super) struct Steps<T> {
    steps: VecDeque<(Timestamp, T)>,
    changes: u64,
}

impl<T> Default for Steps<T> {
    fn default() -> Self {
        Self { steps: VecDeque::new(), changes: 0 }
    }
}

impl<T: Copy + Eq> Steps<T> {
    /// The value from a time on. What comes late, from another CPU, counts from the newest change on.
    pub(super) fn set(&mut self, time: Timestamp, value: T) {
        let newest = self.steps.back().copied();
        if newest.is_some_and(|(_, known)| known == value) {
            return;
        }
        self.changes += u64::from(newest.is_some());
        if self.steps.len() == KEPT {
            self.steps.pop_front();
        }
        let time = newest.map_or(time, |(before, _)| before.max(time));
        self.steps.push_back((time, value));
    }

    /// Every change that is kept, oldest first, the first value included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Timestamp, T)> {
        self.steps.iter().copied()
    }

    /// How often it changed.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Changes that were given up.
    pub(super) fn left_out(&self) -> u64 {
        (self.changes + 1).saturating_sub(self.steps.len().max(1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Steps};
    use crate::state::fixture::at;

    #[test]
    fn only_changes_are_kept_and_the_oldest_make_room() {
        let mut steps = Steps::default();
        assert_eq!((steps.changes(), steps.left_out()), (0, 0));
        for (time, value) in [(1, 5), (2, 5), (3, 0), (2, 1)] {
            steps.set(at(time), value);
        }
        assert_eq!(steps.iter().collect::<Vec<_>>(), [(at(1), 5), (at(3), 0), (at(3), 1)]);
        assert_eq!((steps.changes(), steps.left_out()), (2, 0));
        for value in 0..100 {
            steps.set(at(10 + value), value);
        }
        assert_eq!((steps.iter().count(), steps.changes(), steps.left_out()), (KEPT, 102, 103 - 64));
    }
}
