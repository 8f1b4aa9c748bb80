//! How many flows are asked about, and the account of it.

use std::time::Instant;

use tracer_common::{
    budget::KindBudget,
    counters::KindCounters,
    record::{RecordKind, StatsRecord},
};

use crate::live::{path::Unasked, watch::Records};

/// Flows asked about in a second.
const FLOWS_PER_SECOND: u32 = 200;

/// The account. What was seen is what was told, and the flows of which it is not known whether there is something to
/// tell: suppressed are those not asked about, lost those without an answer. A flow that is not translated has nothing to
/// tell and is not in it.
pub(super) struct Account {
    began: Instant,
    budget: KindBudget,
    counters: KindCounters,
    unasked: Unasked,
    /// As last put into the stream.
    known: KindCounters,
}

impl Account {
    /// An account that takes in what the collector did not ask for.
    pub(super) fn new(unasked: Unasked) -> Self {
        Self {
            began: Instant::now(),
            budget: KindBudget::default(),
            counters: KindCounters::default(),
            unasked,
            known: KindCounters::default(),
        }
    }

    /// Whether a flow may be asked about; counted if not.
    pub(super) fn may_ask(&mut self) -> bool {
        let elapsed_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let may = self.budget.take(elapsed_ns, FLOWS_PER_SECOND);
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
        if counters == self.known {
            return;
        }
        self.known = counters;
        let KindCounters { seen, delivered, suppressed, lost } = counters;
        let counted_kind = RecordKind::Translation as u16;
        let record =
            StatsRecord { seen, delivered, suppressed, lost, counted_kind, ..StatsRecord::default() };
        records.append(0, &record, &[]);
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
