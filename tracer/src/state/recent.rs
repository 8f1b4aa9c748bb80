//! The last minute of one flow, second by second, in few bytes.

use super::{
    flows::FLOW_HISTORY_SECONDS,
    rates::{per_second, second_of, sum_before},
};
use crate::event::Timestamp;

/// The newest seconds, whose counts are exact.
const EXACT: usize = 11;
/// The seconds before.
const ROUNDED: usize = FLOW_HISTORY_SECONDS - EXACT;

/// Counts of the last 61 seconds: a minute of whole ones, and the one that runs. Those of the newest 11 are exact up to
/// 65,535; those of the 50 before are exact up to 32, and from there on rounded by 3 % at most. There is one in every
/// flow, so a second has a byte where it can.
#[derive(Clone, Debug)]
pub struct Recent {
    exact: [u16; EXACT],
    rounded: [u8; ROUNDED],
    newest_second: u32,
}

impl Default for Recent {
    fn default() -> Self {
        Self { exact: [0; EXACT], rounded: [0; ROUNDED], newest_second: 0 }
    }
}

impl Recent {
    /// Counts one at a time; what is older than what is kept is left out.
    pub fn count(&mut self, time: Timestamp) {
        // 136 years since boot.
        let second = u32::try_from(second_of(time)).unwrap_or(u32::MAX);
        self.advance(second);
        let age = (self.newest_second - second) as usize;
        if age < EXACT {
            let bucket = &mut self.exact[second as usize % EXACT];
            *bucket = bucket.saturating_add(1);
        } else if age < EXACT + ROUNDED {
            let bucket = &mut self.rounded[second as usize % ROUNDED];
            *bucket = rounded(restored(*bucket).saturating_add(1));
        }
    }

    /// Makes room up to that second. Each second passed lets the oldest exact one become a rounded one.
    fn advance(&mut self, second: u32) {
        let Some(passed) = second.checked_sub(self.newest_second).filter(|&passed| passed > 0) else {
            return;
        };
        if passed as usize >= EXACT + ROUNDED {
            (self.exact, self.rounded) = ([0; EXACT], [0; ROUNDED]);
        } else {
            for newer in self.newest_second + 1..=second {
                // The second that leaves has the place of the one that comes.
                let bucket = &mut self.exact[newer as usize % EXACT];
                if let Some(leaving) = (newer as usize).checked_sub(EXACT) {
                    self.rounded[leaving % ROUNDED] = rounded(u32::from(*bucket));
                }
                *bucket = 0;
            }
        }
        self.newest_second = second;
    }

    /// The count of a second since boot, 0 if it is not kept.
    pub fn at(&self, second: u64) -> u32 {
        let age = u32::try_from(second).ok().and_then(|second| self.newest_second.checked_sub(second));
        let Some(age) = age else { return 0 };
        let second = (self.newest_second - age) as usize;
        match age as usize {
            age if age < EXACT => u32::from(self.exact[second % EXACT]),
            age if age < EXACT + ROUNDED => restored(self.rounded[second % ROUNDED]),
            _ => 0,
        }
    }

    /// The sum of the `seconds` whole seconds before `now`.
    pub fn sum_before(&self, now: Timestamp, seconds: u64) -> u64 {
        sum_before(now, seconds, |second| self.at(second))
    }

    /// The sum of that second since boot and of all after it, as far as they are kept. Every active flow is asked.
    pub fn sum_since(&self, second: u64) -> u64 {
        let newest = self.newest_second as usize;
        let oldest_exact = newest.saturating_sub(EXACT - 1);
        let second = usize::try_from(second).unwrap_or(usize::MAX);
        if second > oldest_exact {
            return (second..=newest).map(|second| u64::from(self.exact[second % EXACT])).sum();
        }
        let exact: u64 = self.exact.iter().map(|&count| u64::from(count)).sum();
        let begin = second.max(newest.saturating_sub(EXACT + ROUNDED - 1));
        let (first, length) = (begin % ROUNDED, oldest_exact - begin);
        let (before, from) = self.rounded.split_at(first);
        let kept = from.iter().chain(before).take(length);
        exact + kept.map(|&code| u64::from(restored(code))).sum::<u64>()
    }

