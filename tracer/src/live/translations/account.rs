//! How many flows are asked about, and the account of it.

use tracer_common::{counters::KindCounters, record::RecordKind};

use crate::live::{
    account::{self, Budget},
    path::Unasked,
    watch::Records,
};

/// Flows asked about in a second.
const FLOWS_PER_SECOND: u32 = 200;

/// The account. What was seen is what was told, and the flows of which it is not known whether there is something to
/// tell: suppressed are those not asked about, lost those without an answer. A flow that is not translated has nothing to
/// tell and is not in it.
pub(super) struct Account {
    budget: Budget,
    counters: KindCounters,
    unasked: Unasked,
    stream: account::Account,
}

impl Account {
    /// An account that takes in what the collector did not ask for.
    pub(super) fn new(unasked: Unasked) -> Self {
        Self {
            budget: Budget::new(FLOWS_PER_SECOND),
            counters: KindCounters::default(),
            unasked,
            stream: account::Account::new(RecordKind::Translation),
        }
    }

    /// Whether a flow may be asked about; counted if not.
    pub(super) fn may_ask(&mut self) -> bool {
        let may = self.budget.take();
        if !may {
            self.counters.seen += 1;
            self.counters.suppressed += 1;
        }
        may
    }

    /// A translation was told.
    pub(super) fn deliver(&mut self) {
        self.counters.seen += 1;
        self.counters.delivered += 1;
    }

    /// A flow that was asked about has no answer.
    pub(super) fn lose(&mut self) {
        self.counters.seen += 1;
        self.counters.lost += 1;
    }

    /// Puts the account into the stream, if it changed. Where there is nobody to ask, nothing is left unasked.
    pub(super) fn append(&mut self, can_ask: bool, records: &mut Records) {
        let mut counters = self.counters;
        if can_ask {
            counters.seen += self.unasked.count();
            counters.suppressed += self.unasked.count();
        }
        self.stream.append(counters, records);
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, FLOWS_PER_SECOND, Unasked};

    #[test]
    fn every_flow_that_may_have_something_to_tell_is_accounted_for() {
        let mut account = Account::new(Unasked::default());
        let asked = u64::from(FLOWS_PER_SECOND) * 3;
        let may = (0..asked).filter(|_| account.may_ask()).count() as u64;
        assert!(may >= u64::from(FLOWS_PER_SECOND) && may < asked, "{may}");
        account.deliver();
        account.lose();
        let counters = account.counters;
        assert_eq!((counters.delivered, counters.suppressed, counters.lost), (1, asked - may, 1));
        assert_eq!(counters.seen, counters.delivered + counters.suppressed + counters.lost);
    }
}
