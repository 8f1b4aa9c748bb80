//! What stands out, each with the events it rests on.

use std::collections::{BTreeMap, VecDeque};

use tracer_common::record::RecordKind;

use super::{extent_of, node_name};
use crate::{
    event::Event,
    findings::{Finding as Found, IDS, Over},
    output::report::document::{Affects, Cause, Certainty, Finding, Moment, Told},
    state::{Span, State, Subject},
    tui::view::event_fact,
    words::describe::HOOKS_SCREEN,
};

/// Findings whose events are gathered; gathering goes through everything that is kept.
const WITH_EVENTS: usize = 12;

/// Events told of a finding.
const EVENTS: usize = 8;

/// It went on when the session ended.
const OPEN: &str = "open";
/// It was over by then.
const CLOSED: &str = "closed";

/// A finding, how it ended, and when it was seen.
type Row<'a> = (&'a Found, &'static str, Option<Span>);

/// All findings, the worst first, of those what went on when the session ended before what was over, and last what is
/// only good to know.
pub(super) fn findings(state: &State) -> Vec<Finding> {
    let all = state.findings.open().iter().chain(state.findings.health());
    let mut rows: Vec<Row<'_>> = all.map(|found| (found, OPEN, found.span)).collect();
    rows.extend(state.findings.over().into_iter().map(|Over { finding, span, .. }| (finding, CLOSED, span)));
    // Stable: what tracer itself lacks stays behind what else is good to know.
    rows.sort_by_key(|(found, ..)| (found.severity, !IDS.contains(&found.id)));
    let told = rows.into_iter().enumerate().map(|(place, row)| {
        let events = if place < WITH_EVENTS { events(state, row.0) } else { Vec::new() };
        finding(state, row, &events)
    });
    told.collect()
}

fn events<'a>(state: &'a State, found: &Found) -> Vec<&'a Event> {
    let Some(subject) = found.subject else { return Vec::new() };
    let mut events = state.related(subject).events;
    // What the user marked is in the timeline, once.
    events.retain(|event| event.body.kind() != RecordKind::Marker && found.is_told_by(event));
    events
}

fn finding(state: &State, (found, status_told, span): Row<'_>, events: &[&Event]) -> Finding {
    let (severity, mark) = found.severity.names();
    let told = telling(events);
    let certainty = Certainty { name: found.certainty.name(), meaning: found.certainty.meaning() };
    // What a finding explains is over with it.
    let symptoms = found.symptoms.iter();
    let symptom_status = |one: &Found| if one.is_open { status_told } else { CLOSED };
    let affects = &found.affects;
    Finding {
        id: found.id,
        severity,
        mark,
        certainty: IDS.contains(&found.id).then_some(certainty),
        status: status_told,
        node: found.subject.and_then(Subject::netns).and_then(|netns| node_name(state, netns)),
        who: found.who.clone(),
        // A report has a section of its own for that.
        what: found.what.replace(HOOKS_SCREEN, ""),
        span: span.map(extent_of),
        evidence: found.evidence.clone(),
        affects: Affects {
            flows: affects.flows,
            retransmits: affects.retransmits,
            connections: affects.connections,
            owners: affects.owners.clone(),
        },
        advice: found.advice.clone(),
        symptoms: symptoms.map(|one| finding(state, (one, symptom_status(one), one.span), &[])).collect(),
        explained_by: (status_told == CLOSED).then(|| cause(state, found)).flatten(),
        more_events: (events.len() - told.len()) as u64,
        events: told.into_iter().map(event_told).collect(),
    }
}

/// What explained a finding that closed because of that.
fn cause(state: &State, found: &Found) -> Option<Cause> {
    let (id, who) = state.findings.find(&found.key())?.closed?.explained_by.clone()?;
    Some(Cause { id, who })
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
    while chosen.len() < EVENTS && kinds.iter().any(|places| !places.is_empty()) {
        for places in &mut kinds {
            chosen.extend(places.pop_front());
            chosen.extend(places.pop_back());
        }
    }
    chosen.truncate(EVENTS);
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|place| events.get(place).copied()).collect()
}

fn event_told(event: &Event) -> Told {
    let (_, kind, text) = event_fact(event);
    Told { time: Moment(event.time), kind, text }
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, telling};
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
        assert_eq!(told.len(), EVENTS);
        assert!(told.iter().any(|event| matches!(event.body, Body::IpvsChange(_))));
        assert_eq!((told[0].time, told[EVENTS - 1].time), (all[0].time, all[100].time));
        assert!(told.is_sorted_by_key(|event| event.time));
        assert_eq!(telling(&all[..3]).len(), 3);
    }
}
