//! A row as text for the clipboard.

use super::{
    keys::Extent,
    model::{Model, Screen},
    opened::Target,
    rows,
    view::{event_fact, finding_text, open_line_text, open_text, open_title},
};
use crate::{event::Event, state::State};

/// Bytes copied at most: terminals take no more at once.
const MOST_BYTES: usize = 64 << 10;

/// The selected row, the line of what is open, or all of that.
pub(super) fn text(model: &Model, extent: Extent) -> Option<String> {
    let state = model.shown();
    let last = rows::count(state, model.screen).checked_sub(1);
    let row = last.map(|last| model.selected_row().min(last));
    let text = match (&model.details, extent) {
        (Some(opened), Extent::Line) => open_line_text(state, &opened.target, opened.line)?,
        (Some(opened), Extent::Everything) => everything(state, &opened.target),
        (None, Extent::Line) if model.screen == Screen::Overview => {
            state.findings.listed().get(row?)?.finding.text()
        }
        (None, Extent::Line) if model.screen == Screen::Timeline => {
            event_line(state, state.timeline.events().iter().rev().nth(row?)?)
        }
        (None, _) => {
            let target = rows::target(state, model.screen, model.sorted_by(), row?)?;
            match extent {
                Extent::Line => first_line(state, &target),
                Extent::Everything => everything(state, &target),
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

fn first_line(state: &State, target: &Target) -> String {
    let title = open_title(state, target);
    match open_text(state, target).first() {
        Some(first) => format!("{title}: {first}"),
        None => title,
    }
}

fn everything(state: &State, target: &Target) -> String {
    let lines = match target {
        Target::Subject(_) => {
            let mut lines = open_text(state, target);
            lines.insert(0, open_title(state, target));
            lines
        }
        Target::Finding(key) => finding_text(state, key),
    };
    lines.join("\n")
}
