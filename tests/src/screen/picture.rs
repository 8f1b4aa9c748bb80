//! What a terminal shows, as text.

use std::fmt;

use anyhow::{Context, Result, ensure};

use super::Table;

/// One moment of a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    lines: Vec<String>,
}

impl Picture {
    /// From its lines; blanks at their ends do not count.
    pub fn new(text: &str) -> Self {
        Self { lines: text.lines().map(|line| line.trim_end().to_owned()).collect() }
    }

    /// The lines, from the top.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The first line that contains the text. Fails if there is none.
    pub fn has(&self, text: &str) -> Result<&str> {
        let line = self.lines.iter().find(|line| line.contains(text));
        line.map(String::as_str).with_context(|| format!("no line with `{text}`"))
    }

    /// Fails if a line contains the text.
    pub fn lacks(&self, text: &str) -> Result<()> {
        let line = self.lines.iter().find(|line| line.contains(text));
        ensure!(line.is_none(), "a line with `{text}`: {}", line.map_or("", String::as_str));
        Ok(())
    }

    /// The number right before the text. Fails if there is none; `1.2M` is none, for it is not exact.
    pub fn number_before(&self, text: &str) -> Result<u64> {
        let line = self.has(text)?;
        let (before, _) = line.split_once(text).context("a line that contains the text")?;
        let word = before.split_whitespace().last().with_context(|| format!("nothing before `{text}`"))?;
        number(word).with_context(|| format!("before `{text}` in: {line}"))
    }

    /// The first table with columns of those titles. Fails if there is none.
    pub fn table(&self, titles: &[&str]) -> Result<Table> {
        Table::read(&self.lines, titles)
    }
}

/// What stands between a frame that failures are read in.
impl fmt::Display for Picture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(formatter, "    │{line}")?;
        }
        Ok(())
    }
}

/// An exact number as the screens write it: `1,234`, or `·` for none.
pub(super) fn number(text: &str) -> Result<u64> {
    if text == "·" {
        return Ok(0);
    }
    text.replace(',', "").parse().with_context(|| format!("no exact number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::Picture;

    #[test]
    fn numbers_are_read_where_they_are_exact() {
        let picture = Picture::new(" 1,235 seen · 7 suppressed · 2.1M lost   hooks: 18 of 30 attached\n\n");
        assert_eq!(picture.number_before(" seen").unwrap(), 1235);
        assert_eq!(picture.number_before(" suppressed").unwrap(), 7);
        assert!(picture.number_before(" lost").is_err());
        assert!(picture.number_before(" missing").is_err());
        assert!(picture.has("hooks:").is_ok() && picture.lacks("missing").is_ok());
        assert!(picture.has("missing").is_err() && picture.lacks("hooks:").is_err());
    }
}
