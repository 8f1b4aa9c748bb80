//! What happened to one thing over time, as a lane of characters.

use crate::{event::Timestamp, tui::theme::Role};

/// The stretch of time a lane shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Its begin.
    pub(crate) from: Timestamp,
    /// Its end, which belongs to it.
    pub(crate) to: Timestamp,
}

impl Span {
    /// The cell of a time, of so many; `None` for what lies outside.
    pub(crate) fn cell_of(self, time: Timestamp, cells: usize) -> Option<usize> {
        let all_ns = self.to.boot_ns.checked_sub(self.from.boot_ns)?.saturating_add(1);
        let since_ns = time.boot_ns.checked_sub(self.from.boot_ns).filter(|&since_ns| since_ns < all_ns)?;
        let cell = u128::from(since_ns) * cells as u128 / u128::from(all_ns);
        usize::try_from(cell).ok().filter(|&cell| cell < cells)
    }
}

/// A lane being drawn: each cell shows the most important of what falls into it.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    span: Span,
    cells: Vec<(char, Role, u8)>,
}

impl Lane {
    /// An empty one.
    pub(crate) fn new(span: Span, cells: usize) -> Self {
        Self { span, cells: vec![(' ', Role::Plain, 0); cells] }
    }

    /// Something that lasts from a time to another; the end may lie outside, and is not reached.
    pub(crate) fn hold(&mut self, from: Timestamp, to: Timestamp, mark: (char, Role)) {
        let count = self.cells.len();
        let Some(first) = self.span.cell_of(from.max(self.span.from), count) else { return };
        let end = self.span.cell_of(to, count).unwrap_or(if to < self.span.from { first } else { count });
        for cell in &mut self.cells[first..end.max(first)] {
            if cell.2 == 0 {
                *cell = (mark.0, mark.1, 0);
            }
        }
    }

    /// Something that happened at a time, of an importance from 1 on.
    pub(crate) fn mark(&mut self, time: Timestamp, mark: (char, Role), importance: u8) {
        let Some(place) = self.span.cell_of(time, self.cells.len()) else { return };
        let cell = &mut self.cells[place];
        if importance >= cell.2 {
            *cell = (mark.0, mark.1, importance);
        }
    }

    /// Its text, in pieces of one role each.
    pub(crate) fn pieces(&self) -> Vec<(String, Role)> {
        merged(self.cells.iter().map(|&(symbol, role, _)| (symbol, role)))
    }
}

/// Characters of roles as pieces of one role each.
pub(crate) fn merged(cells: impl Iterator<Item = (char, Role)>) -> Vec<(String, Role)> {
    let mut pieces: Vec<(String, Role)> = Vec::new();
    for (symbol, role) in cells {
        match pieces.last_mut() {
            Some((text, last)) if *last == role => text.push(symbol),
            _ => pieces.push((symbol.to_string(), role)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::{Lane, Span};
    use crate::{state::fixture::at, tui::theme::Role};

    #[test]
    fn what_matters_most_is_shown_and_nothing_outside() {
        let mut lane = Lane::new(Span { from: at(1_000), to: at(10_999) }, 10);
        lane.mark(at(500), ('<', Role::Plain), 9);
        lane.mark(at(11_000), ('>', Role::Plain), 9);
        lane.mark(at(1_000), ('a', Role::Plain), 1);
        lane.mark(at(10_999), ('z', Role::Plain), 1);
        lane.hold(at(0), at(4_000), ('=', Role::Plain));
        lane.hold(at(8_000), at(20_000), ('-', Role::Plain));
        lane.mark(at(5_000), ('x', Role::Bad), 3);
        lane.mark(at(5_100), ('o', Role::Plain), 2);
        lane.hold(at(30_000), at(40_000), ('!', Role::Plain));
        let pieces = lane.pieces();
        let text: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(text, "a== x  --z");
        assert_eq!(pieces[1], ("x".to_owned(), Role::Bad));
    }
}
