//! What a rule does with packets.

use super::{
    super::writing::{MORE, Words, address, quoted},
    Extension, masked_always, until_zero,
};

/// `NFPROTO_IPV6`.
const IPV6: u8 = 10;

/// Length of `struct nf_nat_ipv4_multi_range_compat`.
const IPV4_RANGE_BYTES: usize = 20;

/// What a `REJECT` answers (`enum ipt_reject_with`, `enum ip6t_reject_with`), by its number.
const REJECTED: [&str; 9] = [
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "tcp-reset",
    "icmp-admin-prohibited",
];
const REJECTED_IPV6: [&str; 9] = [
    "icmp6-no-route",
    "icmp6-adm-prohibited",
    "",
    "icmp6-addr-unreachable",
    "icmp6-port-unreachable",
    "",
    "tcp-reset",
    "icmp6-policy-fail",
    "icmp6-reject-route",
];

/// Bits of `NF_NAT_RANGE_*`.
mod range {
    pub(super) const ADDRESSES: u32 = 1;
    pub(super) const PORTS: u32 = 2;
    pub(super) const RANDOM: u32 = 4;
    pub(super) const PERSISTENT: u32 = 8;
    pub(super) const RANDOM_FULLY: u32 = 16;
}

/// Flags, the first and the last address, ports.
type Translation<'a> = (u32, &'a [u8], &'a [u8], &'a [u8]);

