//! A rule of nftables as `iptables-nft-save` writes it in iptables' own tables, and in words like those of `nft list`
//! elsewhere (`include/uapi/linux/netfilter/nf_tables.h`).

use super::{
    super::{
        extension::{Extension, limit_period, tcp_flags, write_limit, write_nflog, write_ways},
        writing::{MORE, Style, Words, address, network, ports, protocol, quoted},
    },
    message::{big_endian, content, name},
    rule::{EXPRESSION_DATA, EXPRESSION_NAME, attribute},
};
use crate::netlink::attributes;

/// The tables that `iptables-nft` makes, in the families of IP.
const IPTABLES: [&[u8]; 5] = [b"filter", b"nat", b"mangle", b"raw", b"security"];

/// `NFPROTO_*` of IPv4 and IPv6.
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// The kind of a comment among what a tool keeps with a rule (`NFTNL_UDATA_RULE_COMMENT` of libnftnl).
const COMMENT: u8 = 0;

/// The text of a rule, from the attributes of its message.
pub(super) fn of(family: u8, table: &[u8], chain: &[u8], rule: &[u8]) -> String {
    let is_iptables = matches!(family, IPV4 | IPV6) && IPTABLES.contains(&table);
    let style = if is_iptables { Style::Iptables } else { Style::Nft };
    let mut writer = Writer { style, family, words: Words::new(style, chain), loaded: None, protocol: None };
    for (_, expression) in attributes(content(rule, attribute::EXPRESSIONS).unwrap_or_default()) {
        let kind = name(content(expression, EXPRESSION_NAME));
        writer.expression(kind, content(expression, EXPRESSION_DATA).unwrap_or_default());
    }
    if let Some(comment) = content(rule, attribute::USER_DATA).and_then(comment) {
        match style {
            Style::Iptables => writer.words.add(format_args!("-m comment --comment {}", quoted(comment))),
            Style::Nft => {
                let comment = String::from_utf8_lossy(comment);
                writer.words.add(format_args!("comment \"{comment}\""));
            }
        }
    }
    writer.words.finish()
}

/// The comment in a sequence of kind, length and value.
fn comment(mut kept: &[u8]) -> Option<&[u8]> {
    while let [kind, length, rest @ ..] = kept {
        let (value, after) = rest.split_at_checked(usize::from(*length))?;
        if *kind == COMMENT {
            return Some(name(Some(value)));
        }
        kept = after;
    }
    None
}

/// On the way through a rule's expressions.
struct Writer {
    style: Style,
    family: u8,
    words: Words,
    /// What the last expression put into a register, and which.
    loaded: Option<(u32, Loaded)>,
    /// The protocol asked for so far.
    protocol: Option<u8>,
}

#[derive(Clone, Debug)]
enum Loaded {
    /// What is known of the packet besides its bytes (`enum nft_meta_keys`), and which bits of it.
    Meta { key: u32, mask: Option<Vec<u8>> },
    /// Bytes of it: from which header, from where, how many; and which bits of them.
    Payload { base: u32, offset: u32, length: u32, mask: Option<Vec<u8>> },
}

/// `enum nft_meta_keys`.
mod meta {
    pub(super) const MARK: u32 = 3;
    pub(super) const DEVICE_IN: u32 = 6;
    pub(super) const DEVICE_OUT: u32 = 7;
    pub(super) const PROTOCOL: u32 = 16;
}

/// `enum nft_payload_bases`.
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// Where a TCP header has its flags.
const TCP_FLAGS: u32 = 13;
const TCP: u8 = 6;

/// `NFT_CMP_EQ`, `NFT_CMP_NEQ`; the same numbers for ranges.
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;

