//! What became of everything the hooks saw, and what was forgotten of it.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};
use tracer_common::{counters::KindCounters, record::RecordKind};

use crate::{
    state::State,
    tui::{
        text::{exact, within},
        theme::Role,
        view::Picture,
        widget::{
            rule,
            table::{self, Column, Fit, Marks, cell, number, plain, words},
        },
    },
};

/// Rows it takes of so many: a title, the names, and the kinds of which something was seen.
pub(super) fn rows(state: &State, height: u16) -> u16 {
    let seen = u16::try_from(state.accounting.seen().count()).unwrap_or(u16::MAX).max(1);
    seen.saturating_add(2).min(height * 2 / 5)
}

/// Draws the accounting and, beside it where there is room, the tables.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// From here on both stand side by side.
    const WIDE_CELLS: u16 = 130;
    const TABLES_CELLS: u16 = 40;
    let share = if area.width >= WIDE_CELLS { TABLES_CELLS } else { 0 };
    let [counts, tables] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(share)]).areas(area);
    draw_counts(counts, buffer, picture);
    if share > 0 {
        draw_tables(tables, buffer, picture);
    }
}

type Counted = (RecordKind, KindCounters);

fn draw_counts(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let area = rule::draw(area, buffer, picture.theme, "Events", "seen = delivered + suppressed + lost");
    let room = usize::from(area.height).saturating_sub(1);
    let mut counted: Vec<Counted> = picture.state.accounting.seen().collect();
    if counted.is_empty() {
        let cells = usize::from(area.width).saturating_sub(2);
        buffer.set_stringn(area.x + 2, area.y, "none so far", cells, picture.theme.style(Role::Dim));
        return;
    }
    // Without room for all, those that miss something and those with most come first.
    if counted.len() > room {
        counted.sort_by_key(|(_, counters)| {
            std::cmp::Reverse((counters.lost > 0, counters.suppressed > 0, counters.seen))
        });
    }
    table::draw(area, buffer, picture.theme, &columns(), &counted, Marks::default());
}

fn columns() -> Vec<Column<Counted>> {
    const CELLS: usize = 13;
    let counter = |title, role, of: fn(&KindCounters) -> u64| {
        number(title, CELLS, 1, move |(_, counters): &Counted| match of(counters) {
            0 => cell("0", Role::Dim),
            count => cell(within(count, CELLS), role),
        })
    };
    vec![
        words("kind", Fit::Left, (15, 15), 0, |(kind, _): &Counted| plain(kind.name())),
        counter("seen", Role::Plain, |counters| counters.seen),
        counter("delivered", Role::Plain, |counters| counters.delivered),
        counter("suppressed", Role::Warning, |counters| counters.suppressed),
        counter("lost", Role::Bad, |counters| counters.lost),
    ]
}

/// What a table holds, and how many of them it gave up for newer ones.
type Given = (&'static str, u64);

/// What was forgotten for want of room: the tables are bounded.
fn draw_tables(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    const CELLS: usize = 9;
    let note = format!("{} in all", exact(picture.state.evicted()));
    let area = rule::draw(area, buffer, picture.theme, "Forgotten", &note);
    let mut tables: Vec<Given> = picture.state.evictions().collect();
    tables.sort_by_key(|&(_, forgotten)| std::cmp::Reverse(forgotten));
    let columns: Vec<Column<Given>> = vec![
        words("of the oldest", Fit::Left, (24, 24), 0, |&(name, _): &Given| plain(name)),
        number("forgotten", CELLS, 1, |&(_, forgotten): &Given| match forgotten {
            0 => cell("0", Role::Dim),
            forgotten => cell(within(forgotten, CELLS), Role::Warning),
        }),
    ];
    table::draw(area, buffer, picture.theme, &columns, &tables, Marks::default());
}
