//! Decisions of connection tracking.

use std::fmt;

use tracer_common::record::{ConntrackRecord, Flow, conntrack_event};

use super::{Endpoints, Protocol};

/// What conntrack decided about a first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conntrack {
    /// What happened.
    pub event: ConntrackEvent,
    /// The packet's own tuple, which its entry begins with.
    pub original: Option<Endpoints>,
    /// The tuple of replies: whither the packet is translated. `None` where no entry was made, or where the new one
    /// of a reopening is not known because the packet was dropped on its way to it.
    pub reply: Option<Endpoints>,
    /// The tuple of replies of the entry that was given up for a reopening.
    pub previous_reply: Option<Endpoints>,
    /// TCP state of the entry before the packet; `None` for other protocols, and without an entry.
    pub tcp_state: Option<&'static str>,
    /// Status bits (`IPS_*`) before the packet.
    pub status: u32,
    /// The entry's mark; of a reopening the new entry's, if it is known.
    pub mark: u32,
    /// The entry's zone.
    pub zone: u16,
}

impl From<&ConntrackRecord> for Conntrack {
    fn from(record: &ConntrackRecord) -> Self {
        let tuple = |flow: &Flow| (*flow != Flow::default()).then(|| Endpoints::from(flow));
        let original = tuple(&record.original);
        let event = ConntrackEvent::of(record);
        // Where no entry was made there is none that could be in a state.
        let has_tcp_state = event != ConntrackEvent::TableFull
            && original.is_some_and(|original| original.protocol == Protocol::TCP);
        Self {
            event,
            original,
            reply: tuple(&record.reply),
            previous_reply: tuple(&record.previous_reply),
            tcp_state: has_tcp_state.then(|| tcp_state_name(record.tcp_state)).flatten(),
            status: record.status,
            mark: record.mark,
            zone: record.zone,
        }
    }
}

/// Conntrack's own names of its TCP states (`enum tcp_conntrack`).
pub(super) fn tcp_state_name(state: u8) -> Option<&'static str> {
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
    /// The same SYN again, on the entry it met or made before: nothing is wrong with conntrack.
    SynRepeated,
    /// A finished entry was to be recreated while somebody else removed it: the SYN was dropped.
    ReopenFailed,
    /// A new entry could not be inserted and its packet was dropped.
    InsertFailed,
    /// Two equal new entries met, and the packet went on.
    ClashResolved,
    /// The table is full: the packet was dropped.
    TableFull,
}

impl ConntrackEvent {
    /// All of them, in the order of this enum.
    pub const ALL: [Self; 7] = [
        Self::Reopened,
        Self::Reused,
        Self::SynRepeated,
        Self::ReopenFailed,
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
            Self::ReopenFailed => "reopen-failed",
            Self::InsertFailed => "insert-failed",
            Self::ClashResolved => "clash-resolved",
            Self::TableFull => "table-full",
        }
    }

    /// Whether a packet was dropped.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::ReopenFailed | Self::InsertFailed | Self::TableFull)
    }

    fn of(record: &ConntrackRecord) -> Self {
        match record.event {
            conntrack_event::REOPENED => Self::Reopened,
            conntrack_event::REOPEN_FAILED => Self::ReopenFailed,
            conntrack_event::INSERT_FAILED => Self::InsertFailed,
            conntrack_event::CLASH_RESOLVED => Self::ClashResolved,
            conntrack_event::TABLE_FULL => Self::TableFull,
            _ if record.is_again != 0 || began_entry(record) => Self::SynRepeated,
            _ => Self::Reused,
        }
    }
}

/// Whether a SYN is the one its entry began with, once more: what the entry's original direction sent so far ends
/// behind that SYN's sequence number (`tcp_in_window` keeps the end in `td_end`), by no more than the data that the
/// first of them may have carried. A new connection begins elsewhere in the space of 2^32.
fn began_entry(record: &ConntrackRecord) -> bool {
    const LARGEST_PACKET_BYTES: u32 = 65_536;
    record.last_end.wrapping_sub(record.sequence.wrapping_add(1)) < LARGEST_PACKET_BYTES
}

impl fmt::Display for ConntrackEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{ConntrackRecord, conntrack_event};

    use super::{Conntrack, ConntrackEvent};

    #[test]
    fn a_syn_on_an_entry_is_a_repeat_or_a_new_connection() {
        use ConntrackEvent::{Reused, SynRepeated};
        const SYN_SENT: u8 = 1;
        const ESTABLISHED: u8 = 3;
        let cases = [
            ("of a new connection", SYN_SENT, 1_000_000, 7_001, 0, Reused),
            ("of a new connection, again", SYN_SENT, 1_000_000, 7_001, 1, SynRepeated),
            ("that made the entry", SYN_SENT, 7_000, 7_001, 0, SynRepeated),
            ("that made it with data, without", SYN_SENT, 7_000, 8_301, 0, SynRepeated),
            ("that made it, at the end of the space", SYN_SENT, u32::MAX, 0, 0, SynRepeated),
            ("that made it, late", ESTABLISHED, 7_000, 9_000, 0, SynRepeated),
            ("of a new connection that begins lower", SYN_SENT, 5_000_000, 1, 0, Reused),
            ("just above", SYN_SENT, 7_001, 7_001, 0, Reused),
            ("far below", ESTABLISHED, 7_000, 7_001 + 65_536, 0, Reused),
        ];
        for (case, tcp_state, sequence, last_end, is_again, expected) in cases {
            let record = ConntrackRecord {
                event: conntrack_event::SYN_ON_ENTRY,
                tcp_state,
                sequence,
                last_end,
                is_again,
                ..ConntrackRecord::default()
            };
            assert_eq!(Conntrack::from(&record).event, expected, "a SYN {case}");
        }
    }
}
