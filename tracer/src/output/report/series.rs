//! Counts over a session of any length, in bounded memory.

use std::mem;

use crate::event::Timestamp;

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MILLISECOND_NS;
const MINUTE_NS: u64 = 60 * SECOND_NS;
const HOUR_NS: u64 = 60 * MINUTE_NS;

/// How long a bucket may be, each a multiple of the one before, so that whole buckets merge; beyond an hour it doubles.
const WIDTHS_NS: [u64; 11] = [
    100 * MILLISECOND_NS,
    500 * MILLISECOND_NS,
    SECOND_NS,
    5 * SECOND_NS,
    10 * SECOND_NS,
    30 * SECOND_NS,
    MINUTE_NS,
    5 * MINUTE_NS,
    10 * MINUTE_NS,
    30 * MINUTE_NS,
    HOUR_NS,
];

/// How long a bucket is after so many mergers.
fn width_ns(mergers: usize) -> u64 {
    WIDTHS_NS.get(mergers).copied().unwrap_or_else(|| {
        let doublings = u32::try_from(mergers + 1 - WIDTHS_NS.len()).unwrap_or(u32::MAX);
        HOUR_NS.saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX))
    })
}

/// Counts of `N` sorts in buckets of equal length from an origin on. Where the session outgrows `limit` buckets, as many
/// as make one of the next length are merged: what is lost is only when exactly, never how many.
#[derive(Clone, Debug)]
pub(super) struct Series<const N: usize> {
    origin_ns: u64,
    limit: usize,
    mergers: usize,
    buckets: Vec<[u64; N]>,
}

impl<const N: usize> Series<N> {
    /// Nothing counted yet, from an origin on, in at most `limit` buckets, two at least.
    pub(super) fn new(origin: Timestamp, limit: usize) -> Self {
        Self { origin_ns: origin.boot_ns, limit: limit.max(2), mergers: 0, buckets: Vec::new() }
    }

    /// Counts something. What comes from before the origin counts in the first bucket.
    pub(super) fn add(&mut self, time: Timestamp, sort: usize, count: u64) {
        let after_ns = time.boot_ns.saturating_sub(self.origin_ns);
        let mut place = self.place(after_ns);
        while place >= self.limit {
            self.merge();
            place = self.place(after_ns);
        }
        if place >= self.buckets.len() {
            self.buckets.resize(place + 1, [0; N]);
        }
        if let Some(number) = self.buckets.get_mut(place).and_then(|bucket| bucket.get_mut(sort)) {
            *number = number.saturating_add(count);
        }
    }

    fn place(&self, after_ns: u64) -> usize {
        usize::try_from(after_ns / self.width_ns()).unwrap_or(usize::MAX)
    }

    /// Makes the buckets as long as the next length.
    fn merge(&mut self) {
        let factor = usize::try_from(width_ns(self.mergers + 1) / self.width_ns()).unwrap_or(1);
        self.mergers += 1;
        let finer = mem::take(&mut self.buckets);
        self.buckets = finer
            .chunks(factor)
            .map(|chunk| {
                let mut sum = [0_u64; N];
                for bucket in chunk {
                    for (sum, number) in sum.iter_mut().zip(bucket) {
                        *sum = sum.saturating_add(*number);
                    }
                }
                sum
            })
            .collect();
    }

    /// How long a bucket is, nanoseconds.
    pub(super) fn width_ns(&self) -> u64 {
        width_ns(self.mergers)
    }

    /// Buckets from the origin to the last in which something was counted.
    pub(super) fn buckets(&self) -> &[[u64; N]] {
        &self.buckets
    }

    /// All of a sort.
    pub(super) fn total(&self, sort: usize) -> u64 {
        self.of(sort).sum()
    }

    /// A sort's counts, bucket by bucket.
    pub(super) fn of(&self, sort: usize) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(move |bucket| bucket.get(sort).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SECOND_NS, Series, WIDTHS_NS, width_ns};
    use crate::event::Timestamp;

    fn at(boot_ns: u64) -> Timestamp {
        Timestamp { boot_ns, wall_ns: 0 }
    }

    #[test]
    fn each_length_is_a_multiple_of_the_one_before() {
        for mergers in 0..30 {
            let (width, next) = (width_ns(mergers), width_ns(mergers + 1));
            assert!(next > width && next.is_multiple_of(width), "{mergers}: {width} {next}");
        }
        assert_eq!(width_ns(WIDTHS_NS.len()), 2 * 3_600 * SECOND_NS);
    }

    #[test]
    fn buckets_grow_longer_as_the_session_does() {
        let mut series = Series::<2>::new(at(10 * SECOND_NS), 10);
        series.add(at(9 * SECOND_NS), 0, 1);
        series.add(at(10 * SECOND_NS + 950_000_000), 1, 2);
        assert_eq!((series.width_ns(), series.buckets().len()), (100_000_000, 10));
        series.add(at(11 * SECOND_NS), 0, 4);
        assert_eq!(series.width_ns(), 500_000_000);
        assert_eq!(series.buckets(), [[1, 0], [0, 2], [4, 0]]);
        series.add(at(16 * SECOND_NS), 0, 8);
        assert_eq!((series.width_ns(), series.buckets().len()), (SECOND_NS, 7));
        assert_eq!(series.buckets()[..2], [[1, 2], [4, 0]]);
    }

    proptest! {
        /// Whatever comes, nothing is lost, there are never more buckets than allowed, and each count is in the bucket
        /// of its time.
        #[test]
        fn no_count_is_lost(
            times in prop::collection::vec((0_u64..u64::MAX, 0_usize..3, 0_u64..1_000), 1..60),
            shift in 0_u32..64,
            limit in 2_usize..50,
        ) {
            let mut series = Series::<3>::new(at(0), limit);
            for &(time, sort, count) in &times {
                series.add(at(time >> shift), sort, count);
            }
            prop_assert!(series.buckets().len() <= limit);
            for sort in 0..3 {
                let expected: u64 =
                    times.iter().filter(|&&(_, told, _)| told == sort).map(|&(.., count)| count).sum();
                prop_assert_eq!(series.total(sort), expected);
            }
            for (place, bucket) in series.buckets().iter().enumerate() {
                let here = |&&(time, ..): &&(u64, usize, u64)| {
                    (time >> shift) / series.width_ns() == place as u64
                };
                let expected: u64 = times.iter().filter(here).map(|&(.., count)| count).sum();
                prop_assert_eq!(bucket.iter().sum::<u64>(), expected, "bucket {}", place);
            }
        }
    }
}
