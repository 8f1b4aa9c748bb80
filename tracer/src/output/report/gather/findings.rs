//! What stands out, each with the events it rests on.

use super::extent_of;
use crate::{
    event::Event,
    findings::Finding as Found,
    output::report::document::{Evidence, Finding, Moment},
    state::State,
    tui::view::event_fact,
};

/// Findings whose events are gathered; gathering goes through everything that is kept.
const WITH_EVIDENCE: usize = 12;

/// Events told of a finding, half of them its first and half its last.
const EVIDENCE: usize = 6;

/// All findings, the worst first.
pub(super) fn findings(state: &State) -> Vec<Finding> {
    let all = state.findings.all();
    all.into_iter()
        .enumerate()
        .map(|(place, found)| {
            let events = if place < WITH_EVIDENCE { events(state, found) } else { Vec::new() };
            finding(state, found, &events)
        })
        .collect()
}

fn events<'a>(state: &'a State, found: &Found) -> Vec<&'a Event> {
    found.subject.map(|subject| state.related(subject).events).unwrap_or_default()
}

fn finding(state: &State, found: &Found, events: &[&Event]) -> Finding {
    let (severity, mark) = found.severity.names();
    let told = if events.len() > EVIDENCE {
        let (first, last) = (&events[..EVIDENCE / 2], &events[events.len() - EVIDENCE / 2..]);
        [first, last].concat()
    } else {
        events.to_vec()
    };
    Finding {
        id: found.id,
        severity,
        mark,
        status: if found.is_past(state.now()) { "past" } else { "open" },
        who: found.who.clone(),
        what: found.what.clone(),
        span: found.span.map(extent_of),
        more_evidence: (events.len() - told.len()) as u64,
        evidence: told.into_iter().map(evidence).collect(),
    }
}

fn evidence(event: &Event) -> Evidence {
    let (_, kind, text) = event_fact(event);
    Evidence { time: Moment(event.time), kind, text }
}
