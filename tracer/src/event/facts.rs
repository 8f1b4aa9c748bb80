//! Facts of the machine and of tracer.

use super::Text;

/// Facts, each a name and a value, in the order they were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(pub Vec<(Text, Text)>);

impl Facts {
    /// From the text behind a record: a line each, a tab between name and value.
    pub(crate) fn from_text(text: &[u8]) -> Self {
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        let lines = text[..end].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        Self(lines.map(fact).collect())
    }
}

fn fact(line: &[u8]) -> (Text, Text) {
    let mut parts = line.splitn(2, |&byte| byte == b'\t');
    let mut part = || Text::from_bytes(parts.next().unwrap_or_default());
    (part(), part())
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn a_line_is_a_fact() {
        for (text, expected) in [
            (&b""[..], &[][..]),
            (b"cpus\t4\n", &[("cpus", "4")]),
            (
                b"cpus\t4\nkernel\ta\tb\nbare\n\0\0\0",
                &[("cpus", "4"), ("kernel", "a\u{fffd}b"), ("bare", "")],
            ),
            (b"\n\n\tx", &[("", "x")]),
            (b"escape\t\x1b[31m\xff", &[("escape", "\u{fffd}[31m\u{fffd}")]),
        ] {
            let facts = Facts::from_text(text).0;
            let found: Vec<(&str, &str)> =
                facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
