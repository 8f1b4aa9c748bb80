//! Whether the terminal's background is dark or light: from the environment, or from the terminal itself.
//!
//! A terminal that is asked for its background (xterm's OSC 11) answers whenever it likes, or never, and what it answers
//! comes in like keys. So nobody waits for it: the answer is picked out of the keys when it comes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What text stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// Nobody says.
    #[default]
    Unknown,
    /// Light text on dark ground.
    Dark,
    /// Dark text on light ground.
    Light,
}

/// Asks a terminal for its background colour.
pub(in crate::tui) const QUERY: &str = "\x1b]11;?\x1b\\";

impl Background {
    /// From `COLORFGBG`, which rxvt, Konsole and others set: `15;0`, `0;default;15`. The last number is one of the 16.
    pub(super) fn of_variable(value: &str) -> Self {
        match value.rsplit(';').next().and_then(|last| last.parse().ok()) {
            Some(0..=6 | 8) => Self::Dark,
            Some(7 | 9..=15) => Self::Light,
            _ => Self::Unknown,
        }
    }

    /// From an answer, `11;rgb:ffff/fafa/f0f0`: one to four hexadecimal digits a channel, `rgba` with a fourth.
    fn of_answer(answer: &str) -> Self {
        let channels = answer.strip_prefix("11;rgb:").or_else(|| answer.strip_prefix("11;rgba:"));
        let share = |digits: &str| {
            let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)?.checked_sub(1)?;
            let value = u32::from_str_radix(digits, 16).ok()?;
            (digits.len() <= 4).then(|| f64::from(value) / f64::from(most))
        };
        let shares: Vec<Option<f64>> =
            channels.into_iter().flat_map(|all| all.split('/').map(share)).collect();
        let [Some(red), Some(green), Some(blue), ..] = shares[..] else { return Self::Unknown };
        // How bright the eye takes it for (ITU-R BT.601).
        let brightness = 0.299 * red + 0.587 * green + 0.114 * blue;
        if brightness > 0.5 { Self::Light } else { Self::Dark }
    }
}

/// Picks the terminal's answer out of the keys as which it comes in.
#[derive(Debug, Default)]
pub(in crate::tui) struct Answers {
    /// The beginning of what may be an answer.
    held: Vec<KeyEvent>,
    text: String,
}

/// What became of a key.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tui) enum Taken {
    /// It, and what was held before it, is what the user pressed.
    Pressed(Vec<KeyEvent>),
    /// It may be a part of an answer.
    Held,
    /// It ended an answer.
    Answered(Background),
}

impl Answers {
    /// Takes a key in. `ESC ]` comes as Alt with `]`, the `ESC \` at the end as Alt with `\`; some end with BEL, which
    /// is Ctrl with `g`.
    pub(in crate::tui) fn take(&mut self, key: KeyEvent) -> Taken {
        let modifiers = key.modifiers - KeyModifiers::SHIFT;
        let is_begun = !self.held.is_empty();
        match (key.code, modifiers) {
            (KeyCode::Char(']'), KeyModifiers::ALT) => {
                let before = std::mem::replace(self, Self { held: vec![key], text: String::new() }).held;
                if is_begun { Taken::Pressed(before) } else { Taken::Held }
            }
            (KeyCode::Char('\\'), KeyModifiers::ALT) | (KeyCode::Char('g'), KeyModifiers::CONTROL)
                if is_colour(&self.text) =>
            {
                Taken::Answered(Background::of_answer(&std::mem::take(self).text))
            }
            (KeyCode::Char(character), KeyModifiers::NONE) if is_begun && goes_on(&self.text, character) => {
                self.text.push(character);
                self.held.push(key);
                Taken::Held
            }
            _ => {
                let mut keys = std::mem::take(self).held;
                keys.push(key);
                Taken::Pressed(keys)
            }
        }
    }
}

const PREFIXES: [&str; 2] = ["11;rgb:", "11;rgba:"];

