//! How full the tables of the network namespaces are, and what failed in them.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    event::{ConntrackCounter, Timestamp},
    state::{ConntrackTable, State},
    tui::{
        owner_text::netns_column,
        rows,
        text::{duration, exact, short, within},
        theme::Role,
        view::Picture,
        widget::{
            gauge, rule,
            table::{self, Cell, Column, Fit, Marks, cell, known, number, plain, words},
        },
    },
};

/// From here on a table is about to drop connections, in thousandths.
const NEARLY_FULL: u64 = 900;
/// From here on it is worth a look.
const FILLING: u64 = 750;
/// Seconds over which growth is told.
const GROWTH_SECONDS: u64 = 10;

/// A table and the name of its namespace.
type Row<'a> = (String, &'a ConntrackTable);

/// Rows it takes of so many: a title, the names, and a few namespaces.
pub(super) fn rows(state: &State, height: u16) -> u16 {
    let most = if height < 24 { 3 } else { 6 };
    2 + u16::try_from(state.conntrack.tables.len()).unwrap_or(most).min(most)
}

/// Draws the tables with most failures, then the fullest.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let state = picture.state;
    let most = usize::from(area.height).saturating_sub(2);
    let tables = first(state, most);
    let note = format!("{} of {} namespaces", tables.len(), state.conntrack.tables.len());
    let area = rule::draw(area, buffer, picture.theme, "Tables", &note);
    let gauge_cells = if area.width < 120 { 10 } else { 30 };
    let columns = columns(state.now(), gauge_cells);
    table::draw(area, buffer, picture.theme, &columns, &tables, Marks::default());
}

fn first(state: &State, most: usize) -> Vec<Row<'_>> {
    /// Fill in thousandths is below this.
    const FILLS: u64 = 1 << 20;
    let measure = |table: &ConntrackTable| {
        table
            .failures()
            .saturating_mul(FILLS)
            .saturating_add(table.fill_permille().unwrap_or(0).min(FILLS - 1))
    };
    let tables = rows::top(state.conntrack.tables.iter(), measure, most).into_iter();
    tables.map(|(&netns, table)| (netns_column(state, netns, table.last), table)).collect()
}

fn columns<'a>(now: Timestamp, gauge_cells: usize) -> Vec<Column<Row<'a>>> {
    const CELLS: usize = 9;
    vec![
        words("netns", Fit::Left, (10, 32), 0, |(netns, _): &Row<'_>| plain(netns.as_str())),
        words("fill", Fit::Left, (gauge_cells, gauge_cells), 1, move |(_, table): &Row<'_>| {
            fill(table, |permille| gauge::bar(permille, gauge_cells))
        }),
        number("full", 7, 0, |(_, table): &Row<'_>| {
            fill(table, |permille| format!("{} %", short(permille / 10)))
        }),
        number("entries", CELLS, 2, |(_, table): &Row<'_>| plain(within(table.counters.entries, CELLS))),
        number("limit", CELLS, 3, |(_, table): &Row<'_>| match table.counters.limit {
            Some(limit) if limit > 0 => plain(within(limit, CELLS)),
            _ => cell("none", Role::Dim),
        }),
        number("a second", 8, 5, move |(_, table): &Row<'_>| growth(table, now)),
        words("failures, growth", Fit::Left, (20, 90), 4, move |(_, table): &Row<'_>| failures(table, now)),
    ]
}

fn fill(table: &ConntrackTable, text: impl Fn(u64) -> String) -> Cell {
    let Some(permille) = table.fill_permille() else { return Cell::default() };
    let role = match permille {
        NEARLY_FULL.. => Role::Bad,
        FILLING.. => Role::Warning,
        _ => Role::Good,
    };
    cell(text(permille), role)
}

/// Entries more or less a second.
fn growth(table: &ConntrackTable, now: Timestamp) -> Cell {
    known(table.growth_per_second(now, GROWTH_SECONDS).map(|growth| {
        let sign = match growth {
            0 => "",
            1.. => "+",
            _ => "-",
        };
        format!("{sign}{}", short(growth.unsigned_abs()))
    }))
}

/// What failed, and when it will be full if it goes on like this.
fn failures(table: &ConntrackTable, now: Timestamp) -> Cell {
    let mut told: Vec<String> = ConntrackCounter::ALL
        .into_iter()
        .filter(|&counter| counter.is_failure() && table.growth(counter) > 0)
        .map(|counter| format!("{counter} {}", exact(table.growth(counter))))
        .collect();
    let role = if told.is_empty() { Role::Warning } else { Role::Bad };
    told.extend(full_in(table, now).map(|seconds| format!("full in {}", duration(seconds * 1_000_000_000))));
    cell(told.join(", "), role)
}

/// Seconds until it is full, if that is near enough to be told.
fn full_in(table: &ConntrackTable, now: Timestamp) -> Option<u64> {
    const NEAR_SECONDS: u64 = 600;
    let growth =
        u64::try_from(table.growth_per_second(now, GROWTH_SECONDS)?).ok().filter(|&growth| growth > 0)?;
    let left = table.counters.limit.filter(|&limit| limit > 0)?.checked_sub(table.counters.entries)?;
    Some(left / growth).filter(|&seconds| left > 0 && seconds <= NEAR_SECONDS)
}
