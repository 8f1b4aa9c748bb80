//! Waiting for a finding to open, without screens.

use super::{Finding, FindingStatus, Severity};
use crate::{
    block::Block,
    decode::Decoder,
    state::{Batch, Limits, State},
};

/// The state of a stream of blocks, watched for findings that open.
#[derive(Debug)]
pub(crate) struct Watch {
    decoder: Decoder,
    /// On the heap: it is large.
    state: Box<State>,
    /// Changes of findings looked at.
    seen: u64,
    wanted: Wanted,
}

/// Which findings are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Any that says that something is wrong.
    Trouble,
    /// Those of these rules.
    Ids(Vec<String>),
    /// Both.
    TroubleAndIds(Vec<String>),
}

impl Wanted {
    fn has(&self, finding: &Finding) -> bool {
        let is_trouble = finding.severity != Severity::Notice;
        let is_one = |ids: &[String]| ids.iter().any(|id| id == finding.id);
        match self {
            Self::Trouble => is_trouble,
            Self::Ids(ids) => is_one(ids),
            Self::TroubleAndIds(ids) => is_trouble || is_one(ids),
        }
    }
}

impl Watch {
    /// Begins where the blocks begin.
    pub(crate) fn new(wanted: Wanted) -> Self {
        let state = Box::new(State::new(Limits::default()));
        Self { decoder: Decoder::default(), state, seen: 0, wanted }
    }

    /// Takes a block in; of the findings waited for that opened with it, the worst of the last to open, in a line.
    pub(crate) fn take(&mut self, block: &Block) -> Option<String> {
        let Self { decoder, state, seen, wanted } = self;
        let mut batch = Batch::new(state);
        decoder.decode(block, |event| batch.push(event));
        batch.finish();
        let findings = &state.findings;
        let opened = findings
            .changes_after(*seen)
            .filter(|change| change.status == FindingStatus::Open && wanted.has(&change.finding))
            .min_by_key(|change| (change.finding.severity, std::cmp::Reverse(change.time)))
            .map(|change| format!("{} {}: {}", change.finding.id, change.finding.who, change.finding.what));
        *seen = findings.changes();
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, Watch};
    use crate::{
        findings::{FINDING_CHANGES_KEPT, IDS, Severity},
        state::fixture::{busy, quiet},
    };

    #[test]
    fn every_rule_has_its_id_in_the_list_and_bad_ones_are_waited_for() {
        let ids = |wanted: &Wanted, severity| {
            let state = busy();
            let of = state.findings.all().into_iter().filter(|finding| finding.severity == severity);
            of.filter(|finding| wanted.has(finding)).count()
        };
        for state in [busy, quiet].map(|made| Box::new(made())) {
            for finding in state.findings.all() {
                assert!(IDS.contains(&finding.id), "{finding:?}");
            }
        }
        assert!(ids(&Wanted::Trouble, Severity::Critical) > 3);
        assert_eq!(ids(&Wanted::Trouble, Severity::Notice), 0);
        assert_eq!(ids(&Wanted::Ids(vec!["family-unseen".to_owned()]), Severity::Notice), 1);
        assert_eq!(ids(&Wanted::Ids(vec!["routing-loop".to_owned()]), Severity::Notice), 0);
    }

    #[test]
    fn a_finding_is_told_once_when_it_opens() {
        use crate::output::tests::every_event;
        let mut watch = Watch::new(Wanted::Trouble);
        let told = watch.take(&every_event());
        assert!(told.is_some() && watch.seen > 0 && watch.seen < FINDING_CHANGES_KEPT as u64, "{told:?}");
        assert_eq!(watch.take(&every_event()), None);
    }
}
