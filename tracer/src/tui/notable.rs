//! What stands out: observed facts, a line each, the worst first.
//!
//! These are facts, not explanations: each says who, what, since when and when last, as the state holds it. A node on
//! which nothing is wrong has none but hooks that are missing.

mod conntrack;
mod flows;
mod health;
mod ipvs;
mod neighbours;
mod path;
mod rulesets;
#[cfg(test)]
mod tests;

use super::{
    model::Subject,
    peers::Peer,
    text::{exact, time_of_day},
    theme::Role,
};
use crate::{
    event::Timestamp,
    state::{Span, State},
};

/// Lines of one rule at most; how many more there are is a line of its own.
const MOST_OF_A_RULE: usize = 100;

/// How bad something is. The order is from the worst on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Connections fail.
    Critical,
    /// Something is wrong, or will be soon.
    Warning,
    /// Good to know when reading the rest.
    Notice,
}

impl Severity {
    /// Its name, and a mark where that finds no room.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Critical => ("critical", "!!"),
            Self::Warning => ("warning", "!"),
            Self::Notice => ("notice", "·"),
        }
    }

    /// How it looks.
    pub(super) fn role(self) -> Role {
        match self {
            Self::Critical => Role::Bad,
            Self::Warning => Role::Warning,
            Self::Notice => Role::Dim,
        }
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notable {
    /// How bad it is.
    pub(super) severity: Severity,
    /// What it is about, if that can be opened.
    pub(super) subject: Option<Subject>,
    /// Who it is about.
    pub(super) who: String,
    /// What is so, from the most important words on.
    pub(super) what: String,
    /// From when to when it was seen; `None` where that is not known, or it is simply so.
    pub(super) span: Option<Span>,
}

impl Notable {
    /// It as a line of its own.
    pub(super) fn text(&self) -> String {
        let Self { severity, subject: _, who, what, span } = self;
        let seen = span
            .map(|Span { first, last }| format!(" ({} to {} UTC)", time_of_day(first), time_of_day(last)));
        format!("{} {who}: {what}{}", severity.names().0, seen.unwrap_or_default())
    }

    /// Whether it has not been seen for a minute.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        const PAST_NS: u64 = 60_000_000_000;
        self.span.is_some_and(|span| now.boot_ns.saturating_sub(span.last.boot_ns) > PAST_NS)
    }
}

/// Everything that stands out: by severity, what goes on before what is past, and else in the order of the rules, each
/// of which begins with its worst. `peers` are all that segments are resent to.
pub(super) fn all(state: &State, peers: &[Peer<'_>]) -> Vec<Notable> {
    let mut facts = Vec::new();
    ipvs::collect(state, &mut facts);
    neighbours::collect(state, &mut facts);
    path::collect(state, &mut facts);
    flows::collect(state, peers, &mut facts);
    conntrack::collect(state, &mut facts);
    rulesets::collect(state, &mut facts);
    health::collect(state, &mut facts);
    let now = state.now();
    facts.sort_by_key(|fact| (fact.severity, fact.is_past(now)));
    facts
}

/// Says how many more there are of a rule than it tells.
fn tell_left_out(facts: &mut Vec<Notable>, all: usize, severity: Severity, (who, what): (&str, &str)) {
    if let Some(more) = all.checked_sub(MOST_OF_A_RULE).filter(|&more| more > 0) {
        let who = format!("{} more {who}", exact(more as u64));
        facts.push(Notable { severity, subject: None, who, what: what.to_owned(), span: None });
    }
}
