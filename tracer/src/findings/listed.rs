//! Findings in the order they are read in: causes, and below each what it explains.

use super::{Finding, FindingChange, FindingStatus, Findings, Key, Over};

/// What a cause explains, listed below it at most: the others are counted, for another cause must not be hidden by them.
const LISTED_SYMPTOMS: usize = 3;

/// A line of the list.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The finding; of a line that counts, the cause.
    pub finding: &'a Finding,
    /// What the line says of it.
    pub place: Place,
}

/// What a line of the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A finding by itself.
    Cause,
    /// One that the cause above explains.
    Symptom,
    /// How many more the cause above explains.
    More(usize),
    /// What tracer itself lacks.
    Health,
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// It as it was told last.
    pub finding: &'a Finding,
    /// What explains it, where it stands below another.
    pub cause: Option<&'a Finding>,
    /// How it closed, if it is no more.
    pub closed: Option<&'a FindingChange>,
}

impl Findings {
    /// All of them: what goes on, the worst first, what is past, and last what tracer itself lacks.
    pub fn listed(&self) -> Vec<Listed<'_>> {
        let mut listed = Vec::new();
        // What another one explained is told with that.
        let is_explained = |over: &Over<'_>| over.closed.is_some_and(|change| change.explained_by.is_some());
        let over = self.over().into_iter().filter(|over| !is_explained(over)).map(|over| over.finding);
        for cause in self.open().iter().chain(over) {
            listed.push(Listed { finding: cause, place: Place::Cause });
            let symptoms = cause.symptoms.iter().take(LISTED_SYMPTOMS);
            listed.extend(symptoms.map(|finding| Listed { finding, place: Place::Symptom }));
            let more = cause.symptoms.len().saturating_sub(LISTED_SYMPTOMS);
            if more > 0 {
                listed.push(Listed { finding: cause, place: Place::More(more) });
            }
        }
        listed.extend(self.health().iter().map(|finding| Listed { finding, place: Place::Health }));
        listed
    }

    /// The finding that is known by a key, by itself or below another; one that is no more, as far as the log tells.
    pub fn find(&self, key: &Key) -> Option<Sight<'_>> {
        let is_it = |finding: &Finding| finding.is(key.0, &key.1);
        for cause in self.open().iter().chain(self.health()) {
            if is_it(cause) {
                return Some(Sight { finding: cause, cause: None, closed: None });
            }
            if let Some(finding) = cause.symptoms.iter().find(|symptom| is_it(symptom)) {
                return Some(Sight { finding, cause: Some(cause), closed: None });
            }
        }
        if let Some(told) = self.log().iter().rev().find(|change| is_it(&change.finding)) {
            let closed = (told.status == FindingStatus::Closed).then_some(told);
            return Some(Sight { finding: &told.finding, cause: None, closed });
        }
        for Over { finding: cause, closed, .. } in self.over() {
            if is_it(cause) {
                return Some(Sight { finding: cause, cause: None, closed });
            }
            if let Some(finding) = cause.symptoms.iter().find(|symptom| is_it(symptom)) {
                return Some(Sight { finding, cause: Some(cause), closed });
            }
        }
        None
    }

    /// What became of one, oldest first, as far as the log tells.
    pub fn changes_of(&self, key: &Key) -> impl Iterator<Item = &FindingChange> {
        self.log().iter().filter(|change| change.finding.is(key.0, &key.1))
    }
}

#[cfg(test)]
mod tests {
    use super::{LISTED_SYMPTOMS, Place};
    use crate::{
        findings::{About, Finding, FindingStatus, Findings, Severity},
        probe::table::Family,
        state::fixture::at,
    };

    fn finding(id: &'static str, about: About) -> Finding {
        Finding::new(id, about, Severity::Warning, id.to_owned(), "what".to_owned())
    }

    #[test]
    fn symptoms_stand_below_their_cause_and_many_are_counted() {
        let mut findings = Findings::default();
        let families = [Family::Retransmit, Family::Neighbour, Family::Conntrack, Family::Ipvs, Family::Path];
        let symptoms = families.map(|family| finding("symptom", About::Family(family)));
        let cause = Finding { symptoms: symptoms.to_vec(), ..finding("cause", About::Node) };
        let past = Finding { is_open: false, ..finding("past", About::Node) };
        findings.put(at(1), vec![past, cause.clone()]);
        let listed: Vec<_> = findings.listed().iter().map(|row| (row.finding.id, row.place)).collect();
        let mut expected = vec![("cause", Place::Cause)];
        expected.extend(vec![("symptom", Place::Symptom); LISTED_SYMPTOMS]);
        expected.extend([("cause", Place::More(families.len() - LISTED_SYMPTOMS)), ("past", Place::Cause)]);
        assert_eq!(listed, expected);
        for symptom in &symptoms {
            let sight = findings.find(&symptom.key()).unwrap();
            assert_eq!((sight.finding, sight.cause), (symptom, Some(&cause)));
        }
    }

    #[test]
    fn one_that_is_no_more_is_found_as_it_was_told_last() {
        let mut findings = Findings::default();
        let mut one = finding("one", About::Node);
        findings.put(at(1), vec![one.clone()]);
        one.severity = Severity::Critical;
        findings.put(at(2), vec![one.clone()]);
        findings.put(at(3), vec![]);
        let sight = findings.find(&one.key()).unwrap();
        one.is_open = false;
        assert_eq!((sight.finding, sight.closed.map(|change| change.time)), (&one, Some(at(3))));
        let statuses: Vec<_> = findings.changes_of(&one.key()).map(|change| change.status).collect();
        assert_eq!(statuses, [FindingStatus::Open, FindingStatus::Update, FindingStatus::Closed]);
        assert!(findings.find(&finding("other", About::Node).key()).is_none());
    }
}
