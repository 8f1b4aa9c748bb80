//! How often things happen, by the time of the events.

use crate::{event::Timestamp, probe::table::Family};

/// Seconds of history that are kept of every family: 10 minutes.
pub const HISTORY_SECONDS: usize = 600;

/// The families whose events are counted over time.
pub const COUNTED_FAMILIES: [Family; 5] =
    [Family::Retransmit, Family::Neighbour, Family::Conntrack, Family::Ipvs, Family::Path];

/// Counts of the last `N` seconds, one each. A count that is too large for `C` stays at the largest there is.
#[derive(Clone, Debug)]
pub struct Buckets<const N: usize, C = u32> {
    counts: [C; N],
    newest_second: u32,
}

/// A number that counts what happens within a second.
pub trait Counter: Copy + Default + Into<u32> + TryFrom<u32> {
    /// The largest there is.
    const LARGEST: Self;
}

impl Counter for u16 {
    const LARGEST: Self = Self::MAX;
}

impl Counter for u32 {
    const LARGEST: Self = Self::MAX;
}

impl<const N: usize, C: Counter> Default for Buckets<N, C> {
    fn default() -> Self {
        Self { counts: [C::default(); N], newest_second: 0 }
    }
}

impl<const N: usize, C: Counter> Buckets<N, C> {
    /// Counts `count` at a time; what is `N` seconds older than the newest is left out.
    pub fn add(&mut self, time: Timestamp, count: u32) {
        // 136 years since boot.
        let second = u32::try_from(second_of(time)).unwrap_or(u32::MAX);
        if second > self.newest_second {
            if (second - self.newest_second) as usize >= N {
                self.counts = [C::default(); N];
            } else {
                for skipped in self.newest_second + 1..=second {
                    self.counts[Self::place(skipped)] = C::default();
                }
            }
            self.newest_second = second;
        }
        if ((self.newest_second - second) as usize) < N {
            let bucket = &mut self.counts[Self::place(second)];
            *bucket = C::try_from((*bucket).into().saturating_add(count)).unwrap_or(C::LARGEST);
        }
    }

    /// The count of a second since boot, 0 if it is not kept.
    pub fn at(&self, second: u64) -> u32 {
        let age = u32::try_from(second).ok().and_then(|second| self.newest_second.checked_sub(second));
        match age {
            Some(age) if (age as usize) < N => self.counts[Self::place(self.newest_second - age)].into(),
            _ => 0,
        }
    }

    /// The sum of the `seconds` whole seconds before `now`.
    pub fn sum_before(&self, now: Timestamp, seconds: u64) -> u64 {
        sum_before(now, seconds, |second| self.at(second))
    }

    /// Counts a second over the last whole `seconds` before `now`, or over the time since `began` if that is shorter,
    /// but over one second at least.
    pub fn per_second(&self, began: Timestamp, now: Timestamp, seconds: u64) -> f64 {
        per_second(began, now, seconds, |second| self.at(second))
    }

    fn place(second: u32) -> usize {
        second as usize % N
    }
}

/// The sum of what `at` tells of each of the `seconds` whole seconds before `now`.
pub(super) fn sum_before(now: Timestamp, seconds: u64, at: impl Fn(u64) -> u32) -> u64 {
    let end = second_of(now);
    (end.saturating_sub(seconds)..end).map(|second| u64::from(at(second))).sum()
}

/// The mean of what `at` tells of the `seconds` whole seconds before `now`, or of those since `began` if they are fewer.
pub(super) fn per_second(began: Timestamp, now: Timestamp, seconds: u64, at: impl Fn(u64) -> u32) -> f64 {
    let elapsed = second_of(now).saturating_sub(second_of(began)).clamp(1, seconds.max(1));
    #[expect(clippy::cast_precision_loss, reason = "a count of some minutes is far below 2^52")]
    let rate = sum_before(now, elapsed, at) as f64 / elapsed as f64;
    rate
}

