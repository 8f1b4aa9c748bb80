//! A congestion-window reduction taken back.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Flow, RecordHeader};

/// The kernel found that it had retransmitted needlessly and undid the reduction of the window.
///
/// Source: entry of `tcp_undo_cwnd_reduction`, which is called only once the undo is decided.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct UndoRecord {
    /// Kind [`Undo`](super::RecordKind::Undo).
    pub header: RecordHeader,
    /// From this node to the peer.
    pub flow: Flow,
    /// Inode of the socket, 0 for one without a file.
    pub socket_inode: u64,
    /// Congestion window before the undo, in segments.
    pub congestion_window: u32,
    /// Congestion state before the undo: 4 a spurious timeout, 3 a spurious fast retransmit.
    pub congestion_state: u8,
    /// TCP state number.
    pub tcp_state: u8,
    /// Zero, for later.
    pub reserved: [u8; 2],
}

const _: () = assert!(size_of::<UndoRecord>() == 80);
