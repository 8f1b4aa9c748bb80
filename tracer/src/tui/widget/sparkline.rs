//! Counts over time as a row of bars.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar a count, the highest for `peak`; a count above zero always shows.
pub(crate) fn bars(counts: impl Iterator<Item = u32>, peak: u32) -> String {
    counts.map(|count| bar(count, peak)).collect()
}

fn bar(count: u32, peak: u32) -> char {
    if count == 0 {
        return ' ';
    }
    let levels = BARS.len() as u64;
    let level = (u64::from(count) * levels).div_ceil(u64::from(peak.max(count))).clamp(1, levels);
    BARS[usize::try_from(level - 1).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::bars;

    #[test]
    fn the_peak_is_full_and_little_still_shows() {
        assert_eq!(bars([0, 1, 500, 1_000].into_iter(), 1_000), " ▁▄█");
        assert_eq!(bars([7].into_iter(), 0), "█");
        assert_eq!(bars([u32::MAX, 1].into_iter(), u32::MAX), "█▁");
    }
}
