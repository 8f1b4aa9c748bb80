//! What stands out: observed facts, a line each, the worst first.
//!
//! These are facts, not explanations: each says who, what, since when and when last, as the state holds it. A node on
//! which nothing is wrong has none but hooks that are missing.
//!
//! They are looked for when the hooks have been tried and whenever the accounting has been sampled, once a second by
//! the records' time: they depend on that and the state alone. So live, a replay and every moment gone to show the same ones, and the same ones open and close.

mod conntrack;
mod flows;
mod health;
mod ipvs;
mod log;
mod neighbours;
mod path;
pub(crate) mod peers;
mod rulesets;
mod sums;
#[cfg(test)]
mod tests;
pub(crate) mod watch;

use std::collections::{BTreeMap, VecDeque};

pub use self::log::{FINDING_CHANGES_KEPT, FindingChange, FindingStatus};
use self::{log::Log, sums::Peers};
use crate::{
    event::Timestamp,
    probe::table::Family,
    state::{Span, State, Subject, TableKey},
    words::{exact, time_of_day},
};

/// The ids of all rules, as findings have them.
pub(crate) const IDS: [&str; 18] = [
    "ipvs-reuse-drained",
    "ipvs-turned-away",
    "duplicate-address",
    "neighbour-unreachable",
    "routing-loop",
    "icmp-errors-sent",
    "icmp-errors-received",
    "reply-misrouted",
    "unanswered-peer",
    "conntrack-insert-failed",
    "conntrack-reopen-failed",
    "conntrack-table-full",
    "conntrack-table-trouble",
    "ruleset-bloat",
    "events-lost",
    "events-suppressed",
    "rows-forgotten",
    "family-unseen",
];

/// Lines of one rule at most; how many more there are is a line of its own.
const MOST_OF_A_RULE: usize = 100;

/// Flows that are gone through every second. Where there are more it is done every few seconds: so it takes about a
/// thousandth of the time at most, however many there are.
const FLOWS_A_SECOND: u64 = 12_500;

/// How bad something is. The order is from the worst on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Connections fail.
    Critical,
    /// Something is wrong, or will be soon.
    Warning,
    /// Good to know when reading the rest.
    Notice,
}

impl Severity {
    /// Its name, and a mark where that finds no room.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Critical => ("critical", "!!"),
            Self::Warning => ("warning", "!"),
            Self::Notice => ("notice", "·"),
        }
    }
}

/// What tells a finding from others of the same rule, whatever it says at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum About {
    /// One thing on the node.
    Subject(Subject),
    /// A table of rules.
    Table(TableKey),
    /// All events of a family.
    Family(Family),
    /// The whole node.
    Node,
    /// Those the rule has no lines for.
    Others,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule found it: words joined by hyphens, the same in every version.
    pub id: &'static str,
    /// What it is about: with the id it tells one finding from another.
    pub about: About,
    /// How bad it is.
    pub severity: Severity,
    /// What can be opened to read more of it.
    pub subject: Option<Subject>,
    /// Who it is about.
    pub who: String,
    /// What is so, from the most important words on.
    pub what: String,
    /// From when to when it was seen; `None` where that is not known, or it is simply so.
    pub span: Option<Span>,
}

impl Finding {
    /// It as a line of its own.
    pub fn text(&self) -> String {
        let Self { severity, who, what, span, .. } = self;
        let seen = span
            .map(|Span { first, last }| format!(" ({} to {} UTC)", time_of_day(first), time_of_day(last)));
        format!("{} {who}: {what}{}", severity.names().0, seen.unwrap_or_default())
    }

    /// Whether it has not been seen for a minute.
    pub fn is_past(&self, now: Timestamp) -> bool {
        const PAST_NS: u64 = 60_000_000_000;
        self.span.is_some_and(|span| now.boot_ns.saturating_sub(span.last.boot_ns) > PAST_NS)
    }
}

/// What stands out of a state, and how that came about.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    open: Vec<Finding>,
    past: Vec<Finding>,
    log: Log,
    looked: Option<Timestamp>,
}

impl Findings {
    /// What goes on, or was so within the last minute: the worst first, and else in the order of the rules, each of which
    /// begins with its worst.
    pub fn open(&self) -> &[Finding] {
        &self.open
    }

    /// What has not been so for a minute, in the same order.
    pub fn past(&self) -> &[Finding] {
        &self.past
    }

    /// All of them: by severity, what goes on before what is past.
    pub fn all(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.open.iter().chain(&self.past).collect();
        all.sort_by_key(|finding| finding.severity);
        all
    }

    /// What the log has opened and closed and is no more, not even as past: each as it was told last, from when to when it
    /// was, the worst first.
    pub fn gone(&self) -> Vec<(Span, &Finding)> {
        let mut gone: BTreeMap<(&str, &About), (Span, Option<&Finding>)> = BTreeMap::new();
        for FindingChange { time, status, finding } in self.log.changes() {
            let (span, told) = gone
                .entry((finding.id, &finding.about))
                .or_insert((Span { first: *time, last: *time }, None));
            span.last = *time;
            *told = (*status == FindingStatus::Closed).then_some(finding);
        }
        for finding in self.open.iter().chain(&self.past) {
            gone.remove(&(finding.id, &finding.about));
        }
        let mut gone: Vec<_> =
            gone.into_values().filter_map(|(span, finding)| Some((span, finding?))).collect();
        gone.sort_by_key(|(_, finding)| finding.severity);
        gone
    }

    /// The last findings that opened, became worse or better, or closed, oldest first.
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

    /// Looks again, if it is time.
    pub(crate) fn look(&mut self, state: &State) {
        const SECOND_NS: u64 = 1_000_000_000;
        let now = state.now();
        let pause_ns = state.flows.len() as u64 / FLOWS_A_SECOND * SECOND_NS;
        let is_early = |looked: Timestamp| now.boot_ns.saturating_sub(looked.boot_ns) < pause_ns;
        if self.looked.is_some_and(is_early) {
            return;
        }
        self.looked = Some(now);
        let (past, open): (Vec<Finding>, Vec<Finding>) =
            found(state).into_iter().partition(|finding| finding.is_past(now));
        self.log.compare(now, &self.open, &open);
        (self.open, self.past) = (open, past);
    }
}

/// Everything that stands out: by severity, and else in the order of the rules, each of which begins with its worst.
fn found(state: &State) -> Vec<Finding> {
    let peers = Peers::of(state);
    let mut facts = Vec::new();
    ipvs::collect(state, &mut facts);
    neighbours::collect(state, &peers, &mut facts);
    path::collect(state, &peers, &mut facts);
    flows::collect(state, &peers, &mut facts);
    conntrack::collect(state, &mut facts);
    rulesets::collect(state, &mut facts);
    health::collect(state, &mut facts);
    facts.sort_by_key(|fact| fact.severity);
    facts
}

/// Says how many more there are of a rule than it tells.
fn tell_left_out(
    facts: &mut Vec<Finding>,
    id: &'static str,
    all: usize,
    severity: Severity,
    (who, what): (&str, &str),
) {
    if let Some(more) = all.checked_sub(MOST_OF_A_RULE).filter(|&more| more > 0) {
        let (who, what) = (format!("{} more {who}", exact(more as u64)), what.to_owned());
        facts.push(Finding { id, about: About::Others, severity, subject: None, who, what, span: None });
    }
}
