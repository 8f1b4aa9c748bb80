//! Changes of what IPVS is configured to do.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// Bytes of a scheduler's name, the closing zero included (`IP_VS_SCHEDNAME_MAXLEN`).
pub const SCHEDULER_NAME_BYTES: usize = 16;

/// What tells one virtual service from another in its network namespace: protocol, address and port, or a firewall
/// mark and the address family.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IpvsServiceKey {
    /// The virtual address; zero for a service known by a mark.
    pub address: [u8; 16],
    /// The firewall mark, 0 for a service known by its address.
    pub firewall_mark: u32,
    /// The virtual port, host order; zero for a service known by a mark.
    pub port: u16,
    /// IP protocol number; zero for a service known by a mark, which takes any.
    pub protocol: u8,
    /// 1 if it is an IPv6 service.
    pub is_ipv6: u8,
}

const _: () = assert!(size_of::<IpvsServiceKey>() == 24);

/// A service or a real server was added or removed, or a real server's weight changed.
///
/// Source: `__ip_vs_update_dest`, `__ip_vs_del_dest`, the return of `ip_vs_add_service`, and `ip_vs_unlink_service` or,
/// where that is inlined, `__ip_vs_del_service`; all run only once nothing can fail any more. Where they cannot be
/// hooked the program compares two listings, and the header names no hook.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IpvsChangeRecord {
    /// Kind [`IpvsChange`](super::RecordKind::IpvsChange).
    pub header: RecordHeader,
    /// The service.
    pub service: IpvsServiceKey,
    /// The real server's address; zero where the change is about the service itself.
    pub real: [u8; 16],
    /// The real server's port, host order.
    pub real_port: u16,
    /// One of [`ipvs_change_kind`].
    pub change: u8,
    /// 1 if it is about a real server, 0 if about the service itself.
    pub has_real: u8,
    /// `IP_VS_CONN_F_*` of the real server, the forwarding method in the lowest three bits.
    pub connection_flags: u32,
    /// Weight before; zero for what was added.
    pub from: i32,
    /// Weight after; zero for what was removed.
    pub to: i32,
    /// Name of the service's scheduler; empty where the change is about a real server, or where there is none.
    pub scheduler: [u8; SCHEDULER_NAME_BYTES],
    /// 1 if it goes because its network namespace does.
    pub namespace_ends: u8,
    /// Zero, for later.
    pub reserved: [u8; 7],
}

const _: () = assert!(size_of::<IpvsChangeRecord>() == 104);

/// What changed.
pub mod ipvs_change_kind {
    /// It was added.
    pub const ADDED: u8 = 1;
    /// It was removed.
    pub const REMOVED: u8 = 2;
    /// Its weight changed.
    pub const WEIGHT: u8 = 3;
}
