//! What the commands print: a line or a JSON object an event, and the report of a session.

mod context;
pub mod export;
mod json;
mod lines;
mod printer;
pub mod report;
#[cfg(test)]
pub(crate) mod tests;

pub use self::{
    lines::{Arrow, LineStyle},
    printer::Printer,
};

use crate::event::{Body, ClockChange, Conntrack, ConntrackEvent, Event, ListedWhy};

/// Whether an event gets a line or an object of its own.
///
/// A SYN that conntrack sees a second time tells no more than the retransmit that sent it: such events count in the
/// state and are left out here. Owners of sockets and the node's names appear within other lines. What IPVS lists
/// is told when it is another than before; its counts alone are no news.
pub fn is_shown(event: &Event) -> bool {
    match &event.body {
        Body::Conntrack(Conntrack { event, .. }) => *event != ConntrackEvent::SynRepeated,
        Body::IpvsService(listed) => listed.why != ListedWhy::Counts,
        Body::IpvsDestination(listed) => listed.why != ListedWhy::Counts,
        Body::Clock(clock) => clock.change != ClockChange::Start,
        Body::Owner(_)
        | Body::Container(_)
        | Body::Namespace(_)
        | Body::Node { .. }
        | Body::Facts(_)
        | Body::Session(_)
        | Body::SessionBegin => false,
        Body::Retransmit(_)
        | Body::Undo(_)
        | Body::Neighbour(_)
        | Body::Claim(_)
        | Body::ConntrackCounters(_)
        | Body::Ipvs(_)
        | Body::Icmp(_)
        | Body::Duplicate(_)
        | Body::IpvsChange(_)
        | Body::Stats(_)
        | Body::HookStatus(_)
        | Body::Ready
        | Body::Route(_)
        | Body::RouteLookup(_)
        | Body::Translation(_)
        | Body::Address(_)
        | Body::Link(_)
        | Body::Rule(_)
        | Body::NeighbourEntry(_)
        | Body::Sysctl(_)
        | Body::Ruleset(_)
        | Body::Marker(_)
        | Body::Gap(_) => true,
    }
}
