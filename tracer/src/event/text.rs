//! Text from outside.

use std::fmt;

use compact_str::CompactString;

/// Text that came from outside the program (process names, device names, reasons) and can go to a terminal: control
/// characters and bidirectional overrides are replaced when it is made. Names, 15 bytes at most, need no allocation: they
/// come with every event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(CompactString);

impl Text {
    /// The text up to the first zero byte; bytes that are not UTF-8 become U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let bytes = &bytes[..end];
        match str::from_utf8(bytes) {
            // Nearly every name; nothing in there can harm.
            Ok(text) if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) => {
                Self(CompactString::new(text))
            }
            Ok(text) => Self::new(text),
            Err(_) => Self::new(&String::from_utf8_lossy(bytes)),
        }
    }

    /// The text with everything a terminal could take for a command replaced.
    pub fn new(text: &str) -> Self {
        Self(
            text.chars()
                .map(|character| if is_harmless(character) { character } else { '\u{fffd}' })
                .collect(),
        )
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Control characters (C0, C1, DEL) and the marks that reorder or hide what follows are not.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

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
}
