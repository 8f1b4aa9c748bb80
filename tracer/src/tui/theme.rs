//! Colours and characters of the terminal at hand.

mod background;
mod choice;
mod palette;

use ratatui::{
    buffer::Buffer,
    style::{Modifier, Style},
};

pub(super) use self::background::{Answers, QUERY, Taken};
pub use self::{
    background::Background,
    choice::{Choice, UnknownLook},
};
use crate::probe::table::Family;

/// What a piece of text is; the theme says how it looks. Colour only adds to what the words say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Plain,
    /// Labels, and what is zero or unknown.
    Dim,
    /// Titles and what is chosen.
    Title,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Wrong.
    Bad,
}

/// How many colours a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// None, or none wanted.
    None,
    /// The 16 the user's own palette defines.
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// 24 bits.
    True,
}

/// How everything looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours to use.
    pub colours: Colours,
    /// What is behind them.
    pub background: Background,
    /// Whether the terminal shows characters beyond ASCII.
    pub unicode: bool,
    /// Whether to ask the terminal for its background: nobody said, it matters, and the terminal knows the question.
    pub(super) asks_background: bool,
}

impl Theme {
    /// Neither colours nor anything beyond ASCII.
    pub const PLAIN: Self = Self {
        colours: Colours::None,
        background: Background::Unknown,
        unicode: false,
        asks_background: false,
    };

    /// What the user chose, and for the rest what the environment says: `TRACER_THEME` with the words of a choice,
    /// `NO_COLOR`, `COLORTERM`, `COLORFGBG`, `TERM`, and the locale's character set.
    ///
    /// Fails if `TRACER_THEME` has a word that names nothing.
    pub fn find(choice: Choice, variable: impl Fn(&str) -> Option<String>) -> Result<Self, UnknownLook> {
        /// Terminals that would show the question for their background as text, or know nothing of colours.
        const MUTE: [&str; 3] = ["", "dumb", "linux"];
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let choice = choice.or(set("TRACER_THEME").map_or(Ok(Choice::default()), |words| words.parse())?);
        let terminal = set("TERM").unwrap_or_default();
        let found = if set("NO_COLOR").is_some() || terminal == "dumb" {
            Colours::None
        } else if set("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit") {
            Colours::True
        } else if terminal.contains("256color") {
            Colours::Indexed
        } else {
            Colours::Sixteen
        };
        let colours = choice.colours.unwrap_or(found);
        let told = set("COLORFGBG").map_or(Background::Unknown, |value| Background::of_variable(&value));
        let background = choice.background.unwrap_or(told);
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_lowercase();
        Ok(Self {
            colours,
            background,
            unicode: choice.unicode.unwrap_or(locale.contains("utf-8") || locale.contains("utf8")),
            asks_background: colours != Colours::None
                && background == Background::Unknown
                && !MUTE.contains(&&*terminal),
        })
    }

    /// How a role looks.
    pub fn style(&self, role: Role) -> Style {
        match role {
            Role::Plain => Style::new(),
            Role::Dim => Style::new().add_modifier(Modifier::DIM),
            Role::Title => self.ink(palette::TITLE).add_modifier(Modifier::BOLD),
            Role::Good => self.ink(palette::GOOD),
            Role::Warning => self.ink(palette::WARNING),
            Role::Bad => self.ink(palette::BAD).add_modifier(Modifier::BOLD),
        }
    }

    /// The colour a family has on every screen.
    pub fn family(&self, family: Family) -> Style {
        match family {
            Family::Retransmit => self.ink(palette::RETRANSMIT),
            Family::Neighbour => self.ink(palette::NEIGHBOUR),
            Family::Conntrack => self.ink(palette::CONNTRACK),
            Family::Ipvs => self.ink(palette::IPVS),
            Family::Path => self.ink(palette::PATH),
            Family::Ruleset => self.ink(palette::RULESET),
            Family::Owner => Style::new(),
        }
    }

    /// The selected row.
    pub fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn ink(self, ink: palette::Ink) -> Style {
        ink.style(self.colours, self.background)
    }

