//! The two ends of a flow.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use tracer_common::record::Flow;

use super::Endpoint;

/// Where a flow goes from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoints {
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes.
    pub destination: Endpoint,
    /// By which protocol.
    pub protocol: Protocol,
}

impl Endpoints {
    /// The way back.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source, protocol: self.protocol }
    }
}

impl From<&Flow> for Endpoints {
    #[inline]
    fn from(flow: &Flow) -> Self {
        Self {
            source: Endpoint::of_record(flow.source, flow.source_port),
            destination: Endpoint::of_record(flow.destination, flow.destination_port),
            protocol: Protocol(flow.protocol),
        }
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} → {}", self.source, self.destination)
    }
}

/// An address of a record: an IPv4-mapped one is IPv4.
#[inline]
pub fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// An IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);

    /// Whether its packets begin with a source and a destination port.
    pub fn has_ports(self) -> bool {
        const DCCP: u8 = 33;
        const UDP_LITE: u8 = 136;
        matches!(self, Self::TCP | Self::UDP | Self::SCTP | Self(DCCP | UDP_LITE))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TCP => formatter.pad("tcp"),
            Self::UDP => formatter.pad("udp"),
            Self::SCTP => formatter.pad("sctp"),
            Self::ICMP => formatter.pad("icmp"),
            Self::ICMPV6 => formatter.pad("icmpv6"),
            Self(number) => formatter.pad(&number.to_string()),
        }
    }
}
