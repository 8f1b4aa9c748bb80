//! Which part of the cases a guest plays, where several share them.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, Error, Result};

/// Every `of`th case, from the `number`th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    number: u32,
    of: u32,
}

impl Part {
    /// What tells its guest's files from those of the others.
    pub(super) fn suffix(self) -> String {
        format!("-{}of{}", self.number, self.of)
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, of)| Some(Self { number: number.parse().ok()?, of: of.parse().ok()? }));
        numbers
            .filter(|part| (1..=part.of).contains(&part.number))
            .with_context(|| format!("no part of the cases such as 1/2: {text}"))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn a_part_is_one_of_so_many() {
        for (text, expected) in [
            ("1/2", Some("-1of2")),
            ("3/3", Some("-3of3")),
            ("0/2", None),
            ("3/2", None),
            ("1", None),
            ("/", None),
            ("-1/2", None),
        ] {
            let part: Option<Part> = text.parse().ok();
            assert_eq!(part.map(Part::suffix).as_deref(), expected, "{text}");
            assert!(part.is_none_or(|part| part.to_string() == text), "{text}");
        }
    }
}
