//! Findings that are over: what the log has closed, and what the rules tell as past.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{Finding, FindingChange, FindingStatus, Findings, finding::Name};
use crate::state::Span;

/// A finding that is over.
#[derive(Clone, Copy, Debug)]
pub struct Over<'a> {
    /// It as it was told last while it went on.
    pub finding: &'a Finding,
    /// From when to when: its signs, or else when it was told first and when it closed.
    pub span: Option<Span>,
    /// How it closed, as far as that is kept.
    pub closed: Option<&'a FindingChange>,
}

impl Findings {
    /// What is over, the worst first and of those the last first. What stands below another that goes on or is over has no
    /// place of its own.
    pub fn over(&self) -> Vec<Over<'_>> {
        let mut over = self.closed();
        for finding in &self.past {
            let told = Over { finding, span: finding.span, closed: None };
            over.entry(finding.name()).or_insert(told);
        }
        let symptoms: BTreeSet<Name<'_>> = self
            .open
            .iter()
            .chain(over.values().map(|over| over.finding))
            .flat_map(|cause| cause.symptoms.iter().map(Finding::name))
            .collect();
        for finding in &self.open {
            over.remove(&finding.name());
        }
        let mut over: Vec<Over<'_>> = over.into_values().collect();
        over.retain(|over| !symptoms.contains(&over.finding.name()));
        over.sort_by_key(|over| (over.finding.severity, Reverse(over.span.map(|span| span.last))));
        over
    }

    /// Those of the log whose last change closed them.
    fn closed(&self) -> BTreeMap<Name<'_>, Over<'_>> {
        let mut told: BTreeMap<Name<'_>, (Span, &FindingChange)> = BTreeMap::new();
        for change in self.log.changes() {
            let known = Span { first: change.time, last: change.time };
            let row = told.entry(change.finding.name()).or_insert((known, change));
            (row.0.last, row.1) = (change.time, change);
        }
        let mut over = BTreeMap::new();
        for (name, (known, change)) in told {
            if change.status == FindingStatus::Closed {
                let finding = &change.finding;
                let span = Some(finding.span.unwrap_or(known));
                over.insert(name, Over { finding, span, closed: Some(change) });
            }
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        findings::{About, Finding, Findings, Severity},
        state::fixture::at,
    };

    fn finding(id: &'static str, severity: Severity) -> Finding {
        Finding::new(id, About::Node, severity, "who".to_owned(), "what".to_owned())
    }

    fn over(findings: &Findings) -> Vec<(&str, Severity, bool)> {
        let over = findings.over();
        assert!(over.iter().all(|over| !over.finding.is_open), "{over:?}");
        over.iter().map(|over| (over.finding.id, over.finding.severity, over.closed.is_some())).collect()
    }

    #[test]
    fn what_closed_stays_as_it_was_told_last_until_it_opens_again() {
        use Severity::{Critical, Notice, Warning};
        let mut findings = Findings::default();
        let bad = finding("bad", Critical);
        // Its rule thinks less of it once it is past.
        let past = Finding { is_open: false, ..finding("bad", Warning) };
        let never_open = Finding { is_open: false, ..finding("never-open", Notice) };
        findings.put(at(1), vec![bad.clone(), finding("vanishes", Warning)]);
        assert!(over(&findings).is_empty());
        findings.put(at(2), vec![past, never_open]);
        let expected = [("bad", Critical, true), ("vanishes", Warning, true), ("never-open", Notice, false)];
        assert_eq!(over(&findings), expected);
        let span = findings.over()[1].span.unwrap();
        assert_eq!(
            (span.first, span.last),
            (at(1), at(2)),
            "when it was told and closed, for want of its own"
        );
        findings.put(at(3), vec![bad]);
        assert_eq!(over(&findings), [("vanishes", Warning, true)]);
    }

    #[test]
    fn what_stands_below_another_has_no_place_of_its_own() {
        let mut findings = Findings::default();
        let symptom = finding("symptom", Severity::Warning);
        findings.put(at(1), vec![symptom.clone()]);
        let cause = Finding { symptoms: vec![symptom], ..finding("cause", Severity::Critical) };
        findings.put(at(2), vec![cause]);
        assert!(over(&findings).is_empty());
        findings.put(at(3), vec![]);
        assert_eq!(over(&findings), [("cause", Severity::Critical, true)]);
    }
}
