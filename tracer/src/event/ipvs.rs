//! Decisions of IPVS.

use std::fmt;

use tracer_common::record::{IpvsRecord, ipvs_step};

use super::{Endpoint, Protocol, address};

/// What IPVS decided about a first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipvs {
    /// What it decided.
    pub decision: IpvsDecision,
    /// Who dials.
    pub client: Endpoint,
    /// The virtual service dialled.
    pub virtual_service: Endpoint,
    /// The real server of the entry met or made.
    pub real: Option<Endpoint>,
    /// By which protocol.
    pub protocol: Protocol,
    /// Weight of that real server at this moment.
    pub weight: Option<i32>,
    /// Whether that real server is still configured.
    pub available: bool,
    /// State of the entry that was met.
    pub connection_state: Option<&'static str>,
    /// `net.ipv4.vs.conn_reuse_mode`.
    pub reuse_mode: i32,
    /// `net.ipv4.vs.expire_nodest_conn`.
    pub expire_nodest: i32,
    /// Firewall mark of the service, where it is known by one.
    pub firewall_mark: Option<u32>,
    /// How packets get to the real server; `None` where there is no entry.
    pub forward: Option<IpvsForward>,
    /// Whether the client's connections stick to one real server.
    pub persistent: bool,
}

impl From<&IpvsRecord> for Ipvs {
    fn from(record: &IpvsRecord) -> Self {
        let socket = |bytes, port| Endpoint::new(address(bytes), port);
        let real = address(record.real);
        let has_entry = record.steps & (ipvs_step::FOUND | ipvs_step::SCHEDULED) != 0
            && record.steps & (ipvs_step::SCHEDULE_ASKED | ipvs_step::SCHEDULED) != ipvs_step::SCHEDULE_ASKED;
        Self {
            decision: IpvsDecision::of(record),
            client: socket(record.client, record.client_port),
            virtual_service: socket(record.virtual_address, record.virtual_port),
            real: (!real.is_unspecified()).then(|| Endpoint::new(real, record.real_port)),
            protocol: Protocol(record.protocol),
            weight: (record.has_destination != 0).then_some(record.weight),
            available: record.available != 0,
            connection_state: state_name(record),
            reuse_mode: record.reuse_mode,
            expire_nodest: record.expire_nodest,
            firewall_mark: (record.firewall_mark != 0).then_some(record.firewall_mark),
            forward: has_entry.then(|| IpvsForward::of(record.connection_flags)).flatten(),
            persistent: record.persistent != 0,
        }
    }
}

impl Ipvs {
    /// Whether the client's SYN came again: it meets the entry that its first one made or renewed, which waits for the
    /// handshake. IPVS decides about it as about any SYN, but it is no other connection.
    ///
    /// Source: `tcp_states` in `net/netfilter/ipvs/ip_vs_proto_tcp.c` and `sctp_states` in `ip_vs_proto_sctp.c`, v6.18.
    pub fn is_repeated(&self) -> bool {
        self.decision == IpvsDecision::Reused && self.meets_opening()
    }

    /// Whether it meets an entry that waits for the handshake of its connection.
    pub fn meets_opening(&self) -> bool {
        self.connection_state.is_some_and(|state| OPENING.contains(&state))
    }
}

/// How packets of a connection get from the director to the real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpvsForward {
    /// Addressed to the real server.
    Nat,
    /// The director is the real server.
    Local,
    /// In an outer packet.
    Tunnel,
    /// As they are, in a frame to the real server.
    Direct,
    /// As they are, to where they were addressed: there is no real server (`cache_bypass`).
    Bypass,
}

impl IpvsForward {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Local => "local",
            Self::Tunnel => "tunnel",
            Self::Direct => "direct",
            Self::Bypass => "bypass",
        }
    }

    /// From `IP_VS_CONN_F_*` flags (`IP_VS_CONN_F_FWD_MASK`); `None` for a method of a newer kernel.
    pub(super) fn of(flags: u32) -> Option<Self> {
        const MASK: u32 = 7;
        match flags & MASK {
            0 => Some(Self::Nat),
            1 => Some(Self::Local),
            2 => Some(Self::Tunnel),
            3 => Some(Self::Direct),
            4 => Some(Self::Bypass),
            _ => None,
        }
    }
}

/// States of entries that a first SYN, or a first INIT of SCTP, leads to.
const OPENING: [&str; 2] = ["SYN_RECV", "INIT1"];

/// IPVS's own names of the states of entries.
fn state_name(record: &IpvsRecord) -> Option<&'static str> {
    /// `IP_VS_TCP_S_*`.
    const TCP: [&str; 11] = [
        "NONE",
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "SYNACK",
    ];
    /// `IP_VS_SCTP_S_*`.
    const SCTP: [&str; 14] = [
        "NONE",
        "INIT1",
        "INIT",
        "COOKIE_SENT",
        "COOKIE_REPLIED",
        "COOKIE_WAIT",
        "COOKIE",
        "COOKIE_ECHOED",
        "ESTABLISHED",
        "SHUTDOWN_SENT",
        "SHUTDOWN_RECEIVED",
        "SHUTDOWN_ACK_SENT",
        "REJECTED",
        "CLOSED",
    ];
    if record.steps & ipvs_step::FOUND == 0 {
        return None;
    }
    let names: &[&str] = match Protocol(record.protocol) {
        Protocol::TCP => &TCP,
        Protocol::SCTP => &SCTP,
        _ => return None,
    };
    names.get(usize::from(record.connection_state)).copied()
}

