//! Network devices.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, HARDWARE_ADDRESS_BYTES, RecordHeader};

/// Bytes kept of the name of a device's type, the closing zero included; the longest in the kernel has 14.
pub const LINK_TYPE_BYTES: usize = 16;

/// A network device, present or changed.
///
/// Source: `RTM_NEWLINK` and `RTM_DELLINK` of rtnetlink (`include/uapi/linux/if_link.h`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LinkRecord {
    /// Kind [`Link`](super::RecordKind::Link).
    pub header: RecordHeader,
    /// Index of the device.
    pub interface_index: u32,
    /// `IFF_*`.
    pub flags: u32,
    /// Largest packet in bytes.
    pub mtu_bytes: u32,
    /// Index of the bridge, bond or VRF it belongs to, 0 if none.
    pub master_index: u32,
    /// State by RFC 2863 (`IF_OPER_*`): unknown 0, down 2, lower layer down 3, dormant 5, up 6.
    pub operational_state: u8,
    /// Length of its hardware address.
    pub hardware_address_length: u8,
    /// One of [`change`](super::change).
    pub change: u8,
    /// 1 if found by comparing after changes were missed.
    pub is_found_later: u8,
    /// Zero, for later.
    pub reserved: u32,
    /// Its hardware address.
    pub hardware_address: [u8; HARDWARE_ADDRESS_BYTES],
    /// Its name.
    pub device: [u8; DEVICE_NAME_BYTES],
    /// The name of its type (`veth`, `dummy`, …), empty for hardware.
    pub link_type: [u8; LINK_TYPE_BYTES],
}

const _: () = assert!(size_of::<LinkRecord>() == 88);
