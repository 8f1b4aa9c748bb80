//! The whole node at a glance.
//!
//! ```text
//! What stands out    observed facts, a line each, the worst first; Enter opens one
//! Events a second    bars for each family over one time axis, and below them what was changed and marked
//! parts              the busiest of each family, the last changes, what was lost and is missing
//! ```
//!
//! What stands out takes what it needs, the bars get higher on a high terminal, and the parts take what is left.

mod parts;
mod rates;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};
use tracer_common::hook::HookId;

pub(super) use self::rates::marker_mark;
use super::{Picture, describe::hook_name};
use crate::{
    event::HookState,
    findings::{Finding, Severity, peers},
    tui::{
        text::{self, age, time_of_day},
        theme::Role,
        widget::{
            lines::{self, Fact},
            list, rule,
            table::{Column, Fit, cell, number, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// Title and column names.
    const HEAD_ROWS: usize = 2;
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
    let facts = state.findings.all();
    if area.height < LEAST_ROWS {
        draw_facts(area, buffer, picture, facts);
        return;
    }
    let rates_rows = rates::rows(picture, area);
    let most = usize::from(area.height.saturating_sub(rates_rows + parts::least_rows(area)));
    let facts_rows = u16::try_from((facts.len().max(1) + HEAD_ROWS).min(most)).unwrap_or(u16::MAX);
    let [standing, rates, parts] = Layout::vertical([
        Constraint::Length(facts_rows),
        Constraint::Length(rates_rows),
        Constraint::Fill(1),
    ])
    .areas(area);
    draw_facts(standing, buffer, picture, facts);
    rates::draw(rates, buffer, picture);
    parts::draw(parts, buffer, picture, &peers);
}

fn draw_facts(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, mut facts: Vec<&Finding>) {
    let columns = columns(picture, area.width);
    let (titles, total) = (("What stands out", "Nothing stands out."), facts.len());
    list::draw_of(area, buffer, picture, titles, &columns, total, |range| {
        facts.truncate(range.end);
        facts.split_off(range.start.min(facts.len()))
    });
}

fn columns<'a>(picture: &Picture<'_>, width: u16) -> Vec<Column<&'a Finding>> {
    /// From here on a severity is told in a word.
    const WORDS_CELLS: u16 = 100;
    let now = picture.state.now();
    let role = move |fact: &&Finding| if fact.is_past(now) { Role::Dim } else { Role::Plain };
    let is_wide = width >= WORDS_CELLS;
    let name_cells = if is_wide { 8 } else { 2 };
    // What happened needs more room than to whom.
    let most_who = usize::from(width) * 7 / 20;
    vec![
        words("", Fit::Left, (name_cells, name_cells), 0, move |fact: &&Finding| {
            let (word, mark) = fact.severity.names();
            cell(if is_wide { word } else { mark }, role_of(fact.severity))
        }),
        words("who", Fit::Middle, (20, most_who), 1, move |fact: &&Finding| {
            cell(fitting_who(&fact.who, most_who), role(fact))
        }),
        words("what", Fit::Left, (22, 400), 2, move |fact: &&Finding| cell(&*fact.what, role(fact))),
        number("since", 8, 3, move |fact: &&Finding| {
            fact.span.map(|span| cell(time_of_day(span.first), role(fact))).unwrap_or_default()
        }),
        number("last", 5, 4, move |fact: &&Finding| {
            fact.span.map(|span| cell(age(now, span.last), role(fact))).unwrap_or_default()
        }),
    ]
}

/// How a severity looks.
fn role_of(severity: Severity) -> Role {
    match severity {
        Severity::Critical => Role::Bad,
        Severity::Warning => Role::Warning,
        Severity::Notice => Role::Dim,
    }
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
