//! The report as Markdown, with the tables of GitHub's dialect.

use std::fmt::{self, Write as _};

use super::{
    document::Document,
    sections::{Table, sections},
};
use crate::words::exact;

/// Rows of a table at most: more is read in HTML, or from JSON.
const ROWS: usize = 150;

/// It as text.
pub(super) struct Markdown(pub(super) Document);

impl fmt::Display for Markdown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "# What tracer saw\n")?;
        for (place, sentence) in self.0.summary.iter().enumerate() {
            writeln!(out, "{}{}", if place == 0 { "" } else { "\n" }, Escaped(sentence))?;
        }
        for section in sections(&self.0) {
            writeln!(out, "\n## {}", section.title)?;
            if !section.sentences.is_empty() {
                writeln!(out)?;
            }
            for sentence in &section.sentences {
                writeln!(out, "- {}", Escaped(sentence))?;
            }
            for table in &section.tables {
                write_table(out, table)?;
            }
        }
        Ok(())
    }
}

fn write_table(out: &mut fmt::Formatter<'_>, table: &Table) -> fmt::Result {
    if let Some(caption) = &table.caption {
        writeln!(out, "\n### {}", Escaped(caption))?;
    }
    let titles: Vec<&str> = table.columns.iter().map(|column| column.title).collect();
    let rules: String =
        table.columns.iter().map(|column| if column.is_number { "--:|" } else { "---|" }).collect();
    writeln!(out, "\n| {} |\n|{rules}", titles.join(" | "))?;
    for row in table.rows.iter().take(ROWS) {
        out.write_char('|')?;
        for cell in row {
            write!(out, " {} |", Escaped(cell))?;
        }
        writeln!(out)?;
    }
    let more = table.more + table.rows.len().saturating_sub(ROWS) as u64;
    if more > 0 { writeln!(out, "\nand {} more", exact(more)) } else { Ok(()) }
}

/// Text with what Markdown would take for its own escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if character.is_control() {
                return out.write_char(' ');
            }
            if matches!(
                character,
                '\\' | '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '&' | '~' | '$'
            ) {
                out.write_char('\\')?;
            }
            out.write_char(character)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn text_from_outside_stays_text() {
        for (text, expected) in [
            ("a|b<script>_x_", "a\\|b\\<script\\>\\_x\\_"),
            ("![x](http://y)", "!\\[x\\](http://y)"),
            ("two\nlines", "two lines"),
        ] {
            assert_eq!(Escaped(text).to_string(), expected, "{text}");
        }
    }
}
