//! The whole node at a glance.
//!
//! ```text
//! What stands out    findings, a line each, the worst first, below each what it explains; Enter opens one
//! Events a second    bars for each family over one time axis, and below them what was changed and marked
//! parts              the busiest of each family, the last changes, what was lost and is missing
//! ```
//!
//! What a finding says, of the row that is selected, stands below the list where its line is too narrow. What stands out
//! takes what it needs, the bars get higher on a high terminal, and the parts take what is left.

mod parts;
mod rates;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};
use tracer_common::hook::HookId;

pub(super) use self::rates::{CLOSED, OPENED, marker_mark};
use super::{Picture, describe::hook_name, finding::role_of};
use crate::{
    event::HookState,
    findings::{Listed, Place, peers},
    tui::{
        text::{self, age, exact, time_of_day},
        theme::Role,
        widget::{
            lines::{self, Fact},
            list, rule,
            table::{Cell, Column, Fit, cell, number, pieces, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// What is over is read by going down to it, where there is much of it.
    const MOST_OVER: usize = 5;
    /// Below this, facts are all there is room for.
    const LEAST_ROWS: u16 = 14;
    let state = picture.state;
    let is_attaching =
        !state.hooks.ready && !picture.model.ended && state.events() == state.hooks.tried() as u64;
    if is_attaching {
        let rates_rows = rates::rows(picture, area);
        let [rates, rest] =
            Layout::vertical([Constraint::Length(rates_rows), Constraint::Fill(1)]).areas(area);
        rates::draw(rates, buffer, picture);
        draw_attaching(rest, buffer, picture);
        return;
    }
    let peers = peers::most_resent_to(state);
    let facts = state.findings.listed();
    let whole = whole(picture, &facts, area.width);
    if area.height < LEAST_ROWS {
        draw_facts(area, buffer, picture, facts, &whole);
        return;
    }
    let rates_rows = rates::rows(picture, area);
    let most = usize::from(area.height.saturating_sub(rates_rows + parts::least_rows(area)));
    let over = facts.iter().filter(|row| !row.finding.is_open).count();
    let shown = facts.len() - over.saturating_sub(MOST_OVER);
    let facts_rows = (shown.max(1) + usize::from(HEAD_ROWS) + whole.len()).min(most);
    let facts_rows = u16::try_from(facts_rows).unwrap_or(u16::MAX);
    let [standing, rates, parts] = Layout::vertical([
        Constraint::Length(facts_rows),
        Constraint::Length(rates_rows),
        Constraint::Fill(1),
    ])
    .areas(area);
    draw_facts(standing, buffer, picture, facts, &whole);
    rates::draw(rates, buffer, picture);
    parts::draw(parts, buffer, picture, &peers);
}

/// Title and column names.
const HEAD_ROWS: u16 = 2;

/// The list, and below it what the selected row says in lines, if it leaves room for a row.
fn draw_facts(
    area: Rect,
    buffer: &mut Buffer,
    picture: &Picture<'_>,
    mut facts: Vec<Listed<'_>>,
    whole: &[String],
) {
    let spare = area.height.saturating_sub(HEAD_ROWS + 1);
    let [area, below] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(u16::try_from(whole.len()).unwrap_or_default().min(spare)),
    ])
    .areas(area);
    for (row, line) in below.rows().zip(whole) {
        buffer.set_string(row.x + WHO_CELL, row.y, line, picture.theme.style(Role::Plain));
    }
    let columns = columns(picture, area.width);
    let (titles, total) = (("What stands out", "Nothing stands out."), facts.len());
    list::draw_of(area, buffer, picture, titles, &columns, total, |range| {
        facts.truncate(range.end);
        facts.split_off(range.start.min(facts.len()))
    });
}

/// From here on a severity is told in a word.
const WORDS_CELLS: u16 = 100;

/// Where the column `who` begins below that.
const WHO_CELL: u16 = 7;

/// All of what the selected row says, in lines, where its own has no room for it.
fn whole(picture: &Picture<'_>, facts: &[Listed<'_>], width: u16) -> Vec<String> {
    /// `since`, `last` and what holds the columns apart.
    const BEHIND_CELLS: usize = 14;
    const MOST_LINES: usize = 2;
    if width >= WORDS_CELLS {
        return Vec::new();
    }
    let selected = picture.model.selected_row().min(facts.len().saturating_sub(1));
    let Some(row) = facts.get(selected).filter(|row| !matches!(row.place, Place::More(_))) else {
        return Vec::new();
    };
    let room = usize::from(width).saturating_sub(usize::from(WHO_CELL));
    let who_cells = facts.iter().map(|row| who_cell(row, most_who(width)).width());
    let who_cells = who_cells.max().unwrap_or_default().clamp(LEAST_WHO, most_who(width).max(LEAST_WHO));
    let its_own = room.saturating_sub(who_cells + BEHIND_CELLS);
    if text::width(&row.finding.what) <= its_own {
        return Vec::new();
    }
    let mut lines = text::wrapped(&row.finding.what, room);
    if lines.len() > MOST_LINES {
        let rest = lines.split_off(MOST_LINES - 1).join(" ");
        lines.push(text::clip_end(&rest, room));
    }
    lines
}

