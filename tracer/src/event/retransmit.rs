//! Retransmitted segments and their kinds.

use std::fmt;

use tracer_common::record::{RetransmitRecord, retransmit_source};

use super::{Endpoints, Failure, Process, Text};

/// A segment sent again, or an attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retransmit {
    /// Why it was sent again.
    pub kind: RetransmitKind,
    /// From this node to the peer.
    pub flow: Endpoints,
    /// State of the connection.
    pub tcp_state: TcpState,
    /// How many segments on the wire.
    pub segments: u32,
    /// First sequence number.
    pub sequence: u32,
    /// Sequence number after the last byte.
    pub end_sequence: u32,
    /// The first sequence number of the connection that is not acknowledged.
    pub unacknowledged: u32,
    /// Which consecutive attempt this is, from 1, where the kernel counts them (SYN, SYN-ACK, timeouts).
    pub attempt: Option<u32>,
    /// The timeout in force, microseconds.
    pub rto_us: Option<u64>,
    /// Smoothed round-trip time, microseconds, once there is a sample.
    pub srtt_us: Option<u32>,
    /// Congestion window in segments; `None` for a SYN-ACK, which has no connection yet.
    pub congestion_window: Option<u32>,
    /// Why the attempt failed, if it did.
    pub error: Option<Failure>,
    /// Name of the outgoing device, where the socket has a cached route.
    pub device: Option<Text>,
    /// The process that opened the socket, where a hook saw it.
    pub process: Option<Process>,
    /// Id of the socket's cgroup.
    pub cgroup_id: Option<u64>,
    /// Inode of the socket, if it has a file.
    pub socket_inode: Option<u64>,
}

impl Retransmit {
    /// Whether a segment went out.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// What the record tells; `tick_ns` is the length of a jiffy.
    #[inline]
    pub fn from_record(record: &RetransmitRecord, tick_ns: u64) -> Self {
        let kind = RetransmitKind::of(record);
        let is_request = record.source == retransmit_source::SYN_ACK;
        let attempt = match kind {
            // `inet_rtx_syn_ack` counts after the tracepoint.
            RetransmitKind::SynAck => Some(u32::from(record.retransmits) + 1),
            RetransmitKind::Syn | RetransmitKind::Timeout => Some(u32::from(record.retransmits)),
            _ => None,
        };
        Self {
            kind,
            flow: (&record.flow).into(),
            tcp_state: TcpState(record.tcp_state),
            segments: record.segments,
            sequence: record.sequence,
            end_sequence: record.end_sequence,
            unacknowledged: record.unacknowledged,
            attempt: attempt.filter(|&attempt| attempt != 0),
            rto_us: (record.rto_jiffies != 0)
                .then(|| u64::from(record.rto_jiffies).saturating_mul(tick_ns) / 1_000),
            srtt_us: Some(record.srtt_eighth_us / 8).filter(|&srtt_us| srtt_us != 0),
            congestion_window: (!is_request).then_some(record.congestion_window),
            error: Failure::from_record(record.error),
            device: Some(Text::from_bytes(&record.device)).filter(|device| !device.is_empty()),
            process: Process::from_record(record.process_id, &record.command),
            cgroup_id: (record.cgroup_id != 0).then_some(record.cgroup_id),
            socket_inode: (record.socket_inode != 0).then_some(record.socket_inode),
        }
    }
}

/// Why a segment was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RetransmitKind {
    /// The SYN was not answered.
    Syn,
    /// The SYN-ACK was not answered.
    SynAck,
    /// The retransmission timer expired.
    Timeout,
    /// Acknowledgements say that the segment is lost.
    Fast,
    /// A tail loss probe.
    TailLossProbe,
    /// The reordering timer of RACK expired.
    Reordering,
    /// Clocked out by acknowledgements after a timeout.
    SlowStart,
    /// The timer expired while the peer's window is closed.
    ZeroWindow,
    /// None of these (path MTU changed, …).
    Other,
}

