//! How often things happen, by the time of the events.

use crate::{event::Timestamp, probe::table::Family};

/// Seconds of history that are kept of every family: 10 minutes.
pub const HISTORY_SECONDS: usize = 600;

/// The families whose events are counted over time.
pub const COUNTED_FAMILIES: [Family; 5] =
    [Family::Retransmit, Family::Neighbour, Family::Conntrack, Family::Ipvs, Family::Path];

/// Counts of the last `N` seconds, one each.
#[derive(Clone, Debug)]
pub struct Buckets<const N: usize> {
    counts: [u32; N],
    newest_second: u64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Self { counts: [0; N], newest_second: 0 }
    }
}

impl<const N: usize> Buckets<N> {
    /// Counts `count` at a time; what is `N` seconds older than the newest is left out.
    pub fn add(&mut self, time: Timestamp, count: u32) {
        let second = second_of(time);
        if second > self.newest_second {
            let skipped = (second - self.newest_second).min(N as u64);
            for newer in 0..skipped {
                self.counts[Self::place(second - newer)] = 0;
            }
            self.newest_second = second;
        }
        if self.newest_second - second < N as u64 {
            let bucket = &mut self.counts[Self::place(second)];
            *bucket = bucket.saturating_add(count);
        }
    }

    /// The count of a second since boot, 0 if it is not kept.
    pub fn at(&self, second: u64) -> u32 {
        if second > self.newest_second || self.newest_second - second >= N as u64 {
            return 0;
        }
        self.counts[Self::place(second)]
    }

    /// The sum of the `seconds` whole seconds before `now`.
    pub fn sum_before(&self, now: Timestamp, seconds: u64) -> u64 {
        let end = second_of(now);
        (end.saturating_sub(seconds)..end).map(|second| u64::from(self.at(second))).sum()
    }

    fn place(second: u64) -> usize {
        usize::try_from(second % N as u64).unwrap_or_default()
    }
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
        let elapsed = (second_of(now) - second_of(began).min(second_of(now))).clamp(1, seconds);
        let count = self.of(family).map_or(0, |buckets| buckets.sum_before(now, elapsed));
        #[expect(clippy::cast_precision_loss, reason = "a count of 10 minutes is far below 2^52")]
        let rate = count as f64 / elapsed as f64;
        rate
    }
}

fn index(family: Family) -> Option<usize> {
    COUNTED_FAMILIES.iter().position(|&counted| counted == family)
}

#[cfg(test)]
mod tests {
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
