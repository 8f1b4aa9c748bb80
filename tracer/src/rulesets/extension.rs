//! The matches and targets of `x_tables` that rules of services are made of, in iptables' words. Both halves of the
//! kernel have them: as part of a table's copy, and as `match` and `target` expressions of nftables
//! (`net/netfilter/nft_compat.c`). Their data is part of the kernel's stable interface (`include/uapi/linux/netfilter`).

mod matches;
mod targets;

pub(super) use self::{
    matches::{limit_period, write_limit},
    targets::{write_nflog, write_ways},
};
use super::writing::{Words, ports};

/// A match or target, as the kernel holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension<'a> {
    /// An `NFPROTO_*` number: some say other things for IPv6.
    pub(super) family: u8,
    pub(super) name: &'a [u8],
    pub(super) revision: u8,
    pub(super) data: &'a [u8],
}

impl Extension<'_> {
    /// `struct xt_tcp`: ranges of source and destination ports, an option, flags looked at and wanted, what is inverted.
    fn tcp(&self, words: &mut Words) -> Option<()> {
        const FLAGS_INVERTED: u8 = 4;
        let [option, looked_at, wanted, inverted] = *self.data.get(8..)?.first_chunk()?;
        self.port_options(inverted, words)?;
        if looked_at != 0 {
            let flags = format!("--tcp-flags {} {}", tcp_flags(looked_at), tcp_flags(wanted));
            words.add_unless(inverted & FLAGS_INVERTED != 0, flags);
        }
        (option == 0).then_some(())
    }

    fn port_options(&self, inverted: u8, words: &mut Words) -> Option<()> {
        for (at, option, bit) in [(0, "--sport", 1), (4, "--dport", 2)] {
            if let Some(ports) = ports(self.u16_at(at)?, self.u16_at(at + 2)?) {
                words.add_unless(inverted & bit != 0, format_args!("{option} {ports}"));
            }
        }
        Some(())
    }

    fn u8_at(&self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        Some(u16::from_ne_bytes(*self.data.get(at..)?.first_chunk()?))
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.data.get(at..)?.first_chunk()?))
    }
}

/// A number and which of its bits count; without these where all do.
fn masked(wanted: u32, mask: u32) -> String {
    if mask == u32::MAX { format!("{wanted:#x}") } else { masked_always(wanted, mask) }
}

fn masked_always(wanted: u32, mask: u32) -> String {
    format!("{wanted:#x}/{mask:#x}")
}

/// The names of the flags of a TCP header.
pub(super) fn tcp_flags(bits: u8) -> String {
    const FLAGS: [&str; 6] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
    let set = FLAGS.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
}

