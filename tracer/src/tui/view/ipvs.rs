//! Virtual services and their real servers as a tree, what is wrong with them, and the last decisions and changes.
//!
//! ```text
//! tree       a service, below it its real servers, with what is to be said of each in words
//! drained    who reached a real server that should get nobody, and how: only if somebody did
//! recent     the last decisions and changes, if there is room
//! ```

mod drained;
mod recent;
mod tree;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};

use super::{Picture, describe::empty_text};
use crate::{
    probe::table::Family,
    tui::{
        rows::{self, IpvsRow},
        widget::list,
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// Where fewer are left, the last decisions would leave the tree no room.
    const LEAST_ROWS_FOR_RECENT: u16 = 16;
    let (state, measure) = (picture.state, picture.model.sorted_by());
    let row_count = rows::count(state, picture.model.screen);
    let selected = picture.model.selected_row().min(row_count.saturating_sub(1));
    let rows = rows::ipvs(state, measure, selected + usize::from(area.height));
    let chosen = match rows.get(selected) {
        Some(IpvsRow::Real(key, _)) => Some(**key),
        Some(IpvsRow::Service(..)) | None => None,
    };
    let drained = drained::lines(picture, chosen, usize::from(area.width));
    let told_rows = if drained.is_empty() { 0 } else { drained.len() + 1 };
    let told_rows = u16::try_from(told_rows).unwrap_or(u16::MAX).min(area.height / 2);
    let is_eventful = !state.ipvs.recent.is_empty() || !state.ipvs.changes.is_empty();
    let has_room = area.height.saturating_sub(told_rows) >= LEAST_ROWS_FOR_RECENT;
    let recent_rows = if is_eventful && has_room { area.height / 3 } else { 0 };
    let [tree, told, recent] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(told_rows),
        Constraint::Length(recent_rows),
    ])
    .areas(area);
    let empty = empty_text(state, Family::Ipvs, "IPVS has not decided about a new connection so far.");
    let texts = ("Virtual services → real servers", empty.as_str());
    list::draw(tree, buffer, picture, texts, &tree::columns(state, &rows), |range| {
        rows[range.start.min(rows.len())..range.end.min(rows.len())].to_vec()
    });
    drained::draw(told, buffer, picture, &drained);
    if recent_rows > 0 {
        recent::draw(recent, buffer, picture);
    }
}
