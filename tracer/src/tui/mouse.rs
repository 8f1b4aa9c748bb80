//! What the mouse points at, by what was drawn: a tab, or a row as far from the selected one.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::{buffer::Buffer, style::Modifier};

use super::{model::Screen, view::TAB_ROW};

/// What the mouse asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointed {
    /// That screen.
    Tab(Screen),
    /// The row so many below the selected one, or above it if negative; the selected one itself is opened.
    Row(i32),
    /// So many rows down, or up if negative.
    Wheel(i32),
}

/// What a mouse event asks for, if the terminal shows this.
pub(super) fn pointed(event: MouseEvent, drawn: &Buffer) -> Option<Pointed> {
    /// Rows a step of the wheel moves.
    const WHEEL_ROWS: i32 = 3;
    match event.kind {
        MouseEventKind::ScrollUp => Some(Pointed::Wheel(-WHEEL_ROWS)),
        MouseEventKind::ScrollDown => Some(Pointed::Wheel(WHEEL_ROWS)),
        MouseEventKind::Down(MouseButton::Left) if event.row == TAB_ROW => {
            tab_at(event.column, drawn).map(Pointed::Tab)
        }
        MouseEventKind::Down(MouseButton::Left) => {
            let selected = selected_row(drawn)?;
            Some(Pointed::Row(i32::from(event.row) - i32::from(selected)))
        }
        _ => None,
    }
}

/// The screen whose name stands in that column of the tabs.
fn tab_at(column: u16, drawn: &Buffer) -> Option<Screen> {
    let cells = 0..drawn.area.width;
    let line: String =
        cells.filter_map(|x| drawn.cell((x, TAB_ROW)).map(ratatui::buffer::Cell::symbol)).collect();
    Screen::ALL.into_iter().find(|screen| {
        // Their names are ASCII: a byte is a cell.
        line.find(screen.title()).is_some_and(|start| {
            (start.saturating_sub(2)..start + screen.title().len()).contains(&column.into())
        })
    })
}

/// The row that is drawn as selected.
fn selected_row(drawn: &Buffer) -> Option<u16> {
    (drawn.area.top()..drawn.area.bottom()).find(|&y| {
        drawn.cell((drawn.area.x, y)).is_some_and(|cell| cell.modifier.contains(Modifier::REVERSED))
    })
}
