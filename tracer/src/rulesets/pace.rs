//! When a ruleset is counted: once it has changed and come to rest, and never so often that counting costs much.

use std::time::{Duration, Instant};

/// How long a ruleset that keeps changing goes uncounted.
const PATIENCE: Duration = Duration::from_secs(5);

/// After a count, this many times its length passes before the next: at most a twentieth of a processor, unless a
/// count takes longer than a second.
const REST: u32 = 20;

/// The longest rest: what is repaired is to be seen within half a minute.
const LONGEST_REST: Duration = Duration::from_secs(20);

/// The least rest after a count that failed.
const FAILURE_REST: Duration = Duration::from_secs(5);

/// The pace of counting one ruleset, of which a mark can be had cheaply that differs after a change.
#[derive(Clone, Debug)]
pub(crate) struct Pace<M> {
    mark: Option<M>,
    /// When the oldest change that is not counted yet was noticed.
    changed: Option<Instant>,
    not_before: Option<Instant>,
}

impl<M> Default for Pace<M> {
    fn default() -> Self {
        Self { mark: None, changed: None, not_before: None }
    }
}

impl<M: PartialEq> Pace<M> {
    /// Whether to count now that the ruleset shows this mark.
    pub(crate) fn is_due(&mut self, mark: M, now: Instant) -> bool {
        let is_first = self.mark.is_none();
        let is_moving = self.mark.as_ref() != Some(&mark);
        self.mark = Some(mark);
        if is_moving {
            self.changed.get_or_insert(now);
        }
        let Some(changed) = self.changed else { return false };
        let is_rested = self.not_before.is_none_or(|not_before| now >= not_before);
        is_rested && (is_first || !is_moving || now.duration_since(changed) >= PATIENCE)
    }

    /// When the oldest change that is not counted yet was noticed.
    pub(crate) fn changed(&self) -> Option<Instant> {
        self.changed
    }

    /// It was counted, which took that long and ended now.
    pub(crate) fn counted(&mut self, took: Duration, now: Instant) {
        self.changed = None;
        self.not_before = now.checked_add(rest(took));
    }

    /// The last count was one that is rare: the next change need not wait for it.
    pub(crate) fn go_on(&mut self) {
        self.not_before = None;
    }

    /// It could not be counted.
    pub(crate) fn failed(&mut self, took: Duration, now: Instant) {
        self.not_before = now.checked_add(rest(took).max(FAILURE_REST));
    }

    /// It is to be counted again without a change that shows.
    pub(crate) fn ask_again(&mut self, now: Instant) {
        self.changed.get_or_insert(now);
    }
}

fn rest(took: Duration) -> Duration {
    took.saturating_mul(REST).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Pace;

    /// Looks each second at marks, each count taking `took_ms`; the seconds at which it was counted.
    fn counted_at(marks: &[u32], took_ms: u64) -> Vec<usize> {
        let start = Instant::now();
        let took = Duration::from_millis(took_ms);
        let mut pace = Pace::default();
        let mut counted = Vec::new();
        for (second, &mark) in marks.iter().enumerate() {
            let now = start + Duration::from_secs(second as u64);
            if pace.is_due(mark, now) {
                counted.push(second);
                pace.counted(took, now);
            }
        }
        counted
    }

    #[test]
    fn it_counts_once_after_a_change_has_come_to_rest() {
        assert_eq!(counted_at(&[1, 1, 1, 2, 2, 2, 2], 1), [0, 4]);
        assert_eq!(counted_at(&[1, 1, 2, 3, 4, 4, 4], 1), [0, 5]);
    }

    #[test]
    fn what_never_rests_is_counted_all_the_same() {
        let marks: Vec<u32> = (0..20).collect();
        assert_eq!(counted_at(&marks, 1), [0, 6, 12, 18]);
    }

    #[test]
    fn a_slow_count_is_followed_by_a_long_rest() {
        let marks: Vec<u32> = (0..100).collect();
        assert_eq!(counted_at(&marks, 500), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
        assert_eq!(counted_at(&marks, 2_000), [0, 20, 40, 60, 80]);
        assert_eq!(counted_at(&[1, 2, 2, 2, 2, 2, 2, 2], 200), [0, 4]);
    }

    #[test]
    fn a_failed_count_is_tried_again_after_a_while() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut pace = Pace::default();
        assert!(pace.is_due(1, at(0)));
        pace.failed(Duration::ZERO, at(0));
        assert!(!pace.is_due(1, at(4)) && pace.is_due(1, at(5)));
        pace.counted(Duration::ZERO, at(5));
        assert!(!pace.is_due(1, at(6)) && pace.changed().is_none());
        pace.ask_again(at(7));
        assert!(pace.is_due(1, at(8)));
        // After a long one a change waits, but not where that was an exception.
        pace.counted(Duration::from_secs(4), at(12));
        assert!(!pace.is_due(2, at(13)) && !pace.is_due(2, at(14)));
        pace.go_on();
        assert!(pace.is_due(2, at(15)));
    }
}
