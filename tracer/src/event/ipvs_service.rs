//! What tells services of IPVS apart.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use tracer_common::record::IpvsServiceKey;

use super::{Endpoint, Protocol, address};

/// A virtual service in its network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpvsService {
    /// What is dialled at an address.
    Address {
        /// By which protocol.
        protocol: Protocol,
        /// The virtual address and port.
        address: Endpoint,
    },
    /// What carries a firewall mark, wherever it goes and by whatever protocol.
    Mark {
        /// The mark.
        mark: u32,
        /// Whether it is for IPv6. IPv4 and IPv6 have services of their own.
        is_ipv6: bool,
    },
}

impl IpvsService {
    /// The service of a packet to `address`: by its mark, if it was scheduled by one.
    pub fn of(protocol: Protocol, address: Endpoint, mark: Option<u32>) -> Self {
        match mark {
            Some(mark) => Self::Mark { mark, is_ipv6: address.is_ipv6() },
            None => Self::Address { protocol, address },
        }
    }

    /// The protocol, where it has one.
    pub fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Address { protocol, .. } => Some(protocol),
            Self::Mark { .. } => None,
        }
    }

    /// The virtual address, where it has one.
    pub fn address(self) -> Option<Endpoint> {
        match self {
            Self::Address { address, .. } => Some(address),
            Self::Mark { .. } => None,
        }
    }

    /// The firewall mark, where it is known by one.
    pub fn mark(self) -> Option<u32> {
        match self {
            Self::Address { .. } => None,
            Self::Mark { mark, .. } => Some(mark),
        }
    }

    /// It without its protocol: `10.9.9.9:80`, `fwmark 7`.
    pub fn name(self) -> String {
        match self {
            Self::Address { address, .. } => address.to_string(),
            Self::Mark { .. } => self.to_string(),
        }
    }
}

impl From<&IpvsServiceKey> for IpvsService {
    fn from(key: &IpvsServiceKey) -> Self {
        if key.firewall_mark != 0 {
            return Self::Mark { mark: key.firewall_mark, is_ipv6: key.is_ipv6 != 0 };
        }
        // A service may wait at `::`, which is no IPv4 address.
        let address = match address(key.address) {
            _ if key.is_ipv6 != 0 => Ipv6Addr::from(key.address).into(),
            address => address,
        };
        Self::Address { protocol: Protocol(key.protocol), address: Endpoint::new(address, key.port) }
    }
}

impl From<IpvsService> for IpvsServiceKey {
    fn from(service: IpvsService) -> Self {
        match service {
            IpvsService::Mark { mark, is_ipv6 } => {
                Self { firewall_mark: mark, is_ipv6: is_ipv6.into(), ..Self::default() }
            }
            IpvsService::Address { protocol, address } => Self {
                address: address_bytes(address),
                port: address.port(),
                protocol: protocol.0,
                is_ipv6: address.is_ipv6().into(),
                ..Self::default()
            },
        }
    }
}

/// An address as records hold it.
fn address_bytes(address: Endpoint) -> [u8; 16] {
    match address.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

impl fmt::Display for IpvsService {
    /// `tcp 10.9.9.9:80`, `fwmark 7`, `fwmark 7 IPv6`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address { protocol, address } => write!(formatter, "{protocol} {address}"),
            Self::Mark { mark, is_ipv6: false } => write!(formatter, "fwmark {mark}"),
            Self::Mark { mark, is_ipv6: true } => write!(formatter, "fwmark {mark} IPv6"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::IpvsServiceKey;

    use super::IpvsService;
    use crate::event::Protocol;

    #[test]
    fn services_are_told_as_they_are_known() {
        for (protocol, address, mark, expected) in [
            (Protocol::TCP, "10.9.9.9:80", None, "tcp 10.9.9.9:80"),
            (Protocol::UDP, "[fd09::9]:53", None, "udp [fd09::9]:53"),
            (Protocol::TCP, "[::]:80", None, "tcp [::]:80"),
            (Protocol::TCP, "10.9.9.9:80", Some(7), "fwmark 7"),
            (Protocol::UDP, "[fd09::9]:53", Some(7), "fwmark 7 IPv6"),
        ] {
            let service = IpvsService::of(protocol, address.parse().unwrap(), mark);
            assert_eq!(service.to_string(), expected);
            assert_eq!(IpvsService::from(&IpvsServiceKey::from(service)), service, "{expected}");
        }
    }
}
