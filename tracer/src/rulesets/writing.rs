//! A rule written down word by word, as the tool that lists it writes it.

use std::net::IpAddr;

/// What stands for options that are there and not decoded.
pub(super) const MORE: &str = "…";

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `iptables-save`.
    Iptables,
    /// `nft list`.
    Nft,
}

/// Options that `iptables-save` writes first, in this order, wherever the rule asks for them.
const FIRST: [&str; 5] = ["-s", "-d", "-i", "-o", "-p"];

/// The words so far.
#[derive(Debug)]
pub(super) struct Words {
    chain: String,
    /// Those of each option at a time.
    options: Vec<String>,
}

impl Words {
    /// A rule of this chain.
    pub(super) fn new(style: Style, chain: &[u8]) -> Self {
        let chain = String::from_utf8_lossy(chain);
        let chain = match style {
            Style::Iptables => format!("-A {chain}"),
            Style::Nft => chain.into_owned(),
        };
        Self { chain, options: Vec::new() }
    }

    /// Adds what has spaces of its own.
    pub(super) fn add(&mut self, words: impl std::fmt::Display) {
        self.options.push(words.to_string());
    }

    /// Adds it, negated in the way of iptables.
    pub(super) fn add_unless(&mut self, is_inverted: bool, words: impl std::fmt::Display) {
        let not = if is_inverted { "! " } else { "" };
        self.add(format_args!("{not}{words}"));
    }

    pub(super) fn finish(self) -> String {
        let Self { chain, mut options } = self;
        let place = |words: &String| {
            let option = words.trim_start_matches("! ").split(' ').next();
            FIRST.iter().position(|first| Some(*first) == option).unwrap_or(FIRST.len())
        };
        options.sort_by_key(place);
        [&[chain], &options[..]].concat().join(" ")
    }
}

/// Text in quotes where iptables puts them.
pub(super) fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Ports from the first to the last of them; `None` where that is all.
pub(super) fn ports(first: u16, last: u16) -> Option<String> {
    match (first, last) {
        (0, u16::MAX) => None,
        (first, last) if first == last => Some(first.to_string()),
        _ => Some(format!("{first}:{last}")),
    }
}

/// A protocol by its name, or its number.
pub(super) fn protocol(number: u8) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipencap",
        6 => "tcp",
        17 => "udp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        89 => "ospf",
        112 => "vrrp",
        132 => "sctp",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// An address of 4 or 16 bytes.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?));
    let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?));
    v4().or_else(v6)
}

/// The addresses that a mask leaves open: how long their common beginning is, or the mask itself.
pub(super) fn network(address_bytes: &[u8], mask: &[u8]) -> Option<String> {
    let address = address(address_bytes)?;
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading = mask
        .iter()
        .position(|&byte| byte != 0xff)
        .map_or(ones, |place| u32::try_from(place).unwrap_or_default() * 8 + mask[place].leading_ones());
    Some(if leading == ones {
        format!("{address}/{ones}")
    } else {
        format!("{address}/{}", self::address(mask)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iptables_quotes_is_quoted() {
        for (text, expected) in [
            (&b"plain-text_1"[..], "plain-text_1"),
            (b"default/web:http cluster IP", "\"default/web:http cluster IP\""),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"", "\"\""),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn networks_have_a_length_where_they_can() {
        let v6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut v6_mask = [0; 16];
        v6_mask[..8].fill(0xff);
        for (address, mask, expected) in [
            (&[10, 0, 0, 1][..], &[255, 255, 255, 255][..], "10.0.0.1/32"),
            (&[10, 32, 0, 0], &[255, 224, 0, 0], "10.32.0.0/11"),
            (&[10, 0, 0, 1], &[255, 0, 0, 255], "10.0.0.1/255.0.0.255"),
            (&v6, &v6_mask, "fd00::/64"),
        ] {
            assert_eq!(network(address, mask).as_deref(), Some(expected));
        }
        assert_eq!(network(&[1, 2, 3], &[255; 3]), None);
    }
}
