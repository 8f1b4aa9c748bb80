//! What the screens may not tell: events that were lost, and hooks that are missing.

use tracer_common::counters::KindCounters;

use super::{Notable, Severity};
use crate::{
    state::{COUNTED_FAMILIES, State},
    tui::{text::exact, view::blind_text},
};

/// A fact about losses, and one for each family of which nothing is seen.
pub(super) fn collect(state: &State, facts: &mut Vec<Notable>) {
    let KindCounters { seen, suppressed, lost, .. } = state.accounting.total();
    let mut tell = |severity, who: &str, what: String| {
        facts.push(Notable { severity, subject: None, who: who.to_owned(), what, span: None });
    };
    if lost > 0 {
        let text = format!("{} of {} are not in these numbers", exact(lost), exact(seen));
        tell(Severity::Warning, "events lost", text);
    }
    if suppressed > 0 {
        let text = format!("{} of {} went over the limit of their kind", exact(suppressed), exact(seen));
        tell(Severity::Notice, "events suppressed", text);
    }
    let evicted = state.evicted();
    if evicted > 0 {
        tell(Severity::Notice, "rows forgotten", format!("{}, for newer ones", exact(evicted)));
    }
    for family in COUNTED_FAMILIES {
        if state.hooks.is_blind(family) {
            tell(Severity::Notice, family.name(), blind_text(family));
        }
    }
}
