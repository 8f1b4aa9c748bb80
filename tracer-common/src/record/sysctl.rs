//! Settings of the kernel.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::RecordHeader;

/// A setting, present or changed. Its name as sysctl(8) writes it, its value and, where it changed, the value before
/// follow as UTF-8 text, separated by line feeds, to the end of the record, padded with zeros.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SysctlRecord {
    /// Kind [`Sysctl`](super::RecordKind::Sysctl).
    pub header: RecordHeader,
    /// One of [`change`](super::change).
    pub change: u8,
    /// Zero, for later.
    pub reserved: [u8; 7],
}

const _: () = assert!(size_of::<SysctlRecord>() == 32);
