//! Flows that retransmit.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Picture, describe::empty_text};
use crate::{
    event::{RetransmitKind, Timestamp},
    probe::table::Family,
    state::{Flow, FlowKey},
    tui::{
        owner_text::{netns_column, owner_column},
        rows,
        text::{age, microseconds, short},
        theme::Role,
        widget::{
            list,
            table::{Column, Fit, cell, count, known, number, plain, words},
        },
    },
};

struct Row<'a> {
    key: &'a FlowKey,
    flow: &'a Flow,
    owner: Option<String>,
    netns: String,
    now: Timestamp,
}

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let (state, now) = (picture.state, picture.state.now());
    // Failures are rare: only where there are any do they take the room of other columns.
    let has_failures = state.flows.iter().any(|(_, flow)| flow.failed > 0);
    let empty = empty_text(state, Family::Retransmit, "Nothing has been sent again so far.");
    let texts = ("Flows that retransmit", empty.as_str());
    list::draw(area, buffer, picture, texts, &columns(has_failures), |range| {
        let flows = rows::flows(state, picture.model.sorted_by(), range.end);
        flows[range.start.min(flows.len())..]
            .iter()
            .map(|&(key, flow)| Row {
                key,
                flow,
                owner: owner_column(state, key, flow),
                netns: netns_column(state, key.netns, flow.last),
                now,
            })
            .collect()
    });
}

fn columns<'a>(has_failures: bool) -> Vec<Column<Row<'a>>> {
    let failed_rank = if has_failures { 2 } else { 7 };
    let kind = |title, cells, rank, kind: RetransmitKind| {
        number(title, cells, rank, move |row: &Row<'_>| count(row.flow.of_kind(kind), Role::Plain))
    };
    vec![
        words("from", Fit::Middle, (21, 47), 0, |row: &Row<'_>| plain(row.key.endpoints.source.to_string())),
        words("to", Fit::Middle, (21, 47), 0, |row: &Row<'_>| {
            plain(row.key.endpoints.destination.to_string())
        }),
        words("state", Fit::Left, (11, 12), 6, |row: &Row<'_>| plain(row.flow.tcp_state.to_string())),
        number("sent", 5, 1, |row: &Row<'_>| plain(short(row.flow.segments))),
        kind("syn", 4, 3, RetransmitKind::Syn),
        kind("s-ack", 5, 4, RetransmitKind::SynAck),
        kind("rto", 4, 3, RetransmitKind::Timeout),
        kind("fast", 4, 5, RetransmitKind::Fast),
        kind("tlp", 4, 5, RetransmitKind::TailLossProbe),
        kind("reord", 5, 8, RetransmitKind::Reordering),
        kind("slow", 4, 8, RetransmitKind::SlowStart),
        kind("0-win", 5, 8, RetransmitKind::ZeroWindow),
        kind("other", 5, 9, RetransmitKind::Other),
        number("failed", 6, failed_rank, |row: &Row<'_>| count(row.flow.failed, Role::Bad)),
        number("undone", 6, 10, |row: &Row<'_>| count(row.flow.undone, Role::Plain)),
        number("run", 3, 4, |row: &Row<'_>| known(row.flow.attempt.map(|attempt| attempt.to_string()))),
        number("rto", 6, 6, |row: &Row<'_>| known(row.flow.rto_us.map(microseconds))),
        number("srtt", 6, 8, |row: &Row<'_>| {
            known(row.flow.srtt_us.map(|srtt_us| microseconds(u64::from(srtt_us))))
        }),
        number("cwnd", 4, 11, |row: &Row<'_>| {
            known(row.flow.congestion_window.map(|segments| short(u64::from(segments))))
        }),
        number("10 s", 4, 9, |row: &Row<'_>| count(row.flow.recent.sum_before(row.now, 10), Role::Plain)),
        number("last", 5, 2, |row: &Row<'_>| plain(age(row.now, row.flow.last))),
        words("owner", Fit::Left, (12, 32), 5, |row: &Row<'_>| known(row.owner.clone())),
        words("dev", Fit::Left, (5, 15), 7, |row: &Row<'_>| {
            known(row.flow.device.as_ref().map(ToString::to_string))
        }),
        words("netns", Fit::Left, (10, 32), 12, |row: &Row<'_>| cell(row.netns.clone(), Role::Dim)),
    ]
}
