//! Counts over time as bars, one cell wide and one or more rows high.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar a count, the highest for `peak`, in `rows` rows from the top on; a count above zero always shows.
pub(crate) fn bars(counts: &[u32], peak: u32, rows: usize) -> Vec<String> {
    let row = |above: usize| counts.iter().map(|&count| bar(count, peak, rows, above)).collect();
    (0..rows).rev().map(row).collect()
}

/// What of a bar is in the row with so many rows below it.
fn bar(count: u32, peak: u32, rows: usize, below: usize) -> char {
    let levels = BARS.len() * rows;
    let level = match count {
        0 => 0,
        _ => (u64::from(count) * levels as u64).div_ceil(u64::from(peak.max(count))),
    };
    let here = usize::try_from(level).unwrap_or(levels).saturating_sub(below * BARS.len());
    match here.min(BARS.len()).checked_sub(1) {
        Some(eighth) => BARS[eighth],
        None => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::bars;

    #[test]
    fn the_peak_is_full_and_little_still_shows() {
        assert_eq!(bars(&[0, 1, 500, 1_000], 1_000, 1), [" ▁▄█"]);
        assert_eq!(bars(&[7], 0, 1), ["█"]);
        assert_eq!(bars(&[u32::MAX, 1], u32::MAX, 1), ["█▁"]);
    }

    #[test]
    fn a_bar_of_several_rows_fills_the_lower_ones_first() {
        assert_eq!(bars(&[0, 1, 8, 9, 16], 16, 2), ["   ▁█", " ▁███"]);
        assert_eq!(bars(&[1, 3, 2], 3, 3), [" █ ", " ██", "███"]);
        assert!(bars(&[1, 2], 2, 0).is_empty());
    }
}
