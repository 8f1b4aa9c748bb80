//! The last minute of one thing, as a row of bars.

use super::sparkline;
use crate::{event::Timestamp, state::second_of};

/// Cells it takes.
pub(crate) const CELLS: usize = 30;
/// The title of a column of minutes.
pub(crate) const TITLE: &str = "a minute ago … now";

const SECONDS: u64 = 60;
const SECONDS_A_CELL: u64 = SECONDS / CELLS as u64;

/// A bar for every two seconds, the highest for their most. The second that runs is part of the last one.
pub(crate) fn bars(count_of_second: impl Fn(u64) -> u32, now: Timestamp) -> String {
    let first = first_second(now);
    let counts: Vec<u32> = (0..CELLS as u64)
        .map(|cell| {
            let from = first + cell * SECONDS_A_CELL;
            (from..from + SECONDS_A_CELL).map(&count_of_second).sum()
        })
        .collect();
    sparkline::bars(&counts, counts.iter().copied().max().unwrap_or_default(), 1).concat()
}

/// The cell a time falls into, if it lies within the minute.
pub(crate) fn cell_of(time: Timestamp, now: Timestamp) -> Option<usize> {
    let since = second_of(time).checked_sub(first_second(now))?;
    usize::try_from(since / SECONDS_A_CELL).ok().filter(|&cell| cell < CELLS)
}

fn first_second(now: Timestamp) -> u64 {
    (second_of(now) + 1).saturating_sub(SECONDS)
}

#[cfg(test)]
mod tests {
    use super::{CELLS, bars, cell_of};
    use crate::state::fixture::at;

    #[test]
    fn a_minute_ends_now() {
        let now = at(100_900);
        let shown = bars(|second| if second == 100 { 4 } else { u32::from(second == 41) }, now);
        assert_eq!(shown, format!("▂{}█", " ".repeat(CELLS - 2)));
        let places = [40_999, 41_000, 42_999, 100_900, 101_000].map(|time| cell_of(at(time), now));
        assert_eq!(places, [None, Some(0), Some(0), Some(CELLS - 1), None]);
        assert_eq!(bars(|_| 0, at(5)).len(), CELLS);
    }
}
