//! Numbers and fixed parts of rtnetlink messages, by `include/uapi/linux/rtnetlink.h`, `if_addr.h`, `if_link.h`,
//! `neighbour.h` and `fib_rules.h`. None of them changed from 5.4 to 7.2.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(super) const NETLINK_ROUTE: isize = 0;

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
pub(super) const RTM_GETADDR: u16 = 22;
pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_GETROUTE: u16 = 26;
pub(super) const RTM_NEWNEIGH: u16 = 28;
pub(super) const RTM_GETNEIGH: u16 = 30;
pub(super) const RTM_NEWRULE: u16 = 32;
pub(super) const RTM_DELRULE: u16 = 33;
pub(super) const RTM_GETRULE: u16 = 34;

pub(super) const NLM_F_REPLACE: u16 = 0x100;

pub(super) const AF_UNSPEC: u8 = 0;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

/// Multicast groups as bits: group N is bit N - 1.
pub(super) mod group {
    pub(in crate::live::path) const LINK: u32 = 1;
    pub(in crate::live::path) const IPV4_ADDRESS: u32 = 1 << 4;
    pub(in crate::live::path) const IPV4_ROUTE: u32 = 1 << 6;
    pub(in crate::live::path) const IPV4_RULE: u32 = 1 << 7;
    pub(in crate::live::path) const IPV6_ADDRESS: u32 = 1 << 8;
    pub(in crate::live::path) const IPV6_ROUTE: u32 = 1 << 10;
    pub(in crate::live::path) const IPV6_RULE: u32 = 1 << 18;
}

/// `struct rtmsg`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(super) struct RouteHeader {
    pub(super) family: u8,
    pub(super) destination_bits: u8,
    pub(super) source_bits: u8,
    pub(super) type_of_service: u8,
    pub(super) table: u8,
    pub(super) protocol: u8,
    pub(super) scope: u8,
    pub(super) route_type: u8,
    pub(super) flags: u32,
}

/// An entry of a route's cache rather than of its table.
pub(super) const RTM_F_CLONED: u32 = 0x200;
/// Asks that the answer names the table it came from.
pub(super) const RTM_F_LOOKUP_TABLE: u32 = 0x1000;

pub(super) mod route {
    pub(in crate::live::path) const DESTINATION: u16 = 1;
    pub(in crate::live::path) const SOURCE: u16 = 2;
    pub(in crate::live::path) const INPUT_DEVICE: u16 = 3;
    pub(in crate::live::path) const OUTPUT_DEVICE: u16 = 4;
    pub(in crate::live::path) const GATEWAY: u16 = 5;
    pub(in crate::live::path) const PRIORITY: u16 = 6;
    pub(in crate::live::path) const PREFERRED_SOURCE: u16 = 7;
    pub(in crate::live::path) const MULTIPATH: u16 = 9;
    pub(in crate::live::path) const TABLE: u16 = 15;
    pub(in crate::live::path) const MARK: u16 = 16;
    pub(in crate::live::path) const VIA: u16 = 18;
    pub(in crate::live::path) const IP_PROTOCOL: u16 = 27;
    pub(in crate::live::path) const SOURCE_PORT: u16 = 28;
    pub(in crate::live::path) const DESTINATION_PORT: u16 = 29;
    pub(in crate::live::path) const NEXT_HOP_ID: u16 = 30;
}

/// `struct rtnexthop`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(super) struct NextHopHeader {
    pub(super) length_bytes: u16,
    pub(super) flags: u8,
    /// The weight, less 1.
    pub(super) hops: u8,
    pub(super) interface_index: u32,
}

/// `struct ifaddrmsg`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(super) struct AddressHeader {
    pub(super) family: u8,
    pub(super) prefix_bits: u8,
    pub(super) flags: u8,
    pub(super) scope: u8,
    pub(super) interface_index: u32,
}

pub(super) mod address {
    pub(in crate::live::path) const ADDRESS: u16 = 1;
    pub(in crate::live::path) const LOCAL: u16 = 2;
    pub(in crate::live::path) const FLAGS: u16 = 8;
}

/// `struct ifinfomsg`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(super) struct LinkHeader {
    pub(super) family: u8,
    pub(super) reserved: u8,
    pub(super) hardware_type: u16,
    pub(super) interface_index: u32,
    pub(super) flags: u32,
    pub(super) changed_flags: u32,
}

pub(super) const IFF_UP: u32 = 0x1;
pub(super) const IFF_RUNNING: u32 = 0x40;
pub(super) const IFF_NOARP: u32 = 0x80;

pub(super) mod link {
    pub(in crate::live::path) const HARDWARE_ADDRESS: u16 = 1;
    pub(in crate::live::path) const NAME: u16 = 3;
    pub(in crate::live::path) const MTU: u16 = 4;
    pub(in crate::live::path) const MASTER: u16 = 10;
    pub(in crate::live::path) const OPERATIONAL_STATE: u16 = 16;
    pub(in crate::live::path) const INFO: u16 = 18;
    pub(in crate::live::path) const INFO_TYPE: u16 = 1;
}

/// `struct ndmsg`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(super) struct NeighbourHeader {
    pub(super) family: u8,
    pub(super) reserved: [u8; 3],
    pub(super) interface_index: u32,
    pub(super) state: u16,
    pub(super) flags: u8,
    pub(super) entry_type: u8,
}

/// An address this node answers for on another's behalf, not a neighbour.
pub(super) const NTF_PROXY: u8 = 8;

pub(super) mod neighbour {
    pub(in crate::live::path) const DESTINATION: u16 = 1;
    pub(in crate::live::path) const HARDWARE_ADDRESS: u16 = 2;
}

/// `struct fib_rule_hdr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(super) struct RuleHeader {
    pub(super) family: u8,
    pub(super) destination_bits: u8,
    pub(super) source_bits: u8,
    pub(super) type_of_service: u8,
    pub(super) table: u8,
    pub(super) reserved: [u8; 2],
    pub(super) action: u8,
    pub(super) flags: u32,
}

/// The rule holds for what does not match.
pub(super) const FIB_RULE_INVERT: u32 = 2;

pub(super) mod rule {
    pub(in crate::live::path) const DESTINATION: u16 = 1;
    pub(in crate::live::path) const SOURCE: u16 = 2;
    pub(in crate::live::path) const INPUT_DEVICE: u16 = 3;
    pub(in crate::live::path) const GOTO: u16 = 4;
    pub(in crate::live::path) const PRIORITY: u16 = 6;
    pub(in crate::live::path) const MARK: u16 = 10;
    pub(in crate::live::path) const SUPPRESS_PREFIX_BITS: u16 = 14;
    pub(in crate::live::path) const TABLE: u16 = 15;
    pub(in crate::live::path) const MARK_MASK: u16 = 16;
    pub(in crate::live::path) const OUTPUT_DEVICE: u16 = 17;
    pub(in crate::live::path) const PROTOCOL: u16 = 21;
}
