//! The help: every key of the table.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Block, Clear, Widget},
};

use crate::tui::{
    keys::{BINDINGS, TYPING},
    model::Source,
    theme::{Role, Theme},
};

/// Draws the help in the middle of an area.
pub(crate) fn draw(area: Rect, buffer: &mut Buffer, theme: Theme, source: Source) {
    const NAME_CELLS: u16 = 11;
    const COLUMN_CELLS: u16 = 36;
    let screens = BINDINGS
        .iter()
        .filter(|binding| binding.action.is_for(source))
        .map(|binding| (binding.name, binding.help));
    let typing = TYPING.iter().map(|binding| (binding.name, binding.help));
    let heading = [("Typing", "a filter, marker, time:")];
    let lines: Vec<(&str, &str)> =
        screens.chain(heading).chain(typing).filter(|(name, _)| !name.is_empty()).collect();
    // Screens' keys in one column, the others in the second.
    let half = lines.len().div_ceil(2);
    let frame = area.centered(
        (COLUMN_CELLS * 2 + 4).min(area.width).into(),
        u16::try_from(half + 2).unwrap_or(area.height).min(area.height).into(),
    );
    Clear.render(frame, buffer);
    let block = Block::bordered().title(" Keys ").border_type(ratatui::widgets::BorderType::Plain);
    let inner = block.inner(frame);
    block.render(frame, buffer);
    for (index, (name, help)) in lines.iter().enumerate() {
        let (Ok(column), Ok(row)) = (u16::try_from(index / half), u16::try_from(index % half)) else { break };
        let (x, y) = (inner.x + 1 + column * COLUMN_CELLS, inner.y + row);
        if y < inner.bottom() && x < inner.right() {
            buffer.set_stringn(x, y, name, usize::from(NAME_CELLS), theme.style(Role::Title));
            let room = usize::from(COLUMN_CELLS - NAME_CELLS - 1);
            let start = x + NAME_CELLS;
            buffer.set_stringn(
                start,
                y,
                help,
                room.min(usize::from(inner.right().saturating_sub(start))),
                theme.style(Role::Plain),
            );
        }
    }
}
