//! Which colour is readable where.

use ratatui::style::{Color, Style};

use super::{Background, Colours};

/// One colour in every way a terminal can show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    dark: Shade,
    light: Shade,
    /// Where it is not known what is behind: readable on both.
    either: Shade,
}

/// A colour of the user's 16, one of xterm's 256, and one of 24 bits.
#[derive(Clone, Copy, Debug)]
struct Shade(Color, u8, (u8, u8, u8));

impl Ink {
    /// It on a terminal.
    pub(super) fn style(self, colours: Colours, background: Background) -> Style {
        let Shade(named, indexed, (red, green, blue)) = match background {
            Background::Unknown => self.either,
            Background::Dark => self.dark,
            Background::Light => self.light,
        };
        match colours {
            Colours::None => Style::new(),
            Colours::Sixteen => Style::new().fg(named),
            Colours::Indexed => Style::new().fg(Color::Indexed(indexed)),
            Colours::True => Style::new().fg(Color::Rgb(red, green, blue)),
        }
    }
}

/// Titles and what is chosen.
pub(super) const TITLE: Ink = Ink {
    dark: Shade(Color::Cyan, 74, (51, 155, 230)),
    light: Shade(Color::Blue, 25, (21, 109, 172)),
    either: Shade(Color::Cyan, 32, (25, 127, 200)),
};

/// As it should be.
pub(super) const GOOD: Ink = Ink {
    dark: Shade(Color::Green, 71, (57, 172, 86)),
    light: Shade(Color::Green, 28, (40, 119, 59)),
    either: Shade(Color::Green, 29, (46, 138, 69)),
};

/// Worth a look. The 16 have no yellow that shows on white.
pub(super) const WARNING: Ink = Ink {
    dark: Shade(Color::Yellow, 172, (208, 131, 17)),
    light: Shade(Color::Magenta, 94, (146, 92, 12)),
    either: Shade(Color::Yellow, 130, (175, 110, 14)),
};

/// Wrong.
pub(super) const BAD: Ink = Ink {
    dark: Shade(Color::Red, 203, (235, 112, 112)),
    light: Shade(Color::Red, 160, (205, 29, 29)),
    either: Shade(Color::Red, 167, (227, 59, 59)),
};

/// Retransmits.
pub(super) const RETRANSMIT: Ink = Ink {
    dark: Shade(Color::Red, 173, (217, 123, 104)),
    light: Shade(Color::Red, 131, (180, 67, 45)),
    either: Shade(Color::Red, 167, (206, 84, 59)),
};

/// Neighbours.
pub(super) const NEIGHBOUR: Ink = Ink {
    dark: Shade(Color::Yellow, 178, (174, 149, 19)),
    light: Shade(Color::Reset, 94, (119, 102, 13)),
    either: Shade(Color::Yellow, 100, (142, 121, 16)),
};

/// Connection tracking.
pub(super) const CONNTRACK: Ink = Ink {
    dark: Shade(Color::LightBlue, 68, (112, 148, 219)),
    light: Shade(Color::Blue, 62, (50, 100, 200)),
    either: Shade(Color::Blue, 68, (75, 120, 210)),
};

/// IPVS.
pub(super) const IPVS: Ink = Ink {
    dark: Shade(Color::Magenta, 176, (200, 122, 205)),
    light: Shade(Color::Magenta, 127, (161, 63, 166)),
    either: Shade(Color::Magenta, 133, (184, 81, 189)),
};

/// The way of packets. The 16 have no cyan that shows on white.
pub(super) const PATH: Ink = Ink {
    dark: Shade(Color::Cyan, 37, (43, 167, 171)),
    light: Shade(Color::Blue, 24, (30, 115, 118)),
    either: Shade(Color::Cyan, 30, (35, 135, 139)),
};

/// Rules that packets pass.
pub(super) const RULESET: Ink = Ink {
    dark: Shade(Color::Green, 107, (112, 163, 62)),
    light: Shade(Color::Green, 58, (79, 115, 43)),
    either: Shade(Color::Green, 65, (92, 133, 50)),
};

#[cfg(test)]
mod tests {
    use super::*;

    type Rgb = (u8, u8, u8);

    const INKS: [(&str, Ink); 10] = [
        ("title", TITLE),
        ("good", GOOD),
        ("warning", WARNING),
        ("bad", BAD),
        ("retransmit", RETRANSMIT),
        ("neighbour", NEIGHBOUR),
        ("conntrack", CONNTRACK),
        ("ipvs", IPVS),
        ("path", PATH),
        ("ruleset", RULESET),
    ];
    /// Black, and what many terminals take for it.
    const DARK: [Rgb; 2] = [(0, 0, 0), (30, 30, 30)];
    /// White, and the paper of a well-known light theme.
    const LIGHT: [Rgb; 2] = [(255, 255, 255), (253, 246, 227)];

    /// Relative luminance, as WCAG 2 defines it.
    fn luminance((red, green, blue): Rgb) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    /// Contrast, as WCAG 2 defines it: from 1 to 21.
    fn contrast(one: Rgb, other: Rgb) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// A colour of xterm's cube.
    fn of_cube(index: u8) -> Rgb {
        const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        let place = index.checked_sub(16).filter(|&place| place < 216).expect("a colour of the cube");
        let level = |digit: u8| LEVELS[usize::from(digit)];
        (level(place / 36), level(place / 6 % 6), level(place % 6))
    }

    #[test]
    fn every_colour_is_readable_where_it_is_used() {
        for (name, ink) in INKS {
            for (shade, backgrounds, least) in [
                (ink.dark, DARK.as_slice(), 4.0),
                (ink.light, &LIGHT, 4.0),
                (ink.either, &[DARK, LIGHT].concat(), 2.9),
            ] {
                for &background in backgrounds {
                    for rgb in [shade.2, of_cube(shade.1)] {
                        let contrast = contrast(rgb, background);
                        assert!(contrast >= least, "{name} {rgb:?} on {background:?}: {contrast:.2}");
                    }
                }
            }
        }
    }
}
