//! One end of a flow.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{AddrParseError, IpAddr, SocketAddr},
    str::FromStr,
};

/// An address and a port. Unlike [`SocketAddr`] it has no place for the scope and the flow label of IPv6 addresses,
/// which no record has: there are several in every event and every row, so it takes 20 bytes and not 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    address: IpAddr,
    port: u16,
}

impl Endpoint {
    /// A port of an address.
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }

    /// The address.
    pub fn ip(&self) -> IpAddr {
        self.address
    }

    /// The port, 0 where the protocol has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the address is one of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether the address is one of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// The address in one word, for hashes.
    pub(crate) fn word(&self) -> u64 {
        match self.address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                #[expect(clippy::cast_possible_truncation, reason = "both halves count")]
                let halves = [(bits >> 64) as u64, bits as u64];
                halves[0].rotate_left(25) ^ halves[1]
            }
        }
    }
}

impl Hash for Endpoint {
    /// Few words in the place of the many that its parts would write one by one. Equal ones hash alike.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.word());
        state.write_u16(self.port);
    }
}

impl<A: Into<IpAddr>> From<(A, u16)> for Endpoint {
    fn from((address, port): (A, u16)) -> Self {
        Self::new(address.into(), port)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(socket: SocketAddr) -> Self {
        Self::new(socket.ip(), socket.port())
    }
}

impl FromStr for Endpoint {
    type Err = AddrParseError;

    /// `10.0.0.1:80`, `[fd00::1]:80`.
    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        text.parse::<SocketAddr>().map(Self::from)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use rustc_hash::FxBuildHasher;

    use super::Endpoint;

    #[test]
    fn it_is_small_and_written_as_addresses_with_ports_are() {
        assert_eq!(size_of::<Option<Endpoint>>(), 20);
        for text in ["10.0.0.1:80", "[fd00::1]:443", "[::]:0", "0.0.0.0:1"] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.to_string(), endpoint.is_ipv6()), (text.to_owned(), text.starts_with('[')));
            assert_eq!(format!("{endpoint:>20}"), format!("{text:>20}"));
        }
        assert!("10.0.0.1".parse::<Endpoint>().is_err());
    }

    #[test]
    fn what_differs_in_any_part_hashes_otherwise() {
        let all = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:81", "[fd00::1]:80", "[fd00:1::]:80"];
        let mut hashes: Vec<u64> =
            all.iter().map(|text| FxBuildHasher.hash_one(text.parse::<Endpoint>().unwrap())).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all.len());
    }
}
