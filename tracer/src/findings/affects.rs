//! Whom a finding hits.

use std::collections::BTreeSet;

use super::Affects;
use crate::{
    state::{Flow, FlowKey, State, second_of},
    words::owner::owner_column,
};

/// Names that are listed at most.
pub const AFFECTED_NAMES: usize = 8;

/// Flows that are asked for their owner at most: asking takes far longer than counting.
const ASKED_FLOWS: usize = 256;

/// Seconds over which retransmits are counted.
const RECENT_SECONDS: u64 = 60;

impl Affects {
    /// What these flows amount to.
    pub(super) fn of_flows<'a>(
        state: &'a State,
        flows: impl IntoIterator<Item = (&'a FlowKey, &'a Flow)>,
    ) -> Self {
        let mut affects = Self::default();
        let mut owners = BTreeSet::new();
        let since = second_of(state.now()).saturating_sub(RECENT_SECONDS);
        for (place, (key, flow)) in flows.into_iter().enumerate() {
            affects.flows += 1;
            affects.retransmits += flow.recent.sum_since(since);
            if place < ASKED_FLOWS && owners.len() < AFFECTED_NAMES {
                owners.extend(owner_column(state, key, flow));
            }
        }
        affects.owners = owners.into_iter().collect();
        affects
    }
}