/// Whether an answer that began with `text` may go on with `character`.
fn goes_on(text: &str, character: char) -> bool {
    const LONGEST: usize = "11;rgba:ffff/ffff/ffff/ffff".len();
    let is_prefix = PREFIXES
        .iter()
        .any(|prefix| prefix.strip_prefix(text).is_some_and(|rest| rest.starts_with(character)));
    text.len() < LONGEST
        && (is_prefix || (is_colour(text) && (character == '/' || character.is_ascii_hexdigit())))
}

/// Whether it is an answer, or the beginning of one that goes on with the colour.
fn is_colour(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(character: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(character), KeyModifiers::NONE)
    }

    fn answer(text: &str, end: (char, KeyModifiers)) -> Vec<KeyEvent> {
        let begin = KeyEvent::new(KeyCode::Char(']'), KeyModifiers::ALT);
        let end = KeyEvent::new(KeyCode::Char(end.0), end.1);
        [begin].into_iter().chain(text.chars().map(plain)).chain([end]).collect()
    }

    /// The backgrounds that were told, and the keys that were pressed.
    fn taken(keys: &[KeyEvent]) -> (Vec<Background>, Vec<KeyEvent>) {
        let mut answers = Answers::default();
        let (mut told, mut pressed) = (Vec::new(), Vec::new());
        for &key in keys {
            match answers.take(key) {
                Taken::Held => {}
                Taken::Answered(background) => told.push(background),
                Taken::Pressed(keys) => pressed.extend(keys),
            }
        }
        pressed.extend(answers.held);
        (told, pressed)
    }

    #[test]
    fn answers_are_read_whatever_the_terminal() {
        const ST: (char, KeyModifiers) = ('\\', KeyModifiers::ALT);
        const BEL: (char, KeyModifiers) = ('g', KeyModifiers::CONTROL);
        for (text, end, expected) in [
            ("11;rgb:0000/0000/0000", ST, Background::Dark),
            ("11;rgb:ffff/ffff/ffff", BEL, Background::Light),
            ("11;rgb:fd/f6/e3", ST, Background::Light),
            ("11;rgba:1c1c/1c1c/1c1c/ffff", ST, Background::Dark),
            ("11;rgb:00/2b/36", BEL, Background::Dark),
            ("11;rgb:ffff/ffff", ST, Background::Unknown),
            ("11;rgb:///", ST, Background::Unknown),
        ] {
            let mut keys = answer(text, end);
            keys.insert(0, plain('j'));
            keys.push(plain('q'));
            assert_eq!(taken(&keys), (vec![expected], vec![plain('j'), plain('q')]), "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_what_the_user_pressed() {
        let alt = |character| KeyEvent::new(KeyCode::Char(character), KeyModifiers::ALT);
        let escape = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
        for keys in [
            vec![alt(']'), plain('q')],
            vec![alt(']'), plain('1'), plain('1'), plain('q')],
            vec![alt(']'), escape],
            vec![alt(']'), alt(']'), plain('1')],
            vec![alt(']'), plain('1'), alt('\\')],
            vec![plain(']'), plain('1'), alt('\\')],
        ] {
            assert_eq!(taken(&keys), (Vec::new(), keys.clone()));
        }
    }

    #[test]
    fn the_environment_names_one_of_the_16() {
        for (value, expected) in [
            ("15;0", Background::Dark),
            ("0;15", Background::Light),
            ("0;default;15", Background::Light),
            ("12;8", Background::Dark),
            ("7;default", Background::Unknown),
            ("15;99", Background::Unknown),
            ("", Background::Unknown),
        ] {
            assert_eq!(Background::of_variable(value), expected, "{value}");
        }
    }

    proptest! {
        /// Keys come out as they went in, but for whole answers.
        #[test]
        fn no_key_is_lost(keys in proptest::collection::vec(("[\\]\\\\1;rgb:/fFgq]", 0u8..4), 0..40)) {
            let keys: Vec<KeyEvent> = keys
                .iter()
                .map(|(text, modifiers)| {
                    KeyEvent::new(KeyCode::Char(text.chars().next().unwrap()), KeyModifiers::from_bits_truncate(*modifiers))
                })
                .collect();
            let (told, pressed) = taken(&keys);
            if told.is_empty() {
                prop_assert_eq!(pressed, keys);
            } else {
                prop_assert!(pressed.len() < keys.len());
            }
        }
    }
}
