//! Flows that retransmit.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Picture,
    describe::{empty_text, kinds_text},
    event_text::route_fact,
};
use crate::{
    event::Timestamp,
    probe::table::Family,
    state::{Flow, FlowKey, RATE_SPANS_SECONDS, Reached, State},
    tui::{
        owner_text::{netns_column, owner_column},
        rows,
        text::{age, duration, exact, microseconds, rate, short},
        theme::Role,
        widget::{
            list, minute,
            table::{Cell, Column, Fit, cell, count, known, number, plain, words},
        },
    },
};

struct Row<'a> {
    key: &'a FlowKey,
    flow: &'a Flow,
    owner: Option<String>,
    netns: String,
    reached: Option<&'a Reached>,
    /// Who really answers, or who was dialled, where somebody translates.
    translated: Option<String>,
    now: Timestamp,
}

impl<'a> Row<'a> {
    fn new(state: &'a State, key: &'a FlowKey, flow: &'a Flow) -> Self {
        Self {
            key,
            flow,
            owner: owner_column(state, key, flow),
            netns: netns_column(state, key.netns, flow.last),
            reached: state.routes.reached(key.netns, key.endpoints.destination.ip()),
            translated: translated(state, key),
            now: state.now(),
        }
    }
}

/// The end of a translated connection that its socket does not know: the server behind the address that was dialled, or
/// the address that was dialled to get here.
fn translated(state: &State, key: &FlowKey) -> Option<String> {
    let mappings = state.translations.of(key.netns, &key.endpoints);
    let (first, last) = (mappings.first()?.learnt, mappings.last()?.learnt);
    if last.server == key.endpoints.source {
        let dialled = first.original.destination;
        return (dialled != last.server).then(|| format!("dialled as {dialled}"));
    }
    (last.server != key.endpoints.destination).then(|| format!("to {}", last.server))
}

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let state = picture.state;
    let empty = empty_text(state, Family::Retransmit, "Nothing has been sent again so far.");
    let title = title(state, area.width);
    list::draw(area, buffer, picture, (&title, &empty), &columns(), |range| {
        let flows = rows::flows(state, picture.model.sorted_by(), range.end);
        let shown = flows[range.start.min(flows.len())..].iter();
        shown.map(|&(key, flow)| Row::new(state, key, flow)).collect()
    });
}

/// How many of the flows get no answer now.
fn title(state: &State, width: u16) -> String {
    let begin = "Flows that retransmit".to_owned();
    match state.flows.iter().filter(|(_, flow)| flow.outage_at(state.now()).is_some()).count() {
        0 => begin,
        count => list::title(&[format!("{begin}, {} unanswered now", exact(count as u64)), begin], width),
    }
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    let ends = [
        words("from", Fit::Middle, (21, 47), 0, |row: &Row<'_>| plain(row.key.endpoints.source.to_string())),
        words("to", Fit::Middle, (21, 47), 0, |row: &Row<'_>| {
            plain(row.key.endpoints.destination.to_string())
        }),
        words("translated", Fit::Middle, (24, 54), 7, |row: &Row<'_>| known(row.translated.clone())),
    ];
    let counts = [
        number("retrans", 7, 1, |row: &Row<'_>| {
            cell(short(row.flow.attempts()), if is_going_on(row) { Role::Bad } else { Role::Plain })
        })
        .showing("retransmits"),
        words("kinds", Fit::Left, (7, 48), 3, |row: &Row<'_>| kinds(row.flow)),
        number("outage", 6, 4, |row: &Row<'_>| outage(row)).showing("longest outage"),
        number("run", 4, 5, |row: &Row<'_>| count(row.flow.longest_run, Role::Plain)).showing("longest run"),
        per_second("1 s", 8, RATE_SPANS_SECONDS[0]),
        per_second("10 s", 6, RATE_SPANS_SECONDS[1]).showing("rate"),
        per_second("1 min", 8, RATE_SPANS_SECONDS[2]),
        words(minute::TITLE, Fit::Left, (minute::CELLS, minute::CELLS), 9, |row: &Row<'_>| {
            plain(minute::bars(|second| row.flow.recent.at(second), row.now))
        }),
        number("segments", 8, 11, |row: &Row<'_>| plain(short(row.flow.segments))),
    ];
    let rest = [
        number("last", 5, 2, |row: &Row<'_>| last(row)).showing("last seen"),
        words("owner", Fit::Left, (14, 40), 6, |row: &Row<'_>| known(row.owner.clone())),
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
        words("netns", Fit::Left, (10, 32), 12, |row: &Row<'_>| cell(row.netns.clone(), Role::Dim)),
    ];
    ends.into_iter().chain(counts).chain(rest).collect()
}

/// Attempts a second.
fn per_second<'a>(title: &'static str, rank: u8, seconds: u64) -> Column<Row<'a>> {
    number(title, 5, rank, move |row: &Row<'_>| match row.flow.per_second(row.now, seconds) {
        0.0 => cell("·", Role::Dim),
        ..0.05 => plain("<0.1"),
        per_second => plain(rate(per_second)),
    })
}

/// Whether nothing new gets through to the peer, as far as is known: the next attempt is not overdue.
fn is_going_on(row: &Row<'_>) -> bool {
    row.flow.outage_at(row.now).is_some()
}

/// The longest outage; one that goes on lasts until now.
fn outage(row: &Row<'_>) -> Cell {
    match (row.flow.outage_at(row.now), row.flow.longest_outage_ns(row.now)) {
        (_, 0) => cell("·", Role::Dim),
        (Some(_), longest_ns) => cell(duration(longest_ns), Role::Bad),
        (None, longest_ns) => plain(duration(longest_ns)),
    }
}

/// What kinds of retransmits, with a number only where there are several to tell apart; and why the last one failed.
fn kinds(flow: &Flow) -> Cell {
    let text = kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into());
    let text = match text.rsplit_once(' ') {
        Some((kind, _)) if !text.contains(',') => kind.to_owned(),
        _ => text,
    };
    match flow.error {
        Some(error) => cell(format!("{text} ({error})"), Role::Bad),
        None => plain(text),
    }
}

fn last(row: &Row<'_>) -> Cell {
    cell(age(row.now, row.flow.last), if is_going_on(row) { Role::Plain } else { Role::Dim })
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
