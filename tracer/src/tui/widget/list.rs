//! A titled table with a selected row that scrolls.

use std::ops::Range;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    rule,
    table::{self, Column, Marks},
};
use crate::tui::{
    rows,
    text::{clip_end, exact, fitting, width as cells_of},
    theme::Role,
    view::Picture,
};

/// The first title that leaves room in a width for how the rows are sorted and which of them is selected, or the last.
pub(crate) fn title(variants: &[String], width: u16) -> String {
    /// `sorted by longest outage · 100,000 of 100,000` and what the line takes around it.
    const NOTE_CELLS: usize = 52;
    let room = usize::from(width).saturating_sub(NOTE_CELLS);
    fitting(variants, room.max(variants.last().map_or(0, |last| cells_of(last))))
}

/// Draws the list of the screen shown. `rows` gives a range of its rows; `empty` says why there are none.
pub(crate) fn draw<R>(
    area: Rect,
    buffer: &mut Buffer,
    picture: &Picture<'_>,
    (title, empty): (&str, &str),
    columns: &[Column<R>],
    rows: impl FnOnce(Range<usize>) -> Vec<R>,
) {
    let total = rows::count(picture.state, picture.model.screen);
    draw_of(area, buffer, picture, (title, empty), columns, total, rows);
}

/// The same, by a caller that has counted the rows.
pub(crate) fn draw_of<R>(
    area: Rect,
    buffer: &mut Buffer,
    picture: &Picture<'_>,
    (title, empty): (&str, &str),
    columns: &[Column<R>],
    total: usize,
    rows: impl FnOnce(Range<usize>) -> Vec<R>,
) {
    let model = picture.model;
    let selected = model.selected_row().min(total.saturating_sub(1));
    let measures = rows::measures(model.screen);
    let sorted_by = measures.get(model.sorted_by()).copied();
    let sorted = sorted_by.map(|name| format!("sorted by {name} · ")).unwrap_or_default();
    let note = match total {
        0 => String::new(),
        _ => format!("{sorted}{} of {}", exact(selected as u64 + 1), exact(total as u64)),
    };
    let area = rule::draw(area, buffer, picture.theme, title, &note);
    if total == 0 {
        let text = clip_end(empty, usize::from(area.width).saturating_sub(2));
        if area.height > 1 {
            buffer.set_string(area.x + 2, area.y + 1, text, picture.theme.style(Role::Dim));
        }
        return;
    }
    let height = usize::from(area.height).saturating_sub(1);
    let offset = offset(total, selected, height);
    let visible = rows(offset..(offset + height).min(total));
    let marks = Marks { selected: Some(selected - offset), sorted_by };
    table::draw(area, buffer, picture.theme, columns, &visible, marks);
}

/// The first row to show: the selected one stands in the middle, as far as the ends allow.
fn offset(total: usize, selected: usize, height: usize) -> usize {
    selected.saturating_sub(height / 2).min(total.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn the_selected_row_is_always_shown() {
        for (total, height) in [(1, 10), (10, 10), (11, 10), (5_000, 7), (3, 1)] {
            for selected in 0..total {
                let offset = offset(total, selected, height);
                assert!((offset..offset + height).contains(&selected), "{total} {height} {selected}");
                assert!(offset + height <= total.max(height));
            }
        }
    }
}
