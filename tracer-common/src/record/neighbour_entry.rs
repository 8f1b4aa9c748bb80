//! Entries of the neighbour tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, HARDWARE_ADDRESS_BYTES, RecordHeader};

/// An entry that was in a neighbour table when tracer looked.
///
/// Source: `RTM_NEWNEIGH` of rtnetlink (`include/uapi/linux/neighbour.h`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NeighbourEntryRecord {
    /// Kind [`NeighbourEntry`](super::RecordKind::NeighbourEntry).
    pub header: RecordHeader,
    /// The neighbour's address.
    pub address: [u8; 16],
    /// Index of the device it is reached by.
    pub interface_index: u32,
    /// Its state (`NUD_*`).
    pub state: u8,
    /// `NTF_*`.
    pub flags: u8,
    /// Length of its hardware address, 0 if it has none.
    pub hardware_address_length: u8,
    /// Zero, for later.
    pub reserved: u8,
    /// Its hardware address.
    pub hardware_address: [u8; HARDWARE_ADDRESS_BYTES],
    /// Name of the device, empty if not known.
    pub device: [u8; DEVICE_NAME_BYTES],
}

const _: () = assert!(size_of::<NeighbourEntryRecord>() == 72);
