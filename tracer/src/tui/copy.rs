//! A row as text for the clipboard.

use super::{
    keys::Extent,
    model::{Model, Screen, Subject},
    rows,
    view::{event_fact, subject_facts, subject_title},
};
use crate::{event::Event, state::State};

/// Lines about a subject at most: clipboards of terminals are small.
const EVENTS: usize = 50;

/// The selected row, or the subject whose details are open.
pub(super) fn text(model: &Model, extent: Extent) -> Option<String> {
    let state = model.shown();
    let last = rows::count(state, model.screen).checked_sub(1);
    let row = last.map(|last| model.selected_row().min(last));
    if let (Screen::Timeline, None, Some(row), Extent::Line) = (model.screen, model.details, row, extent) {
        return state.timeline.events().iter().rev().nth(row).map(event_line);
    }
    let subject = match model.details {
        Some(subject) => subject,
        None => rows::subject(state, model.screen, model.sorted_by(), row?)?,
    };
    Some(match extent {
        Extent::Line => subject_line(state, subject),
        Extent::Everything => everything(state, subject),
    })
}

/// What happened and when, by the date too: who reads it elsewhere does not know the day.
fn event_line(event: &Event) -> String {
    let (_, kind, text) = event_fact(event);
    let time = jiff::Timestamp::from_nanosecond(i128::from(event.time.wall_ns)).unwrap_or_default();
    format!("{time:.3} {kind} {text}, netns {}", event.netns)
}

fn subject_line(state: &State, subject: Subject) -> String {
    let facts = facts(state, subject);
    let first = facts.first().map(|fact| format!(": {fact}")).unwrap_or_default();
    format!("{}{first}", subject_title(state, subject))
}

fn everything(state: &State, subject: Subject) -> String {
    let events: Vec<&Event> =
        state.timeline.events().iter().rev().filter(|event| subject.concerns(event)).take(EVENTS).collect();
    let title = subject_title(state, subject);
    let events = events.into_iter().rev().map(event_line);
    [title].into_iter().chain(facts(state, subject)).chain(events).collect::<Vec<_>>().join("\n")
}

fn facts(state: &State, subject: Subject) -> Vec<String> {
    let facts = subject_facts(state, subject);
    facts
        .into_iter()
        .map(|fact| {
            let told: Vec<String> = fact.told.into_iter().map(|(told, _)| told).collect();
            format!("{} {}", fact.subject, told.join(" "))
        })
        .collect()
}
