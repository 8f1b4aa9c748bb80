//! What happened, in order: the log of events and the findings that opened and closed.

use super::{extent_of, netns_name};
use crate::{
    event::{Body, Prefix},
    findings::FindingChange,
    output::report::{
        document::{Entry, Moment, Timeline},
        log::{self, Log},
    },
    state::{MarkerKind, Span, State},
    tui::view::event_fact,
    words::{counted, describe::kinds_text, exact},
};

/// Entries of events, and as many of findings at most.
const ENTRIES: usize = 250;

/// Everything there is room for.
pub(super) fn timeline(state: &State, log: &Log) -> Timeline {
    let chosen = log::telling(log.entries(), ENTRIES);
    let left_out = log.entries().len() - chosen.len();
    let mut entries: Vec<Entry> = chosen.into_iter().map(|entry| of_events(state, entry)).collect();
    let changes = state.findings.log();
    let skipped = changes.len().saturating_sub(ENTRIES);
    entries.extend(changes.iter().skip(skipped).map(of_finding));
    // Stable: what is noticed at the same moment comes after what it was noticed by.
    entries.sort_by_key(|entry| entry.first);
    let more = (left_out + skipped) as u64 + log.left_out();
    Timeline { entries, more }
}

fn of_finding(change: &FindingChange) -> Entry {
    let FindingChange { time, status, finding } = change;
    Entry {
        first: Moment(*time),
        last: Moment(*time),
        kind: "finding",
        events: 1,
        netns: String::new(),
        text: format!("{}: {} {}: {}", status.name(), finding.severity.names().0, finding.who, finding.what),
        marker: false,
    }
}

fn of_events(state: &State, entry: &log::Entry) -> Entry {
    let (_, kind, _) = event_fact(&entry.example);
    let span = extent_of(Span { first: entry.first, last: entry.last });
    Entry {
        first: span.first,
        last: span.last,
        kind,
        events: entry.events,
        netns: netns_name(state, entry.example.netns, entry.first),
        text: text(entry),
        marker: MarkerKind::of(&entry.example.body).is_some(),
    }
}

fn text(entry: &log::Entry) -> String {
    let first = event_fact(&entry.example).2;
    if let Body::Retransmit(resent) = &entry.example.body {
        let (kinds, failed) = &entry.attempts;
        if entry.events == 1 {
            return first;
        }
        let peer = Prefix::host(resent.flow.destination.ip()).address;
        let kinds = kinds_text(kinds, *failed, 0);
        return format!("{} to {peer} ({kinds}); the first: {first}", counted(entry.events, "attempt"));
    }
    match &entry.newest {
        None => first,
        Some(newest) => {
            let last = event_fact(newest).2;
            if last == first {
                format!("{first}, {} times", exact(entry.events))
            } else {
                let between = entry.events.saturating_sub(2);
                let between =
                    if between == 0 { String::new() } else { format!(" … {} more …", exact(between)) };
                format!("{first};{between} {last}")
            }
        }
    }
}
