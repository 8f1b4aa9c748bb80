//! Changes of the routing tables, and what the kernel answers when it is asked for a route.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, Flow, HARDWARE_ADDRESS_BYTES, RecordHeader};

/// What became of an entry of the routing tables, of an address, a link, a rule or a sysctl.
pub mod change {
    /// It was there when looked at first.
    pub const PRESENT: u8 = 0;
    /// It is new.
    pub const ADDED: u8 = 1;
    /// It is gone.
    pub const REMOVED: u8 = 2;
    /// It took the place of another, or became another.
    pub const REPLACED: u8 = 3;
    /// A link that works from now on.
    pub const UP: u8 = 4;
    /// A link that no longer works.
    pub const DOWN: u8 = 5;
}

/// A change of a routing table. Where the route has several next hops, as many [`NextHopRecord`]s follow as fit.
///
/// Source: `RTM_NEWROUTE` and `RTM_DELROUTE` of rtnetlink (`include/uapi/linux/rtnetlink.h`), whose numbers these are.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RouteRecord {
    /// Kind [`Route`](super::RecordKind::Route).
    pub header: RecordHeader,
    /// Network the route leads to; the family is told by whether it is mapped.
    pub prefix: [u8; 16],
    /// Next hop, zero if there is none or there are several. That of an IPv4 route may be an IPv6 address.
    pub gateway: [u8; 16],
    /// Preferred source address, zero if none.
    pub source: [u8; 16],
    /// Table (254 main, 255 local).
    pub table: u32,
    /// Metric (`RTA_PRIORITY`).
    pub metric: u32,
    /// Index of the device, 0 if there is none or there are several.
    pub interface_index: u32,
    /// Id of the next-hop object, 0 if none.
    pub next_hop_id: u32,
    /// Netlink port of who asked for the change, 0 where the kernel did it by itself.
    pub netlink_port: u32,
    /// How many next hops it has where it has several, else 0.
    pub next_hops: u16,
    /// Length of the prefix in bits, by its own family.
    pub prefix_bits: u8,
    /// Who made the route (`RTPROT_*`).
    pub protocol: u8,
    /// What happens to packets (`RTN_*`).
    pub route_type: u8,
    /// How far away the destination is (`RT_SCOPE_*`).
    pub scope: u8,
    /// Type of service it is for, 0 for any.
    pub type_of_service: u8,
    /// One of [`change`].
    pub change: u8,
    /// 1 if found by comparing the tables after changes were missed, rather than told by the kernel when it happened.
    pub is_found_later: u8,
    /// Zero, for later.
    pub reserved: [u8; 3],
    /// Name of the device, empty if none or not known.
    pub device: [u8; DEVICE_NAME_BYTES],
}

const _: () = assert!(size_of::<RouteRecord>() == 120);

/// One of several next hops of a route, behind a [`RouteRecord`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NextHopRecord {
    /// Next hop, zero if none.
    pub gateway: [u8; 16],
    /// Name of the device.
    pub device: [u8; DEVICE_NAME_BYTES],
    /// Index of the device.
    pub interface_index: u32,
    /// Weight, from 1.
    pub weight: u16,
    /// `RTNH_F_*`.
    pub flags: u8,
    /// Zero, for later.
    pub reserved: u8,
}

const _: () = assert!(size_of::<NextHopRecord>() == 40);

/// What the kernel answers when it is asked, in the flow's own namespace, how it would send to the flow's peer.
///
/// Source: `RTM_GETROUTE` and `RTM_GETNEIGH` of rtnetlink.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RouteLookupRecord {
    /// Kind [`RouteLookup`](super::RecordKind::RouteLookup).
    pub header: RecordHeader,
    /// The flow asked for, from this node to the peer.
    pub flow: Flow,
    /// Next hop, zero where the peer is on the link, is this node, or there is no route.
    pub gateway: [u8; 16],
    /// Source address the route prefers, zero if none was told.
    pub source: [u8; 16],
    /// Table that had the answer, 0 if unknown.
    pub table: u32,
    /// Index of the device, 0 if none.
    pub interface_index: u32,
    /// Mark of the socket, with which was asked.
    pub mark: u32,
    /// Errno where the kernel refused, positive; 0 where it answered.
    pub error: u32,
    /// Index of the device the socket is bound to, with which was asked; 0 if none.
    pub bound_interface_index: u32,
    /// What happens to packets (`RTN_*`); meaningful without an error.
    pub route_type: u8,
    /// 1 if the neighbour table has an entry for the next hop.
    pub has_neighbour: u8,
    /// That entry's state (`NUD_*`).
    pub neighbour_state: u8,
    /// Length of its hardware address, 0 if it holds none.
    pub hardware_address_length: u8,
    /// That hardware address.
    pub hardware_address: [u8; HARDWARE_ADDRESS_BYTES],
    /// Name of the device, empty if none.
    pub device: [u8; DEVICE_NAME_BYTES],
}

const _: () = assert!(size_of::<RouteLookupRecord>() == 144);
