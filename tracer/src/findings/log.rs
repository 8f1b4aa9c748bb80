//! What opened, changed and closed.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::{
    Finding,
    finding::{is_within, named},
};
use crate::event::Timestamp;

/// Changes of findings that are kept, and all of the last look, if these are more.
pub const FINDING_CHANGES_KEPT: usize = 1_024;

/// A finding whose numbers alone have changed is told again after so many seconds.
const TOLD_AGAIN_SECONDS: u32 = 10;

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingStatus {
    /// It was not so before.
    Open,
    /// It is worse or better than before, or has grown, or explains more.
    Update,
    /// It is not so any more, or another finding explains it.
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
    /// Of one that closed because another explains it, that one's id and whom it is about.
    pub explained_by: Option<(&'static str, String)>,
}

/// The last changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    changes: VecDeque<FindingChange>,
    count: u64,
}

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
        let noted = self.count;
        let open = named(now);
        for finding in before.iter().filter(|finding| !open.contains_key(&finding.name())) {
            let is_it = |symptom: &Finding| symptom.is(finding.id, &finding.about);
            let cause = now.iter().find(|cause| cause.symptoms.iter().any(is_it));
            let explained_by = cause.map(|cause| (cause.id, cause.who.clone()));
            self.push(FindingChange {
                time,
                status: FindingStatus::Closed,
                finding: finding.over(),
                explained_by,
            });
        }
        let before = named(before);
        for finding in now {
            let status = match before.get(&finding.name()) {
                None => FindingStatus::Open,
                Some(known) if self.is_news(time, known, finding) => FindingStatus::Update,
                Some(_) => continue,
            };
            self.push(FindingChange { time, status, finding: finding.clone(), explained_by: None });
        }
        // Whoever goes on from what it has seen misses none.
        let of_this_look = usize::try_from(self.count - noted).unwrap_or(usize::MAX);
        while self.changes.len() > FINDING_CHANGES_KEPT.max(of_this_look) {
            self.changes.pop_front();
        }
    }

    /// Whether it is worth telling again: what it says of itself changes with every event.
    fn is_news(&self, time: Timestamp, known: &Finding, finding: &Finding) -> bool {
        let symptoms =
            |finding: &Finding| finding.symptoms.iter().map(Finding::key).collect::<FxHashSet<_>>();
        if known.severity != finding.severity || !symptoms(finding).is_subset(&symptoms(known)) {
            return true;
        }
        known.what != finding.what && {
            let told = self.changes.iter().rev().find(|change| change.finding.is(finding.id, &finding.about));
            told.is_some_and(|told| {
                told.finding.what != finding.what && !is_within(time, told.time, TOLD_AGAIN_SECONDS)
            })
        }
    }

    fn push(&mut self, change: FindingChange) {
        self.changes.push_back(change);
        self.count += 1;
    }
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
        Finding::new("id", About::Family(family), severity, family.name().to_owned(), what.to_owned())
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