    /// Counts a second over the last whole `seconds` before `now`, or over the time since `began` if that is shorter,
    /// but over one second at least.
    pub fn per_second(&self, began: Timestamp, now: Timestamp, seconds: u64) -> f64 {
        per_second(began, now, seconds, |second| self.at(second))
    }
}

/// Below 32 the number itself; else, from 32 on, four bits behind the leading one, and above them how far they are
/// shifted.
fn rounded(count: u32) -> u8 {
    /// The most that can be restored: what `u8::MAX` means.
    const MOST: u32 = 31 << 14;
    let count = count.min(MOST);
    if count < 32 {
        return u8::try_from(count).unwrap_or_default();
    }
    let shift = count.ilog2() - 4;
    // To the nearest; a carry makes the next power of two, whose code is the next as well.
    let mantissa = (count + (1 << (shift - 1))) >> shift;
    u8::try_from(16 * (shift + 1) + mantissa - 16).unwrap_or(u8::MAX)
}

/// The count that a byte stands for.
fn restored(code: u8) -> u32 {
    let code = u32::from(code);
    if code < 32 { code } else { (16 + code % 16) << (code / 16 - 1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Recent, restored, rounded};
    use crate::event::Timestamp;

    fn at(second: u64) -> Timestamp {
        Timestamp { boot_ns: second * 1_000_000_000 + 5, wall_ns: 0 }
    }

    #[test]
    fn small_counts_are_exact_and_large_ones_nearly() {
        for count in 0..=70_000_u32 {
            let restored = restored(rounded(count));
            assert!(restored.abs_diff(count) * 32 <= count, "{count} became {restored}");
            assert!(count > 32 || restored == count, "{count} became {restored}");
        }
        assert_eq!(restored(rounded(u32::MAX)), restored(u8::MAX));
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut recent = Recent::default();
        for second in [100, 104, 150, 160, 99, 100] {
            recent.count(at(second));
        }
        let kept = [98, 99, 100, 104, 150, 160, 161].map(|second| recent.at(second));
        assert_eq!(kept, [0, 0, 2, 1, 1, 1, 0]);
        assert_eq!(recent.sum_before(at(161), 60), 3);
        recent.count(at(1_000_000));
        assert_eq!((recent.at(160), recent.at(1_000_000), recent.at(u64::MAX)), (0, 1, 0));
    }

    #[test]
    fn a_busy_second_keeps_its_count_as_it_ages() {
        let mut recent = Recent::default();
        for _ in 0..1_000 {
            recent.count(at(7));
        }
        for (now, expected) in [(7, 1_000), (17, 1_000), (18, 992), (67, 992), (68, 0)] {
            recent.advance(now);
            assert_eq!(recent.at(7), expected, "at {now}");
        }
    }

    proptest! {
        /// Whatever the order, each second kept has its count, as a list of all would tell.
        #[test]
        fn it_counts_what_a_list_counts(seconds in prop::collection::vec(0_u64..200, 0..80)) {
            let mut recent = Recent::default();
            let mut newest = 0;
            let mut kept: Vec<u64> = Vec::new();
            for &second in &seconds {
                recent.count(at(second));
                newest = newest.max(second);
                kept.push(second);
                kept.retain(|&second| newest - second <= 60);
            }
            for second in 0..210 {
                let count = kept.iter().filter(|&&kept| kept == second).count();
                prop_assert_eq!(recent.at(second) as usize, count, "second {}", second);
                let since = kept.iter().filter(|&&kept| kept >= second).count();
                prop_assert_eq!(recent.sum_since(second), since as u64, "since second {}", second);
            }
        }
    }
}