    /// Makes a finished picture showable: without Unicode every other character is replaced by an ASCII one of the
    /// same width.
    pub fn finish(&self, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        for cell in &mut buffer.content {
            if !cell.symbol().is_ascii() {
                let replaced = ascii_for(cell.symbol());
                cell.set_char(replaced);
            }
        }
    }
}

fn ascii_for(symbol: &str) -> char {
    match symbol {
        "→" | "▸" => '>',
        "◂" | "←" => '<',
        "↑" | "▲" => '^',
        "↓" | "▼" | "▾" => 'v',
        "─" | "▄" | "−" => '-',
        "│" | "└" | "├" | "┤" => '|',
        "·" | "▂" | "┄" => '.',
        "…" => '~',
        "×" => 'x',
        "µ" => 'u',
        "▁" => '_',
        "▃" | "┊" => ':',
        "▅" | "━" => '=',
        "▆" => '+',
        "▇" | "◆" => '*',
        "█" => '#',
        "●" => 'o',
        "○" => 'c',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect, style::Style};

    use super::{Background, Choice, Colours, Theme};

    fn find(choice: &str, variables: &[(&str, &str)]) -> Theme {
        let choice = if choice.is_empty() { Choice::default() } else { choice.parse().unwrap() };
        let variable = |name: &str| {
            variables.iter().find(|&&(known, _)| known == name).map(|&(_, value)| value.to_owned())
        };
        Theme::find(choice, variable).unwrap()
    }

    #[test]
    fn the_environment_decides_what_the_user_leaves_open() {
        type Case =
            (&'static str, &'static [(&'static str, &'static str)], (Colours, Background, bool, bool));
        let unknown = Background::Unknown;
        let table: [Case; 10] = [
            (
                "",
                &[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")],
                (Colours::Indexed, unknown, true, true),
            ),
            (
                "",
                &[("TERM", "xterm"), ("COLORTERM", "truecolor"), ("LC_CTYPE", "C.utf8")],
                (Colours::True, unknown, true, true),
            ),
            (
                "",
                &[("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "en_US.UTF-8")],
                (Colours::Sixteen, unknown, false, true),
            ),
            (
                "",
                &[("NO_COLOR", "1"), ("COLORTERM", "truecolor"), ("TERM", "xterm")],
                (Colours::None, unknown, false, false),
            ),
            (
                "",
                &[("NO_COLOR", ""), ("TERM", "linux"), ("LC_ALL", ""), ("LANG", "de_DE.UTF-8")],
                (Colours::Sixteen, unknown, true, false),
            ),
            ("", &[("TERM", "dumb")], (Colours::None, unknown, false, false)),
            (
                "",
                &[("TERM", "rxvt"), ("COLORFGBG", "0;15")],
                (Colours::Sixteen, Background::Light, false, false),
            ),
            (
                "dark,ascii",
                &[("TERM", "rxvt"), ("COLORFGBG", "0;15"), ("LANG", "C.UTF-8")],
                (Colours::Sixteen, Background::Dark, false, false),
            ),
            (
                "",
                &[("TERM", "xterm"), ("TRACER_THEME", "light,256"), ("NO_COLOR", "1")],
                (Colours::Indexed, Background::Light, false, false),
            ),
            (
                "none",
                &[("TERM", "xterm"), ("TRACER_THEME", "light,256")],
                (Colours::None, Background::Light, false, false),
            ),
        ];
        for (choice, variables, expected) in table {
            let theme = find(choice, variables);
            let found = (theme.colours, theme.background, theme.unicode, theme.asks_background);
            assert_eq!(found, expected, "{choice} {variables:?}");
        }
    }

    #[test]
    fn a_wrong_word_in_the_environment_is_told() {
        let wrong = Theme::find(Choice::default(), |name| {
            (name == "TRACER_THEME").then(|| "dark,beautiful".to_owned())
        });
        assert!(wrong.unwrap_err().to_string().contains("\"beautiful\""));
    }

    #[test]
    fn without_unicode_only_ascii_is_left_and_nothing_moves() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 14, 1));
        buffer.set_string(0, 0, "a→b ▂█ 日本 ×µ", Style::new());
        Theme::PLAIN.finish(&mut buffer);
        let text: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(text, "a>b .# ? ?  xu");
    }
}
