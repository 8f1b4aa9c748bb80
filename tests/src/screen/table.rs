//! Tables on a screen, read by the titles of their columns, so that a case does not depend on where those stand.

use std::{fmt::Write as _, ops::Range};

use anyhow::{Context, Result, bail};
use unicode_width::UnicodeWidthChar;

use super::picture::number;

/// Before the selected row.
const SELECTED: char = '▸';
/// Before the title of the column that rows are sorted by.
const SORTED: char = '▾';

/// A table as far as the terminal shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Row>,
}

/// A row of a table: title and text of every cell that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    cells: Vec<(String, String)>,
}

/// A piece of a line between gaps of two blanks, and the columns of the terminal it takes.
#[derive(Debug)]
struct Piece<'a> {
    place: Range<usize>,
    text: &'a str,
}

impl Table {
    /// Reads the first table that has all those titles. It ends at the first line without the margin that rows have.
    pub(super) fn read(lines: &[String], titles: &[&str]) -> Result<Self> {
        let mut found = None;
        for (index, line) in lines.iter().enumerate() {
            // The column that rows are sorted by has a mark.
            let line = line.replace(SORTED, " ");
            if titles.iter().all(|title| pieces(&line).iter().any(|column| column.text == *title)) {
                found = Some((index, line));
                break;
            }
        }
        let (index, header) = found.with_context(|| format!("no table with the columns {titles:?}"))?;
        let columns = pieces(&header);
        let rows = lines[index + 1..].iter().map_while(|line| margin_cut(line));
        Ok(Self { rows: rows.map(|line| Row::read(&line, &columns)).collect() })
    }

    /// The rows that are shown.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The same table without a column.
    #[must_use]
    pub fn without(mut self, title: &str) -> Self {
        for row in &mut self.rows {
            row.cells.retain(|(name, _)| name != title);
        }
        self
    }

    /// The one row with these texts in these columns. Fails if there is none, or more than one.
    pub fn row(&self, cells: &[(&str, &str)]) -> Result<&Row> {
        self.only(|row| cells.iter().all(|&(title, text)| row.get(title) == Some(text)))
            .with_context(|| format!("rows with {cells:?}"))
    }

    /// The one row whose text in the column contains that. Fails if there is none, or more than one.
    pub fn row_about(&self, title: &str, part: &str) -> Result<&Row> {
        self.only(|row| row.get(title).is_some_and(|text| text.contains(part)))
            .with_context(|| format!("rows about {part} under `{title}`"))
    }

    fn only(&self, is_meant: impl Fn(&Row) -> bool) -> Result<&Row> {
        let mut rows = self.rows.iter().filter(|row| is_meant(row));
        match (rows.next(), rows.count()) {
            (Some(row), 0) => Ok(row),
            (None, _) => bail!("none of {}", self.rows.len()),
            (Some(_), more) => bail!("{} of {}", more + 1, self.rows.len()),
        }
    }
}

impl Row {
    fn read(line: &str, columns: &[Piece<'_>]) -> Self {
        let cells = pieces(line).into_iter().filter_map(|piece| {
            let column = columns.iter().max_by_key(|column| {
                // Of two that it does not touch, the nearer one at its left.
                (
                    overlap(&column.place, &piece.place),
                    (column.place.start <= piece.place.start).then_some(column.place.start),
                )
            })?;
            Some((column.text.to_owned(), piece.text.to_owned()))
        });
        Self { cells: cells.collect() }
    }

    /// The text of the first column of that title; none if the cell is empty.
    pub fn get(&self, title: &str) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == title).map(|(_, text)| text.as_str())
    }

    /// As [`get`](Self::get). Fails if the cell is empty.
    pub fn text(&self, title: &str) -> Result<&str> {
        self.get(title).with_context(|| format!("nothing under `{title}` in {}", self.describe()))
    }

    /// The exact number in a column; `·` is none.
    pub fn number(&self, title: &str) -> Result<u64> {
        number(self.text(title)?).with_context(|| format!("under `{title}` in {}", self.describe()))
    }

    /// Fails unless the column has that text.
    pub fn says(&self, title: &str, expected: &str) -> Result<&Self> {
        let text = self.text(title)?;
        if text != expected {
            bail!("expected `{expected}` under `{title}`, found `{text}` in {}", self.describe());
        }
        Ok(self)
    }

    /// Fails unless the column's text begins so.
    pub fn begins(&self, title: &str, expected: &str) -> Result<&Self> {
        let text = self.text(title)?;
        if !text.starts_with(expected) {
            bail!("expected `{expected}…` under `{title}`, found `{text}` in {}", self.describe());
        }
        Ok(self)
    }

    /// Fails unless the column has that number.
    pub fn counts(&self, title: &str, expected: u64) -> Result<&Self> {
        let found = self.number(title)?;
        if found != expected {
            bail!("expected {expected} under `{title}`, found {found} in {}", self.describe());
        }
        Ok(self)
    }

    fn describe(&self) -> String {
        self.cells.iter().fold(String::from("the row"), |mut text, (title, cell)| {
            // Writing to a string cannot fail.
            let _ = write!(text, " {title}: {cell};");
            text
        })
    }
}

