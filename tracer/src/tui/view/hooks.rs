//! Hooks and how they are attached; what became of what they saw.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};
use tracer_common::{counters::KindCounters, hook::HookId, record::RecordKind};

use super::{Picture, describe::hook_name};
use crate::{
    event::{HookState, HookStatus},
    probe::table as hook_table,
    tui::{
        text::exact,
        theme::Role,
        widget::{
            list, rule,
            table::{self, Cell, Column, Fit, cell, known, number, plain, words},
        },
    },
};

struct Row<'a> {
    hook: HookId,
    status: Option<&'a HookStatus>,
    /// Whether all hooks asked for have been tried.
    is_ready: bool,
}

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// The title, the names of the columns, and a row for each kind.
    #[expect(clippy::cast_possible_truncation, reason = "there are few kinds")]
    const ACCOUNTING_ROWS: u16 = 2 + RecordKind::KERNEL.len() as u16;
    /// Below this the accounting would leave the hooks no room.
    const LEAST_HOOK_ROWS: u16 = 6;
    let state = picture.state;
    let show_accounting = area.height >= ACCOUNTING_ROWS + LEAST_HOOK_ROWS;
    let share = if show_accounting { ACCOUNTING_ROWS } else { 0 };
    let [hooks, accounting] = Layout::vertical([Constraint::Fill(1), Constraint::Length(share)]).areas(area);
    list::draw(hooks, buffer, picture, ("Hooks", ""), &hook_columns(), |range| {
        let is_ready = state.hooks.ready;
        HookId::ALL[range]
            .iter()
            .map(|&hook| Row { hook, status: state.hooks.status(hook), is_ready })
            .collect()
    });
    if show_accounting {
        let area =
            rule::draw(accounting, buffer, picture.theme, "Events", "seen = delivered + suppressed + lost");
        let rows = RecordKind::KERNEL.map(|kind| (kind, state.accounting.of(kind)));
        table::draw(area, buffer, picture.theme, &accounting_columns(), &rows, None);
    }
}

fn hook_columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        words("hook", Fit::Left, (26, 40), 0, |row: &Row<'_>| plain(hook_name(row.hook))),
        words("family", Fit::Left, (10, 10), 3, |row: &Row<'_>| {
            known(hook_table::find(row.hook).map(|hook| hook.family.to_string()))
        }),
        words("attached", Fit::Left, (9, 9), 0, |row: &Row<'_>| attached(row)),
        words("reason", Fit::Left, (20, 100), 1, |row: &Row<'_>| {
            known(row.status.map(|status| status.reason.to_string()))
        }),
        words("tells", Fit::Left, (20, 40), 4, |row: &Row<'_>| {
            cell(hook_table::find(row.hook).map_or("", |hook| hook.tells), Role::Dim)
        }),
    ]
}

fn attached(row: &Row<'_>) -> Cell {
    match row.status {
        None if row.is_ready => cell("not asked", Role::Dim),
        None => cell("waiting", Role::Dim),
        Some(status) => match status.state() {
            HookState::Attached(way) => cell(way.name(), Role::Good),
            HookState::Standby(_) => cell("stands by", Role::Dim),
            HookState::NotNeeded => cell("no need", Role::Dim),
            HookState::Missing => cell("missing", Role::Warning),
        },
    }
}

type Counted = (RecordKind, KindCounters);

fn accounting_columns() -> Vec<Column<Counted>> {
    let counter = |title, role, of: fn(&KindCounters) -> u64| {
        number(title, 13, 1, move |(_, counters): &Counted| match of(counters) {
            0 => cell("0", Role::Dim),
            count => cell(exact(count), role),
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
