//! Colours and characters of the terminal at hand.

use ratatui::{
    buffer::Buffer,
    style::{Color, Modifier, Style},
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
    /// Whether the terminal shows characters beyond ASCII.
    pub unicode: bool,
}

impl Theme {
    /// The theme the environment asks for: `NO_COLOR`, `COLORTERM`, `TERM`, and the locale's character set.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let terminal = set("TERM").unwrap_or_default();
        let colours = if set("NO_COLOR").is_some() || terminal == "dumb" {
            Colours::None
        } else if set("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit") {
            Colours::True
        } else if terminal.contains("256color") {
            Colours::Indexed
        } else {
            Colours::Sixteen
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_lowercase();
        Self { colours, unicode: locale.contains("utf-8") || locale.contains("utf8") }
    }

    /// How a role looks. The colours are readable on light and dark backgrounds alike.
    pub fn style(&self, role: Role) -> Style {
        let plain = Style::new();
        match role {
            Role::Plain => plain,
            Role::Dim => plain.add_modifier(Modifier::DIM),
            Role::Title => self.coloured(Color::Cyan, 37, (38, 139, 210)).add_modifier(Modifier::BOLD),
            Role::Good => self.coloured(Color::Green, 71, (63, 160, 90)),
            Role::Warning => self.coloured(Color::Yellow, 172, (203, 130, 20)),
            Role::Bad => self.coloured(Color::Red, 160, (220, 60, 60)).add_modifier(Modifier::BOLD),
        }
    }

    /// The colour a family has on every screen.
    pub fn family(&self, family: Family) -> Style {
        match family {
            Family::Retransmit => self.coloured(Color::Red, 167, (211, 90, 80)),
            Family::Neighbour => self.coloured(Color::Yellow, 136, (181, 137, 0)),
            Family::Conntrack => self.coloured(Color::Blue, 68, (90, 130, 210)),
            Family::Ipvs => self.coloured(Color::Magenta, 133, (175, 90, 180)),
            Family::Path => self.coloured(Color::Cyan, 73, (60, 160, 165)),
            Family::Ruleset => self.coloured(Color::Green, 107, (135, 160, 80)),
            Family::Owner => Style::new(),
        }
    }

    /// The selected row.
    pub fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn coloured(self, named: Color, indexed: u8, (red, green, blue): (u8, u8, u8)) -> Style {
        match self.colours {
            Colours::None => Style::new(),
            Colours::Sixteen => Style::new().fg(named),
            Colours::Indexed => Style::new().fg(Color::Indexed(indexed)),
            Colours::True => Style::new().fg(Color::Rgb(red, green, blue)),
        }
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
        "◂" => '<',
        "↑" | "▲" => '^',
        "↓" | "▼" | "▾" => 'v',
        "─" | "▄" => '-',
        "│" => '|',
        "·" | "▂" => '.',
        "…" => '~',
        "×" => 'x',
        "µ" => 'u',
        "▁" => '_',
        "▃" => ':',
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

    use super::{Colours, Theme};

    #[test]
    fn the_environment_decides() {
        type Case = (&'static [(&'static str, &'static str)], Colours, bool);
        let table: [Case; 6] = [
            (&[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")], Colours::Indexed, true),
            (&[("TERM", "xterm"), ("COLORTERM", "truecolor"), ("LC_CTYPE", "C.utf8")], Colours::True, true),
            (&[("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], Colours::Sixteen, false),
            (&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Colours::None, false),
            (
                &[("NO_COLOR", ""), ("TERM", "linux"), ("LC_ALL", ""), ("LANG", "de_DE.UTF-8")],
                Colours::Sixteen,
                true,
            ),
            (&[("TERM", "dumb")], Colours::None, false),
        ];
        for (variables, colours, unicode) in table {
            let theme = Theme::of_environment(|name| {
                variables.iter().find(|&&(known, _)| known == name).map(|&(_, value)| value.to_owned())
            });
            assert_eq!(theme, Theme { colours, unicode }, "{variables:?}");
        }
    }

    #[test]
    fn without_unicode_only_ascii_is_left_and_nothing_moves() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 14, 1));
        buffer.set_string(0, 0, "a→b ▂█ 日本 ×µ", Style::new());
        Theme { colours: Colours::None, unicode: false }.finish(&mut buffer);
        let text: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(text, "a>b .# ? ?  xu");
    }
}
