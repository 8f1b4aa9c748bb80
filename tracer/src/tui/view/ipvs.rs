//! Virtual services, their real servers, and the last decisions and changes.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};

use super::{
    Picture,
    describe::{empty_text, weights_text},
};
use crate::{
    event::{IpvsDecision, Timestamp},
    probe::table::Family,
    state::{Decisions, is_onto_drained},
    tui::{
        rows::{self, IpvsRow, RecentIpvs},
        text::{age, exact, short},
        theme::Role,
        widget::{
            list, rule,
            table::{self, Cell, Column, Fit, cell, count, known, number, plain, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// Below this the decisions would leave the services no room.
    const LEAST_ROWS_FOR_DECISIONS: u16 = 14;
    let state = picture.state;
    let is_eventful = !state.ipvs.recent.is_empty() || !state.ipvs.changes.is_empty();
    let show_decisions = area.height >= LEAST_ROWS_FOR_DECISIONS && is_eventful;
    let share = if show_decisions { area.height / 3 } else { 0 };
    let [services, decisions] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(share)]).areas(area);
    let empty = empty_text(state, Family::Ipvs, "IPVS has not decided about a new connection so far.");
    let texts = ("Virtual services → real servers", empty.as_str());
    let now = state.now();
    list::draw(services, buffer, picture, texts, &service_columns(now), |range| {
        rows::ipvs(state, picture.model.sorted_by(), range.end).split_off(range.start)
    });
    if show_decisions {
        let total = exact(state.ipvs.total.total());
        let told = format!("{total} decisions in all");
        let area = rule::draw(decisions, buffer, picture.theme, "Last decisions and changes", &told);
        let recent = rows::recent_ipvs(state, usize::from(area.height).saturating_sub(1));
        table::draw(area, buffer, picture.theme, &decision_columns(now), &recent, None);
    }
}

fn decisions<'a>(row: &IpvsRow<'a>) -> &'a Decisions {
    match row {
        IpvsRow::Service(_, service) => &service.decisions,
        IpvsRow::Real(_, real) => &real.decisions,
    }
}

fn service_columns<'a>(now: Timestamp) -> Vec<Column<IpvsRow<'a>>> {
    let decision = |rank, role, decision: IpvsDecision| {
        number(decision.name(), decision.name().len(), rank, move |row: &IpvsRow<'_>| {
            count(decisions(row).of(decision), role)
        })
    };
    vec![
        words("service, real server", Fit::Middle, (24, 58), 0, |row: &IpvsRow<'_>| name(row)),
        number("weight", 6, 1, |row: &IpvsRow<'_>| weight(row)),
        number("onto 0", 6, 1, |row: &IpvsRow<'_>| count(decisions(row).onto_drained, Role::Bad)),
        decision(2, Role::Plain, IpvsDecision::Scheduled),
        decision(2, Role::Plain, IpvsDecision::Reused),
        decision(7, Role::Plain, IpvsDecision::Rescheduled),
        number("turned away", 11, 3, |row: &IpvsRow<'_>| count(decisions(row).turned_away(), Role::Bad)),
        decision(8, Role::Bad, IpvsDecision::Delayed),
        decision(8, Role::Bad, IpvsDecision::Dropped),
        decision(8, Role::Bad, IpvsDecision::Refused),
        number("reuse_mode", 10, 9, |row: &IpvsRow<'_>| match row {
            IpvsRow::Service(_, service) => known(service.reuse_mode.map(|mode| mode.to_string())),
            IpvsRow::Real(..) => Cell::default(),
        }),
        number("last", 5, 4, move |row: &IpvsRow<'_>| {
            plain(age(
                now,
                match row {
                    IpvsRow::Service(_, service) => service.last,
                    IpvsRow::Real(_, real) => real.last,
                },
            ))
        }),
        words("netns", Fit::Left, (10, 10), 10, |row: &IpvsRow<'_>| match row {
            IpvsRow::Service(key, _) => cell(key.netns.to_string(), Role::Dim),
            IpvsRow::Real(..) => Cell::default(),
        }),
    ]
}

fn name(row: &IpvsRow<'_>) -> Cell {
    match row {
        IpvsRow::Service(key, service) => {
            cell(key.service.to_string(), if service.removed.is_some() { Role::Dim } else { Role::Title })
        }
        IpvsRow::Real(key, _) => match key.address {
            Some(real) => plain(format!("  → {real}")),
            None => cell("  → no real server", Role::Bad),
        },
    }
}

fn weight(row: &IpvsRow<'_>) -> Cell {
    match row {
        IpvsRow::Service(_, service) if service.removed.is_some() => cell("gone", Role::Bad),
        IpvsRow::Service(..) => Cell::default(),
        IpvsRow::Real(key, _) if key.address.is_none() => Cell::default(),
        IpvsRow::Real(_, real) => match real.weight {
            _ if !real.available => cell("gone", Role::Bad),
            Some(0) => cell("0", Role::Warning),
            weight => known(weight.map(|weight| short(u64::try_from(weight).unwrap_or_default()))),
        },
    }
}

fn decision_columns<'a>(now: Timestamp) -> Vec<Column<RecentIpvs<'a>>> {
    vec![
        number("ago", 5, 1, move |row: &RecentIpvs<'_>| plain(age(now, row.time()))),
        words("decision", Fit::Left, (11, 11), 0, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) if is_onto_drained(&row.decided) => {
                cell(row.decided.decision.name(), Role::Bad)
            }
            RecentIpvs::Decision(row) => plain(row.decided.decision.name()),
            RecentIpvs::Change(row) => cell(row.change.change.name(), Role::Warning),
        }),
        words("client", Fit::Middle, (21, 47), 1, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => plain(row.decided.client.to_string()),
            RecentIpvs::Change(row) => {
                cell(if row.change.real.is_some() { "real server" } else { "service" }, Role::Dim)
            }
        }),
        words("virtual", Fit::Middle, (21, 47), 2, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => plain(row.decided.virtual_service.to_string()),
            RecentIpvs::Change(row) => plain(row.change.service.name()),
        }),
        words("real", Fit::Middle, (21, 47), 0, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => {
                row.decided.real.map_or_else(|| cell("none", Role::Bad), |real| plain(real.to_string()))
            }
            RecentIpvs::Change(row) => known(row.change.real.map(|real| real.to_string())),
        }),
        number("weight", 9, 0, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => known(row.decided.weight.map(|weight| weight.to_string())),
            RecentIpvs::Change(row) => known(weights_text(&row.change)),
        }),
        words("entry met", Fit::Left, (11, 11), 3, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => known(row.decided.connection_state.map(str::to_owned)),
            RecentIpvs::Change(_) => Cell::default(),
        }),
    ]
}
