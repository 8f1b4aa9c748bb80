//! The hook table.

use std::fmt;

use tracer_common::hook::HookId;

/// What hooks are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Retransmitted segments.
    Retransmit,
    /// Neighbour entries and claims of addresses.
    Neighbour,
    /// Decisions of connection tracking.
    Conntrack,
    /// Decisions of IPVS.
    Ipvs,
    /// Owners of sockets.
    Owner,
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Retransmit => "retransmit",
            Self::Neighbour => "neighbour",
            Self::Conntrack => "conntrack",
            Self::Ipvs => "ipvs",
            Self::Owner => "owner",
        })
    }
}

/// One hook.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Its number.
    pub id: HookId,
    /// Its name in output.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
    /// What it tells.
    pub tells: &'static str,
}

/// Every hook.
pub const HOOKS: &[Hook] = &[
    hook(HookId::RetransmitSegment, "tcp_retransmit_skb", Family::Retransmit, "retransmitted segments"),
    hook(HookId::RetransmitSynAck, "tcp_retransmit_synack", Family::Retransmit, "retransmitted SYN-ACKs"),
    hook(HookId::NeighbourUpdate, "neigh_update", Family::Neighbour, "proposals to the neighbour table"),
    hook(HookId::IpvsSchedule, "ip_vs_schedule", Family::Ipvs, "new IPVS connections"),
];

const fn hook(id: HookId, name: &'static str, family: Family, tells: &'static str) -> Hook {
    Hook { id, name, family, tells }
}

/// The hook of that number.
pub fn find(id: HookId) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.id == id)
}
