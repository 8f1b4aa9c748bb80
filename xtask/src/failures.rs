//! Picks out of what tests print what the failed ones said, to say it once more at the end of a long run.

use crate::guest::report::{Line, Outcome};

/// How many lines of one failure are kept: its reason, and the beginning of what it shows.
const LINES_EACH: usize = 16;

/// How many characters of a line are kept.
const LINE_CHARACTERS: usize = 400;

/// What failed so far, each in its own words, and whether the lines that come next go on with the last of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    each: Vec<Vec<String>>,
    is_open: bool,
}

impl Failures {
    /// Takes one line of what scenarios or `cargo test` print.
    pub(crate) fn hear(&mut self, line: &str) {
        if begins(line) {
            self.tell(line);
            self.is_open = true;
        } else if ends(line) {
            self.is_open = false;
        } else if let Some(last) = self.each.last_mut().filter(|_| self.is_open)
            && last.len() < LINES_EACH
            && !line.is_empty()
        {
            last.push(line.chars().take(LINE_CHARACTERS).collect());
        }
    }

    /// Takes a failure that no test told.
    pub(crate) fn tell(&mut self, reason: &str) {
        self.each.push(vec![reason.chars().take(LINE_CHARACTERS).collect()]);
        self.is_open = false;
    }

    /// The lines kept of all failures, in the order they were told.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.each.iter().flatten().map(String::as_str)
    }
}

/// A failed case of the scenarios; `---- NAME stdout ----`, above what a failed test of `cargo test` said.
fn begins(line: &str) -> bool {
    Line::parse(line) == Some(Line::Case(Outcome::Failed))
        || line.starts_with("---- ") && line.ends_with(" stdout ----")
}

/// The next case or test, a note of one, or the end of all.
fn ends(line: &str) -> bool {
    const BEGINNINGS: [&str; 3] = ["note ", "test ", "failures:"];
    Line::parse(line).is_some() || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::{Failures, LINES_EACH};

    fn heard(text: &str) -> Vec<String> {
        let mut failures = Failures::default();
        text.lines().for_each(|line| failures.hear(line));
        failures.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_failed_case_is_kept_with_what_it_shows_and_no_other() {
        let told = "note 3 events\ncase a ... ok: 9 s\ncase b ... FAILED: no line says: opened\n\n{\"seq\":1}\n\
                    {\"seq\":2}\nnote of c\nmore of c\ncase c ... ok\ncase d ... FAILED: it panicked\n2 passed, 2 failed";
        let expected = [
            "case b ... FAILED: no line says: opened",
            "{\"seq\":1}",
            "{\"seq\":2}",
            "case d ... FAILED: it panicked",
        ];
        assert_eq!(heard(told), expected);
    }

    #[test]
    fn a_failed_unit_test_is_kept_with_its_panic() {
        let told = "test a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n\n---- a::c stdout ----\n\n\
                    thread 'a::c' panicked at src/a.rs:3:5:\nleft: 1\n\n\nfailures:\n    a::c\n\n\
                    test result: FAILED. 1 passed; 1 failed";
        assert_eq!(
            heard(told),
            ["---- a::c stdout ----", "thread 'a::c' panicked at src/a.rs:3:5:", "left: 1"]
        );
    }

    #[test]
    fn a_failure_that_says_much_is_cut() {
        let told = format!("case a ... FAILED: {}\n{}", "x".repeat(1000), "line\n".repeat(100));
        let kept = heard(&told);
        assert_eq!(kept.len(), LINES_EACH);
        assert!(kept.iter().all(|line| line.len() <= 400));
    }

    #[test]
    fn what_no_test_told_stands_among_them() {
        let mut failures = Failures::default();
        failures.hear("case a ... FAILED: x");
        failures.tell("the guest hung");
        failures.hear("a line of somebody else");
        assert_eq!(failures.lines().collect::<Vec<_>>(), ["case a ... FAILED: x", "the guest hung"]);
    }
}
