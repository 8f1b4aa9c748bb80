//! How much of what was seen is told, and the account of it.

use tracer_common::{counters::KindCounters, record::RecordKind};

use super::asked::Unasked;
use crate::live::{
    account::{Account, Budget},
    watch::Records,
};

/// Changes of routes told in a second. A router that loads its tables anew makes a hundred thousand.
const ROUTES_PER_SECOND: u32 = 10_000;

/// Look-ups made in a second.
const LOOKUPS_PER_SECOND: u32 = 200;

/// The account.
#[derive(Debug)]
pub(super) struct Told {
    routes: KindCounters,
    lookups: KindCounters,
    unasked: Unasked,
    route_budget: Budget,
    lookup_budget: Budget,
    route_account: Account,
    lookup_account: Account,
}

impl Told {
    /// An account that takes in what the collector did not ask for.
    pub(super) fn new(unasked: Unasked) -> Self {
        Self {
            routes: KindCounters::default(),
            lookups: KindCounters::default(),
            unasked,
            route_budget: Budget::new(ROUTES_PER_SECOND),
            lookup_budget: Budget::new(LOOKUPS_PER_SECOND),
            route_account: Account::new(RecordKind::Route),
            lookup_account: Account::new(RecordKind::RouteLookup),
        }
    }

    /// Counts a change of a route; whether it may be told.
    pub(super) fn may_tell_route(&mut self) -> bool {
        let may = self.route_budget.take();
        count(&mut self.routes, may)
    }

    /// Counts messages the kernel dropped. It does not say of what, but only routes come in floods.
    pub(super) fn lose_routes(&mut self, lost: u64) {
        self.routes.seen += lost;
        self.routes.lost += lost;
    }

    /// Counts a flow to be looked up; whether it may be.
    pub(super) fn may_look_up(&mut self) -> bool {
        let may = self.lookup_budget.take();
        count(&mut self.lookups, may)
    }

    /// A look-up that was to be made had no answer.
    pub(super) fn take_back_lookup(&mut self) {
        self.lookups.delivered -= 1;
        self.lookups.lost += 1;
    }

    /// Counts a look-up that could not be made.
    pub(super) fn lose_lookup(&mut self) {
        self.lookups.seen += 1;
        self.lookups.lost += 1;
    }

    /// Puts the account into the stream, if it changed.
    pub(super) fn append(&mut self, records: &mut Records) {
        let mut lookups = self.lookups;
        lookups.seen += self.unasked.count();
        lookups.suppressed += self.unasked.count();
        self.route_account.append(self.routes, records);
        self.lookup_account.append(lookups, records);
    }
}

fn count(counters: &mut KindCounters, may: bool) -> bool {
    counters.seen += 1;
    if may {
        counters.delivered += 1;
    } else {
        counters.suppressed += 1;
    }
    may
}

#[cfg(test)]
mod tests {
    use super::{ROUTES_PER_SECOND, Told, Unasked};

    #[test]
    fn every_change_is_accounted_for_whatever_becomes_of_it() {
        let mut told = Told::new(Unasked::default());
        let asked = u64::from(ROUTES_PER_SECOND) * 3;
        let delivered = (0..asked).filter(|_| told.may_tell_route()).count() as u64;
        told.lose_routes(5);
        let routes = told.routes;
        assert_eq!(routes.delivered, delivered);
        assert!(delivered >= u64::from(ROUTES_PER_SECOND) && routes.suppressed > 0, "{routes:?}");
        assert_eq!(routes.seen, asked + 5);
        assert_eq!(routes.seen, routes.delivered + routes.suppressed + routes.lost);
    }
}
