//! A proposal to the neighbour table.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{DEVICE_NAME_BYTES, HARDWARE_ADDRESS_BYTES, RecordHeader};

/// Somebody proposes a hardware address or a state for a neighbour entry, or the entry's timer gave up.
///
/// Source: tracepoint `neigh:neigh_update`, which fires before `__neigh_update` accepts or ignores the proposal, and
/// `neigh:neigh_timer_handler` for entries that failed. The program tells the verdict by `__neigh_update`'s rules.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NeighbourRecord {
    /// Kind [`Neighbour`](super::RecordKind::Neighbour).
    pub header: RecordHeader,
    /// The neighbour's address, IPv4 mapped.
    pub address: [u8; 16],
    /// Hardware address proposed; meaningful if [`has_proposed`](Self::has_proposed).
    pub proposed: [u8; HARDWARE_ADDRESS_BYTES],
    /// Hardware address the entry holds before the decision.
    pub current: [u8; HARDWARE_ADDRESS_BYTES],
    /// Name of the entry's device.
    pub device: [u8; DEVICE_NAME_BYTES],
    /// Index of the entry's device.
    pub interface_index: u32,
    /// `NEIGH_UPDATE_F_*` flags: OVERRIDE 1, `WEAK_OVERRIDE` 2; the others moved between versions.
    pub update_flags: u32,
    /// Netlink port of the requester, 0 for the network stack.
    pub netlink_port: u32,
    /// `NUD_*` state before.
    pub old_state: u8,
    /// `NUD_*` state proposed, or for [`neighbour_source::TIMER`] the one reached.
    pub new_state: u8,
    /// 1 if a hardware address was proposed.
    pub has_proposed: u8,
    /// 1 if the entry is already unlinked, and the proposal void.
    pub dead: u8,
    /// Length of the device's hardware addresses in bytes; may exceed what is kept.
    pub hardware_address_length: u8,
    /// One of [`neighbour_source`].
    pub source: u8,
    /// Zero, for later.
    pub reserved: [u8; 6],
}

const _: () = assert!(size_of::<NeighbourRecord>() == 96);

/// Which hook body made a [`NeighbourRecord`].
pub mod neighbour_source {
    /// `neigh:neigh_update`.
    pub const UPDATE: u8 = 0;
    /// `neigh:neigh_timer_handler`.
    pub const TIMER: u8 = 1;
}
