//! Things that go wrong again and again.

use super::{
    rates::{Buckets, second_of},
    span::Span,
};
use crate::event::Timestamp;

/// The seconds within which [`Spell::densest`] counts.
pub const DENSE_SECONDS: usize = 10;

/// What comes so much later than the one before begins a new spell.
const PAUSE_NS: u64 = 60 * 1_000_000_000;

/// Something that goes wrong again and again, from one long pause to the next.
#[derive(Clone, Debug)]
pub struct Spell {
    /// The first and the last time.
    pub span: Span,
    /// How often.
    pub count: u64,
    /// How often at most within [`DENSE_SECONDS`], by whole seconds.
    pub densest: u64,
    recent: Buckets<DENSE_SECONDS, u16>,
}

impl Spell {
    pub(super) fn new(time: Timestamp) -> Self {
        Self { span: Span { first: time, last: time }, count: 0, densest: 0, recent: Buckets::default() }
    }

    /// Whether what comes at a time begins a new spell.
    pub(super) fn is_over_at(&self, time: Timestamp) -> bool {
        time.boot_ns.saturating_sub(self.span.last.boot_ns) > PAUSE_NS
    }

    /// Counts in `count` at a time.
    pub(super) fn add(&mut self, time: Timestamp, count: u32) {
        if self.count == 0 || self.is_over_at(time) {
            *self = Self::new(time);
        }
        self.span = self.span.union(Span { first: time, last: time });
        self.count += u64::from(count);
        self.recent.add(time, count);
        self.densest = self.densest.max(self.lately(time));
    }

    /// How often within the last [`DENSE_SECONDS`], the second that runs included.
    pub fn lately(&self, now: Timestamp) -> u64 {
        let newest = second_of(now);
        let oldest = (newest + 1).saturating_sub(DENSE_SECONDS as u64);
        (oldest..=newest).map(|second| u64::from(self.recent.at(second))).sum()
    }
}

/// Which of many keys come most often, in little room.
///
/// Every key that makes up more than one in [`FREQUENT_KEYS`] + 1 of all is among those kept; a count is no more than the
/// true one (Misra and Gries).
#[derive(Clone, Debug)]
pub struct Frequent<K> {
    counts: Vec<(K, u64)>,
}

/// Keys that are kept at most.
pub const FREQUENT_KEYS: usize = 16;

impl<K> Default for Frequent<K> {
    fn default() -> Self {
        Self { counts: Vec::new() }
    }
}

impl<K: Copy + Ord> Frequent<K> {
    pub(super) fn add(&mut self, key: K) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| *known == key) {
            *count += 1;
        } else if self.counts.len() < FREQUENT_KEYS {
            self.counts.push((key, 1));
        } else {
            for (_, count) in &mut self.counts {
                *count -= 1;
            }
            self.counts.retain(|&(_, count)| count > 0);
        }
    }

    /// The keys kept and how often each came at least, the most frequent first.
    pub fn most(&self) -> Vec<(K, u64)> {
        let mut most = self.counts.clone();
        most.sort_unstable_by_key(|&(key, count)| (std::cmp::Reverse(count), key));
        most
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FREQUENT_KEYS, Frequent, Spell};
    use crate::state::fixture::at;

    #[test]
    fn a_spell_knows_its_densest_seconds_and_a_long_pause_ends_it() {
        let mut spell = Spell::new(at(5_000));
        for (milliseconds, count, in_all, densest, lately) in [
            (5_000, 1, 1, 1, 1),
            (14_900, 2, 3, 3, 3),
            // The first is ten seconds ago.
            (15_000, 1, 4, 3, 3),
            (30_000, 1, 5, 3, 1),
            // Late from another CPU.
            (29_500, 1, 6, 3, 1),
            (90_001, 2, 2, 2, 2),
        ] {
            spell.add(at(milliseconds), count);
            assert_eq!(
                (spell.count, spell.densest, spell.lately(at(milliseconds))),
                (in_all, densest, lately),
                "at {milliseconds}"
            );
        }
        assert_eq!((spell.span.first, spell.span.last), (at(90_001), at(90_001)));
        assert_eq!(spell.lately(at(120_000)), 0);
    }

    proptest! {
        /// A key of more than its share is kept, and none is counted more often than it came.
        #[test]
        fn the_frequent_ones_are_kept(keys in prop::collection::vec(0_u16..40, 0..400)) {
            let mut frequent = Frequent::default();
            for &key in &keys {
                frequent.add(key);
            }
            let most = frequent.most();
            prop_assert!(most.len() <= FREQUENT_KEYS);
            for key in 0..40 {
                let came = keys.iter().filter(|&&other| other == key).count();
                let kept = most.iter().find(|(kept, _)| *kept == key).map_or(0, |&(_, count)| count);
                prop_assert!(kept <= came as u64);
                prop_assert!(kept > 0 || came * (FREQUENT_KEYS + 1) <= keys.len(), "{key} came {came} times");
            }
        }
    }
}
