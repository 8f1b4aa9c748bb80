//! All that is known of one subject: facts, the connection as a sequence diagram, and what happened in time order.

mod connection;
mod facts;
mod log;
mod sequence;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};

pub(super) use self::log::lines as log_lines;
use super::{
    Picture, finding,
    page::{self, Row, add_lines},
};
use crate::{
    state::{State, Subject},
    tui::{
        opened::Opened,
        widget::{
            details::{self, Line},
            rule,
            sequence::{Rows, Sequence},
        },
    },
};

/// From this width on the diagram stands beside the rest.
const WIDE_CELLS: u16 = 160;

/// Everything that is shown of a subject.
struct Document {
    /// What a first look is for.
    head: Vec<Line>,
    sequence: Option<Sequence>,
    facts: Vec<Line>,
    log: Vec<Line>,
    log_note: String,
}

impl Document {
    fn of(state: &State, subject: Subject) -> Self {
        let related = state.related(subject);
        let (log, log_note) = log::lines(state, &related);
        let (mut head, facts) = facts::lines(state, &related);
        head.splice(0..0, finding::lines_about(state, &related));
        if head.is_empty() && facts.is_empty() && log.is_empty() {
            head.push(Line::new("", ["nothing is kept of it any more".to_owned()]));
        }
        Self { head, sequence: sequence::of(&related), facts, log, log_note }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.head.iter().chain(&self.facts).chain(&self.log)
    }
}

/// Everything that is shown of a subject, line by line.
pub(super) fn lines(state: &State, subject: Subject) -> Vec<Line> {
    let Document { head, facts, log, .. } = Document::of(state, subject);
    [head, facts, log].concat()
}

/// Draws an open subject.
pub(super) fn draw(
    area: Rect,
    buffer: &mut Buffer,
    picture: &Picture<'_>,
    (opened, subject): (&Opened, Subject),
) {
    /// The diagram takes less than the height, so that no row of it is passed over while moving.
    const LEAST_SEQUENCE_ROWS: usize = 6;
    let Picture { state, theme, .. } = *picture;
    let document = Document::of(state, subject);
    let lines: Vec<&Line> = document.lines().collect();
    let (area, here) = page::draw_title(area, buffer, picture, opened, &lines);
    let (text, beside) = match &document.sequence {
        Some(sequence) if area.width >= WIDE_CELLS => {
            let areas = Layout::horizontal([Constraint::Fill(5), Constraint::Length(1), Constraint::Fill(4)]);
            let [text, _, beside] = areas.areas(area);
            (text, Some((beside, sequence)))
        }
        _ => (area, None),
    };
    if let Some((beside, sequence)) = beside {
        let beside = rule::draw(beside, buffer, theme, "The connection", "");
        let rows = sequence.rows(usize::from(beside.height));
        for (row, line) in beside.rows().enumerate().take(rows.count()) {
            rows.draw(row, line, buffer, theme);
        }
    }
    let height = usize::from(text.height);
    let within = document.sequence.as_ref().filter(|_| beside.is_none());
    let within = within.map(|sequence| sequence.rows(LEAST_SEQUENCE_ROWS.max(height / 2)));
    let rows = text_rows(&document, usize::from(text.width), within.as_ref());
    page::draw_rows(text, buffer, theme, &rows, here);
}

fn text_rows<'a>(document: &'a Document, cells: usize, sequence: Option<&'a Rows<'_>>) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    // What is known stands in one column, before and after the diagram.
    let labels = details::label_cells(document.head.iter().chain(&document.facts));
    add_lines(&mut rows, &document.head, 0, labels, cells);
    if let Some(sequence) = sequence {
        rows.push(Row::Title("The connection", ""));
        rows.extend((0..sequence.count()).map(|row| Row::Sequence(sequence, row)));
    }
    let facts_first = document.head.len();
    if !document.facts.is_empty() {
        if sequence.is_some() {
            rows.push(Row::Title("More about it", ""));
        }
        add_lines(&mut rows, &document.facts, facts_first, labels, cells);
    }
    if !document.log.is_empty() {
        rows.push(Row::Title("What happened, oldest first", &document.log_note));
        let labels = details::label_cells(&document.log);
        add_lines(&mut rows, &document.log, facts_first + document.facts.len(), labels, cells);
    }
    rows
}
