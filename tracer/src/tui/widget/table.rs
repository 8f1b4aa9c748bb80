//! A table whose columns shrink and give way to more important ones as the terminal gets narrow.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    text::{clip_end, clip_middle, width},
    theme::{Role, Theme},
};

/// The text of a cell and what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The text, of any length.
    pub(crate) text: String,
    /// What it is.
    pub(crate) role: Role,
}

/// A cell of a role.
pub(crate) fn cell(text: impl Into<String>, role: Role) -> Cell {
    Cell { text: text.into(), role }
}

/// An ordinary cell.
pub(crate) fn plain(text: impl Into<String>) -> Cell {
    cell(text, Role::Plain)
}

/// A cell that is empty where a fact is unknown.
pub(crate) fn known(text: Option<String>) -> Cell {
    text.map(plain).unwrap_or_default()
}

/// A count, which stands out if it is not zero.
pub(crate) fn count(number: impl Into<u64>, role: Role) -> Cell {
    let number = number.into();
    cell(crate::tui::text::count(number), if number == 0 { Role::Dim } else { role })
}

/// Where the text of a column stands and how it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// At the left, cut at its end.
    Left,
    /// At the left, cut in its middle.
    Middle,
    /// At the right; never cut as long as it fits its column's least width.
    Right,
}

/// One column over rows of `R`.
pub(crate) struct Column<R> {
    /// Its name.
    pub(crate) title: &'static str,
    /// How its text stands.
    pub(crate) fit: Fit,
    /// Cells it needs at least.
    pub(crate) least: usize,
    /// Cells it takes at most.
    pub(crate) most: usize,
    /// Columns of a lower rank stay longer.
    pub(crate) rank: u8,
    /// Its text in a row.
    pub(crate) cell: Box<dyn Fn(&R) -> Cell>,
}

/// A column of one width at the right.
pub(crate) fn number<R>(
    title: &'static str,
    cells: usize,
    rank: u8,
    cell: impl Fn(&R) -> Cell + 'static,
) -> Column<R> {
    Column { title, fit: Fit::Right, least: cells, most: cells, rank, cell: Box::new(cell) }
}

/// A column that takes what its texts need, between two widths.
pub(crate) fn words<R>(
    title: &'static str,
    fit: Fit,
    (least, most): (usize, usize),
    rank: u8,
    cell: impl Fn(&R) -> Cell + 'static,
) -> Column<R> {
    Column { title, fit, least: least.max(width(title)), most, rank, cell: Box::new(cell) }
}

const GAP: usize = 2;
/// Columns of this rank and above come only where no text of the others is cut.
const NICE_TO_HAVE: u8 = 8;
/// The mark of the selected row and a space.
const MARGIN: usize = 2;

/// Draws column names and rows; `selected` is an index into `rows`.
pub(crate) fn draw<R>(
    area: Rect,
    buffer: &mut Buffer,
    theme: Theme,
    columns: &[Column<R>],
    rows: &[R],
    selected: Option<usize>,
) {
    let cells: Vec<Vec<Cell>> =
        rows.iter().map(|row| columns.iter().map(|column| (column.cell)(row)).collect()).collect();
    let widths = widths(columns, &cells, usize::from(area.width).saturating_sub(MARGIN));
    let titles = columns.iter().map(|column| cell(column.title, Role::Dim));
    let titles: Vec<Cell> = titles.collect();
    let mut lines = area.rows();
    if let Some(line) = lines.next() {
        draw_row(line, buffer, theme, columns, &widths, &titles);
    }
    for (index, (row, line)) in cells.iter().zip(lines).enumerate() {
        draw_row(line, buffer, theme, columns, &widths, row);
        if selected == Some(index) {
            buffer.set_stringn(line.x, line.y, "▸", 1, theme.style(Role::Title));
            buffer.set_style(line, theme.selected());
        }
    }
}

