//! A row as text for the clipboard.

use super::{
    keys::Extent,
    model::{Model, Screen},
    rows,
    view::{event_fact, subject_texts},
};
use crate::event::Event;

/// Lines of a subject at most: clipboards of terminals are small.
const LINES: usize = 200;

/// The selected row, or the subject whose details are open.
pub(super) fn text(model: &Model, extent: Extent) -> Option<String> {
    let state = model.shown();
    let last = rows::count(state, model.screen).checked_sub(1);
    let row = last.map(|last| model.selected_row().min(last));
    if let (Screen::Timeline, None, Some(row), Extent::Line) = (model.screen, &model.details, row, extent) {
        return state.timeline.events().iter().rev().nth(row).map(event_line);
    }
    let subject = match &model.details {
        Some(opened) => opened.subject,
        None => rows::subject(state, model.screen, model.sorted_by(), row?)?,
    };
    let mut texts = subject_texts(state, subject);
    Some(match extent {
        Extent::Line => {
            texts.truncate(2);
            texts.join(": ")
        }
        Extent::Everything => {
            texts.truncate(LINES);
            texts.join("\n")
        }
    })
}

/// What happened and when, by the date too: who reads it elsewhere does not know the day.
fn event_line(event: &Event) -> String {
    let (_, kind, text) = event_fact(event);
    let time = jiff::Timestamp::from_nanosecond(i128::from(event.time.wall_ns)).unwrap_or_default();
    format!("{time:.3} {kind} {text}, netns {}", event.netns)
}
