//! Hooks and how they are attached; what the selected one tells or why it is missing; what became of what they saw.

mod accounting;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};
use tracer_common::hook::HookId;

use super::{Picture, describe::hook_name};
use crate::{
    event::{HookState, HookStatus, Text},
    probe::table::{self as hook_table, Family, Hook, Target},
    state::{Hooks, State},
    tui::{
        rows,
        text::wrapped,
        theme::Role,
        widget::{
            list, rule,
            table::{Cell, Column, Fit, cell, known, plain, words},
        },
    },
};

struct Row<'a> {
    hook: HookId,
    status: Option<&'a HookStatus>,
    /// Whether all hooks asked for have been tried.
    is_ready: bool,
    /// Of several nodes, those whose status it is.
    place: Option<String>,
}

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// Below this the parts below the hooks would leave them no room.
    const LEAST_ROWS_FOR_MORE: u16 = 14;
    let state = picture.state;
    let order = rows::hooks(state, picture.model.sorted_by());
    let selected = picture.model.selected_row().min(order.len().saturating_sub(1));
    let is_ready = state.hooks.ready;
    let row =
        |hook: HookId| Row { hook, status: state.hooks.status(hook), is_ready, place: place_of(state, hook) };
    let about = order.get(selected).map(|&hook| about(&row(hook), usize::from(area.width)));
    let about = about.filter(|_| area.height >= LEAST_ROWS_FOR_MORE).unwrap_or_default();
    let shares = if area.height >= LEAST_ROWS_FOR_MORE {
        let about_rows = u16::try_from(about.len() + 1).unwrap_or_default();
        [about_rows, accounting::rows(state, area.height)]
    } else {
        [0, 0]
    };
    let [hooks, told, accounting] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(shares[0]), Constraint::Length(shares[1])])
            .areas(area);
    let title = missing_by_family(&state.hooks, area.width);
    list::draw(hooks, buffer, picture, (&title, ""), &columns(), |range| {
        order[range].iter().map(|&hook| row(hook)).collect()
    });
    if let (Some(&hook), false) = (order.get(selected), about.is_empty()) {
        let below = rule::draw(told, buffer, picture.theme, hook_name(hook), "");
        for ((text, role), line) in about.iter().zip(below.rows()) {
            let cells = usize::from(line.width).saturating_sub(2);
            buffer.set_stringn(line.x + 2, line.y, text, cells, picture.theme.style(*role));
        }
    }
    if shares[1] > 0 {
        accounting::draw(accounting, buffer, picture);
    }
}

/// On which of several nodes a hook has the status that is told, unless it is the same on all of them.
fn place_of(state: &State, hook: HookId) -> Option<String> {
    let told = state.hooks.status(hook)?.state();
    let (same, others): (Vec<_>, Vec<_>) =
        state.hooks.statuses(hook).partition(|(_, status)| status.state() == told);
    if others.is_empty() {
        return None;
    }
    let names: Vec<&str> =
        same.iter().filter_map(|(node, _)| state.names.node(*node)).map(Text::as_str).collect();
    Some(format!("on {}", names.join(", ")))
}

/// `Hooks, 11 missing: 1 retransmit, 10 ipvs`, or less where a width leaves no room for it.
fn missing_by_family(hooks: &Hooks, width: u16) -> String {
    let missing = |family: Family| {
        let of_family = hook_table::HOOKS.iter().filter(|hook| hook.family == family);
        let states = of_family.filter_map(|hook| hooks.status(hook.id)).map(HookStatus::state);
        states.filter(|&state| state == HookState::Missing).count()
    };
    let counts: Vec<String> = Family::ALL
        .into_iter()
        .map(|family| (missing(family), family))
        .filter(|&(count, _)| count > 0)
        .map(|(count, family)| format!("{count} {family}"))
        .collect();
    match hooks.missing() {
        0 => "Hooks".to_owned(),
        all => list::title(
            &[format!("Hooks, {all} missing: {}", counts.join(", ")), format!("Hooks, {all} missing")],
            width,
        ),
    }
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        words("hook", Fit::Left, (26, 44), 0, |row: &Row<'_>| plain(hook_name(row.hook))),
        words("family", Fit::Left, (10, 10), 2, |row: &Row<'_>| {
            known(hook_table::find(row.hook).map(|hook| hook.family.to_string()))
        })
        .showing("family"),
        words("attached", Fit::Left, (9, 9), 0, |row: &Row<'_>| attached(row)).showing("missing"),
        words("why not, or what to know", Fit::Left, (24, 100), 1, |row: &Row<'_>| {
            known(row.status.map(|status| match &row.place {
                Some(place) => format!("{place}: {}", status.reason),
                None => status.reason.to_string(),
            }))
        }),
        words("tells", Fit::Left, (20, 160), 4, |row: &Row<'_>| {
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

/// What a hook tells and where it sits, or what is not seen without it and why; in lines for a width.
fn about(row: &Row<'_>, cells: usize) -> Vec<(String, Role)> {
    const INDENT: usize = 3;
    let Some(hook) = hook_table::find(row.hook) else { return Vec::new() };
    let state = row.status.map(HookStatus::state);
    let (tells, role) = match state {
        Some(HookState::Missing) => (format!("Not seen without it: {}.", hook.tells), Role::Warning),
        _ => (format!("Tells {}.", hook.tells), Role::Plain),
    };
    let how = match state {
        Some(HookState::Attached(way)) => format!("attached by {}", way.name()),
        Some(HookState::Standby(way)) => format!("stands by, to be attached by {}", way.name()),
        Some(HookState::NotNeeded) => "not needed here".to_owned(),
        Some(HookState::Missing) => "missing".to_owned(),
        None => "not tried".to_owned(),
    };
    let reason = row
        .status
        .filter(|status| !status.reason.is_empty())
        .map(|status| format!(": {}", status.reason))
        .unwrap_or_default();
    let on = row.place.as_ref().map(|place| format!(" {place}")).unwrap_or_default();
    let sits = format!("{}, {how}{on}{reason}.", place(hook));
    let cells = cells.saturating_sub(INDENT);
    let told = wrapped(&tells, cells).into_iter().map(|line| (line, role));
    told.chain(wrapped(&sits, cells).into_iter().map(|line| (line, Role::Plain))).collect()
}

fn place(hook: &Hook) -> String {
    match hook.target {
        Target::Tracepoint(name) => format!("Tracepoint {name}"),
        Target::Function { name, module: Some(module) } => format!("Function {name} of module {module}"),
        Target::Function { name, module: None } => format!("Function {name}"),
    }
}
