//! Changes of routing tables, and how peers are reached.

use std::{fmt, io, net::IpAddr};

use tracer_common::record::{NextHopRecord, RouteLookupRecord, RouteRecord};
use zerocopy::FromBytes as _;

use super::{Change, Endpoints, HardwareAddress, NeighbourState, Text, address};

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// Its first address.
    pub address: IpAddr,
    /// How many bits count, by the address's family.
    pub bits: u8,
}

impl Prefix {
    /// Of a single address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, bits: all_bits(address) }
    }

    /// Whether it is a single address.
    pub fn is_host(self) -> bool {
        self.bits == all_bits(self.address)
    }

    /// Whether an address lies in it. Families never match each other.
    pub fn contains(self, address: IpAddr) -> bool {
        let common_bits = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        u32::from(self.bits) <= common_bits
    }
}

/// How many bits an address has.
fn all_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for Prefix {
    /// As `ip route` writes it: `default` for everything; else always with its length.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == 0 && self.address.is_unspecified() {
            return formatter.pad("default");
        }
        formatter.pad(&format!("{}/{}", self.address, self.bits))
    }
}

/// An address that a record may leave out as zero.
pub(super) fn present_address(bytes: [u8; 16]) -> Option<IpAddr> {
    (bytes != [0; 16]).then(|| address(bytes))
}

/// A name that a record may leave out.
pub(super) fn present_name(bytes: &[u8]) -> Option<Text> {
    Some(Text::from_bytes(bytes)).filter(|name| !name.is_empty())
}

/// A route that was added, removed or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What became of it.
    pub change: Change,
    /// Where it leads.
    pub prefix: Prefix,
    /// What happens to packets.
    pub kind: RouteType,
    /// The next hop; none if the destination is on the link, or there are several.
    pub gateway: Option<IpAddr>,
    /// The device; none if there are several or none.
    pub device: Option<Text>,
    /// Next hops, where there are several.
    pub next_hops: Vec<NextHop>,
    /// Next hops that found no place in the record.
    pub next_hops_left_out: u16,
    /// The source address it prefers.
    pub source: Option<IpAddr>,
    /// Its table.
    pub table: RouteTable,
    /// Who made it.
    pub protocol: RouteProtocol,
    /// Its metric: the lowest wins.
    pub metric: u32,
    /// Id of the next-hop object it uses.
    pub next_hop_id: Option<u32>,
    /// Whether it was found by comparing tables after messages were missed, rather than told when it happened.
    pub is_found_later: bool,
}

/// One of several next hops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The next hop; none if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The device.
    pub device: Option<Text>,
    /// Its share, against the sum of all.
    pub weight: u16,
}

impl Route {
    /// From the record and the bytes behind it, which hold next hops.
    pub(crate) fn from_record(record: &RouteRecord, mut behind: &[u8]) -> Self {
        let mut next_hops = Vec::new();
        while next_hops.len() < usize::from(record.next_hops)
            && let Ok((next_hop, rest)) = NextHopRecord::read_from_prefix(behind)
        {
            behind = rest;
            next_hops.push(NextHop {
                gateway: present_address(next_hop.gateway),
                device: present_name(&next_hop.device),
                weight: next_hop.weight,
            });
        }
        let kept = u16::try_from(next_hops.len()).unwrap_or(record.next_hops);
        Self {
            change: Change::from_number(record.change),
            prefix: Prefix { address: address(record.prefix), bits: record.prefix_bits },
            kind: RouteType(record.route_type),
            gateway: present_address(record.gateway),
            device: present_name(&record.device),
            next_hops,
            next_hops_left_out: record.next_hops - kept,
            source: present_address(record.source),
            table: RouteTable(record.table),
            protocol: RouteProtocol(record.protocol),
            metric: record.metric,
            next_hop_id: (record.next_hop_id != 0).then_some(record.next_hop_id),
            is_found_later: record.is_found_later != 0,
        }
    }
}

/// How the kernel would send to a flow's peer: what `ip route get` answers in the flow's own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteLookup {
    /// The flow, from this node to the peer.
    pub flow: Endpoints,
    /// What happens to packets.
    pub result: LookupResult,
    /// The next hop; none if the peer is on the link, is this node, or is not reached.
    pub gateway: Option<IpAddr>,
    /// The device.
    pub device: Option<Text>,
    /// The source address chosen.
    pub source: Option<IpAddr>,
    /// The table that had the answer.
    pub table: Option<RouteTable>,
    /// The mark asked with.
    pub mark: u32,
    /// State of the next hop's entry in the neighbour table, if it has one.
    pub neighbour_state: Option<NeighbourState>,
    /// The hardware address of that entry, if it holds one.
    pub neighbour: Option<HardwareAddress>,
}

/// What the kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupResult {
    /// A route of that type.
    Route(RouteType),
    /// It refused with this errno, as a route of that type makes it.
    Refused(RouteType, i32),
    /// It refused with this errno.
    Error(i32),
}

impl LookupResult {
    /// Its name in output: the route's type, `no-route`, or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Route(kind) | Self::Refused(kind, _) => kind.name(),
            Self::Error(libc::ENETUNREACH) => "no-route",
            Self::Error(_) => "error",
        }
    }

    /// The kernel's own words for a refusal.
    pub fn error(self) -> Option<String> {
        let (Self::Refused(_, errno) | Self::Error(errno)) = self else { return None };
        let text = io::Error::from_raw_os_error(errno).to_string();
        // Without the number behind it.
        Some(text.split(" (os error").next().unwrap_or(&text).to_owned())
    }

    /// Whether packets for the peer go anywhere but to it.
    pub fn is_astray(self) -> bool {
        self != Self::Route(RouteType::UNICAST)
    }
}

