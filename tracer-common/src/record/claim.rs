//! An ARP or neighbour-discovery message that claims an address.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, HARDWARE_ADDRESS_BYTES, RecordHeader};

/// Somebody, maybe this node, says that an address lives at a hardware address.
///
/// Source: `arp_process` (in), `arp_xmit` (out), `ndisc_recv_na` (in) and `ndisc_send_skb` (out).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ClaimRecord {
    /// Kind [`Claim`](super::RecordKind::Claim).
    pub header: RecordHeader,
    /// The address claimed: ARP's sender address, or the advertisement's target; IPv4 mapped.
    pub address: [u8; 16],
    /// Whom it is told: ARP's target address, or the advertisement's destination; IPv4 mapped.
    pub target: [u8; 16],
    /// The hardware address claimed for it; zero if the message carries none.
    pub hardware_address: [u8; HARDWARE_ADDRESS_BYTES],
    /// Name of the device it came in by or goes out of.
    pub device: [u8; DEVICE_NAME_BYTES],
    /// Index of that device.
    pub interface_index: u32,
    /// ARP operation (1 request, 2 reply), or the flags byte of a neighbour advertisement (router 0x80,
    /// solicited 0x40, override 0x20).
    pub operation: u16,
    /// One of [`claim_direction`].
    pub direction: u8,
    /// One of [`claim_source`].
    pub source: u8,
}

const _: () = assert!(size_of::<ClaimRecord>() == 88);

/// Which way a claim goes.
pub mod claim_direction {
    /// It came in.
    pub const IN: u8 = 0;
    /// This node sends it.
    pub const OUT: u8 = 1;
}

/// Which protocol a claim is made in.
pub mod claim_source {
    /// ARP.
    pub const ARP: u8 = 0;
    /// IPv6 neighbour advertisement.
    pub const ADVERTISEMENT: u8 = 1;
}
