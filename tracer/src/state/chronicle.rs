//! What happened beside retransmits, kept longer than the timeline can.
//!
//! A storm of retransmits fills the timeline within a second, and with it goes what would explain the storm: the change
//! of a route, the decision that chose a drained server. So the last events of every other sort are kept apart, each
//! sort with room of its own.

use std::collections::VecDeque;

use crate::event::{Body, Event, RulesetChange, Verdict};

/// Events that are kept together; a flood of one sort drives out no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shelf {
    /// Proposals to the neighbour table, and who claims addresses.
    Neighbour,
    /// Decisions of conntrack.
    Conntrack,
    /// Decisions of IPVS.
    Ipvs,
    /// Changes of its configuration.
    IpvsChange,
    /// ICMP errors and packets that go round.
    Path,
    /// Changes of routes, rules, addresses, devices and settings.
    Routing,
    /// How peers are reached, where that is news.
    Lookup,
    /// Everything else that is told: hooks, rule sets, counters, what the user marked.
    Node,
}

impl Shelf {
    const ALL: [Self; 8] = [
        Self::Neighbour,
        Self::Conntrack,
        Self::Ipvs,
        Self::IpvsChange,
        Self::Path,
        Self::Routing,
        Self::Lookup,
        Self::Node,
    ];

    /// Where an event belongs; `None` if it is not kept.
    fn of(body: &Body) -> Option<Self> {
        match body {
            // A neighbour that is confirmed every few seconds is no news; its row counts it.
            Body::Neighbour(neighbour) if neighbour.verdict == Verdict::Confirmed => None,
            Body::Neighbour(_) | Body::Claim(_) => Some(Self::Neighbour),
            Body::Conntrack(_) => Some(Self::Conntrack),
            Body::Ipvs(_) => Some(Self::Ipvs),
            Body::IpvsChange(_) => Some(Self::IpvsChange),
            Body::Icmp(_) | Body::Duplicate(_) => Some(Self::Path),
            Body::Route(_) => Some(Self::Routing),
            Body::Address(_) | Body::Link(_) | Body::Rule(_) | Body::Sysctl(_) => {
                (!body.is_snapshot()).then_some(Self::Routing)
            }
            Body::HookStatus(_) | Body::Marker(_) | Body::Gap(_) => Some(Self::Node),
            Body::Clock(_) => (!body.is_snapshot()).then_some(Self::Node),
            Body::Ruleset(ruleset) => (ruleset.change != RulesetChange::Found).then_some(Self::Node),
            Body::ConntrackCounters(counters) => counters.tells_failures().then_some(Self::Node),
            Body::Retransmit(_)
            | Body::Undo(_)
            | Body::RouteLookup(_)
            | Body::Translation(_)
            | Body::IpvsService(_)
            | Body::IpvsDestination(_)
            | Body::NeighbourEntry(_)
            | Body::Stats(_)
            | Body::Owner(_)
            | Body::Container(_)
            | Body::Namespace(_)
            | Body::Node { .. }
            | Body::Ready
            | Body::Facts(_)
            | Body::Session(_)
            | Body::SessionBegin => None,
        }
    }
}

/// The last events of every sort but retransmits, at most `limit` of each.
#[derive(Clone, Debug)]
pub struct Chronicle {
    shelves: [VecDeque<Event>; Shelf::ALL.len()],
    limit: usize,
    dropped: u64,
}

impl Chronicle {
    pub(super) fn new(limit: usize) -> Self {
        Self { shelves: Default::default(), limit: limit.max(1), dropped: 0 }
    }

    /// All events kept, sort by sort, oldest first within each.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.shelves.iter().flatten()
    }

    /// The changes of routes, rules, addresses, devices and settings among them, oldest first.
    pub(crate) fn of_routing(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.shelves[Shelf::Routing as usize].iter()
    }

    /// How many events are kept.
    pub(super) fn len(&self) -> usize {
        self.shelves.iter().map(VecDeque::len).sum()
    }

    /// Events given up for newer ones.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes in an event, which may not be worth keeping.
    pub(super) fn note(&mut self, event: &Event) {
        if let Some(shelf) = Shelf::of(&event.body) {
            self.keep(shelf, event);
        }
    }

    /// Takes in the answer to a look-up that said something new.
    pub(super) fn note_lookup(&mut self, event: &Event) {
        self.keep(Shelf::Lookup, event);
    }

    fn keep(&mut self, place: Shelf, event: &Event) {
        let kept = &mut self.shelves[place as usize];
        if kept.len() == self.limit {
            kept.pop_front();
            self.dropped += 1;
        }
        kept.push_back(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::Chronicle;
    use crate::{
        event::{Direction, IpvsDecision, RetransmitKind, Verdict},
        state::fixture::{claim, event, icmp, ipvs, mac, proposal, retransmit},
    };

    #[test]
    fn a_flood_of_one_sort_drives_out_no_other() {
        let mut chronicle = Chronicle::new(3);
        let (client, service) = ("10.0.0.1:1", "10.9.9.9:80");
        chronicle.note(&event(1, ipvs(IpvsDecision::Refused, client, service, None, 0)));
        for time in 2..12 {
            chronicle.note(&event(time, icmp(Direction::In, 11, 0, client, service)));
            chronicle.note(&event(time, claim("10.0.0.2", mac(1), Direction::In)));
            let told = retransmit(RetransmitKind::Syn, client, service);
            chronicle.note(&event(time, crate::event::Body::Retransmit(told)));
            let confirmed = proposal("10.0.0.2", Verdict::Confirmed, Some(mac(1)), Some(mac(1)));
            chronicle.note(&event(time, confirmed));
        }
        let mut kept: Vec<(u64, &str)> = chronicle
            .iter()
            .map(|event| (event.time.boot_ns / 1_000_000, event.body.kind().name()))
            .collect();
        kept.sort_unstable();
        let last = [9, 10, 11].map(|time| [(time, "claim"), (time, "icmp")]);
        let expected: Vec<(u64, &str)> =
            [(1, "ipvs")].into_iter().chain(last.into_iter().flatten()).collect();
        assert_eq!((kept, chronicle.dropped()), (expected, 14));
    }
}
