//! Services and real servers of IPVS as the kernel lists them.

use std::num::NonZeroU32;

use tracer_common::record::{IpvsCounts, IpvsDestinationRecord, IpvsServiceRecord, ipvs_listed_why};

use super::{Endpoint, IpvsForward, IpvsService, Text, address};

/// Why something listed is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedWhy {
    /// It was not listed before, or not like this.
    News,
    /// Only its connections and totals are others than before.
    Counts,
    /// It was listed before and is no more.
    Gone,
}

impl ListedWhy {
    fn of(number: u8) -> Option<Self> {
        match number {
            ipvs_listed_why::NEWS => Some(Self::News),
            ipvs_listed_why::COUNTS => Some(Self::Counts),
            ipvs_listed_why::GONE => Some(Self::Gone),
            _ => None,
        }
    }
}

/// A virtual service, as it was at the event's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedService {
    /// Which.
    pub service: IpvsService,
    /// Why it is told.
    pub why: ListedWhy,
    /// Its scheduler, if it has one.
    pub scheduler: Option<Text>,
    /// Seconds for which a client stays with its real server, if it does.
    pub persistence_s: Option<NonZeroU32>,
    /// Whether each packet is scheduled for itself.
    pub is_one_packet: bool,
    /// Its totals.
    pub counts: IpvsCounts,
}

impl ListedService {
    /// What a record means; `None` if it is told for a newer reason.
    pub(crate) fn from_record(record: &IpvsServiceRecord) -> Option<Self> {
        const PERSISTENT: u32 = 1;
        const ONE_PACKET: u32 = 4;
        let scheduler = Text::from_bytes(&record.scheduler);
        let is_persistent = record.flags & PERSISTENT != 0;
        Some(Self {
            service: (&record.service).into(),
            why: ListedWhy::of(record.why)?,
            scheduler: (!scheduler.is_empty()).then_some(scheduler),
            persistence_s: NonZeroU32::new(record.persistence_timeout_s).filter(|_| is_persistent),
            is_one_packet: record.flags & ONE_PACKET != 0,
            counts: record.counts,
        })
    }
}

/// A real server of a virtual service, as it was at the event's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDestination {
    /// The service it serves.
    pub service: IpvsService,
    /// Its address.
    pub real: Endpoint,
    /// Why it is told.
    pub why: ListedWhy,
    /// Its weight.
    pub weight: i32,
    /// How packets reach it.
    pub forwarding: Option<IpvsForward>,
    /// Connections that are established.
    pub active_connections: u32,
    /// Connections that are not, or no more.
    pub inactive_connections: u32,
    /// Persistence templates.
    pub persistent_connections: u32,
    /// Its totals.
    pub counts: IpvsCounts,
}

impl ListedDestination {
    /// What a record means; `None` if it is told for a newer reason.
    pub(crate) fn from_record(record: &IpvsDestinationRecord) -> Option<Self> {
        Some(Self {
            service: (&record.service).into(),
            real: Endpoint::new(address(record.real), record.real_port),
            why: ListedWhy::of(record.why)?,
            weight: record.weight,
            forwarding: IpvsForward::of(record.forwarding),
            active_connections: record.active_connections,
            inactive_connections: record.inactive_connections,
            persistent_connections: record.persistent_connections,
            counts: record.counts,
        })
    }
}
