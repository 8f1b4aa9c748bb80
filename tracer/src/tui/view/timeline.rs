//! Every event, the newest first, and when they happened.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};

use super::{Picture, event_fact};
use crate::{
    event::{Body, Event, Timestamp, Verdict},
    state::is_onto_drained,
    tui::{
        owner_text::netns_column,
        text::{age, time_of_day, width},
        theme::Role,
        widget::{
            lane::Span,
            list, sparkline,
            table::{Cell, Column, Fit, cell, number, plain, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// Below this the axis would leave the events no room.
    const LEAST_ROWS_FOR_AXIS: u16 = 12;
    const AXIS_ROWS: u16 = 2;
    let events = picture.state.timeline.events();
    let has_axis = area.height >= LEAST_ROWS_FOR_AXIS && !events.is_empty();
    let share = if has_axis { AXIS_ROWS } else { 0 };
    let [list, axis] = Layout::vertical([Constraint::Fill(1), Constraint::Length(share)]).areas(area);
    let title = if picture.model.is_following {
        "Events, the newest first"
    } else {
        "Events, the newest first; F follows them"
    };
    let texts = (title, "Nothing has happened so far.");
    let now = picture.state.now();
    list::draw(list, buffer, picture, texts, &columns(now), |range| {
        let shown = events.iter().rev().skip(range.start).take(range.len());
        shown
            .map(|event| {
                let netns = netns_column(picture.state, event.netns, event.time);
                Row { event, netns }
            })
            .collect()
    });
    if has_axis {
        draw_axis(axis, buffer, picture);
    }
}

/// How many events there were over the time they span, and below it where the selected one is.
fn draw_axis(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    const INDENT: usize = 2;
    let (theme, events) = (picture.theme, picture.state.timeline.events());
    let Some(from) = events.iter().map(|event| event.time).min() else { return };
    let span = Span { from, to: picture.state.now() };
    let (from, to) = (time_of_day(span.from), time_of_day(span.to));
    let before = INDENT + width(&from) + 1;
    let cells = usize::from(area.width).saturating_sub(before + 1 + width(&to) + 1);
    let mut counts = vec![0_u32; cells];
    for event in events {
        if let Some(count) = span.cell_of(event.time, cells).and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    let peak = counts.iter().copied().max().unwrap_or_default();
    let bars = sparkline::bars(&counts, peak, 1).concat();
    let axis = format!("{:INDENT$}{from} {:cells$} {to}", "", "");
    buffer.set_stringn(area.x, area.y, axis, usize::from(area.width), theme.style(Role::Dim));
    let Ok(before) = u16::try_from(before) else { return };
    buffer.set_stringn(area.x + before, area.y, bars, cells, theme.style(Role::Plain));
    let selected = picture.model.selected_row().min(events.len().saturating_sub(1));
    let place = events.iter().rev().nth(selected).and_then(|event| span.cell_of(event.time, cells));
    if let Some(place) = place.and_then(|place| u16::try_from(place).ok()) {
        buffer.set_stringn(area.x + before + place, area.y + 1, "▲", 1, theme.style(Role::Title));
    }
}

struct Row<'a> {
    event: &'a Event,
    netns: String,
}

fn columns<'a>(now: Timestamp) -> Vec<Column<Row<'a>>> {
    vec![
        words("time (UTC)", Fit::Left, (12, 12), 0, |row: &Row<'_>| cell(event_fact(row.event).0, Role::Dim)),
        number("ago", 5, 8, move |row: &Row<'_>| cell(age(now, row.event.time), Role::Dim)),
        words("kind", Fit::Left, (15, 15), 1, |row: &Row<'_>| plain(event_fact(row.event).1)),
        words("what", Fit::Left, (30, 200), 0, |row: &Row<'_>| what(row.event)),
        words("netns", Fit::Left, (10, 32), 8, |row: &Row<'_>| cell(row.netns.clone(), Role::Dim)),
        number("cpu", 4, 9, |row: &Row<'_>| cell(row.event.cpu.to_string(), Role::Dim)),
    ]
}

fn what(event: &Event) -> Cell {
    cell(event_fact(event).2, role(&event.body))
}

/// What failed or reached somebody it should not, and what somebody changed, stand out.
fn role(body: &Body) -> Role {
    match body {
        Body::Retransmit(retransmit) if retransmit.error.is_some() => Role::Bad,
        Body::Neighbour(neighbour) => match neighbour.verdict {
            Verdict::Ignored | Verdict::Failed => Role::Bad,
            Verdict::Changed => Role::Warning,
            Verdict::Learned | Verdict::Confirmed => Role::Plain,
        },
        Body::Conntrack(decision) if decision.event.is_failure() => Role::Bad,
        Body::ConntrackCounters(counters) if counters.tells_failures() => Role::Bad,
        Body::Ipvs(decided) if decided.real.is_none() || is_onto_drained(decided) => Role::Bad,
        Body::IpvsChange(_)
        | Body::Route(_)
        | Body::Rule(_)
        | Body::Address(_)
        | Body::Link(_)
        | Body::Sysctl(_)
        | Body::Ruleset(_)
        | Body::Clock(_) => Role::Warning,
        Body::Gap(_) => Role::Bad,
        Body::Marker(_) => Role::Title,
        _ => Role::Plain,
    }
}
