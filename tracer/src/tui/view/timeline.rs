//! Every event, the newest first.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Picture, event_fact};
use crate::{
    event::Event,
    tui::{
        theme::Role,
        widget::{
            list,
            table::{Column, Fit, cell, plain, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let events = picture.state.timeline.events();
    let texts = ("Events, the newest first", "Nothing has happened so far.");
    list::draw(area, buffer, picture, texts, &columns(), |range| {
        events.iter().rev().skip(range.start).take(range.len()).collect()
    });
}

fn columns<'a>() -> Vec<Column<&'a Event>> {
    vec![
        words("time (UTC)", Fit::Left, (12, 12), 0, |event: &&Event| cell(event_fact(event).0, Role::Dim)),
        words("kind", Fit::Left, (15, 15), 1, |event: &&Event| plain(event_fact(event).1)),
        words("what", Fit::Left, (30, 160), 0, |event: &&Event| plain(event_fact(event).2)),
        words("netns", Fit::Left, (10, 10), 8, |event: &&Event| cell(event.netns.to_string(), Role::Dim)),
    ]
}
