//! Addresses of this node.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, RecordHeader};

/// An address of a device, present or changed.
///
/// Source: `RTM_NEWADDR` and `RTM_DELADDR` of rtnetlink (`include/uapi/linux/if_addr.h`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AddressRecord {
    /// Kind [`Address`](super::RecordKind::Address).
    pub header: RecordHeader,
    /// The address.
    pub address: [u8; 16],
    /// The other end of a point-to-point link, zero if there is none.
    pub peer: [u8; 16],
    /// Index of the device.
    pub interface_index: u32,
    /// `IFA_F_*`.
    pub flags: u32,
    /// Length of its network in bits, by its own family.
    pub prefix_bits: u8,
    /// How far it is valid (`RT_SCOPE_*`).
    pub scope: u8,
    /// One of [`change`](super::change).
    pub change: u8,
    /// 1 if found by comparing after changes were missed.
    pub is_found_later: u8,
    /// Zero, for later.
    pub reserved: u32,
    /// Name of the device, empty if not known.
    pub device: [u8; DEVICE_NAME_BYTES],
}

const _: () = assert!(size_of::<AddressRecord>() == 88);
