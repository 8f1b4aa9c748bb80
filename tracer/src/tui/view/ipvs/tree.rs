//! A service, below it its real servers.

use rustc_hash::FxHashMap;

use crate::{
    event::{IpvsDecision, Netns, Timestamp},
    state::{Decisions, Real, RealKey, Service, State},
    tui::{
        owner_text::netns_column,
        rows::IpvsRow,
        text::{age, exact, short},
        theme::Role,
        view::describe::decisions_text,
        widget::{
            lane, minute,
            table::{Cell, Column, Fit, cell, count, known, number, pieces, plain, words},
        },
    },
};

/// The columns for rows, as of the state's time.
pub(super) fn columns<'a>(state: &State, rows: &[IpvsRow<'a>]) -> Vec<Column<IpvsRow<'a>>> {
    let now = state.now();
    let names: FxHashMap<Netns, String> = rows.iter().filter_map(|row| netns(state, row)).collect();
    let decision = |rank, role, decision: IpvsDecision| {
        number(decision.name(), decision.name().len(), rank, move |row: &IpvsRow<'_>| {
            count(decisions(row).of(decision), role)
        })
    };
    vec![
        words("service, real server", Fit::Middle, (21, 58), 0, |row: &IpvsRow<'_>| name(row)),
        number("weight", 6, 1, |row: &IpvsRow<'_>| weight(row)),
        number("onto 0", 6, 1, |row: &IpvsRow<'_>| count(decisions(row).onto_drained, Role::Bad))
            .showing("onto drained"),
        words("what stands out", Fit::Left, (31, 70), 2, move |row: &IpvsRow<'_>| stands_out(row, now)),
        number("last", 5, 3, move |row: &IpvsRow<'_>| plain(age(now, last(row)))).showing("last seen"),
        number("new", 5, 4, |row: &IpvsRow<'_>| count(decisions(row).accepted(), Role::Plain))
            .showing("new connections"),
        words(minute::TITLE, Fit::Left, (minute::CELLS, minute::CELLS), 5, move |row: &IpvsRow<'_>| {
            minute(row, now)
        }),
        decision(6, Role::Plain, IpvsDecision::Reused),
        decision(6, Role::Plain, IpvsDecision::Scheduled),
        decision(8, Role::Plain, IpvsDecision::Rescheduled),
        number("turned away", 11, 7, |row: &IpvsRow<'_>| count(decisions(row).turned_away(), Role::Bad))
            .showing("turned away"),
        decision(9, Role::Bad, IpvsDecision::Delayed),
        decision(9, Role::Bad, IpvsDecision::Dropped),
        decision(9, Role::Bad, IpvsDecision::Refused),
        number("active", 6, 9, |row: &IpvsRow<'_>| connections(row, |listed| listed.active)),
        number("inactive", 8, 10, |row: &IpvsRow<'_>| connections(row, |listed| listed.inactive)),
        words("forward", Fit::Left, (7, 10), 11, |row: &IpvsRow<'_>| match row {
            IpvsRow::Real(_, real) => known(real.forwarding.map(|forwarding| forwarding.name().to_owned())),
            IpvsRow::Service(..) => Cell::default(),
        }),
        words("netns", Fit::Left, (10, 32), 12, move |row: &IpvsRow<'_>| match row {
            IpvsRow::Service(key, _) => cell(names.get(&key.netns).map_or("", String::as_str), Role::Dim),
            IpvsRow::Real(..) => Cell::default(),
        }),
    ]
}

/// The namespace of a service and what it is called.
fn netns(state: &State, row: &IpvsRow<'_>) -> Option<(Netns, String)> {
    match row {
        IpvsRow::Service(key, service) => Some((key.netns, netns_column(state, key.netns, service.last))),
        IpvsRow::Real(..) => None,
    }
}

fn decisions<'a>(row: &IpvsRow<'a>) -> &'a Decisions {
    match row {
        IpvsRow::Service(_, service) => &service.decisions,
        IpvsRow::Real(_, real) => &real.decisions,
    }
}

fn last(row: &IpvsRow<'_>) -> Timestamp {
    match row {
        IpvsRow::Service(_, service) => service.last,
        IpvsRow::Real(_, real) => real.last,
    }
}

fn name(row: &IpvsRow<'_>) -> Cell {
    match row {
        IpvsRow::Service(key, service) => {
            cell(key.service.to_string(), if service.removed.is_some() { Role::Dim } else { Role::Title })
        }
        IpvsRow::Real(key, real) => match key.address {
            Some(address) => {
                let role = if is_dialled_in_vain(real) { Role::Bad } else { Role::Plain };
                cell(format!("  → {address}"), role)
            }
            None => cell("  → no real server", Role::Bad),
        },
    }
}

fn is_dialled_in_vain(real: &Real) -> bool {
    real.decisions.onto_drained > 0 && (real.weight == Some(0) || !real.available)
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

/// What is to be said of it in words.
fn stands_out(row: &IpvsRow<'_>, now: Timestamp) -> Cell {
    match row {
        IpvsRow::Service(_, service) => of_service(service, now),
        IpvsRow::Real(key, real) => of_real(key, real, now),
    }
}

fn of_service(service: &Service, now: Timestamp) -> Cell {
    if let Some(removed) = service.removed {
        return cell(format!("removed {} ago", age(now, removed)), Role::Warning);
    }
    let mut set_up = Vec::new();
    set_up.extend(service.scheduler.as_ref().map(|scheduler| format!("scheduler {scheduler}")));
    set_up.extend(service.persistence_s.map(|seconds| format!("persistent {seconds} s")));
    set_up.extend(service.reuse_mode.map(|mode| format!("conn_reuse_mode {mode}")));
    cell(set_up.join(", "), Role::Dim)
}

/// The word that matters most stands first: a narrow terminal cuts the end.
fn of_real(key: &RealKey, real: &Real, now: Timestamp) -> Cell {
    if key.address.is_none() {
        return cell(decisions_text(&real.decisions), Role::Bad);
    }
    let ago =
        |time: Option<Timestamp>| time.map(|time| format!(" {} ago", age(now, time))).unwrap_or_default();
    let condition = match (real.available, real.weight, real.weight_changed) {
        (false, ..) => format!("removed{}", ago(real.removed)),
        (true, Some(0), changed) => format!("drained{}", ago(changed.map(|(time, _)| time))),
        (true, Some(weight), Some((time, before))) => {
            return cell(format!("weight {before} → {weight} {} ago", age(now, time)), Role::Plain);
        }
        _ => return Cell::default(),
    };
    if is_dialled_in_vain(real) {
        return cell(format!("still dialled, {condition}"), Role::Bad);
    }
    let open = real.connections.map_or(0, |listed| listed.active);
    let open = if open > 0 { format!(", {} active", exact(u64::from(open))) } else { String::new() };
    cell(format!("{condition}{open}"), Role::Warning)
}

/// New connections over the last minute, and in it the moment its weight changed or it was removed. What came to a
/// server that should get nobody stands out.
fn minute(row: &IpvsRow<'_>, now: Timestamp) -> Cell {
    let IpvsRow::Real(_, real) = row else { return Cell::default() };
    let Some(recent) = &real.recent else { return Cell::default() };
    let bars = minute::bars(|second| recent.at(second), now);
    let turns = [real.weight_changed.map(|(time, _)| time), real.removed];
    let turn = turns.into_iter().flatten().max().and_then(|time| minute::cell_of(time, now));
    let in_vain = is_dialled_in_vain(real);
    pieces(lane::merged(bars.chars().enumerate().map(|(place, bar)| {
        let is_after = turn.is_none_or(|turn| place > turn);
        match turn {
            Some(turn) if place == turn => ('│', Role::Warning),
            _ => (bar, if in_vain && is_after { Role::Bad } else { Role::Plain }),
        }
    })))
}

fn connections(row: &IpvsRow<'_>, of: impl Fn(&crate::state::Connections) -> u32) -> Cell {
    match row {
        IpvsRow::Real(_, real) => known(real.connections.as_ref().map(|listed| short(u64::from(of(listed))))),
        IpvsRow::Service(..) => Cell::default(),
    }
}
