//! What IPVS was configured to do at one moment, as the kernel lists it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{IpvsServiceKey, RecordHeader, SCHEDULER_NAME_BYTES};

/// Totals of a service or a real server (`struct ip_vs_kstats`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IpvsCounts {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets towards the real servers.
    pub packets_in: u64,
    /// Packets back; none with tunnels and direct routing.
    pub packets_out: u64,
    /// Bytes towards the real servers.
    pub bytes_in: u64,
    /// Bytes back; none with tunnels and direct routing.
    pub bytes_out: u64,
}

/// A virtual service. The header's time is when the kernel was asked, so that a change told with a later time is newer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IpvsServiceRecord {
    /// Kind [`IpvsService`](super::RecordKind::IpvsService).
    pub header: RecordHeader,
    /// Which.
    pub service: IpvsServiceKey,
    /// Name of its scheduler; empty if it has none.
    pub scheduler: [u8; SCHEDULER_NAME_BYTES],
    /// `IP_VS_SVC_F_*`: persistent 1, hashed 2, one packet 4.
    pub flags: u32,
    /// Timeout of persistence in seconds.
    pub persistence_timeout_s: u32,
    /// Its totals.
    pub counts: IpvsCounts,
    /// One of [`ipvs_listed_why`]: why it is told.
    pub why: u8,
    /// Zero, for later.
    pub reserved: [u8; 7],
}

const _: () = assert!(size_of::<IpvsServiceRecord>() == 120);

/// A real server of a virtual service. The header's time is when the kernel was asked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IpvsDestinationRecord {
    /// Kind [`IpvsDestination`](super::RecordKind::IpvsDestination).
    pub header: RecordHeader,
    /// The service it serves.
    pub service: IpvsServiceKey,
    /// Its address.
    pub real: [u8; 16],
    /// Its port, host order.
    pub real_port: u16,
    /// One of [`ipvs_listed_why`]: why it is told.
    pub why: u8,
    /// Zero, for later.
    pub reserved: u8,
    /// Its weight.
    pub weight: i32,
    /// Forwarding method: masquerading 0, local 1, tunnel 2, direct routing 3, bypass 4.
    pub forwarding: u32,
    /// Connections that are established.
    pub active_connections: u32,
    /// Connections that are not, or no more.
    pub inactive_connections: u32,
    /// Persistence templates.
    pub persistent_connections: u32,
    /// Its totals.
    pub counts: IpvsCounts,
}

const _: () = assert!(size_of::<IpvsDestinationRecord>() == 128);

/// Why something listed is told.
pub mod ipvs_listed_why {
    /// It was not listed before, or not like this.
    pub const NEWS: u8 = 0;
    /// Only its connections and totals are others than before.
    pub const COUNTS: u8 = 1;
    /// It was listed before and is no more.
    pub const GONE: u8 = 2;
}
