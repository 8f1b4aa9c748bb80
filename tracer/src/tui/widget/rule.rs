//! A line that begins a part of a screen: its title at the left, a note at the right.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    text::{clip_end, width},
    theme::{Role, Theme},
};

/// Draws the line and gives back the area below it.
pub(crate) fn draw(area: Rect, buffer: &mut Buffer, theme: Theme, title: &str, note: &str) -> Rect {
    if area.height == 0 {
        return area;
    }
    let row = Rect { height: 1, ..area };
    let cells = usize::from(row.width);
    buffer.set_stringn(row.x, row.y, "─".repeat(cells), cells, theme.style(Role::Dim));
    let title = clip_end(&format!(" {title} "), cells.saturating_sub(1));
    buffer.set_stringn(row.x + 1, row.y, &title, cells, theme.style(Role::Title));
    let room = cells.saturating_sub(width(&title) + 3);
    if !note.is_empty() && width(note) + 2 <= room {
        let note = format!(" {note} ");
        let start = row.right().saturating_sub(u16::try_from(width(&note) + 1).unwrap_or(row.width));
        buffer.set_stringn(start, row.y, &note, room, theme.style(Role::Plain));
    }
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}