/// Cells of the column `who` at least.
const LEAST_WHO: usize = 20;

/// What happened needs more room than to whom.
fn most_who(width: u16) -> usize {
    usize::from(width) * 7 / 20
}

fn columns<'a>(picture: &Picture<'_>, width: u16) -> Vec<Column<Listed<'a>>> {
    let now = picture.state.now();
    let is_wide = width >= WORDS_CELLS;
    let bad_cells = if is_wide { 8 } else { 3 };
    let most_who = most_who(width);
    let span = |row: &Listed<'_>| row.finding.span.filter(|_| !matches!(row.place, Place::More(_)));
    let mut columns: Vec<Column<Listed<'a>>> =
        vec![words("", Fit::Left, (bad_cells, bad_cells), 0, move |row| bad_cell(row, is_wide))];
    if is_wide {
        columns.push(words("sure", Fit::Left, (8, 8), 5, |row: &Listed<'_>| match row.place {
            Place::Cause | Place::Symptom if !row.finding.is_open => cell("over", Role::Dim),
            Place::Cause | Place::Symptom => cell(row.finding.certainty.name(), Role::Dim),
            Place::More(_) | Place::Health => Cell::default(),
        }));
    }
    columns.extend([
        words("who", Fit::Middle, (LEAST_WHO, most_who), 1, move |row| who_cell(row, most_who)),
        words("what", Fit::Left, (22, 400), 2, move |row: &Listed<'_>| match row.place {
            Place::More(_) => Cell::default(),
            _ => cell(&*row.finding.what, role(row)),
        }),
        number("since", if is_wide { 8 } else { 5 }, 3, move |row: &Listed<'_>| {
            let time = |first| if is_wide { time_of_day(first) } else { age(now, first) };
            span(row).map(|span| cell(time(span.first), role(row))).unwrap_or_default()
        }),
        number("last", 5, 4, move |row: &Listed<'_>| {
            span(row).map(|span| cell(age(now, span.last), role(row))).unwrap_or_default()
        }),
    ]);
    columns
}

/// How bad it is; by marks also how sure, or that it is over, which has a column where there is room for words.
fn bad_cell(row: &Listed<'_>, is_wide: bool) -> Cell {
    let (word, mark) = row.finding.severity.names();
    let is_loud = row.finding.is_open && row.place != Place::Symptom;
    let role = if is_loud { role_of(row.finding.severity) } else { Role::Dim };
    match row.place {
        Place::More(_) => Cell::default(),
        _ if is_wide => cell(word, role),
        _ => {
            let sure = row.finding.certainty.mark().to_owned();
            let sure = if row.finding.is_open { sure } else { CLOSED.letter.to_string() };
            pieces(vec![(format!("{mark:2}"), role), (sure, Role::Dim)])
        }
    }
}

/// Whom it is about; what a cause explains stands below it.
fn who_cell(row: &Listed<'_>, most: usize) -> Cell {
    /// `└ `
    const BRANCH_CELLS: usize = 2;
    let who = &row.finding.who;
    match row.place {
        Place::Cause | Place::Health => cell(fitting_who(who, most), role(row)),
        Place::Symptom => {
            let who = fitting_who(who, most.saturating_sub(BRANCH_CELLS));
            cell(format!("└ {who}"), role(row))
        }
        Place::More(more) => cell(format!("└ and {} more", exact(more as u64)), Role::Dim),
    }
}

/// What goes on is bright.
fn role(row: &Listed<'_>) -> Role {
    if row.finding.is_open { Role::Plain } else { Role::Dim }
}

/// Who it is about; where both ends of a flow find no room, the one it goes to.
fn fitting_who(who: &str, cells: usize) -> &str {
    match who.find('→') {
        Some(arrow) if text::width(who) > cells => &who[arrow..],
        _ => who,
    }
}

fn draw_attaching(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { state, theme, .. } = *picture;
    let (tried, all) = (state.hooks.tried(), HookId::ALL.len());
    let area = rule::draw(area, buffer, theme, "Attaching hooks…", &format!("{tried} of {all}"));
    let facts: Vec<Fact> = HookId::ALL
        .into_iter()
        .filter_map(|hook| Some((hook, state.hooks.status(hook)?)))
        .map(|(hook, status)| {
            let told = match status.state() {
                HookState::Attached(way) => vec![(format!("attached by {}", way.name()), Role::Good)],
                HookState::Standby(_) => vec![("stands by".to_owned(), Role::Good)],
                HookState::NotNeeded | HookState::Missing => {
                    vec![("missing".to_owned(), Role::Warning), (status.reason.to_string(), Role::Plain)]
                }
            };
            Fact { subject: hook_name(hook).to_owned(), told }
        })
        .collect();
    let first = facts.len().saturating_sub(usize::from(area.height));
    lines::draw(area, buffer, theme, &facts[first..]);
}
