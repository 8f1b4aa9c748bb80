//! How full something is, as a bar.

/// A bar of so many cells for a fill in thousandths. It is full only if the thing is, and what is not empty shows.
pub(crate) fn bar(permille: u64, cells: usize) -> String {
    let all = cells as u64;
    let full = match permille {
        0 => 0,
        1..1_000 => (permille * all / 1_000).clamp(1, all.saturating_sub(1).max(1)),
        _ => all,
    };
    let full = usize::try_from(full).unwrap_or(cells).min(cells);
    format!("{}{}", "█".repeat(full), "·".repeat(cells - full))
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn only_what_is_full_looks_full() {
        for (permille, expected) in
            [(0, "····"), (1, "█···"), (500, "██··"), (999, "███·"), (1_000, "████"), (4_000, "████")]
        {
            assert_eq!(bar(permille, 4), expected, "{permille}");
        }
        assert_eq!(bar(500, 0), "");
        assert_eq!(bar(500, 1), "█");
    }
}