fn draw_row<R>(
    line: Rect,
    buffer: &mut Buffer,
    theme: Theme,
    columns: &[Column<R>],
    widths: &[Option<usize>],
    row: &[Cell],
) {
    let mut x = usize::from(line.x) + MARGIN;
    for ((column, cells), Cell { text, role }) in columns.iter().zip(widths).zip(row) {
        let Some(cells) = *cells else { continue };
        let text = if column.fit == Fit::Middle { clip_middle(text, cells) } else { clip_end(text, cells) };
        let indent = if column.fit == Fit::Right { cells - width(&text) } else { 0 };
        if let Ok(start) = u16::try_from(x + indent) {
            buffer.set_stringn(start, line.y, &text, cells, theme.style(*role));
        }
        x += cells + GAP;
    }
}

/// The width of every column, `None` for those that give way.
fn widths<R>(columns: &[Column<R>], cells: &[Vec<Cell>], room: usize) -> Vec<Option<usize>> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|&index| columns[index].rank);
    let mut widths: Vec<Option<usize>> = vec![None; columns.len()];
    // What is left once a gap follows every column but the last.
    let mut left = room + GAP;
    // Texts that are cut come before columns that are only nice to have.
    let (needed, nice) =
        by_rank.split_at(by_rank.partition_point(|&index| columns[index].rank < NICE_TO_HAVE));
    'groups: for group in [needed, nice] {
        for &index in group {
            // The first that does not fit ends it: a less important column never stays where a more important one went.
            let Some(rest) = left.checked_sub(columns[index].least + GAP) else {
                grow(columns, cells, &mut widths, left);
                break 'groups;
            };
            left = rest;
            widths[index] = Some(columns[index].least);
        }
        left = grow(columns, cells, &mut widths, left);
    }
    widths
}

/// Gives what is left cell by cell to the columns whose texts want more, so that two addresses share it; gives back
/// what nobody wants.
fn grow<R>(
    columns: &[Column<R>],
    cells: &[Vec<Cell>],
    widths: &mut [Option<usize>],
    mut left: usize,
) -> usize {
    let wanted = |index: usize| {
        let natural = cells.iter().map(|row| width(&row[index].text)).max().unwrap_or_default();
        natural.min(columns[index].most)
    };
    let mut hungry: Vec<(usize, usize)> = (0..columns.len()).map(|index| (index, wanted(index))).collect();
    while left > 0 {
        hungry.retain(|&(index, wanted)| widths[index].is_some_and(|cells| cells < wanted));
        if hungry.is_empty() {
            break;
        }
        for &(index, _) in hungry.iter().take(left) {
            widths[index] = widths[index].map(|cells| cells + 1);
        }
        left = left.saturating_sub(hungry.len());
    }
    left
}

#[cfg(test)]
mod tests {
    use super::{Fit, cell, number, plain, widths, words};
    use crate::tui::theme::Role;

    #[test]
    fn columns_give_way_by_rank_and_share_what_is_left() {
        let columns = [
            words::<()>("from", Fit::Middle, (10, 40), 0, |()| plain("")),
            words("to", Fit::Middle, (10, 40), 0, |()| plain("")),
            number("count", 5, 1, |()| plain("")),
            words("process", Fit::Left, (8, 20), 2, |()| plain("")),
        ];
        let row = vec![
            cell("x".repeat(30), Role::Plain),
            cell("x".repeat(12), Role::Plain),
            cell("1", Role::Plain),
            cell("nginx", Role::Plain),
        ];
        for (room, expected) in [
            (8, [None, None, None, None]),
            (22, [Some(10), Some(10), None, None]),
            (29, [Some(10), Some(10), Some(5), None]),
            (35, [Some(14), Some(12), Some(5), None]),
            (200, [Some(30), Some(12), Some(5), Some(8)]),
        ] {
            let widths = widths(&columns, std::slice::from_ref(&row), room);
            assert_eq!(widths, expected, "{room}");
        }
    }
}