impl Extension<'_> {
    /// Writes it as a target.
    pub(in super::super) fn write_target(&self, words: &mut Words) {
        /// `XT_CT_NOTRACK` and the mark that it was written as `NOTRACK`.
        const WITHOUT_TRACKING: u16 = 1 | 2;
        if self.name == b"CT" && self.u16_at(0) == Some(WITHOUT_TRACKING) {
            words.add("-j NOTRACK");
            return;
        }
        words.add(format_args!("-j {}", String::from_utf8_lossy(self.name)));
        if self.options_of_target(words).is_none() {
            words.add(MORE);
        }
    }

    fn options_of_target(&self, words: &mut Words) -> Option<()> {
        match (self.name, self.revision) {
            (b"MARK", 2) => {
                words.add(format_args!("--set-xmark {}", masked_always(self.u32_at(0)?, self.u32_at(4)?)));
            }
            (b"CONNMARK", 1 | 2) => self.connection_mark(words)?,
            (b"DNAT" | b"SNAT", _) => {
                let (flags, first, last, ports) = self.translation()?;
                let option = if self.name == b"DNAT" { "--to-destination" } else { "--to-source" };
                let place = place(flags, first, last, ports)?;
                words.add(format_args!("{option} {place}"));
                write_ways(flags, words)?;
            }
            (b"MASQUERADE" | b"REDIRECT", 0) => {
                let (flags, _, _, ports) = self.translation()?;
                if flags & range::PORTS != 0 {
                    words.add(format_args!("--to-ports {}", port_range(ports)?));
                }
                write_ways(flags & !range::ADDRESSES, words)?;
            }
            (b"REJECT", 0) => {
                let names = if self.family == IPV6 { REJECTED_IPV6 } else { REJECTED };
                let number = usize::try_from(self.u32_at(0)?).ok()?;
                let name = names.get(number).filter(|name| !name.is_empty())?;
                words.add(format_args!("--reject-with {name}"));
            }
            (b"TCPMSS", 0) => match self.u16_at(0)? {
                u16::MAX => words.add("--clamp-mss-to-pmtu"),
                size => words.add(format_args!("--set-mss {size}")),
            },
            (b"LOG", 0) => self.log(words)?,
            (b"NFLOG", 0) => {
                let (length, group, threshold) = (self.u32_at(0)?, self.u16_at(4)?, self.u16_at(6)?);
                write_nflog(until_zero(self.data.get(12..76)?), group, threshold, words);
                (length == 0).then_some(())?;
            }
            (b"CT", _) => {
                let is_plain = self.u16_at(0)? == 1 && self.data.get(2..)?.iter().all(|&byte| byte == 0);
                is_plain.then(|| words.add("--notrack"))?;
            }
            _ => return self.data.is_empty().then_some(()),
        }
        Some(())
    }

    /// Flags, the first and the last address, and the ports of a translation.
    fn translation(&self) -> Option<Translation<'_>> {
        // `struct nf_nat_ipv4_multi_range_compat`: how many ranges, then one of IPv4.
        if self.revision == 0 && self.family != IPV6 && (IPV4_RANGE_BYTES..40).contains(&self.data.len()) {
            let range = self.data.get(8..20)?;
            return Some((self.u32_at(4)?, &range[..4], &range[4..8], &range[8..12]));
        }
        // `struct nf_nat_range`, and `nf_nat_range2` with more behind it.
        let range = self.data.get(4..40)?;
        let length = if self.family == IPV6 { 16 } else { 4 };
        Some((self.u32_at(0)?, &range[..length], &range[16..16 + length], &range[32..36]))
    }

    /// `struct xt_connmark_tginfo1`, and `xt_connmark_tginfo2` with a shift before the mode.
    fn connection_mark(&self, words: &mut Words) -> Option<()> {
        let (mark, connection_mask, packet_mask) = (self.u32_at(0)?, self.u32_at(4)?, self.u32_at(8)?);
        let masks = format!("--nfmask {packet_mask:#x} --ctmask {connection_mask:#x}");
        let ((1, &[mode, ..]) | (_, &[_, 0, mode])) = (self.revision, self.data.get(12..15)?) else {
            return None;
        };
        words.add(match mode {
            0 => format!("--set-xmark {}", masked_always(mark, connection_mask)),
            1 => format!("--save-mark {masks}"),
            2 => format!("--restore-mark {masks}"),
            _ => return None,
        });
        Some(())
    }

    /// `struct xt_log_info`: level, flags, prefix.
    fn log(&self, words: &mut Words) -> Option<()> {
        const USUAL_LEVEL: u8 = 4;
        const FLAGS: [(u8, &str); 5] = [
            (1, "--log-tcp-sequence"),
            (2, "--log-tcp-options"),
            (4, "--log-ip-options"),
            (8, "--log-uid"),
            (32, "--log-macdecode"),
        ];
        let (level, flags) = (self.u8_at(0)?, self.u8_at(1)?);
        let prefix = until_zero(self.data.get(2..32)?);
        if !prefix.is_empty() {
            words.add(format_args!("--log-prefix {}", quoted(prefix)));
        }
        if level != USUAL_LEVEL {
            words.add(format_args!("--log-level {level}"));
        }
        for (_, option) in FLAGS.iter().filter(|(bit, _)| flags & bit != 0) {
            words.add(option);
        }
        Some(())
    }
}

/// Where a translation leads: addresses, ports, or both.
fn place(flags: u32, first: &[u8], last: &[u8], ports: &[u8]) -> Option<String> {
    let (from, to) = (address(first)?, address(last)?);
    let with_ports = flags & range::PORTS != 0;
    let mut place = String::new();
    if flags & range::ADDRESSES != 0 {
        place = if to == from { from.to_string() } else { format!("{from}-{to}") };
        if from.is_ipv6() && with_ports {
            place = format!("[{place}]");
        }
    }
    if with_ports {
        place = format!("{place}:{}", port_range(ports)?);
    }
    Some(place)
}

fn port_range(ports: &[u8]) -> Option<String> {
    let port = |at: usize| Some(u16::from_be_bytes(*ports.get(at..)?.first_chunk()?));
    let (from, to) = (port(0)?, port(2)?);
    Some(if to == from { from.to_string() } else { format!("{from}-{to}") })
}

