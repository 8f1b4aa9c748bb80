//! Correcting a node's clock by hand.

use std::str::FromStr;

/// How much is added to the times of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The node's name, or its host's.
    pub node: String,
    /// Nanoseconds; negative moves its records to earlier times.
    pub nanoseconds: i64,
}

impl FromStr for Shift {
    type Err = String;

    /// `NODE=+1.5s`: a name, a sign if it is earlier, a number, and one of the units ns, us, ms, s, m, h.
    fn from_str(text: &str) -> Result<Self, String> {
        const HOW: &str = "a shift is a node's name, =, and a time, as in node-b=+1.5s or node-b=-20ms";
        let (node, time) = text.rsplit_once('=').ok_or(HOW)?;
        let (is_earlier, length) = match time.strip_prefix('-') {
            Some(length) => (true, length),
            None => (false, time.strip_prefix('+').unwrap_or(time)),
        };
        if node.is_empty() {
            return Err(HOW.to_owned());
        }
        let nanoseconds = nanoseconds(length).ok_or(HOW)?;
        Ok(Self { node: node.to_owned(), nanoseconds: if is_earlier { -nanoseconds } else { nanoseconds } })
    }
}

/// A decimal number with a unit, in nanoseconds; what is less than one is left out.
fn nanoseconds(text: &str) -> Option<i64> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.')?;
    let (number, unit) = text.split_at(end);
    let unit_ns: i64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let whole: i64 = whole.parse().ok()?;
    if part.is_empty() || part.contains('.') {
        return None;
    }
    let mut nanoseconds = whole.checked_mul(unit_ns)?;
    let mut place_ns = unit_ns;
    for digit in part.bytes() {
        place_ns /= 10;
        nanoseconds = nanoseconds.checked_add(i64::from(digit - b'0') * place_ns)?;
    }
    Some(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::Shift;

    #[test]
    fn a_shift_is_a_node_and_a_time() {
        for (text, node, nanoseconds) in [
            ("node-b=+1.5s", "node-b", 1_500_000_000),
            ("node-b=1.5s", "node-b", 1_500_000_000),
            ("node-b=-20ms", "node-b", -20_000_000),
            ("edge=1/2=3us", "edge=1/2", 3_000),
            ("a=0.0000000019s", "a", 1),
            ("a=2m", "a", 120_000_000_000),
            ("a=1h", "a", 3_600_000_000_000),
            ("a=-7ns", "a", -7),
        ] {
            assert_eq!(text.parse(), Ok(Shift { node: node.to_owned(), nanoseconds }), "{text}");
        }
        for text in [
            "",
            "a",
            "=1s",
            "a=",
            "a=s",
            "a=1",
            "a=1.s",
            "a=1.2.3s",
            "a=--1s",
            "a=1d",
            "a=9999999999h",
            "a=é1s",
        ] {
            assert!(text.parse::<Shift>().is_err(), "{text}");
        }
    }
}