/// What IPVS decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpvsDecision {
    /// A new entry, chosen by the scheduler.
    Scheduled,
    /// An existing entry and its real server are used again.
    Reused,
    /// The old entry was given up and the scheduler chose anew.
    Rescheduled,
    /// The old entry was given up and the SYN dropped: the client has to try again.
    Delayed,
    /// The packet was dropped because its real server is gone.
    Dropped,
    /// No real server to choose from.
    Refused,
}

impl IpvsDecision {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Scheduled, Self::Reused, Self::Rescheduled, Self::Delayed, Self::Dropped, Self::Refused];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Reused => "reused",
            Self::Rescheduled => "rescheduled",
            Self::Delayed => "delayed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }

    /// Whether the new connection goes on to a real server.
    pub fn is_accepted(self) -> bool {
        match self {
            Self::Scheduled | Self::Reused | Self::Rescheduled => true,
            Self::Delayed | Self::Dropped | Self::Refused => false,
        }
    }

    /// From the steps the packet took through `ip_vs_in_hook` (5.16 to 7.2); ARCHITECTURE.md has the whole table.
    fn of(record: &IpvsRecord) -> Self {
        const VERDICT_DROP: i32 = 0;
        let took = |step| record.steps & step != 0;
        let is_dropped = record.verdict == VERDICT_DROP;
        if took(ipvs_step::SCHEDULED) {
            return if took(ipvs_step::FOUND) { Self::Rescheduled } else { Self::Scheduled };
        }
        if took(ipvs_step::SCHEDULE_FAILED) {
            return Self::Dropped;
        }
        if took(ipvs_step::SCHEDULE_ASKED) {
            // Sent on without a real server (`cache_bypass`), which makes an entry as well.
            return if is_dropped { Self::Refused } else { Self::Scheduled };
        }
        match (took(ipvs_step::FOUND), is_dropped) {
            // The entry stands in the way of its conntrack entry, and either goes now or when what it controls has gone.
            (true, true) if took(ipvs_step::EXPIRED) || record.available != 0 => Self::Delayed,
            (_, true) => Self::Dropped,
            // Given up, and no service wants the packet any more.
            (true, false) if took(ipvs_step::EXPIRED) => Self::Refused,
            (_, false) => Self::Reused,
        }
    }
}

impl fmt::Display for IpvsDecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{IpvsRecord, ipvs_step};

    use super::{Ipvs, IpvsDecision};

    #[test]
    fn the_decision_follows_from_the_steps_and_the_verdict() {
        const DROP: i32 = 0;
        const STOLEN: i32 = 2;
        const ACCEPT: i32 = 1;
        const ASKED: u16 = ipvs_step::SCHEDULE_ASKED;
        const CHOSEN: u16 = ASKED | ipvs_step::SCHEDULED;
        const FAILED: u16 = ASKED | ipvs_step::SCHEDULE_FAILED;
        const FOUND: u16 = ipvs_step::FOUND;
        const EXPIRED: u16 = FOUND | ipvs_step::EXPIRED;
        let table = [
            (CHOSEN, 0, DROP, IpvsDecision::Scheduled),
            (ASKED, 0, STOLEN, IpvsDecision::Scheduled),
            (FOUND, 1, STOLEN, IpvsDecision::Reused),
            (FOUND, 1, ACCEPT, IpvsDecision::Reused),
            (EXPIRED | CHOSEN, 1, DROP, IpvsDecision::Rescheduled),
            // A controlling entry stays until those it controls are gone, and is passed over meanwhile.
            (FOUND | CHOSEN, 1, DROP, IpvsDecision::Rescheduled),
            (EXPIRED, 1, DROP, IpvsDecision::Delayed),
            (EXPIRED, 0, DROP, IpvsDecision::Delayed),
            (FOUND, 1, DROP, IpvsDecision::Delayed),
            (FOUND, 0, DROP, IpvsDecision::Dropped),
            (FAILED, 0, DROP, IpvsDecision::Dropped),
            (0, 0, DROP, IpvsDecision::Dropped),
            (ASKED, 0, DROP, IpvsDecision::Refused),
            (EXPIRED | ASKED, 0, DROP, IpvsDecision::Refused),
            (EXPIRED, 0, ACCEPT, IpvsDecision::Refused),
        ];
        for (steps, available, verdict, expected) in table {
            let record = IpvsRecord { steps, available, verdict, protocol: 6, ..IpvsRecord::default() };
            assert_eq!(Ipvs::from(&record).decision, expected, "{steps:#b}, available {available}");
        }
    }
}
