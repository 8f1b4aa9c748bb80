//! An entry of a table as `iptables-save` writes it.

use super::{
    super::{
        extension::{Extension, until_zero},
        writing::{MORE, Style, Words, network, protocol},
    },
    layout::{EXTENSION_HEAD_BYTES, EXTENSION_NAME, Kind, u16_at, u32_at},
};

/// Where the revision stands in the head of a match or target.
const EXTENSION_REVISION: usize = 31;

/// Bits of what is inverted (`IPT_INV_VIA_IN` and its siblings, the same for IPv6).
mod inverted {
    pub(super) const DEVICE_IN: u8 = 1;
    pub(super) const DEVICE_OUT: u8 = 2;
    pub(super) const TYPE_OF_SERVICE: u8 = 4;
    pub(super) const SOURCE: u8 = 8;
    pub(super) const DESTINATION: u8 = 16;
    pub(super) const FRAGMENT: u8 = 32;
    pub(super) const PROTOCOL: u8 = 64;
}

/// What a rule does at its end (`NF_ACCEPT` and its siblings as `-verdict - 1`).
const VERDICTS: [(i32, &str); 4] = [(-1, "DROP"), (-2, "ACCEPT"), (-4, "QUEUE"), (-5, "RETURN")];

/// Where what an entry asks of a packet stands: `struct ipt_ip`, `struct ip6t_ip6`.
struct Places {
    address_bytes: usize,
    devices: usize,
    /// Protocol, as a number of two bytes.
    protocol: usize,
    flags: usize,
    inverted: usize,
    /// The flag that makes a jump a `-g`.
    goto: u8,
    /// Flags that are told by other words, or by none.
    known_flags: u8,
}

const IPV4: Places =
    Places { address_bytes: 4, devices: 16, protocol: 80, flags: 82, inverted: 83, goto: 2, known_flags: 2 };

/// With the flag that there is a protocol (`IP6T_F_PROTO`).
const IPV6: Places = Places {
    address_bytes: 16,
    devices: 64,
    protocol: 128,
    flags: 131,
    inverted: 132,
    goto: 4,
    known_flags: 5,
};

/// Length of a device's name (`IFNAMSIZ`).
const DEVICE_BYTES: usize = 16;

/// The text of a rule of a chain; `chain_at` tells which chain begins at an offset of the table. `None` for ARP, or what
/// is no entry.
pub(super) fn of<'a>(
    kind: &Kind,
    chain: &[u8],
    entry: &[u8],
    chain_at: impl Fn(usize) -> Option<&'a [u8]>,
) -> Option<String> {
    let places = match kind.family {
        2 => &IPV4,
        10 => &IPV6,
        _ => return None,
    };
    let mut words = Words::new(Style::Iptables, chain);
    places.write(entry, &mut words)?;
    let target_at = usize::from(u16_at(entry, kind.target_offset_at)?);
    let mut matches = entry.get(kind.entry_bytes..target_at)?;
    while let Some(length) =
        u16_at(matches, 0).map(usize::from).filter(|&length| length >= EXTENSION_HEAD_BYTES)
    {
        extension(kind.family, matches.get(..length)?)?.write_match(&mut words);
        matches = &matches[length..];
    }
    let target = extension(kind.family, entry.get(target_at..)?)?;
    if !target.name.is_empty() {
        target.write_target(&mut words);
        return Some(words.finish());
    }
    let verdict = u32_at(target.data, 0)?.cast_signed();
    if let Some((_, name)) = VERDICTS.iter().find(|(number, _)| *number == verdict) {
        words.add(format_args!("-j {name}"));
    } else if let Some(chain) = usize::try_from(verdict).ok().and_then(&chain_at) {
        let jump = if entry.get(places.flags)? & places.goto != 0 { "-g" } else { "-j" };
        words.add(format_args!("{jump} {}", String::from_utf8_lossy(chain)));
    }
    Some(words.finish())
}

fn extension(family: u8, bytes: &[u8]) -> Option<Extension<'_>> {
    Some(Extension {
        family,
        name: until_zero(bytes.get(EXTENSION_NAME)?),
        revision: *bytes.get(EXTENSION_REVISION)?,
        data: bytes.get(EXTENSION_HEAD_BYTES..)?,
    })
}

