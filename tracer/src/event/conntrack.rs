//! Decisions of connection tracking.

use std::fmt;

use tracer_common::record::{ConntrackRecord, Flow, conntrack_event};

use super::{Endpoints, Protocol};

/// What conntrack decided about a first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conntrack {
    /// What happened.
    pub event: ConntrackEvent,
    /// The entry's original tuple; `None` where no entry is known.
    pub original: Option<Endpoints>,
    /// The entry's reply tuple.
    pub reply: Option<Endpoints>,
    /// TCP state of the entry before the packet; `None` for other protocols.
    pub tcp_state: Option<&'static str>,
    /// Status bits (`IPS_*`) before the packet.
    pub status: u32,
    /// The entry's mark.
    pub mark: u32,
    /// The entry's zone.
    pub zone: u16,
}

impl From<&ConntrackRecord> for Conntrack {
    fn from(record: &ConntrackRecord) -> Self {
        let tuple = |flow: &Flow| (*flow != Flow::default()).then(|| Endpoints::from(flow));
        let original = tuple(&record.original);
        let is_tcp = original.is_some_and(|original| original.protocol == Protocol::TCP);
        Self {
            event: ConntrackEvent::of(record),
            original,
            reply: tuple(&record.reply),
            tcp_state: is_tcp.then(|| tcp_state_name(record.tcp_state)).flatten(),
            status: record.status,
            mark: record.mark,
            zone: record.zone,
        }
    }
}

/// Conntrack's own names of its TCP states (`enum tcp_conntrack`).
fn tcp_state_name(state: u8) -> Option<&'static str> {
    const NAMES: [&str; 10] = [
        "NONE",
        "SYN_SENT",
        "SYN_RECV",
        "ESTABLISHED",
        "FIN_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "TIME_WAIT",
        "CLOSE",
        "SYN_SENT2",
    ];
    NAMES.get(usize::from(state)).copied()
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConntrackEvent {
    /// A finished entry was recreated for a new connection, with a new mapping.
    Reopened,
    /// A new connection uses an existing entry and its old mapping.
    Reused,
    /// The same SYN again, on the entry its first made: nothing is wrong with conntrack.
    SynRepeated,
    /// A new entry could not be inserted and its packet was dropped.
    InsertFailed,
    /// Two equal new entries met, and the packet went on.
    ClashResolved,
    /// The table is full: the packet was dropped.
    TableFull,
}

impl ConntrackEvent {
    /// All of them, in the order of this enum.
    pub const ALL: [Self; 6] = [
        Self::Reopened,
        Self::Reused,
        Self::SynRepeated,
        Self::InsertFailed,
        Self::ClashResolved,
        Self::TableFull,
    ];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reopened => "reopened",
            Self::Reused => "reused",
            Self::SynRepeated => "syn-repeated",
            Self::InsertFailed => "insert-failed",
            Self::ClashResolved => "clash-resolved",
            Self::TableFull => "table-full",
        }
    }

    /// A SYN that ends where the last packet of its direction ended is that packet once more
    /// (`tcp_in_window` keeps the end of a SYN in `td_end`).
    fn of(record: &ConntrackRecord) -> Self {
        const STATE_SYN_SENT: u8 = 1;
        const STATE_SYN_RECEIVED: u8 = 2;
        match record.event {
            conntrack_event::REOPENED => Self::Reopened,
            conntrack_event::INSERT_FAILED => Self::InsertFailed,
            conntrack_event::CLASH_RESOLVED => Self::ClashResolved,
            conntrack_event::TABLE_FULL => Self::TableFull,
            _ if matches!(record.tcp_state, STATE_SYN_SENT | STATE_SYN_RECEIVED)
                && record.last_end == record.sequence.wrapping_add(1) =>
            {
                Self::SynRepeated
            }
            _ => Self::Reused,
        }
    }
}

impl fmt::Display for ConntrackEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