/// The line of a row without the mark of the selected one; none if it has no margin, and so is no row.
fn margin_cut(line: &str) -> Option<String> {
    let line = line.replacen(SELECTED, " ", 1);
    line.starts_with("  ").then_some(line)
}

fn pieces(line: &str) -> Vec<Piece<'_>> {
    const GAP: &str = "  ";
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut rest = line;
    let mut column = 0;
    while let Some(character) = rest.chars().next() {
        if character == ' ' {
            (rest, column) = (&rest[1..], column + 1);
            continue;
        }
        let (text, _) = rest.split_once(GAP).unwrap_or((rest, ""));
        let width: usize = text.chars().map(|character| character.width().unwrap_or_default()).sum();
        pieces.push(Piece { place: column..column + width, text: text.trim_end() });
        (rest, column) = (&rest[text.len()..], column + width);
    }
    pieces
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> usize {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

#[cfg(test)]
mod tests {
    use super::Table;

    const LINES: &str = "\
 1 Overview[2 Retransmits]3 Neighbours
─ Flows that retransmit ──────────────── sorted by retransmits · 1 of 3,002 ─
  from                   to                   ▾sent   rto     rto   last  process      dev
▸ 192.168.100.200:58204  203.0.113.250:5432   1,200   134   204ms   3.2s  日本語/4000  eth0
  [2001:db8:…334]:65535  [fd00:1234…abc]:443    245     ·    1.0s   2.7s               veth@if2

 5 seen · 0 suppressed
  from                   to
  not a row              of this table";

    fn table(titles: &[&str]) -> anyhow::Result<Table> {
        let lines: Vec<String> = LINES.lines().map(str::to_owned).collect();
        Table::read(&lines, titles)
    }

    #[test]
    fn cells_are_found_by_title_wherever_they_stand() {
        let table = table(&["from", "sent"]).unwrap();
        assert_eq!(table.rows().len(), 2);
        let first = table.row(&[("from", "192.168.100.200:58204")]).unwrap();
        first.counts("sent", 1200).unwrap().counts("rto", 134).unwrap().says("dev", "eth0").unwrap();
        assert_eq!(first.get("process"), Some("日本語/4000"));
        let second = table.row(&[("sent", "245"), ("rto", "·")]).unwrap();
        assert_eq!((second.get("process"), second.get("dev")), (None, Some("veth@if2")));
        assert_eq!(second.number("rto").unwrap(), 0);
        assert_eq!(second.get("to"), Some("[fd00:1234…abc]:443"));
    }

    #[test]
    fn what_is_not_there_is_an_error_that_says_so() {
        assert!(table(&["from", "segments"]).is_err());
        let table = table(&["from"]).unwrap();
        let failure = table.rows()[1].counts("sent", 244).unwrap_err().to_string();
        assert!(failure.contains("expected 244 under `sent`, found 245"), "{failure}");
        assert!(table.rows()[1].number("last").is_err());
        assert!(table.rows()[1].text("process").is_err());
        assert!(table.row(&[("sent", "3")]).is_err());
        assert!(table.without("sent").rows()[1].number("sent").is_err());
    }
}
