//! What the screens may not tell: events that were lost, and hooks that are missing.

use std::cmp::Reverse;

use tracer_common::counters::KindCounters;

use super::{About, Finding, Severity};
use crate::{
    state::{COUNTED_FAMILIES, State},
    words::{describe::blind_text, exact},
};

/// A fact about losses, and one for each family of which nothing is seen.
pub(super) fn facts(state: &State) -> Vec<Finding> {
    let mut facts = Vec::new();
    let KindCounters { seen, suppressed, lost, .. } = state.accounting.total();
    let mut tell = |id, about, severity, who: &str, what: String| {
        facts.push(Finding::new(id, about, severity, who.to_owned(), what));
    };
    if lost > 0 {
        let mut kinds: Vec<_> = state.accounting.seen().filter(|(_, counters)| counters.lost > 0).collect();
        kinds.sort_by_key(|(_, counters)| Reverse(counters.lost));
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, counters)| format!("{} {}", kind.name(), exact(counters.lost)))
            .collect();
        let text = format!("{} · of {} seen in all", kinds.join(", "), exact(seen));
        tell("events-lost", About::Node, Severity::Warning, "events lost", text);
    }
    if suppressed > 0 {
        let text = format!("{} of {} went over the limit of their kind", exact(suppressed), exact(seen));
        tell("events-suppressed", About::Node, Severity::Notice, "events suppressed", text);
    }
    let evicted = state.evicted();
    if evicted > 0 {
        tell(
            "rows-forgotten",
            About::Node,
            Severity::Notice,
            "rows forgotten",
            format!("{}, for newer ones", exact(evicted)),
        );
    }
    for family in COUNTED_FAMILIES {
        if state.hooks.is_blind(family) {
            tell("family-unseen", About::Family(family), Severity::Notice, family.name(), blind_text(family));
        }
    }
    facts
}
