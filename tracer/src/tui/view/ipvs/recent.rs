//! The last decisions and changes of IPVS in one list, the newest first.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    event::Timestamp,
    state::is_onto_drained,
    tui::{
        rows::{self, RecentIpvs},
        text::{age, exact},
        theme::Role,
        view::{Picture, describe::weights_text},
        widget::{
            rule,
            table::{self, Cell, Column, Fit, Marks, cell, known, number, plain, words},
        },
    },
};

/// Draws as many as fit.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let state = picture.state;
    let told = format!("{} decisions in all", exact(state.ipvs.total.total()));
    let area = rule::draw(area, buffer, picture.theme, "Last decisions and changes", &told);
    let recent = rows::recent_ipvs(state, usize::from(area.height).saturating_sub(1));
    table::draw(area, buffer, picture.theme, &columns(state.now()), &recent, Marks::default());
}

fn columns<'a>(now: Timestamp) -> Vec<Column<RecentIpvs<'a>>> {
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
        words("weight", Fit::Right, (9, 26), 0, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => known(row.decided.weight.map(|weight| weight.to_string())),
            RecentIpvs::Change(row) => known(weights_text(&row.change)),
        }),
        words("entry met", Fit::Left, (11, 11), 3, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => known(row.decided.connection_state.map(str::to_owned)),
            RecentIpvs::Change(_) => Cell::default(),
        }),
        number("reuse_mode", 10, 8, |row: &RecentIpvs<'_>| match row {
            RecentIpvs::Decision(row) => plain(row.decided.reuse_mode.to_string()),
            RecentIpvs::Change(_) => Cell::default(),
        }),
    ]
}
