//! The report as Markdown, with the tables of GitHub's dialect.

use std::fmt::{self, Write as _};

use super::{
    document::Document,
    sections::{Card, Table, sections},
    text::with_commands,
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
                write_table(out, table, "###")?;
            }
            for card in &section.cards {
                write_card(out, card)?;
            }
        }
        Ok(())
    }
}

fn write_card(out: &mut fmt::Formatter<'_>, card: &Card) -> fmt::Result {
    writeln!(out, "\n### {}", Escaped(&card.title))?;
    if !card.parts.is_empty() {
        writeln!(out)?;
    }
    for (title, said) in &card.parts {
        match said.as_slice() {
            [one] => writeln!(out, "- {title}: {}", Prose(one))?,
            several => {
                writeln!(out, "- {title}:")?;
                for one in several {
                    writeln!(out, "  - {}", Prose(one))?;
                }
            }
        }
    }
    card.table.as_ref().map_or(Ok(()), |table| write_table(out, table, "####"))
}

fn write_table(out: &mut fmt::Formatter<'_>, table: &Table, level: &str) -> fmt::Result {
    if let Some(caption) = &table.caption {
        writeln!(out, "\n{level} {}", Escaped(caption))?;
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

/// A sentence with its commands as they are typed.
struct Prose<'a>(&'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is_command, part) in with_commands(self.0) {
            if is_command {
                let command: String = part
                    .chars()
                    .map(|character| if character.is_control() { ' ' } else { character })
                    .collect();
                write!(out, "`{command}`")?;
            } else {
                write!(out, "{}", Escaped(part))?;
            }
        }
        Ok(())
    }
}

/// Text with what Markdown would take for its own escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = ' ';
        let mut characters = self.0.chars().peekable();
        while let Some(character) = characters.next() {
            // Within a word it is text to Markdown too, and commands stay what they are for who copies them.
            let is_within =
                before.is_alphanumeric() && characters.peek().is_some_and(|after| after.is_alphanumeric());
            let is_special = match character {
                '_' => !is_within,
                '\\' | '|' | '`' | '*' | '<' | '>' | '[' | ']' | '#' | '&' | '~' | '$' => true,
                _ => false,
            };
            if is_special {
                out.write_char('\\')?;
            }
            out.write_char(if character.is_control() { ' ' } else { character })?;
            before = character;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Escaped, Prose};

    #[test]
    fn commands_are_told_as_they_are_typed() {
        let told = Prose("a|b: `nft list | grep -c '<_x_>'`, a ` alone").to_string();
        assert_eq!(told, "a\\|b: `nft list | grep -c '<_x_>'`, a \\` alone");
    }

    #[test]
    fn text_from_outside_stays_text() {
        for (text, expected) in [
            ("a|b<script>_x_", "a\\|b\\<script\\>\\_x\\_"),
            ("![x](http://y)", "!\\[x\\](http://y)"),
            ("two\nlines", "two lines"),
            ("net.ipv4.vs.conn_reuse_mode=1", "net.ipv4.vs.conn_reuse_mode=1"),
            ("_a_b _", "\\_a_b \\_"),
        ] {
            assert_eq!(Escaped(text).to_string(), expected, "{text}");
        }
    }
}
