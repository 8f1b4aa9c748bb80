//! Records: one fixed-size `repr(C)` struct for each kind of event, one file each.
//!
//! Every record starts with a [`RecordHeader`]. Addresses are 16 bytes in network order, IPv4 as an IPv4-mapped
//! IPv6 address; ports are in host order; hardware addresses are [`HARDWARE_ADDRESS_BYTES`] long, the unused tail
//! zero. Absent numbers are zero unless a field says otherwise.

mod address;
mod claim;
mod clock;
mod conntrack;
mod duplicate;
mod facts;
mod flow;
mod gap;
mod header;
mod icmp;
mod ipvs;
mod ipvs_change;
mod ipvs_listing;
mod link;
mod marker;
mod names;
mod neighbour;
mod neighbour_entry;
mod retransmit;
mod route;
mod rule;
mod ruleset;
mod session;
mod sysctl;
mod translation;
mod undo;
mod user;

pub use self::{
    address::AddressRecord,
    claim::{ClaimRecord, claim_direction, claim_source},
    clock::{ClockRecord, clock_synchronised, clock_why},
    conntrack::{
        ABSENT_COUNT, CONNTRACK_COUNTER_PLACES, ConntrackCountersRecord, ConntrackRecord, conntrack_counter,
        conntrack_event,
    },
    duplicate::DuplicateRecord,
    facts::FactsRecord,
    flow::Flow,
    gap::GapRecord,
    header::{KERNEL_KINDS, Record, RecordHeader, RecordKind},
    icmp::{IcmpRecord, icmp_direction, icmp_part},
    ipvs::{IpvsRecord, ipvs_step},
    ipvs_change::{IpvsChangeRecord, IpvsServiceKey, SCHEDULER_NAME_BYTES, ipvs_change_kind},
    ipvs_listing::{IpvsCounts, IpvsDestinationRecord, IpvsServiceRecord, ipvs_listed_why},
    link::{LINK_TYPE_BYTES, LinkRecord},
    marker::MarkerRecord,
    names::{ContainerRecord, NamespaceRecord, container_runtime},
    neighbour::{NeighbourRecord, neighbour_source},
    neighbour_entry::NeighbourEntryRecord,
    retransmit::{RetransmitRecord, retransmit_source},
    route::{NextHopRecord, RouteLookupRecord, RouteRecord, change},
    rule::RuleRecord,
    ruleset::{LARGEST_CHAINS, RulesetRecord, ruleset_backend, ruleset_flag},
    session::{SESSION_ID_BYTES, SessionBeginRecord, SessionRecord},
    sysctl::SysctlRecord,
    translation::TranslationRecord,
    undo::UndoRecord,
    user::{HookStatusRecord, NodeRecord, OwnerRecord, ReadyRecord, StatsRecord},
};

/// Bytes kept of a hardware address: Ethernet needs 6; longer ones (InfiniBand has 20) are cut here.
pub const HARDWARE_ADDRESS_BYTES: usize = 8;

/// Bytes of a network device's name, the closing zero included (`IFNAMSIZ`).
pub const DEVICE_NAME_BYTES: usize = 16;

/// Bytes of a task's command name, the closing zero included (`TASK_COMM_LEN`).
pub const COMMAND_NAME_BYTES: usize = 16;
