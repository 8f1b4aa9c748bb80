//! The rules: a file each, a struct each, whose fields are its thresholds.

mod address_flap;
mod answers_for_foreign_address;
#[cfg(test)]
mod clean_tests;
mod conntrack_insert_failed;
mod conntrack_stale_mapping;
mod conntrack_table_full;
mod duplicate_address;
mod ipvs_destination_gone;
mod ipvs_no_destination;
mod ipvs_reuse_drained;
mod ipvs_syn_delayed;
mod neighbour_unreachable;
mod path_outage;
#[cfg(test)]
mod play;
mod reply_misrouted;
#[cfg(test)]
mod rollout_tests;
mod routing_loop;
mod ruleset_bloat;
#[cfg(test)]
mod service_tests;
mod services;
#[cfg(test)]
mod table_tests;
mod tables;

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    address_flap::AddressFlap,
    answers_for_foreign_address::AnswersForForeignAddress,
    conntrack_insert_failed::ConntrackInsertFailed,
    conntrack_stale_mapping::ConntrackStaleMapping,
    conntrack_table_full::ConntrackTableFull,
    duplicate_address::DuplicateAddress,
    ipvs_destination_gone::IpvsDestinationGone,
    ipvs_no_destination::IpvsNoDestination,
    ipvs_reuse_drained::IpvsReuseDrained,
    ipvs_syn_delayed::IpvsSynDelayed,
    neighbour_unreachable::NeighbourUnreachable,
    path_outage::PathOutage,
    reply_misrouted::ReplyMisrouted,
    routing_loop::RoutingLoop,
    ruleset_bloat::{RulesetBloat, other_half},
};
use super::{About, Finding, Severity, finding::is_within, sums::Peers};
use crate::{event::Timestamp, state::State, words::exact};

/// Findings of one rule at most; how many more there are is a finding of its own.
pub(super) const MOST_OF_A_RULE: usize = 100;

/// A rule. It looks at the state alone, so it says the same of a session as it said live.
pub(super) trait Rule {
    /// Its id, as findings have it.
    const ID: &'static str;

    /// Tells what it finds: each thing once, its worst first. What it found before and is over it may tell as past.
    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>);
}

/// What rules look at.
pub(super) struct View<'a> {
    /// Everything known.
    pub(super) state: &'a State,
    /// The peers of flows that are resent now.
    pub(super) peers: &'a Peers,
    /// What was found the last time.
    pub(super) open: &'a [Finding],
}

impl View<'_> {
    /// Now, by the records.
    pub(super) fn now(&self) -> Timestamp {
        self.state.now()
    }

    /// Whether that was no longer ago than so many seconds.
    pub(super) fn is_within(&self, then: Timestamp, seconds: u32) -> bool {
        is_within(self.now(), then, seconds)
    }

    /// Whether that finding is open, by itself or below another: a rule may ask more of one to open than to stay.
    pub(super) fn was_open(&self, id: &str, about: &About) -> bool {
        let is_it = |finding: &Finding| finding.is(id, about);
        self.open.iter().any(|finding| is_it(finding) || finding.symptoms.iter().any(is_it))
    }
}

macro_rules! rules {
    ($($field:ident: $rule:ident),+ $(,)?) => {
        /// The thresholds of all rules, by their ids: as a file of settings gives them.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct Rules {
            $(
                #[doc = concat!("Those of [`", stringify!($rule), "`].")]
                pub $field: $rule,
            )+
        }

        impl Rules {
            /// What all of them find.
            pub(super) fn look(&self, view: &View<'_>) -> Vec<Finding> {
                let mut found = Vec::new();
                $(self.$field.look(view, &mut found);)+
                found
            }
        }

        /// The ids of all rules, as findings have them.
        pub(crate) const IDS: [&str; [$($rule::ID),+].len()] = [$($rule::ID),+];
    };
}

rules! {
    duplicate_address: DuplicateAddress,
    address_flap: AddressFlap,
    answers_for_foreign_address: AnswersForForeignAddress,
    ruleset_bloat: RulesetBloat,
    ipvs_reuse_drained: IpvsReuseDrained,
    ipvs_syn_delayed: IpvsSynDelayed,
    ipvs_destination_gone: IpvsDestinationGone,
    ipvs_no_destination: IpvsNoDestination,
    conntrack_stale_mapping: ConntrackStaleMapping,
    conntrack_table_full: ConntrackTableFull,
    conntrack_insert_failed: ConntrackInsertFailed,
    reply_misrouted: ReplyMisrouted,
    routing_loop: RoutingLoop,
    path_outage: PathOutage,
    neighbour_unreachable: NeighbourUnreachable,
}

/// Says how many more there are of a rule than it tells.
fn tell_left_out(
    found: &mut Vec<Finding>,
    id: &'static str,
    all: usize,
    severity: Severity,
    (who, what): (&str, &str),
) {
    if let Some(more) = all.checked_sub(MOST_OF_A_RULE).filter(|&more| more > 0) {
        let who = format!("{} more {who}", exact(more as u64));
        found.push(Finding::new(id, About::Others, severity, who, what.to_owned()));
    }
}
