//! A retransmitted segment, with the raw facts from which the program tells its kind.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{COMMAND_NAME_BYTES, DEVICE_NAME_BYTES, Flow, RecordHeader};

/// One transmission attempt of a segment that was sent before.
///
/// Source: tracepoints `tcp:tcp_retransmit_skb` (`__tcp_retransmit_skb`) and `tcp:tcp_retransmit_synack`
/// (`tcp_rtx_synack`), and for failed attempts before 6.17 the return of `tcp_retransmit_skb`. The numbers are those
/// at the moment the hook fires: after an RTO `retransmits` counts this one already, and `rto_jiffies` is the timeout
/// that has just expired.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RetransmitRecord {
    /// Kind [`Retransmit`](super::RecordKind::Retransmit).
    pub header: RecordHeader,
    /// From this node to the peer.
    pub flow: Flow,
    /// Inode of the socket (the `N` of `socket:[N]`), for a SYN-ACK the listener's. Where a hook saw the owner, as it was
    /// then; else 0 for one without a file (an orphan).
    pub socket_inode: u64,
    /// Id of the cgroup the socket was made in (the inode of its directory in cgroupfs), 0 where unknown.
    pub cgroup_id: u64,
    /// First sequence number of the segment.
    pub sequence: u32,
    /// Sequence number after its last byte.
    pub end_sequence: u32,
    /// First unacknowledged sequence number of the connection.
    pub unacknowledged: u32,
    /// Send window the peer offers, in bytes.
    pub send_window_bytes: u32,
    /// Retransmission timeout in jiffies, 0 where unknown.
    pub rto_jiffies: u32,
    /// Smoothed round-trip time in eighths of a microsecond, 0 before the first sample.
    pub srtt_eighth_us: u32,
    /// Congestion window in segments.
    pub congestion_window: u32,
    /// How many segments on the wire this is (a GSO packet counts its parts).
    pub segments: u32,
    /// 0 for a successful attempt, else the kernel's negative errno or positive qdisc code.
    pub error: i32,
    /// Process that opened the socket, 0 where no hook saw it.
    pub process_id: u32,
    /// Index of the outgoing device, 0 where the socket has no cached route.
    pub interface_index: u32,
    /// TCP state number (`TCP_ESTABLISHED` = 1, …).
    pub tcp_state: u8,
    /// Congestion state: Open 0, Disorder 1, CWR 2, Recovery 3, Loss 4.
    pub congestion_state: u8,
    /// Pending timer: none 0, retransmit 1, window probe 3, loss probe 5, reordering 6.
    pub pending_timer: u8,
    /// TCP header flags of the segment, low byte (FIN 1, SYN 2, …).
    pub tcp_flags: u8,
    /// Consecutive timeouts so far, this one included; for a SYN-ACK its earlier retransmissions.
    pub retransmits: u8,
    /// The segment's scoreboard: SACKED 1, `SACKED_RETRANS` 2, LOST 4, `EVER_RETRANS` 0x80.
    pub sacked: u8,
    /// One of [`retransmit_source`].
    pub source: u8,
    /// Zero, for later.
    pub reserved: [u8; 5],
    /// Command name of [`process_id`](Self::process_id) when it opened the socket.
    pub command: [u8; COMMAND_NAME_BYTES],
    /// Name of the outgoing device, empty where unknown.
    pub device: [u8; DEVICE_NAME_BYTES],
    /// Mark of the socket (`SO_MARK`), by which rules may choose its route; 0 if none.
    pub mark: u32,
    /// Index of the device the socket is bound to, 0 if it is not.
    pub bound_interface_index: u32,
}

const _: () = assert!(size_of::<RetransmitRecord>() == 176);

/// Which hook body made a [`RetransmitRecord`].
pub mod retransmit_source {
    /// `tcp:tcp_retransmit_skb`.
    pub const SEGMENT: u8 = 0;
    /// `tcp:tcp_retransmit_synack`.
    pub const SYN_ACK: u8 = 1;
    /// A failed return of `tcp_retransmit_skb`, where the tracepoint does not tell failures.
    pub const FAILED_CALL: u8 = 2;
}