/// The second since boot a time falls into.
pub fn second_of(time: Timestamp) -> u64 {
    const SECOND_NS: u64 = 1_000_000_000;
    time.boot_ns / SECOND_NS
}

/// Events of every counted family over time. A retransmit counts for its segments' one event; claims and undos, which
/// accompany other events, are left out.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    families: [Buckets<HISTORY_SECONDS>; COUNTED_FAMILIES.len()],
}

impl Rates {
    pub(super) fn count(&mut self, family: Family, time: Timestamp) {
        if let Some(buckets) = index(family).and_then(|index| self.families.get_mut(index)) {
            buckets.add(time, 1);
        }
    }

    /// The counts of a family; `None` for one that is not counted.
    pub fn of(&self, family: Family) -> Option<&Buckets<HISTORY_SECONDS>> {
        self.families.get(index(family)?)
    }

    /// Events a second over the last whole `seconds` before `now`, or over the time since `began` if that is shorter.
    pub fn per_second(&self, family: Family, began: Timestamp, now: Timestamp, seconds: u64) -> f64 {
        self.of(family).map_or(0.0, |buckets| buckets.per_second(began, now, seconds))
    }
}

fn index(family: Family) -> Option<usize> {
    COUNTED_FAMILIES.iter().position(|&counted| counted == family)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Buckets, Rates};
    use crate::{event::Timestamp, probe::table::Family};

    fn at(second: u64) -> Timestamp {
        Timestamp { boot_ns: second * 1_000_000_000 + 5, wall_ns: 0 }
    }

    #[test]
    fn buckets_forget_what_is_too_old_and_take_late_events() {
        let mut buckets = Buckets::<10>::default();
        for (second, count) in [(100, 1), (103, 2), (101, 4), (93, 8), (94, 16), (103, 32)] {
            buckets.add(at(second), count);
        }
        let kept: Vec<u32> = (93..=104).map(|second| buckets.at(second)).collect();
        assert_eq!(kept, [0, 16, 0, 0, 0, 0, 0, 1, 4, 0, 34, 0]);
        buckets.add(at(1_000_000), 1);
        assert_eq!((buckets.at(103), buckets.at(1_000_000)), (0, 1));
        assert_eq!((buckets.at(u64::MAX), buckets.at(1_000_001)), (0, 0));
    }

    #[test]
    fn a_count_stays_at_the_largest_there_is() {
        let mut buckets = Buckets::<10, u16>::default();
        for _ in 0..3 {
            buckets.add(at(7), 30_000);
        }
        assert_eq!((buckets.at(7), buckets.sum_before(at(8), 10)), (65_535, 65_535));
    }

    proptest! {
        /// Whatever the order, each second kept has its count, as a list of all would tell.
        #[test]
        fn buckets_count_what_a_list_counts(seconds in prop::collection::vec(0_u64..90, 0..60)) {
            let mut buckets = Buckets::<20, u16>::default();
            let mut newest = 0;
            let mut kept: Vec<u64> = Vec::new();
            for &second in &seconds {
                buckets.add(at(second), 1);
                newest = newest.max(second);
                kept.push(second);
                kept.retain(|&second| newest - second < 20);
            }
            for second in 0..100 {
                let count = kept.iter().filter(|&&kept| kept == second).count();
                prop_assert_eq!(buckets.at(second) as usize, count, "second {}", second);
            }
        }
    }

    #[test]
    fn rates_are_of_whole_seconds_and_decay_as_time_goes_on() {
        let mut rates = Rates::default();
        for second in 100..104 {
            for _ in 0..=(second - 100) {
                rates.count(Family::Ipvs, at(second));
            }
        }
        let table = [(104, 1, 4.0), (104, 10, 2.5), (105, 1, 0.0), (110, 10, 1.0), (160, 60, 10.0 / 60.0)];
        for (now, seconds, expected) in table {
            let rate = rates.per_second(Family::Ipvs, at(100), at(now), seconds);
            assert!((rate - expected).abs() < 1e-9, "{now} {seconds}: {rate}");
        }
    }
}
