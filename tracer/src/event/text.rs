//! Text from outside.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Text that came from outside the program (process names, device names, reasons) and can go to a terminal: control
/// characters and bidirectional overrides are replaced when it is made. Names, 15 bytes at most, need no allocation: they
/// come with every event. Copies of longer ones are one.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Kept);

/// There is one way to keep a text: short where it can be.
#[derive(Clone, PartialEq, Eq)]
enum Kept {
    /// With zeros behind it; it has none itself, for they are control characters.
    Short([u8; SHORT_BYTES]),
    Long(Arc<Box<str>>),
}

const SHORT_BYTES: usize = 15;

/// What the kernel gives a name (`TASK_COMM_LEN`, `IFNAMSIZ`), the zero at its end included.
const NAME_BYTES: usize = SHORT_BYTES + 1;

impl Text {
    /// The text up to the first zero byte; bytes that are not UTF-8 become U+FFFD.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match bytes.first_chunk().and_then(plain_name) {
            Some(name) => Self(Kept::Short(name)),
            None => Self::from_any_bytes(bytes),
        }
    }

    fn from_any_bytes(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        Self::new(&String::from_utf8_lossy(&bytes[..end]))
    }

    /// The text with everything a terminal could take for a command replaced.
    pub fn new(text: &str) -> Self {
        if text.chars().all(is_harmless) {
            return Self::of_harmless(text);
        }
        let harmless =
            |character: char| if is_harmless(character) { character } else { char::REPLACEMENT_CHARACTER };
        Self::of_harmless(&text.chars().map(harmless).collect::<String>())
    }

    fn of_harmless(text: &str) -> Self {
        let mut short = [0; SHORT_BYTES];
        match short.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self(Kept::Short(short))
            }
            None => Self(Kept::Long(Arc::new(text.into()))),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Short(short) => {
                let end = short.iter().position(|&byte| byte == 0).unwrap_or(SHORT_BYTES);
                // Made of a text; to look again costs no more than trusting it.
                str::from_utf8(&short[..end]).unwrap_or_default()
            }
            Kept::Long(long) => long,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Kept::Short([0, ..]))
    }
}

/// A name with a zero at its end, if it consists of what ASCII can print, as nearly every one: nothing in there can harm.
/// All of its bytes are looked at together.
#[inline]
fn plain_name(bytes: &[u8; NAME_BYTES]) -> Option<[u8; SHORT_BYTES]> {
    const ONES: u128 = u128::MAX / 0xff;
    const HIGHEST: u128 = ONES << 7;
    const SPACES: u128 = ONES * 0x20;
    let word = u128::from_le_bytes(*bytes);
    // Of the bits set in this, the lowest is in the first byte that is zero.
    let zeros = word.wrapping_sub(ONES) & !word & HIGHEST;
    let before = ((zeros & zeros.wrapping_neg()) >> 7).checked_sub(1)?;
    let name = word & before;
    let filled = name | (SPACES & !before);
    // Beyond ASCII, less than a space, and DEL.
    let strange = (filled | filled.wrapping_sub(SPACES) | filled.wrapping_add(ONES)) & HIGHEST;
    let [short @ .., _] = name.to_le_bytes();
    (strange == 0).then_some(short)
}

impl Default for Text {
    fn default() -> Self {
        Self(Kept::Short([0; SHORT_BYTES]))
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Text").field(&self.as_str()).finish()
    }
}

/// Control characters (C0, C1, DEL) and the marks that reorder or hide what follows are not.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Kept, NAME_BYTES, SHORT_BYTES, Text, is_harmless};

    #[test]
    fn text_never_carries_what_a_terminal_would_obey() {
        for (bytes, expected) in [
            (&b"eth0\0\0garbage"[..], "eth0"),
            (b"a\x1b[31mb", "a\u{fffd}[31mb"),
            (b"line\nfeed", "line\u{fffd}feed"),
            (b"\xffbad", "\u{fffd}bad"),
            ("rtl\u{202e}txt".as_bytes(), "rtl\u{fffd}txt"),
            ("caf\u{e9} \u{1f980}".as_bytes(), "caf\u{e9} \u{1f980}"),
            (b"", ""),
        ] {
            assert_eq!(Text::from_bytes(bytes).as_str(), expected, "{bytes:?}");
        }
    }

    /// What a text is to be, told slowly.
    fn slowly(bytes: &[u8]) -> String {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(&bytes[..end]);
        text.chars().map(|character| if is_harmless(character) { character } else { '\u{fffd}' }).collect()
    }

    #[test]
    fn a_text_takes_no_more_than_a_name() {
        assert_eq!((size_of::<Text>(), size_of::<Option<Text>>()), (NAME_BYTES, NAME_BYTES));
        let long = Text::new("sixteen letters!");
        assert!(long > Text::new("sixteen letters") && long < Text::new("t"));
        assert_eq!(Text::new("sixteen letters").as_str().len(), SHORT_BYTES);
    }

    proptest! {
        /// Every byte in every place of a name, and whatever else there is.
        #[test]
        fn texts_are_what_a_slow_look_at_them_says(
            bytes in prop_oneof![
                prop::collection::vec(prop_oneof![8 => b' '..=b'~', 1 => any::<u8>(), 1 => Just(0)], NAME_BYTES),
                prop::collection::vec(any::<u8>(), 0..40),
            ],
            other in prop::collection::vec(b'a'..=b'c', 0..20),
        ) {
            let text = Text::from_bytes(&bytes);
            let expected = slowly(&bytes);
            prop_assert_eq!(text.as_str(), &expected);
            prop_assert_eq!(&text, &Text::new(&expected));
            prop_assert_eq!(text.is_empty(), expected.is_empty());
            prop_assert_eq!(matches!(text.0, Kept::Short(_)), expected.len() <= SHORT_BYTES);
            let other = Text::from_bytes(&other);
            prop_assert_eq!(text.cmp(&other), expected.as_str().cmp(other.as_str()));
            prop_assert_eq!(text == other, text.as_str() == other.as_str());
        }
    }
}
