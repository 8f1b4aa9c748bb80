//! What opened, changed and closed.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{About, Finding};
use crate::event::Timestamp;

/// Changes of findings that are kept.
pub const FINDING_CHANGES_KEPT: usize = 1_024;

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingStatus {
    /// It was not so before, or not for a minute.
    Open,
    /// It is worse or better than before.
    Update,
    /// It is not so any more, or has not been for a minute.
    Closed,
}

impl FindingStatus {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Closed => "closed",
        }
    }
}

/// A change of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingChange {
    /// When it was noticed.
    pub time: Timestamp,
    /// What became of it.
    pub status: FindingStatus,
    /// The finding as it was then; of one that closed, as it was told last.
    pub finding: Finding,
}

/// The last changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    changes: VecDeque<FindingChange>,
    count: u64,
}

type Key<'a> = (&'static str, &'a About);

impl Log {
    /// The changes kept, oldest first.
    pub(super) fn changes(&self) -> &VecDeque<FindingChange> {
        &self.changes
    }

    /// How many there have been.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Those after the first `seen`, as far as they are kept.
    pub(super) fn after(&self, seen: u64) -> impl Iterator<Item = &FindingChange> {
        let new = usize::try_from(self.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        self.changes.iter().skip(self.changes.len().saturating_sub(new))
    }

    /// Notes what opened, changed and closed between two looks: first what closed, then the others, each in the order of
    /// the findings.
    pub(super) fn compare(&mut self, time: Timestamp, before: &[Finding], now: &[Finding]) {
        let open = keyed(now);
        for finding in before.iter().filter(|finding| !open.contains_key(&key_of(finding))) {
            self.push(time, FindingStatus::Closed, finding);
        }
        let before = keyed(before);
        for finding in now {
            match before.get(&key_of(finding)) {
                None => self.push(time, FindingStatus::Open, finding),
                Some(known) if known.severity != finding.severity => {
                    self.push(time, FindingStatus::Update, finding);
                }
                Some(_) => {}
            }
        }
    }

    fn push(&mut self, time: Timestamp, status: FindingStatus, finding: &Finding) {
        if self.changes.len() == FINDING_CHANGES_KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(FindingChange { time, status, finding: finding.clone() });
        self.count += 1;
    }
}

fn key_of(finding: &Finding) -> Key<'_> {
    (finding.id, &finding.about)
}

fn keyed(findings: &[Finding]) -> FxHashMap<Key<'_>, &Finding> {
    findings.iter().map(|finding| (key_of(finding), finding)).collect()
}

#[cfg(test)]
mod tests {
    use super::{FINDING_CHANGES_KEPT, FindingStatus, Log};
    use crate::{
        findings::{About, Finding, Severity},
        probe::table::Family,
        state::fixture::at,
    };

    fn finding(family: Family, severity: Severity, what: &str) -> Finding {
        let (who, what) = (family.name().to_owned(), what.to_owned());
        Finding { id: "id", about: About::Family(family), severity, subject: None, who, what, span: None }
    }

    #[test]
    fn what_opens_gets_worse_and_closes_is_noted_and_what_stays_is_not() {
        use FindingStatus::{Closed, Open, Update};
        let one = |severity, what| finding(Family::Neighbour, severity, what);
        let other = finding(Family::Ipvs, Severity::Notice, "other");
        let steps = [
            vec![one(Severity::Warning, "a")],
            vec![one(Severity::Warning, "b"), other.clone()],
            vec![other.clone(), one(Severity::Critical, "c")],
            vec![one(Severity::Critical, "d")],
            vec![],
            vec![one(Severity::Warning, "e")],
        ];
        let mut log = Log::default();
        let mut before = Vec::new();
        for (step, now) in (1_u64..).zip(steps) {
            log.compare(at(step), &before, &now);
            before = now;
        }
        let told: Vec<_> = log
            .changes()
            .iter()
            .map(|change| (change.time, change.status, change.finding.what.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (at(1), Open, "a"),
                (at(2), Open, "other"),
                (at(3), Update, "c"),
                (at(4), Closed, "other"),
                (at(5), Closed, "d"),
                (at(6), Open, "e"),
            ]
        );
        let after = |seen| log.after(seen).count();
        assert_eq!((log.count(), after(0), after(4), after(6), after(9)), (6, 6, 2, 0, 0));
    }

    #[test]
    fn the_log_is_bounded_and_counts_on() {
        let mut log = Log::default();
        let one = [finding(Family::Path, Severity::Warning, "what")];
        for step in 0..FINDING_CHANGES_KEPT as u64 {
            log.compare(at(step), &[], &one);
            log.compare(at(step), &one, &[]);
        }
        assert_eq!(log.changes().len(), FINDING_CHANGES_KEPT);
        assert_eq!(log.count(), 2 * FINDING_CHANGES_KEPT as u64);
        assert_eq!(log.after(log.count() - 3).count(), 3);
        assert_eq!(log.after(0).count(), FINDING_CHANGES_KEPT);
    }
}