impl From<&RouteLookupRecord> for RouteLookup {
    fn from(record: &RouteLookupRecord) -> Self {
        let errno = i32::try_from(record.error).unwrap_or(i32::MAX);
        let kind = RouteType(record.route_type);
        let has_hardware = record.has_neighbour != 0 && record.hardware_address_length != 0;
        Self {
            flow: (&record.flow).into(),
            result: match (errno, record.route_type) {
                (0, _) => LookupResult::Route(kind),
                (_, 0) => LookupResult::Error(errno),
                _ => LookupResult::Refused(kind, errno),
            },
            gateway: present_address(record.gateway),
            device: present_name(&record.device),
            source: present_address(record.source),
            table: (record.table != 0).then_some(RouteTable(record.table)),
            mark: record.mark,
            neighbour_state: (record.has_neighbour != 0).then_some(NeighbourState(record.neighbour_state)),
            neighbour: has_hardware
                .then(|| HardwareAddress::new(record.hardware_address, record.hardware_address_length)),
        }
    }
}

/// What happens to packets by a route (`RTN_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteType(pub u8);

impl RouteType {
    /// They are sent on.
    pub const UNICAST: Self = Self(1);
    /// They are for this node.
    pub const LOCAL: Self = Self(2);
    /// They are dropped without a word.
    pub const BLACKHOLE: Self = Self(6);

    /// Its name, as `ip route` writes it.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "unicast",
            2 => "local",
            3 => "broadcast",
            4 => "anycast",
            5 => "multicast",
            6 => "blackhole",
            7 => "unreachable",
            8 => "prohibit",
            9 => "throw",
            10 => "nat",
            _ => "unspecified",
        }
    }
}

/// A routing table's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteTable(pub u32);

impl fmt::Display for RouteTable {
    /// Its name where every kernel has one, else its number.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            253 => formatter.pad("default"),
            254 => formatter.pad("main"),
            255 => formatter.pad("local"),
            number => formatter.pad(&number.to_string()),
        }
    }
}

/// Who made a route or a rule (`RTPROT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteProtocol(pub u8);

impl fmt::Display for RouteProtocol {
    /// Its name by iproute2's list, else its number.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self.0 {
            0 => "unspec",
            1 => "redirect",
            2 => "kernel",
            3 => "boot",
            4 => "static",
            8 => "gated",
            9 => "ra",
            10 => "mrt",
            11 => "zebra",
            12 => "bird",
            13 => "dnrouted",
            14 => "xorp",
            15 => "ntk",
            16 => "dhcp",
            17 => "mrouted",
            18 => "keepalived",
            42 => "babel",
            84 => "ovn",
            99 => "openr",
            186 => "bgp",
            187 => "isis",
            188 => "ospf",
            189 => "rip",
            192 => "eigrp",
            number => return formatter.pad(&number.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{NextHopRecord, RouteLookupRecord, RouteRecord, change};
    use zerocopy::IntoBytes as _;

    use super::{LookupResult, Route, RouteLookup, RouteType};

    fn mapped(address: &str) -> [u8; 16] {
        let address: std::net::IpAddr = address.parse().unwrap();
        match address {
            std::net::IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(address) => address.octets(),
        }
    }

    #[test]
    fn a_prefix_reads_as_ip_route_writes_it() {
        for (address, bits, expected) in [
            ("0.0.0.0", 0, "default"),
            ("::", 0, "default"),
            ("10.244.1.0", 24, "10.244.1.0/24"),
            ("10.0.0.1", 32, "10.0.0.1/32"),
            ("fd00::", 8, "fd00::/8"),
        ] {
            let record = RouteRecord { prefix: mapped(address), prefix_bits: bits, ..RouteRecord::default() };
            assert_eq!(Route::from_record(&record, &[]).prefix.to_string(), expected, "{address}/{bits}");
        }
    }

    #[test]
    fn next_hops_behind_a_record_are_read_and_those_cut_off_counted() {
        let next_hop = NextHopRecord {
            gateway: mapped("10.0.0.1"),
            device: *b"eth0\0\0\0\0\0\0\0\0\0\0\0\0",
            weight: 2,
            ..NextHopRecord::default()
        };
        let behind = [next_hop.as_bytes(), next_hop.as_bytes(), &[0; 7]].concat();
        let record = RouteRecord { next_hops: 5, change: change::ADDED, ..RouteRecord::default() };
        let route = Route::from_record(&record, &behind);
        assert_eq!((route.next_hops.len(), route.next_hops_left_out), (2, 3));
        assert_eq!(route.next_hops[0].weight, 2);
        assert_eq!(Route::from_record(&RouteRecord::default(), &behind).next_hops, []);
    }

    #[test]
    fn a_refusal_is_told_by_the_route_that_makes_it_and_in_words() {
        let lookup = |route_type, error| {
            let record = RouteLookupRecord { route_type, error, ..RouteLookupRecord::default() };
            RouteLookup::from(&record).result
        };
        assert_eq!(lookup(1, 0), LookupResult::Route(RouteType::UNICAST));
        assert!(!lookup(1, 0).is_astray() && lookup(2, 0).is_astray());
        for (route_type, errno, name, text) in [
            (6, libc::EINVAL, "blackhole", "Invalid argument"),
            (7, libc::EHOSTUNREACH, "unreachable", "No route to host"),
            (8, libc::EACCES, "prohibit", "Permission denied"),
            (0, libc::ENETUNREACH, "no-route", "Network is unreachable"),
            (0, libc::ENODEV, "error", "No such device"),
        ] {
            let result = lookup(route_type, errno.unsigned_abs());
            assert_eq!((result.name(), result.error().as_deref()), (name, Some(text)));
        }
    }
}