/// Writes how a translation chooses; `None` if it does in a way not known.
pub(in super::super) fn write_ways(flags: u32, words: &mut Words) -> Option<()> {
    const WAYS: [(u32, &str); 3] = [
        (range::RANDOM, "--random"),
        (range::RANDOM_FULLY, "--random-fully"),
        (range::PERSISTENT, "--persistent"),
    ];
    for (_, option) in WAYS.iter().filter(|(bit, _)| flags & bit != 0) {
        words.add(option);
    }
    let known = range::ADDRESSES | range::PORTS | range::RANDOM | range::PERSISTENT | range::RANDOM_FULLY;
    (flags & !known == 0).then_some(())
}

/// Writes the options of `NFLOG`.
pub(in super::super) fn write_nflog(prefix: &[u8], group: u16, threshold: u16, words: &mut Words) {
    if !prefix.is_empty() {
        words.add(format_args!("--nflog-prefix {}", quoted(prefix)));
    }
    if group != 0 {
        words.add(format_args!("--nflog-group {group}"));
    }
    // Without one the kernel takes 1, which iptables does not print.
    if threshold > 1 {
        words.add(format_args!("--nflog-threshold {threshold}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::writing::Style, *};

    fn written(family: u8, name: &[u8], revision: u8, data: &[u8]) -> String {
        let mut words = Words::new(Style::Iptables, b"X");
        Extension { family, name, revision, data }.write_target(&mut words);
        words.finish()
    }

    /// Family, name, revision, bytes, and what `iptables-save` writes.
    type Row<'a> = (u8, &'a [u8], u8, Vec<u8>, &'a str);

    #[test]
    fn what_iptables_save_prints_is_written() {
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|one| one.to_ne_bytes()).collect::<Vec<u8>>();
        let ipv4_range =
            |flags: u32, port: u16| [numbers(&[1, flags]), vec![0; 8], port.to_be_bytes().repeat(2)].concat();
        let mut nflog = vec![0; 80];
        nflog[4..6].copy_from_slice(&100_u16.to_ne_bytes());
        let mut log = vec![0; 32];
        log[0] = 4;
        log[2..5].copy_from_slice(b"x: ");
        let mut untracked = vec![0; 72];
        untracked[0] = 1;
        let alias = [&[3][..], &untracked[1..]].concat();
        let cases: [Row<'_>; 14] = [
            (2, b"REJECT", 0, numbers(&[3]), "-j REJECT --reject-with icmp-port-unreachable"),
            (IPV6, b"REJECT", 0, numbers(&[4]), "-j REJECT --reject-with icmp6-port-unreachable"),
            (2, b"REJECT", 0, numbers(&[4]), "-j REJECT …"),
            (2, b"MASQUERADE", 0, ipv4_range(16, 0), "-j MASQUERADE --random-fully"),
            (2, b"MASQUERADE", 0, ipv4_range(0, 0), "-j MASQUERADE"),
            (2, b"REDIRECT", 0, ipv4_range(2, 8_081), "-j REDIRECT --to-ports 8081"),
            (2, b"TCPMSS", 0, vec![0xff, 0xff], "-j TCPMSS --clamp-mss-to-pmtu"),
            (
                2,
                b"CONNMARK",
                1,
                [numbers(&[0, u32::MAX, u32::MAX]), vec![2, 0, 0, 0]].concat(),
                "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            ),
            (
                2,
                b"CONNMARK",
                2,
                [numbers(&[0, u32::MAX, u32::MAX]), vec![0, 0, 1, 0]].concat(),
                "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            ),
            (2, b"LOG", 0, log, "-j LOG --log-prefix \"x: \""),
            (2, b"NFLOG", 0, nflog, "-j NFLOG --nflog-group 100"),
            (2, b"CT", 2, untracked, "-j CT --notrack"),
            (2, b"CT", 2, alias, "-j NOTRACK"),
            (2, b"DNAT", 0, ipv4_range(2 | 4, 53), "-j DNAT --to-destination :53 --random"),
        ];
        for (family, name, revision, data, expected) in cases {
            assert_eq!(written(family, name, revision, &data), format!("-A X {expected}"));
        }
    }
}
