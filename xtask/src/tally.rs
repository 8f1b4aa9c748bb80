//! How many cases passed, failed or were skipped, and the line that says so.

use std::fmt;
use std::ops::AddAssign;

use anyhow::{Result, bail};

/// Cases counted by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Cases that held.
    pub(crate) passed: u64,
    /// Cases that did not hold, or could not be run to their end.
    pub(crate) failed: u64,
    /// Cases that this kernel or machine cannot run.
    pub(crate) skipped: u64,
}

impl Tally {
    /// One case, by whether it passed.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
    }

    /// Reads `N passed, N failed` with or without `, N skipped`; `None` for any other line.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut parts = line.trim().split(", ");
        let mut count = |word| parts.next().map(|part| part.strip_suffix(word)?.trim_end().parse().ok());
        let passed = count("passed")??;
        let failed = count("failed")??;
        let skipped = count("skipped").map_or(Some(0), |count| count)?;
        parts.next().is_none().then_some(Self { passed, failed, skipped })
    }

    /// Reads one of the `test result:` lines that `cargo test` prints, one a test binary.
    pub(crate) fn from_test_result(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut parts = counts.split("; ");
        let mut count = |word| parts.next()?.strip_suffix(word)?.trim_end().parse().ok();
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }

    /// An error that says how many failed, if any did.
    pub(crate) fn into_result(self) -> Result<()> {
        if self.failed > 0 {
            bail!("{} of {} failed", self.failed, self.passed + self.failed);
        }
        Ok(())
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn reads_its_own_lines_and_no_others() {
        let tally = |passed, failed, skipped| Some(Tally { passed, failed, skipped });
        for (line, expected) in [
            ("3 passed, 0 failed", tally(3, 0, 0)),
            ("12 passed, 1 failed, 4 skipped", tally(12, 1, 4)),
            ("12 passed, 1 failed\n", tally(12, 1, 0)),
            ("12 passed", None),
            ("12 passed, 1 failed, 4 skipped, 1 lost", None),
            ("all 12 passed, 1 failed", None),
            ("-1 passed, 1 failed", None),
            ("", None),
        ] {
            assert_eq!(Tally::from_line(line), expected, "{line:?}");
            if let Some(tally) = expected {
                assert_eq!(Tally::from_line(&tally.to_string()), expected, "{tally}");
            }
        }
    }

    #[test]
    fn reads_what_cargo_test_prints() {
        let ok =
            "test result: ok. 57 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.19s";
        let failed =
            "test result: FAILED. 5 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s";
        let cases = [
            (ok, Some(Tally { passed: 57, failed: 0, skipped: 2 })),
            (failed, Some(Tally { passed: 5, failed: 3, skipped: 0 })),
            ("test state::tests::folds ... ok", None),
            ("test result: unknown", None),
        ];
        for (line, expected) in cases {
            assert_eq!(Tally::from_test_result(line), expected, "{line:?}");
        }
    }
}
