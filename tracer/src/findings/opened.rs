//! All findings that opened, over as long as one likes: for summaries, and for the exit status.

use std::collections::BTreeMap;

use super::{FindingChange, FindingStatus, Key, Severity};
use crate::{
    event::Timestamp,
    words::{exact, time_of_day},
};

/// Findings that are kept one by one; of more, only how bad the worst was.
const KEPT: usize = 1_024;

/// Findings that a summary names.
const NAMED: usize = 20;

/// The findings that opened.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    findings: BTreeMap<Key, Row>,
    /// Changes of findings that are not kept.
    left_out: u64,
    worst: Option<Severity>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Row {
    /// The worst it was.
    severity: Severity,
    first: Timestamp,
    last: Timestamp,
    /// What it said last.
    named: String,
    is_open: bool,
}

impl Opened {
    /// Takes a change in. Every one has to pass here, in their order.
    pub(crate) fn note(&mut self, change: &FindingChange) {
        let FindingChange { time, status, finding, explained_by } = change;
        let key = finding.key();
        if explained_by.is_some() {
            // It stands below that one from now on, which is as bad.
            self.findings.remove(&key);
            return;
        }
        let is_open = *status != FindingStatus::Closed;
        if is_open {
            self.worst = Some(self.worst.map_or(finding.severity, |worst| worst.min(finding.severity)));
        }
        if self.findings.len() >= KEPT && !self.findings.contains_key(&key) {
            self.left_out += u64::from(*status == FindingStatus::Open);
            return;
        }
        let new =
            || Row { severity: finding.severity, first: *time, last: *time, named: String::new(), is_open };
        let row = self.findings.entry(key).or_insert_with(new);
        row.severity = row.severity.min(finding.severity);
        row.last = *time;
        row.named = finding.named();
        row.is_open = is_open;
    }

    /// How bad the worst was; `None` if there was none.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// A line for each, the worst first, and one that says how many more there were.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut rows: Vec<&Row> = self.findings.values().collect();
        rows.sort_by_key(|row| (row.severity, row.first));
        let mut lines: Vec<String> = rows.iter().take(NAMED).map(|row| row.line()).collect();
        let more = rows.len().saturating_sub(NAMED) as u64 + self.left_out;
        if more > 0 {
            lines.push(format!("{} more findings", exact(more)));
        }
        lines
    }
}

impl Row {
    fn line(&self) -> String {
        let Self { severity, first, last, named, is_open } = self;
        let since = time_of_day(*first);
        let seen = if *is_open {
            format!("since {since} UTC")
        } else {
            format!("{since} to {} UTC", time_of_day(*last))
        };
        format!("{} {named} ({seen})", severity.names().0)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, NAMED, Opened};
    use crate::{
        event::Netns,
        findings::{About, Finding, FindingChange, FindingStatus, Severity},
        state::{Subject, fixture::at},
    };

    fn change(second: u64, status: FindingStatus, place: u32, severity: Severity) -> FindingChange {
        let about = About::Subject(Subject::Namespace(Netns::here(place)));
        let finding = Finding::new("id", about, severity, format!("who {place}"), "what".to_owned());
        FindingChange { time: at(second * 1_000), status, finding, explained_by: None }
    }

    #[test]
    fn what_opened_is_listed_once_at_its_worst() {
        use FindingStatus::{Closed, Open, Update};
        use Severity::{Critical, Notice, Warning};
        let mut opened = Opened::default();
        assert!(opened.worst().is_none() && opened.lines().is_empty());
        for change in [
            change(1, Open, 1, Notice),
            change(2, Open, 2, Warning),
            change(3, Update, 2, Critical),
            change(4, Closed, 2, Warning),
        ] {
            opened.note(&change);
        }
        let begins: Vec<String> =
            opened.lines().iter().map(|line| line.replace(char::is_numeric, "0")).collect();
        assert_eq!(
            begins,
            [
                "critical id who 0: what (00:00:00 to 00:00:00 UTC)",
                "notice id who 0: what (since 00:00:00 UTC)"
            ]
        );
        assert_eq!(opened.worst(), Some(Critical));
    }

    #[test]
    fn what_another_explains_is_not_listed_beside_it() {
        let mut opened = Opened::default();
        opened.note(&change(1, FindingStatus::Open, 1, Severity::Critical));
        let explained_by = Some(("cause", "who".to_owned()));
        opened
            .note(&FindingChange { explained_by, ..change(2, FindingStatus::Closed, 1, Severity::Critical) });
        assert!(opened.lines().is_empty());
        assert_eq!(opened.worst(), Some(Severity::Critical));
    }

    #[test]
    fn of_very_many_some_are_named_and_the_rest_is_counted() {
        let mut opened = Opened::default();
        let all = u32::try_from(KEPT).unwrap() + 5;
        for place in 0..all {
            opened.note(&change(1, FindingStatus::Open, place, Severity::Notice));
        }
        opened.note(&change(2, FindingStatus::Open, all, Severity::Critical));
        let lines = opened.lines();
        assert_eq!(lines.len(), NAMED + 1);
        assert_eq!(lines[NAMED], "1,010 more findings");
        assert_eq!(opened.worst(), Some(Severity::Critical));
    }
}
