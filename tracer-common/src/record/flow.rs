//! The two ends of a flow.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Source and destination of a flow, 40 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Flow {
    /// Source address, network order, IPv4 mapped.
    pub source: [u8; 16],
    /// Destination address, network order, IPv4 mapped.
    pub destination: [u8; 16],
    /// Source port, host order.
    pub source_port: u16,
    /// Destination port, host order.
    pub destination_port: u16,
    /// IP protocol number: 6 TCP, 17 UDP, …
    pub protocol: u8,
    /// Zero, for later.
    pub reserved: [u8; 3],
}

impl Flow {
    /// No flow: all zero.
    pub const EMPTY: Self = Self {
        source: [0; 16],
        destination: [0; 16],
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        reserved: [0; 3],
    };
}

const _: () = assert!(size_of::<Flow>() == 40);
