//! The last events, in the order they came.

use std::collections::VecDeque;

use crate::event::{Body, Event, RulesetChange};

/// A bounded list of the last events that tell what happened on the node.
#[derive(Clone, Debug)]
pub struct Timeline {
    events: VecDeque<Event>,
    limit: usize,
}

impl Timeline {
    pub(super) fn new(limit: usize) -> Self {
        Self { events: VecDeque::new(), limit: limit.max(1) }
    }

    /// The events, oldest first.
    pub fn events(&self) -> &VecDeque<Event> {
        &self.events
    }

    pub(super) fn push(&mut self, event: Event) {
        if self.events.len() == self.limit {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Whether an event tells what happened on the node, rather than what the program measured or looked up.
pub(super) fn is_told(body: &Body) -> bool {
    match body {
        Body::Retransmit(_)
        | Body::Undo(_)
        | Body::Neighbour(_)
        | Body::Claim(_)
        | Body::Conntrack(_)
        | Body::Ipvs(_)
        | Body::IpvsChange(_)
        | Body::Icmp(_)
        | Body::Duplicate(_)
        | Body::Route(_)
        | Body::Marker(_)
        | Body::Gap(_)
        | Body::HookStatus(_) => true,
        Body::Address(_) | Body::Link(_) | Body::Rule(_) | Body::Sysctl(_) | Body::Clock(_) => {
            !body.is_snapshot()
        }
        // Tables that are found at the start are no change.
        Body::Ruleset(ruleset) => ruleset.change != RulesetChange::Found,
        Body::ConntrackCounters(counters) => counters.tells_failures(),
        Body::IpvsService(_)
        | Body::IpvsDestination(_)
        | Body::Stats(_)
        | Body::Owner(_)
        | Body::Container(_)
        | Body::Namespace(_)
        | Body::Node { .. }
        | Body::Ready
        | Body::RouteLookup(_)
        | Body::Translation(_)
        | Body::NeighbourEntry(_)
        | Body::Facts(_)
        | Body::Session(_)
        | Body::SessionBegin => false,
    }
}
