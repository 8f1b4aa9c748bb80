//! What happened, in order: the log of events and the findings that opened and closed.

use super::{extent_of, node_name, place};
use crate::{
    event::Body,
    findings::FindingChange,
    output::report::{
        document::{Entry, Moment, Place, Timeline},
        log::{self, Log},
    },
    state::{MarkerKind, Span, State, Subject},
    tui::view::event_fact,
    words::{
        counted,
        describe::{HOOKS_SCREEN, kinds_text},
        exact,
    },
};

/// Everything there is room for: so many entries of events, and as many of findings.
pub(super) fn timeline(state: &State, log: &Log, most: usize) -> Timeline {
    let chosen = log::telling(log.entries(), most);
    let left_out = log.entries().len() - chosen.len();
    let mut entries: Vec<Entry> = chosen.into_iter().map(|entry| of_events(state, entry)).collect();
    let changes = state.findings.log();
    let skipped = changes.len().saturating_sub(most);
    entries.extend(changes.iter().skip(skipped).map(|change| of_finding(state, change)));
    // Stable: what is noticed at the same moment comes after what it was noticed by.
    entries.sort_by_key(|entry| entry.first);
    let more = (left_out + skipped) as u64 + log.left_out();
    Timeline { entries, more }
}

fn of_finding(state: &State, change: &FindingChange) -> Entry {
    let FindingChange { time, status, finding, explained_by } = change;
    let netns = finding.subject.and_then(Subject::netns);
    let node = netns.and_then(|netns| node_name(state, netns));
    let what = match explained_by {
        Some((id, who)) => format!("{id} {who} explains it"),
        None => finding.what.replace(HOOKS_SCREEN, ""),
    };
    Entry {
        first: Moment(*time),
        last: Moment(*time),
        kind: "finding",
        events: 1,
        place: Place { node, netns: String::new() },
        text: format!(
            "{} ({}): {} {}: {what}",
            status.name(),
            finding.severity.names().0,
            finding.id,
            finding.who
        ),
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
        place: place(state, entry.example.netns, entry.first),
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
        let peer = resent.flow.destination.ip();
        let peer = if entry.topic.is_of_others() { "many other peers".to_owned() } else { peer.to_string() };
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
