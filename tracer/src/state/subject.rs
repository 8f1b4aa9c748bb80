//! What something can be about.

use std::net::IpAddr;

use tracer_common::hook::HookId;

use super::{FlowKey, NeighbourKey, RealKey, ServiceKey};
use crate::event::{Body, Event, Netns, Prefix};

/// One thing everything known of can be gathered about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A flow, and the connection it is a part of.
    Flow(FlowKey),
    /// A neighbour entry.
    Neighbour(NeighbourKey),
    /// A virtual service.
    Service(ServiceKey),
    /// A real server of a service.
    Real(RealKey),
    /// An address, or a network of them.
    Network(NetworkKey),
    /// A network namespace.
    Namespace(Netns),
    /// A hook.
    Hook(HookId),
}

/// A network seen from a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkKey {
    /// The network namespace.
    pub netns: Netns,
    /// Its addresses.
    pub prefix: Prefix,
}

impl NetworkKey {
    /// Of a single address.
    pub fn host(netns: Netns, address: IpAddr) -> Self {
        Self { netns, prefix: Prefix::host(address) }
    }
}

impl Subject {
    /// What an event is about; `None` for the whole node.
    pub fn of(event: &Event) -> Option<Self> {
        let netns = event.netns;
        let flow = |endpoints| Self::Flow(FlowKey { netns, endpoints });
        let neighbour =
            |interface_index, address| Self::Neighbour(NeighbourKey { netns, interface_index, address });
        let real = |service, address| Self::Real(RealKey { service: ServiceKey { netns, service }, address });
        Some(match &event.body {
            Body::Retransmit(retransmit) => flow(retransmit.flow),
            Body::Undo(undo) => flow(undo.flow),
            Body::Conntrack(decision) => match decision.original {
                Some(original) => flow(original),
                None => Self::Namespace(netns),
            },
            Body::Icmp(icmp) => flow(icmp.about?.flow),
            Body::Duplicate(duplicate) => flow(duplicate.flow),
            Body::RouteLookup(lookup) => flow(lookup.flow),
            Body::Translation(found) => {
                Self::Flow(FlowKey { netns: netns.beside(found.flow_netns), endpoints: *found.flow() })
            }
            Body::Neighbour(told) => neighbour(told.interface_index, told.address),
            Body::Claim(claim) => neighbour(claim.interface_index, claim.address),
            Body::NeighbourEntry(entry) => neighbour(entry.interface_index, entry.address),
            Body::Ipvs(decided) => {
                Self::Real(RealKey { service: ServiceKey::of(netns, decided), address: decided.real })
            }
            Body::IpvsChange(change) => match change.real {
                Some(_) => real(change.service, change.real),
                None => Self::Service(ServiceKey { netns, service: change.service }),
            },
            Body::IpvsService(listed) => Self::Service(ServiceKey { netns, service: listed.service }),
            Body::IpvsDestination(listed) => real(listed.service, Some(listed.real)),
            Body::HookStatus(status) => Self::Hook(status.hook?),
            Body::Route(route) => Self::Network(NetworkKey { netns, prefix: route.prefix }),
            Body::Address(told) => Self::Network(NetworkKey::host(netns, told.address)),
            Body::Namespace(_)
            | Body::Link(_)
            | Body::Rule(_)
            | Body::Sysctl(_)
            | Body::ConntrackCounters(_)
            | Body::Ruleset(_) => Self::Namespace(netns),
            Body::Stats(_)
            | Body::Owner(_)
            | Body::Node { .. }
            | Body::Ready
            | Body::Marker(_)
            | Body::Clock(_)
            | Body::Facts(_)
            | Body::Session(_)
            | Body::SessionBegin
            | Body::Gap(_)
            | Body::Container(_) => {
                return None;
            }
        })
    }

    /// The network namespace it is in; `None` for a hook.
    pub fn netns(self) -> Option<Netns> {
        Some(match self {
            Self::Flow(key) => key.netns,
            Self::Neighbour(key) => key.netns,
            Self::Service(key) => key.netns,
            Self::Real(key) => key.service.netns,
            Self::Network(key) => key.netns,
            Self::Namespace(netns) => netns,
            Self::Hook(_) => return None,
        })
    }
}
