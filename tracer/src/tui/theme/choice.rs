//! What the user asks of the looks: `--theme` and `TRACER_THEME`.

use std::str::FromStr;

use thiserror::Error;

use super::{Background, Colours};

/// What the user asks for; the rest is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Colours to use.
    pub colours: Option<Colours>,
    /// What is behind them.
    pub background: Option<Background>,
    /// Whether to use characters beyond ASCII.
    pub unicode: Option<bool>,
}

/// A word that names nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no look is called {0:?}: choose from dark, light, none, 16, 256, true, ascii, unicode")]
pub struct UnknownLook(String);

impl FromStr for Choice {
    type Err = UnknownLook;

    /// From words with commas between: `light,256`. Of words that exclude each other the last counts.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut choice = Self::default();
        for word in text.split(',').map(str::trim) {
            match word {
                "dark" => choice.background = Some(Background::Dark),
                "light" => choice.background = Some(Background::Light),
                "none" => choice.colours = Some(Colours::None),
                "16" => choice.colours = Some(Colours::Sixteen),
                "256" => choice.colours = Some(Colours::Indexed),
                "true" => choice.colours = Some(Colours::True),
                "ascii" => choice.unicode = Some(false),
                "unicode" => choice.unicode = Some(true),
                _ => return Err(UnknownLook(word.to_owned())),
            }
        }
        Ok(choice)
    }
}

impl Choice {
    /// This, and from `other` what this leaves open.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            colours: self.colours.or(other.colours),
            background: self.background.or(other.background),
            unicode: self.unicode.or(other.unicode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_and_leave_the_rest_open() {
        let open = Choice::default();
        for (text, expected) in [
            ("light", Ok(Choice { background: Some(Background::Light), ..open })),
            (
                "dark, 256,ascii",
                Ok(Choice {
                    background: Some(Background::Dark),
                    colours: Some(Colours::Indexed),
                    unicode: Some(false),
                }),
            ),
            ("16,none,true", Ok(Choice { colours: Some(Colours::True), ..open })),
            ("solarized", Err(UnknownLook("solarized".to_owned()))),
            ("", Err(UnknownLook(String::new()))),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn the_first_choice_wins_where_it_chooses() {
        let chosen = |text: &str| text.parse::<Choice>().unwrap();
        assert_eq!(chosen("light,ascii").or(chosen("dark,256")), chosen("light,256,ascii"));
    }
}
