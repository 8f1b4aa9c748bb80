//! Decisions of IPVS.

use std::{fmt, net::SocketAddr};

use tracer_common::record::{IpvsRecord, ipvs_step};

use super::{Protocol, address};

/// What IPVS decided about a first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipvs {
    /// What it decided.
    pub decision: IpvsDecision,
    /// Who dials.
    pub client: SocketAddr,
    /// The virtual service dialled.
    pub virtual_service: SocketAddr,
    /// The real server of the entry met or made.
    pub real: Option<SocketAddr>,
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
}

impl From<&IpvsRecord> for Ipvs {
    fn from(record: &IpvsRecord) -> Self {
        let socket = |bytes, port| SocketAddr::new(address(bytes), port);
        let has_real = record.real != [0; 16];
        Self {
            decision: IpvsDecision::of(record),
            client: socket(record.client, record.client_port),
            virtual_service: socket(record.virtual_address, record.virtual_port),
            real: has_real.then(|| socket(record.real, record.real_port)),
            protocol: Protocol(record.protocol),
            weight: (record.has_destination != 0).then_some(record.weight),
            available: record.available != 0,
            connection_state: state_name(record),
            reuse_mode: record.reuse_mode,
            expire_nodest: record.expire_nodest,
            firewall_mark: (record.firewall_mark != 0).then_some(record.firewall_mark),
        }
    }
}

/// IPVS's own names of its TCP states (`enum` `IP_VS_TCP_S_*`).
fn state_name(record: &IpvsRecord) -> Option<&'static str> {
    const NAMES: [&str; 11] = [
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
    if record.steps & ipvs_step::FOUND == 0 || Protocol(record.protocol) != Protocol::TCP {
        return None;
    }
    NAMES.get(usize::from(record.connection_state)).copied()
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

    /// From the steps the packet took through `ip_vs_in_hook` (5.16 to 7.2): an entry found and kept is reused, unless
    /// its packet is dropped for want of a destination; an entry expired is followed by the scheduler or by a drop.
    fn of(record: &IpvsRecord) -> Self {
        const VERDICT_DROP: i32 = 0;
        let took = |step| record.steps & step != 0;
        if took(ipvs_step::SCHEDULED) {
            return if took(ipvs_step::FOUND) { Self::Rescheduled } else { Self::Scheduled };
        }
        if took(ipvs_step::SCHEDULE_ASKED) {
            return Self::Refused;
        }
        if record.verdict == VERDICT_DROP {
            return if took(ipvs_step::EXPIRED) { Self::Delayed } else { Self::Dropped };
        }
        Self::Reused
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
        let table = [
            (ipvs_step::SCHEDULE_ASKED | ipvs_step::SCHEDULED, STOLEN, IpvsDecision::Scheduled),
            (ipvs_step::FOUND, STOLEN, IpvsDecision::Reused),
            (
                ipvs_step::FOUND | ipvs_step::EXPIRED | ipvs_step::SCHEDULE_ASKED | ipvs_step::SCHEDULED,
                STOLEN,
                IpvsDecision::Rescheduled,
            ),
            (ipvs_step::FOUND | ipvs_step::EXPIRED, DROP, IpvsDecision::Delayed),
            (ipvs_step::FOUND, DROP, IpvsDecision::Dropped),
            (ipvs_step::SCHEDULE_ASKED, DROP, IpvsDecision::Refused),
        ];
        for (steps, verdict, expected) in table {
            let record = IpvsRecord { steps, verdict, protocol: 6, ..IpvsRecord::default() };
            assert_eq!(Ipvs::from(&record).decision, expected, "{steps:#b}");
        }
    }
}