impl Writer {
    fn expression(&mut self, kind: &[u8], data: &[u8]) {
        let written = match kind {
            b"counter" => {
                if self.style == Style::Nft {
                    self.words.add("counter");
                }
                Some(())
            }
            b"meta" => self.load(data, 1, |number| Some(Loaded::Meta { key: number(2)?, mask: None })),
            b"payload" => self.load(data, 1, |number| {
                Some(Loaded::Payload { base: number(2)?, offset: number(3)?, length: number(4)?, mask: None })
            }),
            b"bitwise" => self.bitwise(data),
            b"cmp" => self.compare(data),
            b"range" => self.range(data),
            b"immediate" => self.verdict(data),
            b"match" => self.extension(data).map(|extension| extension.write_match(&mut self.words)),
            b"target" => self.extension(data).map(|extension| extension.write_target(&mut self.words)),
            b"masq" if self.style == Style::Iptables => {
                self.words.add("-j MASQUERADE");
                write_ways(register(data, 1).unwrap_or_default(), &mut self.words)
            }
            b"limit" if self.style == Style::Iptables => self.limit(data),
            b"log" if self.style == Style::Iptables => self.log(data),
            _ => {
                self.words.add(String::from_utf8_lossy(kind));
                None
            }
        };
        if written.is_none() {
            self.loaded = None;
            self.words.add(MORE);
        }
    }

    fn load(
        &mut self,
        data: &[u8],
        register: u16,
        what: impl FnOnce(&dyn Fn(u16) -> Option<u32>) -> Option<Loaded>,
    ) -> Option<()> {
        let number = |attribute: u16| content(data, attribute).and_then(big_endian);
        self.loaded = Some((number(register)?, what(&number)?));
        Some(())
    }

    /// A mask over what was loaded: `enum nft_bitwise_attributes`.
    fn bitwise(&mut self, data: &[u8]) -> Option<()> {
        let (source, destination) = (register(data, 1)?, register(data, 2)?);
        let (mask, xor) = (value(data, 4)?, value(data, 5)?);
        let (loaded, mut what) = self.loaded.take()?;
        let (Loaded::Meta { mask: place, .. } | Loaded::Payload { mask: place, .. }) = &mut what;
        let is_mask = loaded == source && place.is_none() && xor.iter().all(|&byte| byte == 0);
        *place = Some(mask.to_vec());
        self.loaded = is_mask.then_some((destination, what));
        is_mask.then_some(())
    }

    /// `enum nft_cmp_attributes`.
    fn compare(&mut self, data: &[u8]) -> Option<()> {
        let is_inverted = match content(data, 2).and_then(big_endian)? {
            EQUAL => false,
            UNEQUAL => true,
            _ => return None,
        };
        let wanted = value(data, 3)?;
        let (loaded, what) = self.loaded.take()?;
        if loaded != register(data, 1)? {
            return None;
        }
        match what {
            Loaded::Meta { key, mask: None } => self.meta(key, wanted, is_inverted),
            Loaded::Meta { key: meta::MARK, mask: Some(mask) } => self.mark(wanted, &mask, is_inverted),
            Loaded::Payload { base: NETWORK_HEADER, offset, length, mask } => {
                self.address(offset, length, mask.as_deref(), wanted, is_inverted)
            }
            Loaded::Payload { base: TRANSPORT_HEADER, offset, length: 2, mask: None } => {
                let port = u16::from_be_bytes(wanted.try_into().ok()?);
                self.port(offset, &ports(port, port)?, is_inverted)
            }
            Loaded::Payload { base: TRANSPORT_HEADER, offset: TCP_FLAGS, length: 1, mask: Some(mask) }
                if self.protocol == Some(TCP) =>
            {
                self.tcp_flags(&mask, wanted, is_inverted)
            }
            Loaded::Meta { .. } | Loaded::Payload { .. } => None,
        }
    }

