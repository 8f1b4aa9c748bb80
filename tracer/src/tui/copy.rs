//! A row as text for the clipboard.

use super::{
    keys::Extent,
    model::{Model, Screen, Subject},
    rows,
    view::{event_fact, subject_text},
};
use crate::{event::Event, state::State, words::describe::subject_title};

/// Bytes copied at most: terminals take no more at once.
const MOST_BYTES: usize = 64 << 10;

/// The selected row, the line of an open subject, or all of that subject.
pub(super) fn text(model: &Model, extent: Extent) -> Option<String> {
    let state = model.shown();
    let last = rows::count(state, model.screen).checked_sub(1);
    let row = last.map(|last| model.selected_row().min(last));
    let text = match (&model.details, extent) {
        (Some(opened), Extent::Line) => {
            let lines = subject_text(state, opened.subject);
            let line = lines.get(opened.line.min(lines.len().saturating_sub(1)))?;
            format!("{}: {line}", subject_title(state, opened.subject))
        }
        (Some(opened), Extent::Everything) => everything(state, opened.subject),
        (None, Extent::Line) if model.screen == Screen::Overview => state.findings.all().get(row?)?.text(),
        (None, Extent::Line) if model.screen == Screen::Timeline => {
            event_line(state, state.timeline.events().iter().rev().nth(row?)?)
        }
        (None, _) => {
            let subject = rows::subject(state, model.screen, model.sorted_by(), row?)?;
            match extent {
                Extent::Line => first_line(state, subject),
                Extent::Everything => everything(state, subject),
            }
        }
    };
    let end = text.char_indices().map(|(place, _)| place).find(|&place| place >= MOST_BYTES);
    Some(end.and_then(|end| text.get(..end)).unwrap_or(&text).to_owned())
}

/// What happened and when, by the date too: who reads it elsewhere does not know the day.
fn event_line(state: &State, event: &Event) -> String {
    let (_, kind, text) = event_fact(event);
    let time = jiff::Timestamp::from_nanosecond(i128::from(event.time.wall_ns)).unwrap_or_default();
    let node = state.names.one_of_several(event.netns.node);
    let node = node.map(|node| format!(", node {node}")).unwrap_or_default();
    format!("{time:.3} {kind} {text}{node}, netns {}", event.netns)
}

fn first_line(state: &State, subject: Subject) -> String {
    let title = subject_title(state, subject);
    match subject_text(state, subject).first() {
        Some(first) => format!("{title}: {first}"),
        None => title,
    }
}

fn everything(state: &State, subject: Subject) -> String {
    let mut lines = subject_text(state, subject);
    lines.insert(0, subject_title(state, subject));
    lines.join("\n")
}
