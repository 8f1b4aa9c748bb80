//! What is wrong on the node, and why: findings, the worst first, the cause above what it brought about.
//!
//! They are looked for when the hooks have been tried and whenever the accounting has been sampled, once a second by
//! the records' time: they depend on that and the state alone. So live, a replay and every moment gone to show the same
//! ones, and the same ones open and close.

mod affects;
mod behind;
mod beside;
mod called;
mod concerning;
mod correlation;
mod finding;
mod gone;
mod health;
mod listed;
mod log;
mod opened;
mod over;
mod own;
pub(crate) mod peers;
#[cfg(test)]
mod played;
mod rules;
#[cfg(test)]
pub(crate) mod sample;
mod silence;
mod sums;
pub(crate) mod thresholds;
pub(crate) mod watch;
mod way;

use std::{collections::VecDeque, sync::Arc};

pub(crate) use self::rules::{IDS, other_half};
pub use self::{
    affects::AFFECTED_NAMES,
    finding::{About, Affects, Certainty, Finding, Key, Severity},
    listed::{Listed, Place, Sight},
    log::{FINDING_CHANGES_KEPT, FindingChange, FindingStatus},
    opened::Opened,
    over::Over,
    rules::Rules,
};
use self::{log::Log, rules::View, sums::Peers};
use crate::{event::Timestamp, state::State};

/// Active flows that are gone through every second. Where there are more it is done every few seconds, so that it takes
/// some thousandths of the time at most.
const FLOWS_A_SECOND: u64 = 50_000;

/// The longest pause, whatever it takes: what is wrong is to be told within ten seconds.
const LONGEST_PAUSE_SECONDS: u64 = 4;

/// What stands out of a state, and how that came about.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    rules: Arc<Rules>,
    open: Vec<Finding>,
    past: Vec<Finding>,
    health: Vec<Finding>,
    log: Log,
    looked: Option<Timestamp>,
    /// Flows that were gone through the last time.
    active_flows: u64,
}

impl Findings {
    /// With other thresholds than the usual ones.
    pub fn judged_by(rules: Arc<Rules>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The thresholds.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// What goes on: the worst first, and else in the order of the rules, each of which begins with its worst. What one
    /// explains stands below it.
    pub fn open(&self) -> &[Finding] {
        &self.open
    }

    /// What tracer itself cannot see or lost: no finding, but to be known by who reads them.
    pub fn health(&self) -> &[Finding] {
        &self.health
    }

    /// All of them as they are found now: by severity, what goes on before what is past.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.open.iter().chain(&self.past).chain(&self.health).collect();
        all.sort_by_key(|finding| finding.severity);
        all
    }

    /// The last findings that opened, changed or closed, oldest first.
    pub fn log(&self) -> &VecDeque<FindingChange> {
        self.log.changes()
    }

    /// How many such changes there have been; the newest ones are in the log.
    pub fn changes(&self) -> u64 {
        self.log.count()
    }

    /// The changes after the first `seen` ones, as far as they are kept.
    pub fn changes_after(&self, seen: u64) -> impl Iterator<Item = &FindingChange> {
        self.log.after(seen)
    }

    /// How the same finding was told the last time before, as far as that is kept.
    pub(crate) fn told_before(&self, change: &FindingChange) -> Option<&FindingChange> {
        let FindingChange { time, finding, .. } = change;
        self.log
            .changes()
            .iter()
            .rev()
            .find(|before| before.time < *time && before.finding.is(finding.id, &finding.about))
    }

    /// Looks again, if it is time.
    pub(crate) fn look(&mut self, state: &State) {
        const SECOND_NS: u64 = 1_000_000_000;
        let now = state.now();
        let pause_seconds = (self.active_flows / FLOWS_A_SECOND).min(LONGEST_PAUSE_SECONDS);
        // The accounting is sampled once a second, or a little sooner.
        let pause_ns = (pause_seconds * SECOND_NS).saturating_sub(SECOND_NS / 2);
        let is_early = |looked: Timestamp| now.boot_ns.saturating_sub(looked.boot_ns) < pause_ns;
        if self.looked.is_some_and(is_early) {
            return;
        }
        self.looked = Some(now);
        let peers = Peers::of(state);
        self.active_flows = peers.active_flows() as u64;
        let mut found = self.rules.look(&View { state, peers: &peers, open: &self.open });
        correlation::absorb(state, &mut found, &self.open);
        found.sort_by_key(|finding| finding.severity);
        let (mut open, mut past): (Vec<Finding>, Vec<Finding>) =
            found.into_iter().partition(|finding| finding.is_open);
        called::as_before(&mut open, &self.open);
        called::as_before(&mut past, &self.past);
        called::as_before(&mut past, &self.open);
        self.log.compare(now, &self.open, &open);
        (self.open, self.past) = (open, past);
        self.health = health::facts(state);
    }
}
