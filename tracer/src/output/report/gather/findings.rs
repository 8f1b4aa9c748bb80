//! What stands out, each with the events it rests on.

use std::collections::{BTreeMap, VecDeque};

use tracer_common::record::RecordKind;

use super::{extent_of, node_name};
use crate::{
    event::Event,
    findings::{Finding as Found, Severity},
    output::report::document::{Evidence, Finding, Moment},
    state::{State, Subject},
    tui::view::event_fact,
    words::describe::HOOKS_SCREEN,
};

/// Findings whose events are gathered; gathering goes through everything that is kept.
const WITH_EVIDENCE: usize = 12;

/// Events told of a finding.
const EVIDENCE: usize = 8;

/// All findings, the worst first, behind them those that were gone when the session ended, and last what is only good to
/// know.
pub(super) fn findings(state: &State) -> Vec<Finding> {
    let all = state.findings.all().into_iter();
    let told = all.map(|found| {
        let status = if found.is_past(state.now()) { "past" } else { "open" };
        (found, status, found.span)
    });
    let gone = state.findings.gone().into_iter().filter(|(_, found)| found.severity != Severity::Notice);
    let gone = gone.map(|(span, found)| (found, "closed", Some(span)));
    let mut told: Vec<_> = told.chain(gone).collect();
    told.sort_by_key(|(found, ..)| found.severity == Severity::Notice);
    told.into_iter()
        .enumerate()
        .map(|(place, (found, status, span))| {
            let events = if place < WITH_EVIDENCE { events(state, found) } else { Vec::new() };
            let span = span.map(extent_of);
            Finding { status, span, ..finding(state, found, &events) }
        })
        .collect()
}

fn events<'a>(state: &'a State, found: &Found) -> Vec<&'a Event> {
    let Some(subject) = found.subject else { return Vec::new() };
    let mut events = state.related(subject).events;
    // What the user marked is in the timeline, once.
    events.retain(|event| event.body.kind() != RecordKind::Marker);
    if matches!(subject, Subject::Namespace(_)) {
        // All that happens in a namespace concerns it, but the finding is of one family.
        let family = |name: &'static str| name.split('-').next();
        events.retain(|event| family(event.body.kind().name()) == family(found.id));
    }
    events
}

fn finding(state: &State, found: &Found, events: &[&Event]) -> Finding {
    let (severity, mark) = found.severity.names();
    let told = telling(events);
    Finding {
        id: found.id,
        severity,
        mark,
        status: "",
        node: found.subject.and_then(Subject::netns).and_then(|netns| node_name(state, netns)),
        who: found.who.clone(),
        // A report has a section of its own for that.
        what: found.what.replace(HOOKS_SCREEN, ""),
        span: None,
        more_evidence: (events.len() - told.len()) as u64,
        evidence: told.into_iter().map(evidence).collect(),
    }
}

/// Those that tell most, in their order: the first and the last of every kind, the rarest kinds first, then the next ones.
/// So the one change of a weight is told beside a thousand connections.
fn telling<'a>(events: &[&'a Event]) -> Vec<&'a Event> {
    let mut kinds: BTreeMap<u16, VecDeque<usize>> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        kinds.entry(event.body.kind() as u16).or_default().push_back(place);
    }
    let mut kinds: Vec<VecDeque<usize>> = kinds.into_values().collect();
    kinds.sort_by_key(VecDeque::len);
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < EVIDENCE && kinds.iter().any(|places| !places.is_empty()) {
        for places in &mut kinds {
            chosen.extend(places.pop_front());
            chosen.extend(places.pop_back());
        }
    }
    chosen.truncate(EVIDENCE);
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|place| events.get(place).copied()).collect()
}

fn evidence(event: &Event) -> Evidence {
    let (_, kind, text) = event_fact(event);
    Evidence { time: Moment(event.time), kind, text }
}

#[cfg(test)]
mod tests {
    use super::{EVIDENCE, telling};
    use crate::{
        event::{Body, IpvsChangeKind, IpvsDecision},
        state::fixture::{event, ipvs, ipvs_change},
    };

    #[test]
    fn the_one_change_is_told_among_many_decisions() {
        let (service, real) = ("10.9.9.9:80", "10.2.1.2:8080");
        let mut events: Vec<_> = (0..100)
            .map(|time| event(time, ipvs(IpvsDecision::Reused, "10.0.0.1:1", service, Some(real), 0)))
            .collect();
        events.insert(
            50,
            event(50, ipvs_change(IpvsChangeKind::Weight, service, Some(real), Some(1), Some(0))),
        );
        let all: Vec<_> = events.iter().collect();
        let told = telling(&all);
        assert_eq!(told.len(), EVIDENCE);
        assert!(told.iter().any(|event| matches!(event.body, Body::IpvsChange(_))));
        assert_eq!((told[0].time, told[EVIDENCE - 1].time), (all[0].time, all[100].time));
        assert!(told.is_sorted_by_key(|event| event.time));
        assert_eq!(telling(&all[..3]).len(), 3);
    }
}