impl Places {
    /// Writes addresses, devices and the protocol.
    fn write(&self, entry: &[u8], words: &mut Words) -> Option<()> {
        let flags = *entry.get(self.flags)?;
        let inverted = *entry.get(self.inverted)?;
        let bytes = |at: usize, length: usize| entry.get(at..at + length);
        let length = self.address_bytes;
        for (option, place, bit) in [("-s", 0, inverted::SOURCE), ("-d", 1, inverted::DESTINATION)] {
            let (address, mask) = (bytes(place * length, length)?, bytes((place + 2) * length, length)?);
            if mask.iter().any(|&byte| byte != 0) || inverted & bit != 0 {
                words.add_unless(inverted & bit != 0, format_args!("{option} {}", network(address, mask)?));
            }
        }
        for (option, place, bit) in [("-i", 0, inverted::DEVICE_IN), ("-o", 1, inverted::DEVICE_OUT)] {
            let name = bytes(self.devices + place * DEVICE_BYTES, DEVICE_BYTES)?;
            let mask = bytes(self.devices + (place + 2) * DEVICE_BYTES, DEVICE_BYTES)?;
            let name = until_zero(name);
            if !name.is_empty() {
                // The zero behind the name is compared too, unless any end will do.
                let is_any = mask.get(name.len()) == Some(&0) && !name.ends_with(b"+");
                let any = if is_any { "+" } else { "" };
                let device = format!("{option} {}{any}", String::from_utf8_lossy(name));
                words.add_unless(inverted & bit != 0, device);
            }
        }
        let number = u16_at(entry, self.protocol)?;
        if let Some(number) = u8::try_from(number).ok().filter(|&number| number != 0) {
            let option = format!("-p {}", protocol(number));
            words.add_unless(inverted & inverted::PROTOCOL != 0, option);
        }
        if flags & !self.known_flags != 0 || inverted & (inverted::FRAGMENT | inverted::TYPE_OF_SERVICE) != 0
        {
            words.add(MORE);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::layout::KINDS, *};

    fn head(name: &[u8], revision: u8, length: usize) -> Vec<u8> {
        let mut head = vec![0; EXTENSION_HEAD_BYTES];
        head[..2].copy_from_slice(&u16::try_from(length).unwrap().to_ne_bytes());
        head[2..2 + name.len()].copy_from_slice(name);
        head[EXTENSION_REVISION] = revision;
        head
    }

    /// An entry with these bytes in what it asks of a packet.
    fn entry(kind: &Kind, set: &[(usize, &[u8])], matches: &[u8], target: &[u8]) -> Vec<u8> {
        let mut entry = vec![0; kind.entry_bytes];
        for (at, bytes) in set {
            entry[*at..][..bytes.len()].copy_from_slice(bytes);
        }
        let target_at = u16::try_from(kind.entry_bytes + matches.len()).unwrap();
        entry[kind.target_offset_at..][..2].copy_from_slice(&target_at.to_ne_bytes());
        [&entry, matches, target].concat()
    }

    fn verdict(number: i32) -> Vec<u8> {
        [head(b"", 0, 40), number.to_ne_bytes().to_vec(), vec![0; 4]].concat()
    }

    fn text(kind: &Kind, entry: &[u8]) -> Option<String> {
        of(kind, b"KUBE-SERVICES", entry, |offset| (offset == 4_096).then_some(&b"KUBE-SVC-X"[..]))
    }

    #[test]
    fn a_rule_is_written_as_iptables_save_does() {
        let kind = &KINDS[0];
        let comment = [head(b"comment", 0, 288), b"default/web".to_vec(), vec![0; 256 - 11]].concat();
        let tcp_data = [0_u16, u16::MAX, 80, 80]
            .iter()
            .flat_map(|port| port.to_ne_bytes())
            .chain([0; 8])
            .collect::<Vec<_>>();
        let tcp = [head(b"tcp", 0, 48), tcp_data].concat();
        let service = entry(
            kind,
            &[(4, &[10, 96, 0, 10]), (12, &[255; 4]), (80, &6_u16.to_ne_bytes())],
            &[comment, tcp].concat(),
            &verdict(4_096),
        );
        let device = entry(kind, &[(16, b"eth"), (48, &[255; 3])], &[], &verdict(-5));
        let inverted =
            entry(kind, &[(0, &[10, 0, 0, 0]), (8, &[255, 0, 0, 0]), (83, &[8])], &[], &verdict(-1));
        let going = entry(kind, &[(82, &[2])], &[], &verdict(4_096));
        for (entry, expected) in [
            (
                service,
                "-d 10.96.0.10/32 -p tcp -m comment --comment \"default/web\" -m tcp --dport 80 -j KUBE-SVC-X",
            ),
            (device, "-i eth+ -j RETURN"),
            (entry(kind, &[(32, b"eth+"), (64, &[255; 3])], &[], &verdict(-5)), "-o eth+ -j RETURN"),
            (inverted, "! -s 10.0.0.0/8 -j DROP"),
            (going, "-g KUBE-SVC-X"),
            // One that goes on with the next rule.
            (entry(kind, &[(80, &17_u16.to_ne_bytes())], &[], &verdict(152)), "-p udp"),
            (entry(kind, &[(82, &[1])], &[], &verdict(-2)), "… -j ACCEPT"),
        ] {
            assert_eq!(text(kind, &entry), Some(format!("-A KUBE-SERVICES {expected}")));
        }
    }

    #[test]
    fn ipv6_is_written_alike_and_arp_not_at_all() {
        let address = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let set: [(usize, &[u8]); 4] = [(16, &address), (48, &[255; 16]), (80, b"eth0"), (112, &[255; 5])];
        let rule = entry(&KINDS[1], &set, &[], &verdict(-2));
        assert_eq!(
            text(&KINDS[1], &rule).as_deref(),
            Some("-A KUBE-SERVICES -d fd00::1/128 -o eth0 -j ACCEPT")
        );
        assert_eq!(text(&KINDS[2], &entry(&KINDS[2], &[], &[], &verdict(-2))), None);
        // Whatever is missing.
        for length in 0..rule.len() - 4 {
            assert_eq!(text(&KINDS[1], &rule[..length]), None, "{length}");
        }
    }
}
