//! Lines that say what is known, each with a label; one of them is the one the user is at.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    opened::Target,
    text::{broken, clip_end, width},
    theme::{Role, Theme},
};

/// One line. What does not fit beside its label goes on below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is about, or when.
    pub(crate) label: String,
    /// What is known, in parts that stay together.
    pub(crate) told: Vec<(String, Role)>,
    /// What Enter opens there.
    pub(crate) opens: Option<Target>,
}

impl Line {
    /// A line of ordinary parts, empty ones left out.
    pub(crate) fn new(label: &str, told: impl IntoIterator<Item = String>) -> Self {
        let told = told.into_iter().filter(|part| !part.is_empty()).map(|part| (part, Role::Plain)).collect();
        Self { label: label.to_owned(), told, opens: None }
    }

    /// The whole line as text.
    pub(crate) fn text(&self) -> String {
        let label = Some(self.label.clone()).filter(|label| !label.is_empty());
        label.into_iter().chain([self.told_text()]).collect::<Vec<_>>().join("  ")
    }

    /// It without its label.
    pub(crate) fn told_text(&self) -> String {
        self.told.iter().map(|(part, _)| part.as_str()).collect::<Vec<_>>().join("  ")
    }

    /// The same with another part.
    #[must_use]
    pub(crate) fn and(mut self, part: impl Into<String>, role: Role) -> Self {
        self.told.push((part.into(), role));
        self
    }

    /// The same, and what it opens.
    #[must_use]
    pub(crate) fn opening(mut self, target: impl Into<Target>) -> Self {
        self.opens = Some(target.into());
        self
    }
}

/// Cells for the mark of the line the user is at.
const MARK_CELLS: usize = 2;
/// Cells between label and parts, and between parts.
const GAP: usize = 2;

/// Cells by which a sentence that goes on below is indented.
const INDENT: usize = 2;

/// The cells the labels of these lines take.
pub(crate) fn label_cells<'a>(lines: impl IntoIterator<Item = &'a Line>) -> usize {
    lines.into_iter().map(|line| width(&line.label)).max().unwrap_or_default()
}

/// A piece of a row: where it begins, and what it is.
type Piece<'a> = (usize, &'a str, Role);

/// The rows a line takes, each with its pieces.
pub(crate) fn rows(line: &Line, label_cells: usize, cells: usize) -> Vec<Vec<Piece<'_>>> {
    let start = (MARK_CELLS + label_cells + GAP).min(cells / 2);
    let mut rows = vec![vec![(MARK_CELLS, line.label.as_str(), Role::Dim)]];
    let mut x = start;
    for (part, role) in &line.told {
        if x > start && x + width(part) > cells {
            rows.push(Vec::new());
            x = start;
        }
        // A sentence goes on below, a little further in, so that the next line is told from it; what has no spaces is
        // cut where it is drawn.
        let room = cells.saturating_sub(start);
        let indent = if width(part) > room { INDENT } else { 0 };
        for (place, piece) in broken(part, room.saturating_sub(indent)).into_iter().enumerate() {
            if place > 0 {
                rows.push(Vec::new());
                x = start + indent;
            }
            if let Some(row) = rows.last_mut() {
                row.push((x, piece, *role));
            }
            x += width(piece) + GAP;
        }
    }
    rows
}

/// Draws one row of a line.
pub(crate) fn draw_row(area: Rect, buffer: &mut Buffer, theme: Theme, pieces: &[Piece<'_>], is_here: bool) {
    for &(start, text, role) in pieces {
        let Some(room) = usize::from(area.width).checked_sub(start).filter(|&room| room > 0) else {
            continue;
        };
        if let Ok(start) = u16::try_from(start) {
            buffer.set_string(area.x + start, area.y, clip_end(text, room), theme.style(role));
        }
    }
    if is_here {
        buffer.set_style(area, theme.selected());
        // Rows that go on below begin further to the right.
        if pieces.first().is_some_and(|&(start, ..)| start == MARK_CELLS) {
            buffer.set_string(area.x, area.y, "▸", theme.selected());
        }
    }
}
