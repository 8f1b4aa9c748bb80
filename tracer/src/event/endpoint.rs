//! One end of a flow.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::{AddrParseError, IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// An address and a port, of IPv4 or IPv6; an IPv4-mapped address is one of IPv4. Unlike [`SocketAddr`] it has no place for
/// the scope and the flow label of IPv6 addresses, which no record has: there are several in every event and every row, so
/// it takes 18 bytes and not 32.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// As records have it, one of IPv4 mapped: so it is taken as it is, and compared at once.
    address: [u8; 16],
    port: u16,
}

/// What an IPv4 address begins with where it is mapped.
const MAPPED: u64 = 0xffff;

impl Endpoint {
    /// A port of an address.
    pub fn new(address: IpAddr, port: u16) -> Self {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Self { address: address.octets(), port }
    }

    /// A port of an address as records have it.
    #[inline]
    pub fn of_record(address: [u8; 16], port: u16) -> Self {
        Self { address, port }
    }

    /// The address.
    #[inline]
    pub fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.address).to_canonical()
    }

    /// The port, 0 where the protocol has none.
    #[inline]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address alone, with port 0.
    pub(crate) fn host(self) -> Self {
        Self { port: 0, ..self }
    }

    /// Whether the address is one of IPv4.
    pub fn is_ipv4(&self) -> bool {
        let [high, low] = self.halves();
        high == 0 && low >> 32 == MAPPED
    }

    /// Whether the address is one of IPv6.
    pub fn is_ipv6(&self) -> bool {
        !self.is_ipv4()
    }

    #[inline]
    fn halves(&self) -> [u64; 2] {
        let bits = u128::from_be_bytes(self.address);
        #[expect(clippy::cast_possible_truncation, reason = "both halves count")]
        let halves = [(bits >> 64) as u64, bits as u64];
        halves
    }

    /// The address in one word, for hashes.
    #[inline]
    pub(crate) fn word(&self) -> u64 {
        let [high, low] = self.halves();
        high.rotate_left(25) ^ low
    }
}

impl Ord for Endpoint {
    /// Addresses of IPv4 come first.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.ip(), self.port).cmp(&(other.ip(), other.port))
    }
}

impl PartialOrd for Endpoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
        SocketAddr::new(self.ip(), self.port).fmt(formatter)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::{hash::BuildHasher as _, net::IpAddr};

    use rustc_hash::FxBuildHasher;

    use super::Endpoint;

    #[test]
    fn it_is_small_and_written_as_addresses_with_ports_are() {
        assert_eq!(size_of::<Option<Endpoint>>(), 20);
        assert_eq!(size_of::<Endpoint>(), 18);
        for text in ["10.0.0.1:80", "[fd00::1]:443", "[::]:0", "0.0.0.0:1"] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.to_string(), endpoint.is_ipv6()), (text.to_owned(), text.starts_with('[')));
            assert_eq!(format!("{endpoint:>20}"), format!("{text:>20}"));
        }
        assert!("10.0.0.1".parse::<Endpoint>().is_err());
    }

    #[test]
    fn they_are_in_the_order_of_their_addresses_and_a_mapped_one_is_of_ipv4() {
        let texts =
            ["0.0.0.0:9", "10.0.0.1:80", "10.0.0.1:443", "255.0.0.0:1", "[::]:0", "[::1]:1", "[fd00::1]:1"];
        let endpoints = texts.map(|text| text.parse::<Endpoint>().unwrap());
        assert!(endpoints.is_sorted(), "{endpoints:?}");
        let plain: Vec<(IpAddr, u16)> = endpoints.iter().map(|one| (one.ip(), one.port())).collect();
        assert!(plain.is_sorted(), "{plain:?}");
        let mapped: Endpoint = "[::ffff:10.0.0.1]:80".parse().unwrap();
        assert_eq!(
            (mapped, mapped.is_ipv4(), mapped.to_string().as_str()),
            (endpoints[1], true, "10.0.0.1:80")
        );
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
