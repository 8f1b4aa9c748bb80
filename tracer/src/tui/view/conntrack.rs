//! What conntrack decided.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
};

use super::{
    Picture,
    describe::{conntrack_text, empty_text},
};
use crate::{
    event::{ConntrackEvent, Timestamp},
    probe::table::Family,
    state::{ConntrackEntry, FlowKey},
    tui::{
        rows,
        text::{age, exact},
        theme::Role,
        widget::{
            list, rule,
            table::{Column, Fit, cell, known, number, plain, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { model, state, theme } = *picture;
    let [counts, entries] = Layout::vertical([Constraint::Length(3), Constraint::Fill(1)]).areas(area);
    let counts = rule::draw(counts, buffer, theme, "Decisions", "");
    let mut lines = [Line::from(" "), Line::from(" ")];
    for event in ConntrackEvent::ALL {
        let count = state.conntrack.count(event);
        let role = match count {
            0 => Role::Dim,
            _ if event.is_failure() => Role::Bad,
            _ => Role::Plain,
        };
        let line = &mut lines[usize::from(event.is_failure() || event == ConntrackEvent::ClashResolved)];
        line.push_span(Span::styled(format!(" {event} {}  ", exact(count)), theme.style(role)));
    }
    for (line, row) in lines.iter().zip(counts.rows()) {
        buffer.set_line(row.x, row.y, line, row.width);
    }
    let now = state.now();
    let empty = empty_text(state, Family::Conntrack, "Conntrack has not decided about a known entry so far.");
    let texts = ("Entries", empty.as_str());
    list::draw(entries, buffer, picture, texts, &columns(now), |range| {
        rows::conntrack(state, model.sorted_by(), range.end).split_off(range.start)
    });
}

type Row<'a> = (&'a FlowKey, &'a ConntrackEntry);

fn columns<'a>(now: Timestamp) -> Vec<Column<Row<'a>>> {
    vec![
        words("proto", Fit::Left, (5, 6), 5, |(key, _): &Row<'_>| plain(key.endpoints.protocol.to_string())),
        words("from", Fit::Middle, (21, 47), 0, |(key, _): &Row<'_>| plain(key.endpoints.source.to_string())),
        words("to", Fit::Middle, (21, 47), 0, |(key, _): &Row<'_>| {
            plain(key.endpoints.destination.to_string())
        }),
        words("answered by", Fit::Middle, (21, 47), 3, |(_, entry): &Row<'_>| {
            known(entry.reply.map(|reply| reply.source.to_string()))
        }),
        words("decisions", Fit::Left, (18, 60), 1, |(_, entry): &Row<'_>| {
            cell(conntrack_text(entry), if entry.failures() > 0 { Role::Bad } else { Role::Plain })
        }),
        words("tcp state", Fit::Left, (11, 11), 4, |(_, entry): &Row<'_>| {
            known(entry.tcp_state.map(str::to_owned))
        }),
        number("mark", 6, 6, |(_, entry): &Row<'_>| {
            known((entry.mark != 0).then(|| format!("{:#x}", entry.mark)))
        }),
        number("zone", 5, 6, |(_, entry): &Row<'_>| known((entry.zone != 0).then(|| entry.zone.to_string()))),
        number("last", 5, 2, move |(_, entry): &Row<'_>| plain(age(now, entry.last))),
        words("netns", Fit::Left, (10, 10), 9, |(key, _): &Row<'_>| cell(key.netns.to_string(), Role::Dim)),
    ]
}
