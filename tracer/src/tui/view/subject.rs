//! All that is known of one subject: facts, the connection as a sequence diagram, and what happened in time order.

mod connection;
mod facts;
mod log;
mod sequence;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};

use super::{Picture, describe::subject_title};
use crate::{
    state::{State, Subject},
    tui::{
        opened::Opened,
        text::{exact, fitting, width},
        theme::{Role, Theme},
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
        if head.is_empty() && facts.is_empty() && log.is_empty() {
            head.push(Line::new("", ["nothing is kept of it any more".to_owned()]));
        }
        Self { head, sequence: sequence::of(&related), facts, log, log_note }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.head.iter().chain(&self.facts).chain(&self.log)
    }
}

/// What each line of a subject opens.
pub(in crate::tui) fn subject_lines(state: &State, subject: Subject) -> Vec<Option<Subject>> {
    Document::of(state, subject).lines().map(|line| line.opens).collect()
}

/// Everything that is shown of a subject as text, a line each.
pub(in crate::tui) fn subject_text(state: &State, subject: Subject) -> Vec<String> {
    let document = Document::of(state, subject);
    document.lines().map(Line::text).collect()
}

/// Draws an open subject.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, opened: &Opened) {
    /// The diagram takes less than the height, so that no row of it is passed over while moving.
    const LEAST_SEQUENCE_ROWS: usize = 6;
    let Picture { state, theme, .. } = *picture;
    let document = Document::of(state, opened.subject);
    let above = if opened.depth() > 0 {
        format!("{} > ", "…".repeat(opened.depth().min(3)))
    } else {
        String::new()
    };
    let title = format!("{above}{}", subject_title(state, opened.subject));
    let count = document.lines().count();
    let here = opened.line.min(count.saturating_sub(1));
    let enter = document.lines().nth(here).and_then(|line| line.opens);
    let enter = enter.map(|other| format!("Enter: {} · ", subject_title(state, other))).unwrap_or_default();
    let line = format!("line {} of {}", exact(here as u64 + 1), exact(count as u64));
    let room = usize::from(area.width).saturating_sub(width(&title) + 8);
    let note = fitting(&[format!("{enter}{line}"), line], room);
    let area = rule::draw(area, buffer, theme, &title, &note);
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
    draw_text(text, buffer, theme, &document, here, within.as_ref());
}

/// One row of the text.
enum Row<'a> {
    /// Of a line, with its index.
    Line(usize, Vec<(usize, &'a str, Role)>),
    /// The title of a part, and a note.
    Title(&'static str, &'a str),
    /// Of the diagram: which.
    Sequence(&'a Rows<'a>, usize),
}

/// Draws what fits around the line the user is at.
fn draw_text(
    area: Rect,
    buffer: &mut Buffer,
    theme: Theme,
    document: &Document,
    here: usize,
    sequence: Option<&Rows<'_>>,
) {
    let rows = text_rows(document, usize::from(area.width), sequence);
    let place = |row: &Row<'_>| matches!(row, Row::Line(index, _) if *index == here);
    let height = usize::from(area.height);
    let position = rows.iter().position(place).unwrap_or_default();
    let first = position.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    for (row, line) in rows[first..].iter().zip(area.rows()) {
        match row {
            Row::Line(index, pieces) => details::draw_row(line, buffer, theme, pieces, *index == here),
            Row::Title(title, note) => {
                rule::draw(line, buffer, theme, title, note);
            }
            Row::Sequence(sequence, row) => sequence.draw(*row, line, buffer, theme),
        }
    }
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

fn add_lines<'a>(rows: &mut Vec<Row<'a>>, lines: &'a [Line], first: usize, labels: usize, cells: usize) {
    for (index, line) in lines.iter().enumerate() {
        let of_line = details::rows(line, labels, cells);
        rows.extend(of_line.into_iter().map(|pieces| Row::Line(first + index, pieces)));
    }
}
