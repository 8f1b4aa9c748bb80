//! What a rule asks of packets.

use super::{
    super::writing::{MORE, Words, quoted},
    Extension, masked, until_zero,
};

/// Units of a limit, the longest first, in ten-thousandths of a second (`XT_LIMIT_SCALE`).
const RATES: [(u32, &str); 4] =
    [(864_000_000, "day"), (36_000_000, "hour"), (600_000, "min"), (LIMIT_SCALE, "sec")];
const LIMIT_SCALE: u32 = 10_000;

/// Packets at once that a limit allows where nothing is said (`XT_LIMIT_BURST`).
const USUAL_BURST: u32 = 5;

impl Extension<'_> {
    /// Writes it as a match.
    pub(in super::super) fn write_match(&self, words: &mut Words) {
        words.add(format_args!("-m {}", self.match_name()));
        if self.options_of_match(words).is_none() {
            words.add(MORE);
        }
    }

    /// The name it was asked for by.
    fn match_name(&self) -> String {
        /// `XT_CONNTRACK_STATE_ALIAS`: what is `conntrack` was written as `state`.
        const STATE_ALIAS: u16 = 1 << 13;
        let is_alias =
            self.name == b"conntrack" && self.u16_at(146).is_some_and(|asked| asked & STATE_ALIAS != 0);
        if is_alias { "state".to_owned() } else { String::from_utf8_lossy(self.name).into_owned() }
    }

    fn options_of_match(&self, words: &mut Words) -> Option<()> {
        match (self.name, self.revision) {
            (b"comment", _) => words.add(format_args!("--comment {}", quoted(until_zero(self.data)))),
            (b"tcp", 0) => self.tcp(words)?,
            (b"udp", 0) => self.port_options(self.u8_at(8)?, words)?,
            (b"mark" | b"connmark", 1) => {
                let (wanted, mask) = (self.u32_at(0)?, self.u32_at(4)?);
                words.add_unless(self.u8_at(8)? != 0, format_args!("--mark {}", masked(wanted, mask)));
            }
            (b"state", 0) => words.add(format_args!("--state {}", states(self.u32_at(0)?, &STATE)?)),
            (b"conntrack", 2 | 3) => self.conntrack(words)?,
            (b"addrtype", 1) => self.address_types(words)?,
            (b"multiport", 1) => self.multiport(words)?,
            (b"icmp" | b"icmp6", 0) => self.icmp(words)?,
            (b"limit", 0) => write_limit(self.u32_at(0)?, self.u32_at(4)?, words)?,
            (b"statistic", 0) => self.statistic(words)?,
            (b"physdev", 0) => {
                /// `XT_PHYSDEV_OP_BRIDGED`, and no device is named.
                const BRIDGED: u8 = 4;
                let (inverted, asked) = (self.u8_at(64)?, self.u8_at(65)?);
                (asked == BRIDGED)
                    .then(|| words.add_unless(inverted & BRIDGED != 0, "--physdev-is-bridged"))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// `struct xt_conntrack_mtinfo3`, where only the state is asked for (`XT_CONNTRACK_STATE`).
    fn conntrack(&self, words: &mut Words) -> Option<()> {
        const ASKED: u16 = 1;
        const ALIAS: u16 = 1 << 13;
        let (asked, inverted) = (self.u16_at(146)?, self.u16_at(148)?);
        let states = states(u32::from(self.u16_at(150)?), &CONNTRACK).filter(|_| asked & !ALIAS == ASKED)?;
        let option = if asked & ALIAS == 0 { "--ctstate" } else { "--state" };
        words.add_unless(inverted & ASKED != 0, format_args!("{option} {states}"));
        Some(())
    }

    /// `struct xt_addrtype_info_v1`, where only local addresses are asked for, of any device.
    fn address_types(&self, words: &mut Words) -> Option<()> {
        /// `XT_ADDRTYPE_LOCAL`.
        const LOCAL: u16 = 1 << 2;
        /// `XT_ADDRTYPE_INVERT_SOURCE`, `XT_ADDRTYPE_INVERT_DEST`.
        const INVERTED: [u32; 2] = [1, 2];
        let flags = self.u32_at(4).filter(|flags| flags & !(INVERTED[0] | INVERTED[1]) == 0)?;
        for ((at, option), inverted) in [(0, "--src-type"), (2, "--dst-type")].into_iter().zip(INVERTED) {
            match self.u16_at(at)? {
                0 => {}
                LOCAL => words.add_unless(flags & inverted != 0, format_args!("{option} LOCAL")),
                _ => return None,
            }
        }
        Some(())
    }

    /// `struct xt_multiport_v1`: which ports, how many, the ports, which of them begin a range, whether it is inverted.
    fn multiport(&self, words: &mut Words) -> Option<()> {
        const PORTS: usize = 2;
        const BEGINS_RANGE: usize = 32;
        let option = *["--sports", "--dports", "--ports"].get(usize::from(self.u8_at(0)?))?;
        let mut text = String::new();
        let mut separator = "";
        for place in 0..usize::from(self.u8_at(1)?).min(15) {
            text = format!("{text}{separator}{}", self.u16_at(PORTS + 2 * place)?);
            separator = if self.u8_at(BEGINS_RANGE + place)? != 0 { ":" } else { "," };
        }
        words.add_unless(self.u8_at(47)? != 0, format_args!("{option} {text}"));
        Some(())
    }

    /// `struct ipt_icmp`, `struct ip6t_icmp`: the type, the first and the last code, whether it is inverted.
    fn icmp(&self, words: &mut Words) -> Option<()> {
        const ANY: u8 = 0xff;
        let [kind, first, last, inverted] = *self.data.first_chunk()?;
        let option = if self.name == b"icmp6" { "--icmpv6-type" } else { "--icmp-type" };
        let code = if (first, last) == (0, ANY) { String::new() } else { format!("/{first}") };
        let is_any = kind == ANY && self.name == b"icmp";
        (!is_any).then(|| words.add_unless(inverted & 1 != 0, format_args!("{option} {kind}{code}")))
    }

    /// `struct xt_statistic_info`: by chance, as a share of 2^31, or each so many.
    fn statistic(&self, words: &mut Words) -> Option<()> {
        let (mode, is_inverted) = (self.u16_at(0)?, self.u16_at(2)? & 1 != 0);
        match mode {
            0 => {
                let share = f64::from(self.u32_at(4)?) / f64::from(1_u32 << 31);
                words.add("--mode random");
                words.add_unless(is_inverted, format_args!("--probability {share:.11}"));
            }
            1 => {
                let (every, packet) = (u64::from(self.u32_at(4)?) + 1, self.u32_at(8)?);
                words.add("--mode nth");
                words.add_unless(is_inverted, format_args!("--every {every} --packet {packet}"));
            }
            _ => return None,
        }
        Some(())
    }
}

/// Writes a limit: ten-thousandths of a second for each packet, and how many at once.
pub(in super::super) fn write_limit(period: u32, burst: u32, words: &mut Words) -> Option<()> {
    // The shortest unit in which it is at least one, as long as that loses nothing.
    let mut told = RATES[0];
    for rate in &RATES[1..] {
        if period == 0 || period > rate.0 || rate.0 / period < rate.0 % period {
            break;
        }
        told = *rate;
    }
    words.add(format_args!("--limit {}/{}", told.0.checked_div(period)?, told.1));
    if burst != USUAL_BURST {
        words.add(format_args!("--limit-burst {burst}"));
    }
    Some(())
}

/// The period of a limit of so many packets in so many seconds.
pub(in super::super) fn limit_period(packets: u64, seconds: u64) -> Option<u32> {
    u32::try_from(u64::from(LIMIT_SCALE).checked_mul(seconds)?.checked_div(packets)?).ok()
}

/// Bits of states and their names, in the order of iptables.
type States = [(u32, &'static str)];

/// `XT_STATE_BIT` and its siblings.
const STATE: [(u32, &str); 5] =
    [(1, "INVALID"), (1 << 3, "NEW"), (1 << 2, "RELATED"), (1 << 1, "ESTABLISHED"), (1 << 6, "UNTRACKED")];

/// `XT_CONNTRACK_STATE_BIT` and its siblings.
const CONNTRACK: [(u32, &str); 7] = [
    (1, "INVALID"),
    (1 << 3, "NEW"),
    (1 << 2, "RELATED"),
    (1 << 1, "ESTABLISHED"),
    (1 << 8, "UNTRACKED"),
    (1 << 6, "SNAT"),
    (1 << 7, "DNAT"),
];

/// The states by their names; `None` if there is another.
fn states(bits: u32, all: &States) -> Option<String> {
    let known = all.iter().fold(0, |known, (bit, _)| known | bit);
    let names: Vec<&str> = all.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    (bits & !known == 0 && bits != 0).then(|| names.join(","))
}

#[cfg(test)]
mod tests {
    use super::{super::super::writing::Style, *};

    fn written(name: &[u8], revision: u8, data: &[u8]) -> String {
        let mut words = Words::new(Style::Iptables, b"X");
        Extension { family: 2, name, revision, data }.write_match(&mut words);
        words.finish()
    }

    fn conntrack(asked: u16, inverted: u16, states: u16) -> Vec<u8> {
        let mut data = vec![0; 160];
        for (at, number) in [(146, asked), (148, inverted), (150, states)] {
            data[at..at + 2].copy_from_slice(&number.to_ne_bytes());
        }
        data
    }

    #[test]
    fn what_iptables_save_prints_is_written() {
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|one| one.to_ne_bytes()).collect::<Vec<u8>>();
        let mut ports = vec![0; 48];
        ports[..2].copy_from_slice(&[1, 3]);
        for (place, port) in [80_u16, 8_000, 8_010].iter().enumerate() {
            ports[2 + 2 * place..][..2].copy_from_slice(&port.to_ne_bytes());
        }
        ports[33] = 1;
        let mut physical = vec![0; 72];
        physical[65] = 4;
        let chance = [&[0; 4][..], &715_827_883_u32.to_ne_bytes()].concat();
        let cases: [(&[u8], u8, Vec<u8>, &str); 12] = [
            (b"multiport", 1, ports, "-m multiport --dports 80,8000:8010"),
            (b"icmp", 0, vec![8, 0, 0xff, 0], "-m icmp --icmp-type 8"),
            (b"icmp", 0, vec![3, 4, 4, 1], "-m icmp ! --icmp-type 3/4"),
            (b"icmp6", 0, vec![128, 0, 0xff, 0], "-m icmp6 --icmpv6-type 128"),
            (b"limit", 0, numbers(&[2_000, 5]), "-m limit --limit 5/sec"),
            (b"limit", 0, numbers(&[60_000, 10]), "-m limit --limit 10/min --limit-burst 10"),
            (b"statistic", 0, chance, "-m statistic --mode random --probability 0.33333333349"),
            (b"physdev", 0, physical, "-m physdev --physdev-is-bridged"),
            (b"conntrack", 3, conntrack(1 | 1 << 13, 0, 8), "-m state --state NEW"),
            (b"conntrack", 3, conntrack(1, 1, 0x86), "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT"),
            (b"connmark", 1, [numbers(&[1, u32::MAX]), vec![0]].concat(), "-m connmark --mark 0x1"),
            (
                b"addrtype",
                1,
                [vec![4, 0, 4, 0], numbers(&[1])].concat(),
                "-m addrtype ! --src-type LOCAL --dst-type LOCAL",
            ),
        ];
        for (name, revision, data, expected) in cases {
            assert_eq!(written(name, revision, &data), format!("-A X {expected}"));
        }
    }

    #[test]
    fn a_limit_of_nftables_has_the_same_words() {
        for (packets, seconds, expected) in
            [(5, 1, "5/sec"), (10, 60, "10/min"), (1, 3_600, "1/hour"), (3, 86_400, "3/day")]
        {
            let mut words = Words::new(Style::Iptables, b"X");
            limit_period(packets, seconds)
                .and_then(|period| write_limit(period, 5, &mut words))
                .expect("a rate");
            assert_eq!(words.finish(), format!("-A X --limit {expected}"));
        }
        assert_eq!(limit_period(0, 1), None);
    }
}
