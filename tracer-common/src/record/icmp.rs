//! An ICMP error, sent or received.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, Flow, RecordHeader};

/// This node sends an ICMP or ICMPv6 error, or receives one. Errors quote the packet they are about.
///
/// Source, sent: tracepoint `icmp:icmp_send` (6.11, backported), which `__icmp_send` passes once no rate limit or rule
/// of the protocol keeps it from sending; before, `icmp_push_reply`; ICMPv6: `icmpv6_push_pending_frames`. Received:
/// `icmp_unreach` and `icmpv6_notify`, after the checksum was found good.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IcmpRecord {
    /// Kind [`Icmp`](super::RecordKind::Icmp).
    pub header: RecordHeader,
    /// The flow of the packet quoted, as far as [`parts`](Self::parts) says.
    pub flow: Flow,
    /// Who sent the message, where it was received; else zero.
    pub sender: [u8; 16],
    /// The largest packet that would have fit, in bytes; 0 where the message does not say.
    pub mtu_bytes: u32,
    /// Index of the device: the one a message received came in by; of a message sent, the one of the packet quoted. 0
    /// where unknown.
    pub interface_index: u32,
    /// Name of that device, empty where unknown.
    pub device: [u8; DEVICE_NAME_BYTES],
    /// Type of the message.
    pub icmp_type: u8,
    /// Its code.
    pub icmp_code: u8,
    /// 4 for ICMP, 6 for ICMPv6.
    pub version: u8,
    /// One of [`icmp_direction`].
    pub direction: u8,
    /// TTL or hop limit of the packet quoted.
    pub ttl: u8,
    /// Set of [`icmp_part`] bits.
    pub parts: u8,
    /// IP id of the packet quoted, 0 for IPv6.
    pub ip_id: u16,
}

const _: () = assert!(size_of::<IcmpRecord>() == 112);

/// Which way an ICMP error goes.
pub mod icmp_direction {
    /// It came in.
    pub const IN: u8 = 0;
    /// This node sends it.
    pub const OUT: u8 = 1;
}

/// What could be read of the packet quoted: messages may be cut short.
pub mod icmp_part {
    /// Its IP header.
    pub const HEADER: u8 = 1;
    /// Its ports, or for another protocol that there are none.
    pub const PORTS: u8 = 2;
}
