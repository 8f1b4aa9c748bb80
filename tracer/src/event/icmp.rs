//! ICMP errors.

use std::{fmt, net::IpAddr};

use tracer_common::record::{IcmpRecord, icmp_direction, icmp_part};

use super::{Direction, Endpoints, Protocol, Text, address};

/// An ICMP or ICMPv6 error this node sends or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// In or out.
    pub direction: Direction,
    /// ICMP or ICMPv6, which number types differently.
    pub protocol: Protocol,
    /// Type of the message.
    pub icmp_type: u8,
    /// Its code.
    pub icmp_code: u8,
    /// The packet it is about; `None` where the message is cut before that packet's addresses.
    pub about: Option<Quoted>,
    /// Who sent it; `None` for this node.
    pub sender: Option<IpAddr>,
    /// The largest packet that would have fit, where the message says.
    pub mtu_bytes: Option<u32>,
    /// The device it came in by, or that of the packet it is about; `None` where unknown.
    pub device: Option<Text>,
    /// Index of that device, 0 where unknown.
    pub interface_index: u32,
}

/// The packet an ICMP error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Its flow; the ports are zero where [`has_ports`](Self::has_ports) is false.
    pub flow: Endpoints,
    /// Whether its ports are known.
    pub has_ports: bool,
    /// What was left of its TTL or hop limit.
    pub ttl: u8,
    /// Its IP id; `None` for IPv6.
    pub ip_id: Option<u16>,
}

impl From<&IcmpRecord> for Icmp {
    fn from(record: &IcmpRecord) -> Self {
        const VERSION_6: u8 = 6;
        let is_v6 = record.version == VERSION_6;
        let has = |part| record.parts & part != 0;
        let about = has(icmp_part::HEADER).then(|| {
            let flow = Endpoints::from(&record.flow);
            let has_ports = has(icmp_part::PORTS) && flow.protocol.has_ports();
            Quoted { flow, has_ports, ttl: record.ttl, ip_id: (!is_v6).then_some(record.ip_id) }
        });
        let direction = if record.direction == icmp_direction::OUT { Direction::Out } else { Direction::In };
        Self {
            direction,
            protocol: if is_v6 { Protocol::ICMPV6 } else { Protocol::ICMP },
            icmp_type: record.icmp_type,
            icmp_code: record.icmp_code,
            about,
            sender: (direction == Direction::In).then(|| address(record.sender)),
            mtu_bytes: Some(record.mtu_bytes).filter(|&mtu_bytes| mtu_bytes != 0),
            device: Some(Text::from_bytes(&record.device)).filter(|device| !device.is_empty()),
            interface_index: record.interface_index,
        }
    }
}

impl Icmp {
    /// What it says, in a word: `time-exceeded`, `port-unreachable`, ….
    pub fn meaning(&self) -> &'static str {
        let word = match self.protocol {
            Protocol::ICMPV6 => meaning_v6(self.icmp_type, self.icmp_code),
            _ => meaning_v4(self.icmp_type, self.icmp_code),
        };
        word.unwrap_or("unknown")
    }

    /// What kind of error it is.
    pub fn class(&self) -> IcmpClass {
        let is_v6 = self.protocol == Protocol::ICMPV6;
        match (is_v6, self.icmp_type, self.icmp_code) {
            (false, 11, 0) | (true, 3, 0) => IcmpClass::TimeExceeded,
            (false, 3, 4) | (true, 2, _) => IcmpClass::TooBig,
            (false, 3, _) | (true, 1, _) => IcmpClass::Unreachable,
            _ => IcmpClass::Other,
        }
    }
}

/// What kind of error an ICMP message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IcmpClass {
    /// A packet died of TTL on its way.
    TimeExceeded,
    /// A packet found no route, host, protocol or port, or was prohibited.
    Unreachable,
    /// A packet did not fit.
    TooBig,
    /// Anything else: a bad header, fragments that did not come.
    Other,
}