    /// `enum nft_range_attributes`.
    fn range(&mut self, data: &[u8]) -> Option<()> {
        let is_inverted = content(data, 2).and_then(big_endian)? == UNEQUAL;
        let port = |attribute: u16| Some(u16::from_be_bytes(value(data, attribute)?.try_into().ok()?));
        let (first, last) = (port(3)?, port(4)?);
        match self.loaded.take()? {
            (loaded, Loaded::Payload { base: TRANSPORT_HEADER, offset, length: 2, mask: None })
                if loaded == register(data, 1)? =>
            {
                let ports = if self.style == Style::Nft {
                    format!("{first}-{last}")
                } else {
                    format!("{first}:{last}")
                };
                self.port(offset, &ports, is_inverted)
            }
            _ => None,
        }
    }

    fn mark(&mut self, wanted: &[u8], mask: &[u8], is_inverted: bool) -> Option<()> {
        let number = |bytes: &[u8]| Some(u32::from_ne_bytes(bytes.try_into().ok()?));
        let (wanted, mask) = (number(wanted)?, number(mask)?);
        match self.style {
            Style::Iptables => {
                self.words.add("-m mark");
                self.words.add_unless(is_inverted, format_args!("--mark {wanted:#x}/{mask:#x}"));
            }
            Style::Nft => {
                let not = if is_inverted { "!=" } else { "==" };
                self.words.add(format_args!("meta mark & {mask:#x} {not} {wanted:#x}"));
            }
        }
        Some(())
    }

    fn tcp_flags(&mut self, mask: &[u8], wanted: &[u8], is_inverted: bool) -> Option<()> {
        let (&[mask], &[wanted]) = (mask, wanted) else { return None };
        match self.style {
            Style::Iptables => {
                let flags = format!("--tcp-flags {} {}", tcp_flags(mask), tcp_flags(wanted));
                self.words.add("-m tcp");
                self.words.add_unless(is_inverted, flags);
            }
            Style::Nft => {
                let not = if is_inverted { "!=" } else { "==" };
                self.words.add(format_args!("tcp flags & {mask:#x} {not} {wanted:#x}"));
            }
        }
        Some(())
    }

    fn meta(&mut self, key: u32, wanted: &[u8], is_inverted: bool) -> Option<()> {
        let device = || {
            let device = String::from_utf8_lossy(name(Some(wanted))).into_owned();
            // Without the zero behind the name, any end will do.
            if wanted.ends_with(&[0]) { device } else { device + self.any() }
        };
        let (option, word, value) = match key {
            meta::DEVICE_IN => ("-i", "iifname", device()),
            meta::DEVICE_OUT => ("-o", "oifname", device()),
            meta::PROTOCOL => {
                let &[number] = wanted else { return None };
                self.protocol = Some(number).filter(|_| !is_inverted);
                ("-p", "meta l4proto", protocol(number))
            }
            meta::MARK => {
                let mark = u32::from_ne_bytes(wanted.try_into().ok()?);
                if self.style == Style::Iptables {
                    self.words.add("-m mark");
                }
                ("--mark", "meta mark", format!("{mark:#x}"))
            }
            _ => return None,
        };
        self.condition(option, word, &value, is_inverted);
        Some(())
    }

    /// An address of the packet, or its beginning.
    fn address(
        &mut self,
        offset: u32,
        length: u32,
        mask: Option<&[u8]>,
        wanted: &[u8],
        is_inverted: bool,
    ) -> Option<()> {
        let (word, width, source, destination, protocol) = match self.family {
            IPV4 => ("ip", 4, 12, 16, 9),
            IPV6 => ("ip6", 16, 8, 24, 6),
            // Which it is was asked before.
            _ if length > 4 => ("ip6", 16, 8, 24, 6),
            _ => ("ip", 4, 12, 16, 9),
        };
        if (offset, length) == (protocol, 1) && mask.is_none() {
            return self.meta(meta::PROTOCOL, wanted, is_inverted);
        }
        let length =
            usize::try_from(length).ok().filter(|&length| length <= width && wanted.len() == length)?;
        let (mut whole, mut whole_mask) = (vec![0; width], vec![0; width]);
        whole[..length].copy_from_slice(wanted);
        match mask {
            Some(mask) => whole_mask.get_mut(..mask.len())?.copy_from_slice(mask),
            None => whole_mask[..length].fill(0xff),
        }
        let (option, which) = match offset {
            offset if offset == source => ("-s", "saddr"),
            offset if offset == destination => ("-d", "daddr"),
            _ => return None,
        };
        let is_one = whole_mask.iter().all(|&byte| byte == 0xff);
        let value = match self.style {
            Style::Nft if is_one => address(&whole)?.to_string(),
            _ => network(&whole, &whole_mask)?,
        };
        self.condition(option, &format!("{word} {which}"), &value, is_inverted);
        Some(())
    }

