//! What lies open on top of a screen: a title, and rows around the line the user is at.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Picture, describe::subject_title, finding, subject};
use crate::{
    state::State,
    tui::{
        opened::{Opened, Target},
        text::{exact, fitting, width},
        theme::{Role, Theme},
        widget::{
            details::{self, Line},
            rule,
            sequence::Rows,
        },
    },
};

fn lines(state: &State, target: &Target) -> Vec<Line> {
    match target {
        Target::Subject(subject) => subject::lines(state, *subject),
        Target::Finding(key) => finding::lines(state, key),
    }
}

/// What each line of a subject or a finding opens.
pub(in crate::tui) fn open_lines(state: &State, target: &Target) -> Vec<Option<Target>> {
    lines(state, target).into_iter().map(|line| line.opens).collect()
}

/// Its title.
pub(in crate::tui) fn open_title(state: &State, target: &Target) -> String {
    match target {
        Target::Subject(subject) => subject_title(state, *subject),
        Target::Finding(key) => finding::title(state, key),
    }
}

/// Its lines as text.
pub(in crate::tui) fn open_text(state: &State, target: &Target) -> Vec<String> {
    lines(state, target).iter().map(Line::text).collect()
}

/// One of its lines, by itself; of a finding only what it says, and of that only the command, if there is one.
pub(in crate::tui) fn open_line_text(state: &State, target: &Target, line: usize) -> Option<String> {
    let lines = lines(state, target);
    let line = lines.get(line.min(lines.len().saturating_sub(1)))?;
    Some(match target {
        Target::Subject(_) => format!("{}: {}", open_title(state, target), line.text()),
        Target::Finding(_) => {
            let told = line.told_text();
            the_command(&told).map_or_else(|| told.clone(), str::to_owned)
        }
    })
}

/// The command of a sentence, which stands between backquotes; of several none, for which one is meant is not known.
fn the_command(sentence: &str) -> Option<&str> {
    let mut parts = sentence.split('`');
    let command = parts.nth(1)?;
    let is_one = parts.next().is_some() && parts.next().is_none();
    (is_one && !command.is_empty()).then_some(command)
}

/// Draws what is open.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, opened: &Opened) {
    match &opened.target {
        Target::Subject(subject) => subject::draw(area, buffer, picture, (opened, *subject)),
        Target::Finding(key) => finding::draw(area, buffer, picture, (opened, key)),
    }
}

/// Draws the title of what is open, and at its right what Enter opens and which line the user is at. Gives back the area
/// below and that line's index.
pub(super) fn draw_title(
    area: Rect,
    buffer: &mut Buffer,
    picture: &Picture<'_>,
    opened: &Opened,
    lines: &[&Line],
) -> (Rect, usize) {
    let Picture { state, theme, .. } = *picture;
    let above = if opened.depth() > 0 {
        format!("{} > ", "…".repeat(opened.depth().min(3)))
    } else {
        String::new()
    };
    let title = format!("{above}{}", open_title(state, &opened.target));
    let here = opened.line.min(lines.len().saturating_sub(1));
    let enter = lines.get(here).and_then(|line| line.opens.as_ref());
    let enter = enter.map(|other| format!("Enter: {} · ", open_title(state, other))).unwrap_or_default();
    let (number, count) = (exact(here as u64 + 1), exact(lines.len() as u64));
    let line = format!("line {number} of {count}");
    let room = usize::from(area.width).saturating_sub(width(&title) + 8);
    let note = fitting(&[format!("{enter}{line}"), line, format!("{number}/{count}")], room);
    (rule::draw(area, buffer, theme, &title, &note), here)
}

/// One row.
pub(super) enum Row<'a> {
    /// Of a line, with its index.
    Line(usize, Vec<(usize, &'a str, Role)>),
    /// The title of a part, and a note.
    Title(&'static str, &'a str),
    /// Of the diagram: which.
    Sequence(&'a Rows<'a>, usize),
}

/// Adds the rows of lines, the first of which has the index `first`.
pub(super) fn add_lines<'a>(
    rows: &mut Vec<Row<'a>>,
    lines: &'a [Line],
    first: usize,
    labels: usize,
    cells: usize,
) {
    for (index, line) in lines.iter().enumerate() {
        let of_line = details::rows(line, labels, cells);
        rows.extend(of_line.into_iter().map(|pieces| Row::Line(first + index, pieces)));
    }
}

/// Draws what fits around the line the user is at.
pub(super) fn draw_rows(area: Rect, buffer: &mut Buffer, theme: Theme, rows: &[Row<'_>], here: usize) {
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

#[cfg(test)]
mod tests {
    use super::the_command;

    #[test]
    fn the_one_command_of_a_sentence_is_found() {
        for (sentence, expected) in [
            ("forget it here: `ip neigh del 10.0.0.9 dev eth0`", Some("ip neigh del 10.0.0.9 dev eth0")),
            ("`sysctl -w a=1` (now 0): so it is", Some("sysctl -w a=1")),
            ("`one` or `other`", None),
            ("an ` alone", None),
            ("`` nothing", None),
            ("none", None),
        ] {
            assert_eq!(the_command(sentence), expected, "{sentence}");
        }
    }
}
