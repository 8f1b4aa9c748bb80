//! Events played for tests of rules, looked at every second as live.

use tracer_common::record::RecordKind;

use crate::{
    event::{Body, Event},
    findings::{Finding, FindingStatus, Severity},
    state::{
        State,
        fixture::{event, stats},
    },
};

/// What these events amount to, looked at once a second from the first of them through `until` (seconds since boot).
pub(super) fn played(events: impl IntoIterator<Item = (u64, Body)>, until: u64) -> State {
    let mut events: Vec<Event> =
        events.into_iter().map(|(milliseconds, body)| event(milliseconds, body)).collect();
    let begin = events.iter().map(|event| event.time.boot_ns / 1_000_000_000).min().unwrap_or_default();
    for second in begin + 1..=until {
        let Body::Stats(mut look) = stats(RecordKind::Ipvs, 0, 0, 0) else {
            unreachable!("it makes nothing else")
        };
        look.last_of_batch = true;
        events.push(event(second * 1_000, Body::Stats(look)));
    }
    events.sort_by_key(|event| event.time);
    let mut state = State::default();
    for event in &events {
        state.apply(event);
    }
    state
}

/// What opened and closed of a rule: at which second, how bad it was, and about whom.
pub(super) fn told(state: &State, id: &str) -> Vec<(u64, FindingStatus, Severity, String)> {
    let of_rule = state.findings.log().iter().filter(|change| change.finding.id == id);
    of_rule
        .filter(|change| change.status != FindingStatus::Update)
        .map(|change| {
            let second = change.time.boot_ns / 1_000_000_000;
            (second, change.status, change.finding.severity, change.finding.who.clone())
        })
        .collect()
}

/// The only finding of a rule, whether it goes on or is past.
pub(super) fn only<'a>(state: &'a State, id: &str) -> &'a Finding {
    let all = state.findings.all();
    let of_rule: Vec<&Finding> = all.into_iter().filter(|finding| finding.id == id).collect();
    assert_eq!(of_rule.len(), 1, "{id}: {of_rule:?}");
    of_rule[0]
}
