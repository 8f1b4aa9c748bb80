//! The last events, in the order they came.

use std::collections::VecDeque;

use crate::event::{Body, Event, Netns, RulesetChange, Timestamp};

/// What stands in the place of an event that was taken.
const NOTHING: Event = Event {
    time: Timestamp { boot_ns: 0, wall_ns: 0 },
    netns: Netns { node: 0, inode: 0 },
    cpu: 0,
    body: Body::Ready,
};

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

    /// Keeps an event and leaves in its place the one it drives out, or nothing of interest. It is written once, where
    /// it stays: an event is large, and in a storm this is most of what happens to it.
    pub(super) fn take(&mut self, event: &mut Event) {
        if self.events.len() < self.limit {
            self.events.push_back(std::mem::replace(event, NOTHING));
        } else if let Some(oldest) = self.events.front_mut() {
            std::mem::swap(oldest, event);
            // The first is the last now. In a full buffer this moves no event.
            self.events.rotate_left(1);
        }
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