    fn port(&mut self, offset: u32, ports: &str, is_inverted: bool) -> Option<()> {
        let (option, which) = match offset {
            0 => ("--sport", "sport"),
            2 => ("--dport", "dport"),
            _ => return None,
        };
        let protocol = self.protocol.map_or_else(|| "th".to_owned(), protocol);
        match self.style {
            Style::Iptables => {
                self.words.add(format_args!("-m {protocol}"));
                self.words.add_unless(is_inverted, format_args!("{option} {ports}"));
            }
            Style::Nft => self.condition(option, &format!("{protocol} {which}"), ports, is_inverted),
        }
        Some(())
    }

    fn condition(&mut self, option: &str, word: &str, value: &str, is_inverted: bool) {
        match self.style {
            Style::Iptables => self.words.add_unless(is_inverted, format_args!("{option} {value}")),
            Style::Nft => {
                let not = if is_inverted { "!= " } else { "" };
                self.words.add(format_args!("{word} {not}{value}"));
            }
        }
    }

    /// What the rule does at its end (`NFTA_IMMEDIATE_DATA`, `NFTA_DATA_VERDICT`, `enum nft_verdict_attributes`).
    fn verdict(&mut self, data: &[u8]) -> Option<()> {
        let verdict = content(data, 2).and_then(|data| content(data, 2))?;
        let code = content(verdict, 1).and_then(big_endian)?.cast_signed();
        let chain = || Some(String::from_utf8_lossy(name(Some(content(verdict, 2)?))).into_owned());
        let (plain, jump) = match code {
            0 => ("drop", None),
            1 => ("accept", None),
            -1 => ("continue", None),
            -3 => ("jump", Some(("-j", chain()?))),
            -4 => ("goto", Some(("-g", chain()?))),
            -5 => ("return", None),
            _ => return None,
        };
        match (self.style, jump) {
            (Style::Iptables, Some((option, chain))) => self.words.add(format_args!("{option} {chain}")),
            (Style::Nft, Some((_, chain))) => self.words.add(format_args!("{plain} {chain}")),
            (Style::Iptables, None) => self.words.add(format_args!("-j {}", plain.to_uppercase())),
            (Style::Nft, None) => self.words.add(plain),
        }
        Some(())
    }

    /// `enum nft_match_attributes`, `enum nft_target_attributes`.
    fn extension<'a>(&self, data: &'a [u8]) -> Option<Extension<'a>> {
        Some(Extension {
            family: self.family,
            name: name(content(data, 1)),
            revision: u8::try_from(content(data, 2).and_then(big_endian)?).ok()?,
            data: content(data, 3)?,
        })
    }

    /// So many packets in so many seconds (`enum nft_limit_attributes`), as the `limit` match of iptables.
    fn limit(&mut self, data: &[u8]) -> Option<()> {
        let number = |attribute: u16| Some(u64::from_be_bytes(content(data, attribute)?.try_into().ok()?));
        let is_plain = [4, 5].into_iter().all(|attribute| register(data, attribute).unwrap_or_default() == 0);
        let period = limit_period(number(1)?, number(2)?).filter(|_| is_plain)?;
        self.words.add("-m limit");
        write_limit(period, register(data, 3)?, &mut self.words)
    }

    /// `enum nft_log_attributes`: with a group it is what iptables calls `NFLOG`.
    fn log(&mut self, data: &[u8]) -> Option<()> {
        let short = |attribute: u16| Some(u16::from_be_bytes(content(data, attribute)?.try_into().ok()?));
        let prefix = content(data, 2).map(|prefix| name(Some(prefix))).unwrap_or_default();
        let group = short(1)?;
        self.words.add("-j NFLOG");
        write_nflog(prefix, group, short(4).unwrap_or_default(), &mut self.words);
        register(data, 3).unwrap_or_default().eq(&0).then_some(())
    }

    /// What stands for any end of a name.
    fn any(&self) -> &'static str {
        if self.style == Style::Iptables { "+" } else { "*" }
    }
}