/// What is before the first zero.
pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::writing::Style, *};

    fn written(name: &[u8], revision: u8, data: &[u8]) -> String {
        let mut words = Words::new(Style::Iptables, b"X");
        Extension { family: 2, name, revision, data }.write_match(&mut words);
        words.finish()
    }

    fn target(family: u8, name: &[u8], revision: u8, data: &[u8]) -> String {
        let mut words = Words::new(Style::Iptables, b"X");
        Extension { family, name, revision, data }.write_target(&mut words);
        words.finish()
    }

    fn of_u16(numbers: &[u16], rest: &[u8]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).chain(rest.iter().copied()).collect()
    }

    fn of_u32(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    #[test]
    fn matches_are_written_as_iptables_does() {
        let mut conntrack = vec![0; 160];
        conntrack[146..148].copy_from_slice(&1_u16.to_ne_bytes());
        conntrack[150..152].copy_from_slice(&6_u16.to_ne_bytes());
        let cases: [(&[u8], u8, Vec<u8>, &str); 9] = [
            (b"comment", 0, b"default/web:http\0\0".to_vec(), "-m comment --comment \"default/web:http\""),
            (b"tcp", 0, of_u16(&[0, u16::MAX, 80, 80], &[0, 0, 0, 0]), "-m tcp --dport 80"),
            (
                b"tcp",
                0,
                of_u16(&[1, 2, 0, u16::MAX], &[0, 0b1_0111, 0b10, 5]),
                "-m tcp ! --sport 1:2 ! --tcp-flags FIN,SYN,RST,ACK SYN",
            ),
            (b"udp", 0, of_u16(&[0, u16::MAX, 53, 53], &[2]), "-m udp ! --dport 53"),
            (b"mark", 1, [of_u32(&[0x4000, 0x4000]), vec![0]].concat(), "-m mark --mark 0x4000/0x4000"),
            (b"conntrack", 3, conntrack, "-m conntrack --ctstate RELATED,ESTABLISHED"),
            (b"addrtype", 1, [of_u16(&[0, 4], &[]), of_u32(&[0])].concat(), "-m addrtype --dst-type LOCAL"),
            (b"set", 4, vec![1; 24], "-m set …"),
            (b"tcp", 0, vec![1], "-m tcp …"),
        ];
        for (name, revision, data, expected) in cases {
            assert_eq!(written(name, revision, &data), format!("-A X {expected}"));
        }
    }

    /// Family, name, revision, bytes, and what `iptables-save` writes.
    type Row<'a> = (u8, &'a [u8], u8, Vec<u8>, &'a str);

    #[test]
    fn targets_are_written_as_iptables_does() {
        let range = |address: &[u8], flags: u32| {
            let mut data = vec![0; 40];
            data[..4].copy_from_slice(&flags.to_ne_bytes());
            data[4..4 + address.len()].copy_from_slice(address);
            data[20..20 + address.len()].copy_from_slice(address);
            data[36..40].copy_from_slice(&[0x1f, 0x90, 0x1f, 0x90]);
            data
        };
        let v6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let compat = [of_u32(&[1, 3]), vec![10, 2, 1, 2, 10, 2, 1, 2], vec![0x1f, 0x90, 0x1f, 0x90]].concat();
        let cases: [Row<'_>; 8] = [
            (2, b"DNAT", 0, compat, "-j DNAT --to-destination 10.2.1.2:8080"),
            (2, b"DNAT", 2, range(&[10, 2, 1, 2], 3), "-j DNAT --to-destination 10.2.1.2:8080"),
            (10, b"DNAT", 2, range(&v6, 3), "-j DNAT --to-destination [fd00::1]:8080"),
            (2, b"SNAT", 1, range(&[10, 2, 1, 2], 1), "-j SNAT --to-source 10.2.1.2"),
            (
                2,
                b"DNAT",
                2,
                range(&[10, 2, 1, 2], 3 | 16),
                "-j DNAT --to-destination 10.2.1.2:8080 --random-fully",
            ),
            (2, b"MARK", 2, of_u32(&[0x4000, 0x4000]), "-j MARK --set-xmark 0x4000/0x4000"),
            (2, b"MASQUERADE", 0, of_u32(&[1, 0, 0, 0, 0]), "-j MASQUERADE"),
            (2, b"REJECT", 0, of_u32(&[3]), "-j REJECT --reject-with icmp-port-unreachable"),
        ];
        for (family, name, revision, data, expected) in cases {
            assert_eq!(target(family, name, revision, &data), format!("-A X {expected}"));
        }
    }

    proptest! {
        #[test]
        fn no_data_makes_it_fail(
            name in prop::sample::select(vec![
                "comment", "tcp", "udp", "mark", "state", "conntrack", "addrtype", "multiport", "icmp", "limit",
                "statistic", "physdev", "MARK", "CONNMARK", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "REJECT", "TCPMSS",
                "LOG", "NFLOG", "CT",
            ]),
            family in prop::sample::select(vec![2_u8, 10]),
            revision in 0_u8..4,
            data in proptest::collection::vec(any::<u8>(), 0..170),
        ) {
            written(name.as_bytes(), revision, &data);
            target(family, name.as_bytes(), revision, &data);
        }
    }
}