impl RetransmitKind {
    /// All of them, in the order of this enum.
    pub const ALL: [Self; 9] = [
        Self::Syn,
        Self::SynAck,
        Self::Timeout,
        Self::Fast,
        Self::TailLossProbe,
        Self::Reordering,
        Self::SlowStart,
        Self::ZeroWindow,
        Self::Other,
    ];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::SynAck => "syn-ack",
            Self::Timeout => "rto",
            Self::Fast => "fast",
            Self::TailLossProbe => "tlp",
            Self::Reordering => "reordering",
            Self::SlowStart => "slow-start",
            Self::ZeroWindow => "zero-window",
            Self::Other => "other",
        }
    }

    /// The kind, from the state of the connection when the tracepoint fires. The order of the tests matters: a SYN's
    /// timeout also sets the Loss state, and `tcp_write_timer_handler` clears the pending timer before a retransmission
    /// timeout but not before a loss probe or a reordering timeout.
    fn of(record: &RetransmitRecord) -> Self {
        const FLAG_SYN: u8 = 2;
        const STATE_SYN_SENT: u8 = 2;
        const PENDING_NONE: u8 = 0;
        const PENDING_LOSS_PROBE: u8 = 5;
        const PENDING_REORDERING: u8 = 6;
        const CONGESTION_RECOVERY: u8 = 3;
        const CONGESTION_LOSS: u8 = 4;

        if record.source == retransmit_source::SYN_ACK {
            return Self::SynAck;
        }
        if record.tcp_flags & FLAG_SYN != 0 || record.tcp_state == STATE_SYN_SENT {
            return Self::Syn;
        }
        match record.pending_timer {
            // An acknowledgement can begin a recovery before the probe's timer is set anew: that is no probe.
            PENDING_LOSS_PROBE if record.congestion_state < CONGESTION_RECOVERY => {
                return Self::TailLossProbe;
            }
            PENDING_REORDERING => return Self::Reordering,
            _ => {}
        }
        let is_head = record.sequence == record.unacknowledged;
        match record.congestion_state {
            CONGESTION_LOSS if record.pending_timer == PENDING_NONE && is_head => {
                if record.send_window_bytes == 0 { Self::ZeroWindow } else { Self::Timeout }
            }
            CONGESTION_LOSS => Self::SlowStart,
            CONGESTION_RECOVERY => Self::Fast,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for RetransmitKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A TCP state number (`include/net/tcp_states.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpState(pub u8);

impl fmt::Display for TcpState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 14] = [
            "",
            "ESTABLISHED",
            "SYN_SENT",
            "SYN_RECV",
            "FIN_WAIT1",
            "FIN_WAIT2",
            "TIME_WAIT",
            "CLOSE",
            "CLOSE_WAIT",
            "LAST_ACK",
            "LISTEN",
            "CLOSING",
            // A connection request that has no socket yet.
            "SYN_RECV",
            "BOUND_INACTIVE",
        ];
        match NAMES.get(usize::from(self.0)) {
            Some(name) if !name.is_empty() => formatter.pad(name),
            _ => formatter.pad(&self.0.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{RetransmitRecord, retransmit_source};

    use super::{Retransmit, RetransmitKind};
    use crate::event::Failure;

    fn established() -> RetransmitRecord {
        RetransmitRecord {
            tcp_state: 1,
            tcp_flags: 0x10,
            sequence: 1000,
            unacknowledged: 1000,
            send_window_bytes: 65535,
            pending_timer: 1,
            ..RetransmitRecord::default()
        }
    }

    #[test]
    fn the_kind_follows_from_the_state_at_the_tracepoint() {
        let table = [
            (
                "SYN, though Loss",
                RetransmitRecord {
                    tcp_state: 2,
                    tcp_flags: 2,
                    congestion_state: 4,
                    pending_timer: 0,
                    ..established()
                },
                RetransmitKind::Syn,
            ),
            (
                "SYN-ACK",
                RetransmitRecord { source: retransmit_source::SYN_ACK, ..established() },
                RetransmitKind::SynAck,
            ),
            (
                "loss probe",
                RetransmitRecord { pending_timer: 5, ..established() },
                RetransmitKind::TailLossProbe,
            ),
            (
                "recovery while a probe is pending",
                RetransmitRecord { pending_timer: 5, congestion_state: 3, ..established() },
                RetransmitKind::Fast,
            ),
            (
                "reordering timer",
                RetransmitRecord { pending_timer: 6, congestion_state: 3, ..established() },
                RetransmitKind::Reordering,
            ),
            (
                "timeout",
                RetransmitRecord { pending_timer: 0, congestion_state: 4, ..established() },
                RetransmitKind::Timeout,
            ),
            (
                "closed window",
                RetransmitRecord {
                    pending_timer: 0,
                    congestion_state: 4,
                    send_window_bytes: 0,
                    ..established()
                },
                RetransmitKind::ZeroWindow,
            ),
            (
                "Loss, not the head",
                RetransmitRecord { pending_timer: 0, congestion_state: 4, sequence: 2000, ..established() },
                RetransmitKind::SlowStart,
            ),
            (
                "Loss, by an ACK",
                RetransmitRecord { congestion_state: 4, ..established() },
                RetransmitKind::SlowStart,
            ),
            ("Recovery", RetransmitRecord { congestion_state: 3, ..established() }, RetransmitKind::Fast),
            ("Open", established(), RetransmitKind::Other),
        ];
        for (name, record, expected) in table {
            assert_eq!(Retransmit::from_record(&record, 4_000_000).kind, expected, "{name}");
        }
    }

    #[test]
    fn absent_facts_are_absent_and_units_are_converted() {
        let bare = Retransmit::from_record(&established(), 4_000_000);
        assert_eq!(
            (bare.rto_us, bare.srtt_us, bare.error, bare.process, bare.device),
            (None, None, None, None, None)
        );
        let record =
            RetransmitRecord { rto_jiffies: 51, srtt_eighth_us: 8_008, error: -113, ..established() };
        let told = Retransmit::from_record(&record, 4_000_000);
        assert_eq!(
            (told.rto_us, told.srtt_us, told.error),
            (Some(204_000), Some(1_001), Some(Failure::Errno(113)))
        );
        assert!(!told.succeeded());
    }
}