fn register(data: &[u8], attribute: u16) -> Option<u32> {
    content(data, attribute).and_then(big_endian)
}

/// The value in an attribute that holds data (`NFTA_DATA_VALUE`).
fn value(data: &[u8], attribute: u16) -> Option<&[u8]> {
    content(data, attribute).and_then(|data| content(data, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::append_attribute;

    fn nested(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, content) in attributes {
            append_attribute(&mut bytes, *number, content);
        }
        bytes
    }

    fn number(number: u32) -> [u8; 4] {
        number.to_be_bytes()
    }

    fn data(bytes: &[u8]) -> Vec<u8> {
        nested(&[(1, bytes)])
    }

    fn expression(kind: &str, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        nested(&[(EXPRESSION_NAME, format!("{kind}\0").as_bytes()), (EXPRESSION_DATA, &nested(attributes))])
    }

    fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
        let (base, offset, length) = (number(base), number(offset), number(length));
        expression("payload", &[(1, &number(1)), (2, &base), (3, &offset), (4, &length)])
    }

    fn meta(key: u32) -> Vec<u8> {
        expression("meta", &[(1, &number(1)), (2, &number(key))])
    }

    fn compare(operation: u32, wanted: &[u8]) -> Vec<u8> {
        expression("cmp", &[(1, &number(1)), (2, &number(operation)), (3, &data(wanted))])
    }

    fn mask(mask: &[u8]) -> Vec<u8> {
        let none = vec![0; mask.len()];
        expression("bitwise", &[(1, &number(1)), (2, &number(1)), (4, &data(mask)), (5, &data(&none))])
    }

    fn verdict(code: i32, chain: &str) -> Vec<u8> {
        let code = number(code.cast_unsigned());
        let mut verdict = vec![(1, &code[..])];
        let chain = format!("{chain}\0");
        if chain.len() > 1 {
            verdict.push((2, chain.as_bytes()));
        }
        expression("immediate", &[(1, &number(0)), (2, &nested(&[(2, &nested(&verdict))]))])
    }

    fn rule(expressions: &[Vec<u8>], comment: &str) -> Vec<u8> {
        let expressions: Vec<(u16, &[u8])> = expressions.iter().map(|one| (1, one.as_slice())).collect();
        let mut rule = nested(&[(attribute::EXPRESSIONS, &nested(&expressions))]);
        if !comment.is_empty() {
            let mut kept = vec![COMMENT, u8::try_from(comment.len() + 1).unwrap()];
            kept.extend_from_slice(comment.as_bytes());
            kept.push(0);
            append_attribute(&mut rule, attribute::USER_DATA, &kept);
        }
        rule
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn a_rule_of_iptables_is_written_as_it_lists_it_and_another_as_nft_does() {
        let service = rule(
            &[
                payload(1, 16, 4),
                compare(0, &[10, 96, 0, 10]),
                meta(16),
                compare(0, &[6]),
                payload(2, 2, 2),
                compare(0, &80_u16.to_be_bytes()),
                expression("counter", &[]),
                verdict(-3, "KUBE-SVC-X"),
            ],
            "default/web",
        );
        let cases = [
            (
                service,
                "-d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-X -m comment --comment \"default/web\"",
                "ip daddr 10.96.0.10 meta l4proto tcp tcp dport 80 counter jump KUBE-SVC-X comment \"default/web\"",
            ),
            (
                rule(
                    &[
                        payload(1, 12, 4),
                        mask(&[255, 224, 0, 0]),
                        compare(1, &[10, 32, 0, 0]),
                        verdict(0, ""),
                    ],
                    "",
                ),
                "! -s 10.32.0.0/11 -j DROP",
                "ip saddr != 10.32.0.0/11 drop",
            ),
            // A whole number of bytes needs no mask, and a name without its zero any end.
            (
                rule(
                    &[
                        payload(1, 12, 3),
                        compare(0, &[10, 0, 7]),
                        meta(6),
                        compare(0, b"veth"),
                        verdict(-5, ""),
                    ],
                    "",
                ),
                "-s 10.0.7.0/24 -i veth+ -j RETURN",
                "ip saddr 10.0.7.0/24 iifname veth* return",
            ),
            (
                rule(
                    &[
                        meta(16),
                        compare(0, &[6]),
                        payload(2, 13, 1),
                        mask(&[6]),
                        compare(0, &[2]),
                        meta(3),
                        mask(&0x4000_u32.to_ne_bytes()),
                        compare(1, &0x4000_u32.to_ne_bytes()),
                        verdict(0, ""),
                    ],
                    "",
                ),
                "-p tcp -m tcp --tcp-flags SYN,RST SYN -m mark ! --mark 0x4000/0x4000 -j DROP",
                "meta l4proto tcp tcp flags & 0x6 == 0x2 meta mark & 0x4000 != 0x4000 drop",
            ),
            // The ways of iptables come first, wherever they are asked for.
            (
                rule(
                    &[
                        meta(6),
                        compare(0, b"eth0\0"),
                        payload(1, 16, 4),
                        compare(0, &[10, 0, 0, 1]),
                        verdict(1, ""),
                    ],
                    "",
                ),
                "-d 10.0.0.1/32 -i eth0 -j ACCEPT",
                "iifname eth0 ip daddr 10.0.0.1 accept",
            ),
            (
                rule(&[expression("lookup", &[(1, b"x")]), verdict(1, "")], ""),
                "lookup … -j ACCEPT",
                "lookup … accept",
            ),
        ];
        for (rule, iptables, nft) in cases {
            assert_eq!(of(IPV4, b"filter", b"X", &rule), format!("-A X {iptables}"));
            assert_eq!(of(IPV4, b"leak", b"X", &rule), format!("X {nft}"));
        }
    }

    #[test]
    fn extensions_are_written_too() {
        let comment = expression("match", &[(1, b"comment\0"), (2, &number(0)), (3, b"a b\0\0\0")]);
        let mark: Vec<u8> = [0x4000_u32, 0x4000].iter().flat_map(|part| part.to_ne_bytes()).collect();
        let target = expression("target", &[(1, b"MARK\0"), (2, &number(2)), (3, &mark)]);
        let rule = rule(&[comment, target], "");
        assert_eq!(
            of(IPV6, b"nat", b"X", &rule),
            "-A X -m comment --comment \"a b\" -j MARK --set-xmark 0x4000/0x4000"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in prop::sample::select(vec!["meta", "payload", "bitwise", "cmp", "range", "immediate", "match", "target"]),
            family in any::<u8>(),
        ) {
            of(family, b"filter", b"X", &bytes);
            let one = nested(&[(EXPRESSION_NAME, kind.as_bytes()), (EXPRESSION_DATA, &bytes)]);
            of(family, b"filter", b"X", &rule(&[payload(1, 12, 4), one.clone(), meta(6), one], ""));
        }
    }
}
