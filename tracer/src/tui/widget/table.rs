//! A table whose columns shrink and give way to more important ones as the terminal gets narrow.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    text::{clip_end, clip_middle, width},
    theme::{Role, Theme},
};

/// The text of a cell, in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Text of any length and what it is, from left to right.
    pub(crate) pieces: Vec<(String, Role)>,
}

impl Cell {
    /// Cells it takes if nothing is cut.
    pub(crate) fn width(&self) -> usize {
        self.pieces.iter().map(|(text, _)| width(text)).sum()
    }

    /// What of it is shown in so many cells: the middle of a single piece can be cut, everything else is cut at its end.
    fn clipped(&self, fit: Fit, cells: usize) -> Vec<(String, Role)> {
        if let ([(text, role)], Fit::Middle) = (self.pieces.as_slice(), fit) {
            return vec![(clip_middle(text, cells), *role)];
        }
        let mut left = cells;
        let mut clipped = Vec::with_capacity(self.pieces.len());
        for (text, role) in &self.pieces {
            if width(text) > left {
                clipped.push((clip_end(text, left), *role));
                break;
            }
            left -= width(text);
            clipped.push((text.clone(), *role));
        }
        clipped
    }
}

/// A cell of a role.
pub(crate) fn cell(text: impl Into<String>, role: Role) -> Cell {
    pieces(vec![(text.into(), role)])
}

/// A cell of pieces, each of its own role.
pub(crate) fn pieces(pieces: Vec<(String, Role)>) -> Cell {
    Cell { pieces }
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
    /// The name of the measure it shows, if rows can be sorted by it.
    pub(crate) measure: Option<&'static str>,
    /// Its text in a row.
    pub(crate) cell: Box<dyn Fn(&R) -> Cell>,
}

impl<R> Column<R> {
    /// The same column, which shows a measure that rows can be sorted by.
    pub(crate) fn showing(self, measure: &'static str) -> Self {
        Self { measure: Some(measure), ..self }
    }
}

/// What of a table is marked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// The selected one of the rows drawn.
    pub(crate) selected: Option<usize>,
    /// The measure the rows are sorted by: its column is marked, and is the last to give way.
    pub(crate) sorted_by: Option<&'static str>,
}

/// A column of one width at the right.
pub(crate) fn number<R>(
    title: &'static str,
    cells: usize,
    rank: u8,
    cell: impl Fn(&R) -> Cell + 'static,
) -> Column<R> {
    Column { title, fit: Fit::Right, least: cells, most: cells, rank, measure: None, cell: Box::new(cell) }
}

/// A column that takes what its texts need, between two widths.
pub(crate) fn words<R>(
    title: &'static str,
    fit: Fit,
    (least, most): (usize, usize),
    rank: u8,
    cell: impl Fn(&R) -> Cell + 'static,
) -> Column<R> {
    Column { title, fit, least: least.max(width(title)), most, rank, measure: None, cell: Box::new(cell) }
}

const GAP: usize = 2;
/// Columns of this rank and above come only where no text of the others is cut.
const NICE_TO_HAVE: u8 = 8;
/// Columns of this rank and above come only where they tell something of any row shown.
const MAY_SAY_NOTHING: u8 = 6;
/// The mark of the selected row and a space.
const MARGIN: usize = 2;

/// Draws column names and rows.
pub(crate) fn draw<R>(
    area: Rect,
    buffer: &mut Buffer,
    theme: Theme,
    columns: &[Column<R>],
    rows: &[R],
    marks: Marks,
) {
    let cells: Vec<Vec<Cell>> =
        rows.iter().map(|row| columns.iter().map(|column| (column.cell)(row)).collect()).collect();
    let widths = widths(columns, &cells, usize::from(area.width).saturating_sub(MARGIN), marks.sorted_by);
    let mut lines = area.rows();
    if let Some(line) = lines.next() {
        draw_titles(line, buffer, theme, columns, &widths, marks.sorted_by);
    }
    for (index, (row, line)) in cells.iter().zip(lines).enumerate() {
        draw_row(line, buffer, theme, columns, &widths, row);
        if marks.selected == Some(index) {
            buffer.set_stringn(line.x, line.y, "▸", 1, theme.style(Role::Title));
            buffer.set_style(line, theme.selected());
        }
    }
}