impl IcmpClass {
    /// All of them, in the order of this enum.
    pub const ALL: [Self; 4] = [Self::TimeExceeded, Self::Unreachable, Self::TooBig, Self::Other];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::TimeExceeded => "time-exceeded",
            Self::Unreachable => "unreachable",
            Self::TooBig => "too-big",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for IcmpClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
fn meaning_v4(icmp_type: u8, icmp_code: u8) -> Option<&'static str> {
    const UNREACHABLE: [&str; 16] = [
        "net-unreachable",
        "host-unreachable",
        "protocol-unreachable",
        "port-unreachable",
        "fragmentation-needed",
        "source-route-failed",
        "net-unknown",
        "host-unknown",
        "source-isolated",
        "net-prohibited",
        "host-prohibited",
        "net-unreachable-for-tos",
        "host-unreachable-for-tos",
        "prohibited",
        "precedence-violation",
        "precedence-cutoff",
    ];
    match icmp_type {
        3 => UNREACHABLE.get(usize::from(icmp_code)).copied().or(Some("unreachable")),
        4 => Some("source-quench"),
        11 => Some(if icmp_code == 0 { "time-exceeded" } else { "reassembly-time-exceeded" }),
        12 => Some("parameter-problem"),
        _ => None,
    }
}

/// RFC 4443 §3.
fn meaning_v6(icmp_type: u8, icmp_code: u8) -> Option<&'static str> {
    const UNREACHABLE: [&str; 7] = [
        "no-route",
        "prohibited",
        "beyond-scope",
        "host-unreachable",
        "port-unreachable",
        "policy-failed",
        "route-rejected",
    ];
    match icmp_type {
        1 => UNREACHABLE.get(usize::from(icmp_code)).copied().or(Some("unreachable")),
        2 => Some("packet-too-big"),
        3 => Some(if icmp_code == 0 { "time-exceeded" } else { "reassembly-time-exceeded" }),
        4 => Some("parameter-problem"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{Flow, IcmpRecord, icmp_direction, icmp_part};

    use super::{Icmp, IcmpClass};
    use crate::event::{Direction, Protocol};

    #[test]
    fn types_and_codes_have_their_words() {
        use IcmpClass::{Other, TimeExceeded, TooBig, Unreachable};
        for (version, icmp_type, icmp_code, word, class) in [
            (4, 11, 0, "time-exceeded", TimeExceeded),
            (4, 11, 1, "reassembly-time-exceeded", Other),
            (4, 3, 0, "net-unreachable", Unreachable),
            (4, 3, 3, "port-unreachable", Unreachable),
            (4, 3, 4, "fragmentation-needed", TooBig),
            (4, 3, 13, "prohibited", Unreachable),
            (4, 3, 200, "unreachable", Unreachable),
            (4, 4, 0, "source-quench", Other),
            (4, 12, 0, "parameter-problem", Other),
            (4, 5, 1, "unknown", Other),
            (6, 1, 0, "no-route", Unreachable),
            (6, 1, 3, "host-unreachable", Unreachable),
            (6, 1, 4, "port-unreachable", Unreachable),
            (6, 2, 0, "packet-too-big", TooBig),
            (6, 3, 0, "time-exceeded", TimeExceeded),
            (6, 3, 1, "reassembly-time-exceeded", Other),
            (6, 4, 2, "parameter-problem", Other),
            (6, 100, 0, "unknown", Other),
        ] {
            let told = Icmp::from(&IcmpRecord { version, icmp_type, icmp_code, ..IcmpRecord::default() });
            assert_eq!((told.meaning(), told.class()), (word, class), "{version} {icmp_type}/{icmp_code}");
        }
    }

    #[test]
    fn only_what_was_read_is_told() {
        let whole = IcmpRecord {
            flow: Flow { protocol: 6, source_port: 1, destination_port: 2, ..Flow::default() },
            version: 4,
            icmp_type: 11,
            direction: icmp_direction::OUT,
            parts: icmp_part::HEADER | icmp_part::PORTS,
            ttl: 1,
            ip_id: 7,
            ..IcmpRecord::default()
        };
        let told = Icmp::from(&whole);
        let about = told.about.unwrap();
        assert_eq!(
            (told.direction, told.sender, told.mtu_bytes, told.device),
            (Direction::Out, None, None, None)
        );
        assert_eq!((about.has_ports, about.ttl, about.ip_id), (true, 1, Some(7)));

        let cut = Icmp::from(&IcmpRecord { parts: icmp_part::HEADER, ..whole });
        assert!(!cut.about.unwrap().has_ports);
        let nothing = Icmp::from(&IcmpRecord { parts: 0, direction: icmp_direction::IN, ..whole });
        assert!(nothing.about.is_none() && nothing.sender.is_some());
        let ping = Flow { protocol: 1, ..whole.flow };
        assert!(!Icmp::from(&IcmpRecord { flow: ping, ..whole }).about.unwrap().has_ports);
        let v6 = Icmp::from(&IcmpRecord { version: 6, ..whole });
        assert_eq!((v6.protocol, v6.about.unwrap().ip_id), (Protocol::ICMPV6, None));
    }
}
