//! What IPVS decided about the first packet of a connection.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// One first packet on its way through IPVS: the steps seen, the entry it met, the real server it was given, and the
/// verdict. A TCP SYN, an SCTP INIT, or of other protocols one that has no entry, or whose entry's server is gone.
///
/// Source: return of `ip_vs_conn_in_get_proto`, entry of `ip_vs_conn_expire_now`, return of `ip_vs_schedule` and of
/// `ip_vs_in_hook`, joined by the call. The program tells the decision from the steps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IpvsRecord {
    /// Kind [`Ipvs`](super::RecordKind::Ipvs).
    pub header: RecordHeader,
    /// The client's address.
    pub client: [u8; 16],
    /// The virtual address dialled.
    pub virtual_address: [u8; 16],
    /// The real server of the entry met or made; zero where there is none.
    pub real: [u8; 16],
    /// The client's port, host order.
    pub client_port: u16,
    /// The virtual port, host order.
    pub virtual_port: u16,
    /// The real server's port, host order.
    pub real_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// 1 if the real server is still configured (`IP_VS_DEST_F_AVAILABLE`).
    pub available: u8,
    /// Weight of the real server at that moment; meaningful if [`has_destination`](Self::has_destination).
    pub weight: i32,
    /// `IP_VS_CONN_F_*` flags of the entry.
    pub connection_flags: u32,
    /// Firewall mark the service is known by, 0 for one known by its address.
    pub firewall_mark: u32,
    /// `net.ipv4.vs.conn_reuse_mode`.
    pub reuse_mode: i32,
    /// `net.ipv4.vs.expire_nodest_conn`.
    pub expire_nodest: i32,
    /// Netfilter verdict: DROP 0, ACCEPT 1, STOLEN 2. Not waited for, and 0, once the scheduler has chosen or failed.
    pub verdict: i32,
    /// Set of [`ipvs_step`] bits.
    pub steps: u16,
    /// State of the entry met (ESTABLISHED 1, … TIME_WAIT 5, CLOSE 6), 0 where none was met.
    pub connection_state: u16,
    /// 1 if the entry has a destination.
    pub has_destination: u8,
    /// 1 if the entry follows a persistence template, or the service is persistent where there is no entry.
    pub persistent: u8,
    /// Zero, for later.
    pub reserved: [u8; 2],
}

impl IpvsRecord {
    /// All zero.
    pub const EMPTY: Self = zerocopy::transmute!([0u8; size_of::<Self>()]);
}

const _: () = assert!(size_of::<IpvsRecord>() == 112);

/// What was seen of a packet's way through IPVS.
pub mod ipvs_step {
    /// An existing entry was found.
    pub const FOUND: u16 = 1;
    /// It was expired at once.
    pub const EXPIRED: u16 = 2;
    /// The scheduler was asked.
    pub const SCHEDULE_ASKED: u16 = 4;
    /// The scheduler gave a new entry.
    pub const SCHEDULED: u16 = 8;
    /// The packet is marked as a first one: a TCP SYN or an SCTP INIT.
    pub const SYN: u16 = 16;
    /// The scheduler was asked, but the new entry could not be made (no memory, or nothing to tell clients apart by).
    pub const SCHEDULE_FAILED: u16 = 32;
}