/// Draws column names; `▾` stands in the gap before the one the rows are sorted by.
fn draw_titles<R>(
    line: Rect,
    buffer: &mut Buffer,
    theme: Theme,
    columns: &[Column<R>],
    widths: &[Option<usize>],
    sorted_by: Option<&'static str>,
) {
    let mut x = usize::from(line.x) + MARGIN;
    for (column, cells) in columns.iter().zip(widths) {
        let Some(cells) = *cells else { continue };
        let is_sorted = sorted_by.is_some() && column.measure == sorted_by;
        let text = clip_end(column.title, cells);
        let indent = if column.fit == Fit::Right { cells - width(&text) } else { 0 };
        let role = if is_sorted { Role::Title } else { Role::Dim };
        if let Ok(start) = u16::try_from(x + indent) {
            buffer.set_stringn(start, line.y, &text, cells, theme.style(role));
            if is_sorted {
                buffer.set_stringn(start.saturating_sub(1), line.y, "▾", 1, theme.style(role));
            }
        }
        x += cells + GAP;
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
    for ((column, cells), content) in columns.iter().zip(widths).zip(row) {
        let Some(cells) = *cells else { continue };
        let clipped = content.clipped(column.fit, cells);
        let taken: usize = clipped.iter().map(|(text, _)| width(text)).sum();
        let mut start = x + if column.fit == Fit::Right { cells.saturating_sub(taken) } else { 0 };
        for (text, role) in clipped {
            if let Ok(start) = u16::try_from(start) {
                buffer.set_stringn(start, line.y, &text, width(&text), theme.style(role));
            }
            start += width(&text);
        }
        x += cells + GAP;
    }
}

/// The width of every column, `None` for those that give way.
fn widths<R>(
    columns: &[Column<R>],
    cells: &[Vec<Cell>],
    room: usize,
    sorted_by: Option<&'static str>,
) -> Vec<Option<usize>> {
    let rank = |column: &Column<R>| {
        if sorted_by.is_some() && column.measure == sorted_by { 0 } else { column.rank }
    };
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|&index| rank(&columns[index]));
    let mut widths: Vec<Option<usize>> = vec![None; columns.len()];
    // What is left once a gap follows every column but the last.
    let mut left = room + GAP;
    // Texts that are cut come before columns that are only nice to have.
    let (needed, nice) =
        by_rank.split_at(by_rank.partition_point(|&index| rank(&columns[index]) < NICE_TO_HAVE));
    let says_nothing = |index: usize| cells.iter().all(|row| row[index].width() == 0);
    'groups: for group in [needed, nice] {
        for &index in group {
            if rank(&columns[index]) >= MAY_SAY_NOTHING && says_nothing(index) {
                continue;
            }
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
        let natural = cells.iter().map(|row| row[index].width()).max().unwrap_or_default();
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
    use proptest::prelude::*;
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::{Fit, GAP, Marks, cell, draw, number, pieces, plain, widths, words};
    use crate::tui::theme::{Role, Theme};

    #[test]
    fn columns_give_way_by_rank_and_share_what_is_left() {
        let columns = [
            words::<()>("from", Fit::Middle, (10, 40), 0, |()| plain("")),
            words("to", Fit::Middle, (10, 40), 0, |()| plain("")),
            number("count", 5, 1, |()| plain("")),
            words("process", Fit::Left, (8, 20), 2, |()| plain("")).showing("name"),
        ];
        let row = vec![
            cell("x".repeat(30), Role::Plain),
            cell("x".repeat(12), Role::Plain),
            cell("1", Role::Plain),
            cell("nginx", Role::Plain),
        ];
        for (room, sorted_by, expected) in [
            (8, None, [None, None, None, None]),
            (22, None, [Some(10), Some(10), None, None]),
            (29, None, [Some(10), Some(10), Some(5), None]),
            (32, Some("name"), [Some(10), Some(10), None, Some(8)]),
            (35, None, [Some(14), Some(12), Some(5), None]),
            (200, None, [Some(30), Some(12), Some(5), Some(8)]),
        ] {
            let widths = widths(&columns, std::slice::from_ref(&row), room, sorted_by);
            assert_eq!(widths, expected, "{room}");
        }
    }

    proptest! {
        #[test]
        fn columns_stay_within_their_widths_and_the_room(
            texts in prop::collection::vec("\\PC{0,40}", 6),
            sizes in prop::collection::vec((1usize..30, 0usize..30, 0u8..12), 6),
            room in 0usize..250,
            sorted in any::<bool>(),
        ) {
            let mut columns: Vec<_> = sizes
                .iter()
                .map(|&(least, more, rank)| {
                    words::<()>("title", Fit::Left, (least, least.max(5) + more), rank, |()| plain(""))
                })
                .collect();
            columns[5].measure = Some("size");
            let row: Vec<_> = texts.iter().map(|text| plain(text.clone())).collect();
            let sorted_by = sorted.then_some("size");
            let widths = widths(&columns, std::slice::from_ref(&row), room, sorted_by);
            for (column, cells) in columns.iter().zip(&widths) {
                prop_assert!(cells.is_none_or(|cells| (column.least..=column.most).contains(&cells)));
            }
            let shown: Vec<usize> = widths.iter().flatten().copied().collect();
            prop_assert!(shown.iter().sum::<usize>() + GAP * shown.len().saturating_sub(1) <= room);
            // Whatever else gives way, what the rows are sorted by does so last.
            if sorted && columns[5].least <= room && columns[..5].iter().all(|column| column.rank > 0) {
                prop_assert!(widths[5].is_some());
            }
        }
    }

    #[test]
    fn the_sorted_column_is_marked_and_pieces_are_cut_at_the_end() {
        let columns = [
            words::<u64>("who", Fit::Left, (4, 4), 0, |_| {
                pieces(vec![("ab".to_owned(), Role::Plain), ("cdef".to_owned(), Role::Bad)])
            }),
            number("n", 3, 1, |number: &u64| plain(number.to_string())).showing("size"),
        ];
        let theme = Theme { unicode: true, ..Theme::PLAIN };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 3));
        let marks = Marks { selected: Some(1), sorted_by: Some("size") };
        draw(buffer.area, &mut buffer, theme, &columns, &[7, 81], marks);
        let lines: Vec<String> = buffer
            .content
            .chunks(12)
            .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect())
            .collect();
        assert_eq!(lines, ["  who    ▾n ", "  abc…    7 ", "▸ abc…   81 "]);
    }
}
