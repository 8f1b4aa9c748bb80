//! Flows that retransmit.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Picture,
    describe::{empty_text, kinds_text, route_fact},
};
use crate::{
    event::{Process, Timestamp},
    probe::table::Family,
    state::{FLOW_HISTORY_SECONDS, Flow, FlowKey, Reached, State, second_of},
    tui::{
        rows,
        text::{age, microseconds, short},
        theme::Role,
        widget::{
            list, sparkline,
            table::{Cell, Column, Fit, cell, count, known, number, plain, words},
        },
    },
};

struct Row<'a> {
    key: &'a FlowKey,
    flow: &'a Flow,
    process: Option<&'a Process>,
    reached: Option<&'a Reached>,
    /// Who really answers, where that is not who was dialled.
    server: Option<String>,
    now: Timestamp,
}

impl<'a> Row<'a> {
    fn new(state: &'a State, key: &'a FlowKey, flow: &'a Flow) -> Self {
        Self {
            key,
            flow,
            process: state.process_of(flow),
            reached: state.routes.reached(key.netns, key.endpoints.destination.ip()),
            server: server(state, key),
            now: state.now(),
        }
    }
}

/// Where conntrack translates a flow to, if it does.
fn server(state: &State, key: &FlowKey) -> Option<String> {
    let reply = state.conntrack.entries.get(key)?.reply?;
    (reply.source != key.endpoints.destination).then(|| reply.source.to_string())
}

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let state = picture.state;
    let empty = empty_text(state, Family::Retransmit, "Nothing has been sent again so far.");
    let texts = ("Flows that retransmit", empty.as_str());
    list::draw(area, buffer, picture, texts, &columns(), |range| {
        let flows = rows::flows(state, picture.model.sorted_by(), range.end);
        let shown = flows[range.start.min(flows.len())..].iter();
        shown.map(|&(key, flow)| Row::new(state, key, flow)).collect()
    });
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    let ends = [
        words("from", Fit::Middle, (21, 47), 0, |row: &Row<'_>| plain(row.key.endpoints.source.to_string())),
        words("to", Fit::Middle, (21, 47), 0, |row: &Row<'_>| {
            plain(row.key.endpoints.destination.to_string())
        }),
        words("really to", Fit::Middle, (21, 47), 9, |row: &Row<'_>| known(row.server.clone())),
    ];
    let counts = [
        number("retrans", 7, 1, |row: &Row<'_>| {
            cell(short(row.flow.attempts()), if is_going_on(row) { Role::Bad } else { Role::Plain })
        })
        .showing("retransmits"),
        words("kinds", Fit::Left, (7, 48), 3, |row: &Row<'_>| kinds(row.flow)),
        number("run", 4, 4, |row: &Row<'_>| count(row.flow.longest_run, Role::Plain)).showing("longest run"),
        number("10 s", 5, 5, |row: &Row<'_>| count(rows::flow_rate(row.flow, row.now), Role::Plain))
            .showing("rate"),
        words("10 s ago…now", Fit::Left, (12, 12), 8, |row: &Row<'_>| trend(row)),
        number("segments", 8, 11, |row: &Row<'_>| plain(short(row.flow.segments))),
    ];
    let rest = [
        number("last", 5, 2, |row: &Row<'_>| last(row)).showing("last seen"),
        words("owner", Fit::Left, (14, 40), 6, |row: &Row<'_>| known(owner(row))),
        words("next hop", Fit::Left, (24, 60), 7, |row: &Row<'_>| next_hop(row)),
        words("state", Fit::Left, (11, 12), 8, |row: &Row<'_>| plain(row.flow.tcp_state.to_string())),
        number("rto", 6, 9, |row: &Row<'_>| known(row.flow.rto_us.map(microseconds))),
        number("srtt", 6, 9, |row: &Row<'_>| {
            known(row.flow.srtt_us.map(|srtt_us| microseconds(u64::from(srtt_us))))
        }),
        number("cwnd", 4, 10, |row: &Row<'_>| {
            known(row.flow.congestion_window.map(|segments| short(u64::from(segments))))
        }),
        words("dev", Fit::Left, (5, 15), 9, |row: &Row<'_>| {
            known(row.flow.device.as_ref().map(ToString::to_string))
        }),
        words("netns", Fit::Left, (10, 10), 12, |row: &Row<'_>| cell(row.key.netns.to_string(), Role::Dim)),
    ];
    ends.into_iter().chain(counts).chain(rest).collect()
}

/// Whether it has retransmitted within the seconds that are kept of it.
fn is_going_on(row: &Row<'_>) -> bool {
    rows::flow_rate(row.flow, row.now) > 0
}

/// What kinds of retransmits; a number only where there are several to tell apart.
fn kinds(flow: &Flow) -> Cell {
    let text = kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into());
    let is_one = !text.contains(',');
    let role = if flow.failed > 0 { Role::Bad } else { Role::Plain };
    match text.rsplit_once(' ') {
        Some((kind, _)) if is_one => cell(kind, role),
        _ => cell(text, role),
    }
}

/// A bar a second over the seconds that are kept.
fn trend(row: &Row<'_>) -> Cell {
    let now = second_of(row.now);
    let first = (now + 1).saturating_sub(FLOW_HISTORY_SECONDS as u64);
    let counts = (first..=now).map(|second| row.flow.recent.at(second));
    let peak = counts.clone().max().unwrap_or_default();
    plain(sparkline::bars(counts, peak))
}

fn last(row: &Row<'_>) -> Cell {
    cell(age(row.now, row.flow.last), if is_going_on(row) { Role::Plain } else { Role::Dim })
}

fn owner(row: &Row<'_>) -> Option<String> {
    row.process.map(|process| format!("{}/{}", process.command, process.id))
}

/// The way by the newest look-up: `10.0.0.1 REACHABLE 02:…`, `direct FAILED`, or what happens to packets instead.
fn next_hop(row: &Row<'_>) -> Cell {
    let Some(reached) = row.reached else { return Cell::default() };
    if reached.result.is_astray() {
        return cell(route_fact(reached.result, reached.gateway, reached.device.as_ref()), Role::Bad);
    }
    let mut parts = vec![reached.gateway.map_or("direct".to_owned(), |gateway| gateway.to_string())];
    parts.extend(reached.neighbour_state.map(|state| state.to_string()));
    parts.extend(reached.neighbour.map(|hardware| hardware.to_string()));
    let is_silent = reached.neighbour_state.is_some_and(|state| !state.is_valid());
    cell(parts.join(" "), if is_silent { Role::Bad } else { Role::Plain })
}
