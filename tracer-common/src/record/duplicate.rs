//! A packet that came again.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, Flow, RecordHeader};

/// A packet of a watched flow was received again in the same network namespace, with a lower TTL: it was forwarded
/// back to where it had been.
///
/// Source: tracepoint `net:netif_receive_skb`. The same packet is one with the same addresses, protocol, IP id (IPv6:
/// flow label) and first 8 bytes behind the IP header. The first time again is told, then those a power of two after.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DuplicateRecord {
    /// Kind [`Duplicate`](super::RecordKind::Duplicate).
    pub header: RecordHeader,
    /// The packet's flow.
    pub flow: Flow,
    /// Name of the device it came in by this time.
    pub device: [u8; DEVICE_NAME_BYTES],
    /// Index of that device.
    pub interface_index: u32,
    /// How often it was received with a TTL lower than before, plus once for the first: 2 or more.
    pub times: u32,
    /// IP id, 0 for IPv6.
    pub ip_id: u16,
    /// TTL or hop limit now.
    pub ttl: u8,
    /// When it came before.
    pub previous_ttl: u8,
    /// When it first came.
    pub first_ttl: u8,
    /// Zero, for later.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<DuplicateRecord>() == 96);
