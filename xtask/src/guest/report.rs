//! Reads what the scenarios print: a line a case, and their own count at the end.

use crate::tally::Tally;

/// A line of the guest that means something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The guest's first process runs.
    Up,
    /// `case NAME ... ok`, `ok: 9 s`, `FAILED: reason` or `skipped: reason`
    Case(Outcome),
    /// `N passed, N failed, N skipped`
    Count(Tally),
    /// How the scenarios ended.
    Exit(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Line {
    /// What `text` says; nothing for any other line.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "guest: up" {
            return Some(Self::Up);
        }
        if let Some(status) = text.strip_prefix("guest: exit status ") {
            return status.parse().ok().map(Self::Exit);
        }
        if let Some(case) = text.strip_prefix("case ") {
            let (_name, outcome) = case.split_once(" ... ")?;
            return Outcome::parse(outcome).map(Self::Case);
        }
        Tally::from_line(text).map(Self::Count)
    }
}

impl Outcome {
    fn parse(text: &str) -> Option<Self> {
        match text.split(':').next()?.trim() {
            "ok" => Some(Self::Passed),
            "FAILED" => Some(Self::Failed),
            "skipped" => Some(Self::Skipped),
            _ => None,
        }
    }
}

/// Adds up the lines of one guest, and says what did not fit together.
#[derive(Debug, Default)]
pub(super) struct Report {
    cases: Tally,
    count: Option<Tally>,
    exit: Option<u32>,
}

impl Report {
    pub(super) fn add(&mut self, line: &Line) {
        match line {
            Line::Up => {}
            Line::Case(Outcome::Passed) => self.cases.passed += 1,
            Line::Case(Outcome::Failed) => self.cases.failed += 1,
            Line::Case(Outcome::Skipped) => self.cases.skipped += 1,
            Line::Count(tally) => self.count = Some(*tally),
            Line::Exit(status) => self.exit = Some(*status),
        }
    }

    /// Whether the scenarios came to their end.
    pub(super) fn is_finished(&self) -> bool {
        self.exit.is_some()
    }

    /// Whether the scenarios told how many cases there were, which they do behind the last.
    pub(super) fn is_counted(&self) -> bool {
        self.count.is_some()
    }

    /// The cases told so far.
    pub(super) fn cases(&self) -> Tally {
        self.cases
    }

    /// The count of cases, and why the run as a whole must count as a failure, if it must.
    pub(super) fn judge(&self) -> (Tally, Option<String>) {
        let problem = match (self.exit, self.count) {
            (None, _) => Some("the guest ended before the scenarios did".to_owned()),
            (Some(status), None) => {
                Some(format!("the scenarios ended with status {status} and without their count"))
            }
            (Some(_), Some(count)) if count != self.cases => {
                Some(format!("the scenarios counted {count}, but reported {}", self.cases))
            }
            (Some(status), Some(_)) if (status == 0) != (self.cases.failed == 0) => {
                Some(format!("the scenarios ended with status {status} after {}", self.cases))
            }
            (Some(_), Some(count)) if count == Tally::default() => Some("no case ran".to_owned()),
            (Some(_), Some(_)) => None,
        };
        (self.cases, problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn lines_of_the_protocol() {
        let cases = [
            ("guest: up", Some(Line::Up)),
            ("guest: exit status 0", Some(Line::Exit(0))),
            ("case s0 two owners ... ok", Some(Line::Case(Outcome::Passed))),
            ("case s0 ... ok: 9 s", Some(Line::Case(Outcome::Passed))),
            ("case s0 ... FAILED: no line says: changed", Some(Line::Case(Outcome::Failed))),
            ("case s0 ... skipped: no ip_vs", Some(Line::Case(Outcome::Skipped))),
            ("case s0 ... okay", None),
            ("case s0", None),
            ("1 passed, 2 failed, 3 skipped", Some(Line::Count(tally(1, 2, 3)))),
            ("1 passed, 2 failed", Some(Line::Count(tally(1, 2, 0)))),
            ("1 passed", None),
            ("some 1 passed, 2 failed", None),
            ("1 packets, 2 bytes", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Line::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_run_fails_as_a_whole_when_it_does_not_add_up() {
        let ok = "case a ... ok";
        let failed = "case b ... FAILED: x";
        let cases: [(&[&str], Option<&str>); 8] = [
            (&[ok, "1 passed, 0 failed", "guest: exit status 0"], None),
            (&[ok, failed, "1 passed, 1 failed", "guest: exit status 1"], None),
            (&[ok], Some("the guest ended before the scenarios did")),
            (
                &[ok, "guest: exit status 139"],
                Some("the scenarios ended with status 139 and without their count"),
            ),
            (
                &[ok, "2 passed, 0 failed", "guest: exit status 0"],
                Some("the scenarios counted 2 passed, 0 failed, but reported 1 passed, 0 failed"),
            ),
            (
                &[failed, "0 passed, 1 failed", "guest: exit status 0"],
                Some("the scenarios ended with status 0 after 0 passed, 1 failed"),
            ),
            (
                &[ok, "1 passed, 0 failed", "guest: exit status 1"],
                Some("the scenarios ended with status 1 after 1 passed, 0 failed"),
            ),
            (&["0 passed, 0 failed", "guest: exit status 0"], Some("no case ran")),
        ];
        for (lines, expected) in cases {
            let mut report = Report::default();
            for line in lines {
                report.add(&Line::parse(line).expect("a line of the protocol"));
            }
            assert_eq!(report.judge().1.as_deref(), expected, "{lines:?}");
        }
    }
}
