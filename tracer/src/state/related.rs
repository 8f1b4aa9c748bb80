//! Everything that is known of one subject, gathered from all families.

mod scope;
#[cfg(test)]
pub(crate) mod story;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use self::scope::Scope;
use super::{
    ConntrackEntry, Flow, FlowKey, Loop, Mapping, MarkerKind, Neighbour, NeighbourKey, PeerKey, Reached,
    State, Subject,
};
use crate::event::{Body, Event};

/// Flows that are kept of those that belong to a subject.
pub const RELATED_FLOWS: usize = 16;

/// What belongs to a subject.
#[derive(Clone, Debug)]
pub struct Related<'a> {
    /// The subject.
    pub subject: Subject,
    /// How the connection of a flow is translated, in the order its packets pass; empty if it is not.
    pub mappings: Vec<&'a Mapping>,
    /// Its flows that retransmit, at most [`RELATED_FLOWS`] of them, those with the most attempts first.
    pub flows: Vec<(&'a FlowKey, &'a Flow)>,
    /// How many such flows there are.
    pub flows_in_all: usize,
    /// Attempts of all of them, failed ones included.
    pub attempts: u64,
    /// How the addresses of a flow are reached, by namespace and address.
    pub ways: Vec<(PeerKey, &'a Reached)>,
    /// The neighbours its packets are handed to, and those that have one of its addresses.
    pub neighbours: Vec<(&'a NeighbourKey, &'a Neighbour)>,
    /// What conntrack decided about a connection.
    pub entries: Vec<(FlowKey, &'a ConntrackEntry)>,
    /// Packets of a connection that went round.
    pub loops: Vec<(FlowKey, &'a Loop)>,
    /// What happened, oldest first, as far as it is kept.
    pub events: Vec<&'a Event>,
}

impl State {
    /// Gathers what belongs to a subject. The cost is that of one walk over the events that are kept,
    /// and for all but a flow over the flows.
    pub fn related(&self, subject: Subject) -> Related<'_> {
        let mappings = match subject {
            Subject::Flow(key) => self.translations.of(key.netns, &key.endpoints),
            _ => Vec::new(),
        };
        let mut scope = Scope::new(self, subject, &mappings);
        let mut flows = self.flows_of(&scope);
        scope.add_namespaces(flows.iter().map(|(key, _)| key.netns));
        let (flows_in_all, attempts) = (flows.len(), flows.iter().map(|(_, flow)| flow.attempts()).sum());
        let most_first = |(key, flow): &(&FlowKey, &Flow)| (Reverse(flow.attempts()), **key);
        if flows.len() > RELATED_FLOWS {
            flows.select_nth_unstable_by_key(RELATED_FLOWS, most_first);
            flows.truncate(RELATED_FLOWS);
        }
        flows.sort_unstable_by_key(most_first);

        let ways = self.ways(&scope);
        scope.add_next_hops(ways.iter().map(|(_, reached)| *reached));
        Related {
            subject,
            mappings,
            flows,
            flows_in_all,
            attempts,
            ways,
            neighbours: self.neighbours_of(&scope),
            entries: of_tuples(&scope, |key| self.conntrack.entries.get(key)),
            loops: of_tuples(&scope, |key| self.path.loops.get(key)),
            events: self.events_of(&scope),
        }
    }

    /// The flows that belong to a subject, in no particular order.
    pub(crate) fn flows_about(&self, subject: Subject) -> Vec<(&FlowKey, &Flow)> {
        let mappings = match subject {
            Subject::Flow(key) => self.translations.of(key.netns, &key.endpoints),
            _ => Vec::new(),
        };
        self.flows_of(&Scope::new(self, subject, &mappings))
    }

    /// Its flows that retransmit. Those of one connection are looked up by their names, for a node may have a hundred
    /// thousand others.
    fn flows_of(&self, scope: &Scope) -> Vec<(&FlowKey, &Flow)> {
        if !matches!(scope.subject(), Subject::Flow(_)) {
            return self.flows.iter().filter(|(key, _)| scope.has_flow(key.netns, &key.endpoints)).collect();
        }
        let mut flows = Vec::new();
        for (&netns, ()) in self.flow_namespaces.iter() {
            for tuple in scope.tuples() {
                for endpoints in [*tuple, tuple.reversed()] {
                    if scope.has_flow(netns, &endpoints) {
                        flows.extend(self.flows.entry(&FlowKey { netns, endpoints }));
                    }
                }
            }
        }
        flows
    }

    fn ways(&self, scope: &Scope) -> Vec<(PeerKey, &Reached)> {
        let mut ways = Vec::new();
        for &netns in scope.namespaces() {
            for &peer in scope.addresses() {
                let key = PeerKey { netns, peer };
                ways.extend(self.routes.peers.get(&key).map(|reached| (key, reached)));
            }
        }
        ways
    }

    fn neighbours_of(&self, scope: &Scope) -> Vec<(&NeighbourKey, &Neighbour)> {
        let mut neighbours: Vec<_> =
            self.neighbours.iter().filter(|(key, _)| scope.has_neighbour(key.netns, key.address)).collect();
        neighbours.sort_unstable_by_key(|(key, _)| **key);
        neighbours
    }

    fn events_of(&self, scope: &Scope) -> Vec<&Event> {
        let resent = self
            .timeline
            .events()
            .iter()
            .filter(|event| matches!(event.body, Body::Retransmit(_) | Body::Undo(_)));
        let mut events: Vec<&Event> =
            resent.chain(self.chronicle.iter()).filter(|event| scope.concerns(event)).collect();
        if !matches!(scope.subject(), Subject::Hook(_)) {
            events.extend(self.markers.of(MarkerKind::User).iter().map(|marker| &marker.event));
        }
        // Stable: what came first stays first.
        events.sort_by_key(|event| event.time);
        events
    }
}

/// What a table has of the tuples of a connection, in every namespace its packets pass.
fn of_tuples<V>(scope: &Scope, get: impl Fn(&FlowKey) -> Option<V>) -> Vec<(FlowKey, V)> {
    let mut found = Vec::new();
    for &netns in scope.namespaces() {
        for &tuple in scope.tuples() {
            for endpoints in [tuple, tuple.reversed()] {
                let key = FlowKey { netns, endpoints };
                found.extend(get(&key).map(|value| (key, value)));
            }
        }
    }
    found
}
