//! A row as text for the clipboard.

use super::{
    keys::Extent,
    model::{Model, Screen, Subject},
    rows,
    view::{event_fact, subject_text, subject_texts, subject_title},
};
use crate::{event::Event, state::State};

/// Lines about a subject at most: clipboards of terminals are small.
const EVENTS: usize = 50;

/// The selected row, or the subject whose details are open.
pub(super) fn text(model: &Model, extent: Extent) -> Option<String> {
    let state = model.shown();
    let last = rows::count(state, model.screen).checked_sub(1);
    let row = last.map(|last| model.selected_row().min(last));
    if let (Screen::Timeline, None, Some(row), Extent::Line) = (model.screen, &model.details, row, extent) {
        return state.timeline.events().iter().rev().nth(row).map(event_line);
    }
    let subject = match (&model.details, extent) {
        (Some(opened), Extent::Line) => return subject_text(state, opened.subject, opened.line),
        (Some(opened), Extent::Everything) => opened.subject,
        (None, _) => rows::subject(state, model.screen, model.sorted_by(), row?)?,
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
    let (facts, _) = subject_texts(state, subject);
    let first = facts.first().map(|fact| format!(": {fact}")).unwrap_or_default();
    format!("{}{first}", subject_title(state, subject))
}

/// All that is known, and the last of what happened. The day stands once, above the times.
fn everything(state: &State, subject: Subject) -> String {
    let day = jiff::Timestamp::from_nanosecond(i128::from(state.now().wall_ns)).unwrap_or_default();
    let title = format!("{}, as of {day:.3}", subject_title(state, subject));
    let (facts, happened) = subject_texts(state, subject);
    let last = happened.len().saturating_sub(EVENTS);
    [title].into_iter().chain(facts).chain(happened.into_iter().skip(last)).collect::<Vec<_>>().join("\n")
}
