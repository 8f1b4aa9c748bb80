//! What events of a session are told together.

use std::{
    hash::{Hash, Hasher},
    net::IpAddr,
    ptr,
};

use tracer_common::{hook::HookId, record::RecordKind};

use super::Netns;
use crate::{
    event::{
        Body, ConntrackEvent, Endpoint, Event, Ipvs, IpvsDecision, IpvsService, Prefix, RulesetChange,
        RulesetFamily, Text, Verdict,
    },
    state::is_onto_drained,
};

/// How much an entry tells of what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Importance {
    /// What the user marked, and what became of tracer itself.
    Frame,
    /// What somebody changed.
    Change,
    /// What failed, or may have.
    Fault,
    /// What was sent again.
    Resent,
    /// What may explain the rest.
    Usual,
}

impl Importance {
    /// All of them, the most telling first.
    pub(super) const ALL: [Self; 5] = [Self::Frame, Self::Change, Self::Fault, Self::Resent, Self::Usual];
}

/// What the events of an entry have in common.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    netns: Netns,
    kind: RecordKind,
    word: &'static str,
    about: About,
    /// Follows from the kind and the word.
    importance: Importance,
}

impl PartialEq for Topic {
    /// Every event asks. Most words are the same place of the program, and no comparison is needed then.
    fn eq(&self, other: &Self) -> bool {
        let Self { netns, kind, word, about, importance: _ } = self;
        (*netns, *kind) == (other.netns, other.kind)
            && (ptr::eq(*word, other.word) || *word == other.word)
            && *about == other.about
    }
}

impl Eq for Topic {}

impl Hash for Topic {
    /// Few words say different things of the same address in the same namespace.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { netns, kind, word, about, importance: _ } = self;
        netns.hash(state);
        state.write_usize(((*kind as usize) << 8) + word.len());
        about.hash(state);
    }
}

/// What an entry is about, coarser than a flow: three thousand callers of one dead address are one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum About {
    Address(Option<IpAddr>),
    Real(IpvsService, Option<Endpoint>),
    Prefix(Prefix),
    Device(Text),
    Table(RulesetFamily, Text),
    Hook(Option<HookId>),
    Namespace,
    /// All there is no room for.
    Others,
}

impl Topic {
    /// The topic of all others like it.
    pub(super) fn of_others(&self) -> Self {
        Self { about: About::Others, ..*self }
    }

    /// Whether it is of all for which there was no room.
    pub(super) fn is_of_others(&self) -> bool {
        self.about == About::Others
    }

    /// What an event is told with; `None` if the timeline does not tell it: measurements, names, and what goes as it
    /// should.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let body = &event.body;
        if body.is_snapshot() {
            return None;
        }
        let (word, about) = match body {
            Body::Retransmit(resent) => ("", About::Address(Some(resent.flow.destination.ip()))),
            Body::Neighbour(told) => match told.verdict {
                Verdict::Learned | Verdict::Confirmed => return None,
                Verdict::Changed | Verdict::Ignored | Verdict::Failed => {
                    (told.verdict.name(), About::Address(Some(told.address)))
                }
            },
            Body::Conntrack(decision) => match decision.event {
                ConntrackEvent::SynRepeated => return None,
                event => (event.name(), About::Namespace),
            },
            Body::ConntrackCounters(counters) if counters.tells_failures() => ("counters", About::Namespace),
            Body::Ipvs(decided) => ipvs(decided)?,
            Body::IpvsChange(change) => (change.change.name(), About::Real(change.service, change.real)),
            Body::Icmp(icmp) => {
                let destination = icmp.about.map(|about| about.flow.destination.ip());
                (icmp.meaning(), About::Address(destination))
            }
            Body::Duplicate(again) => ("", About::Address(Some(again.flow.destination.ip()))),
            Body::Route(route) => (route.change.name(), About::Prefix(route.prefix)),
            Body::Rule(rule) => (rule.change.name(), About::Namespace),
            Body::Address(told) => (told.change.name_of_state(), About::Address(Some(told.address))),
            Body::Link(link) => (link.change.name_of_state(), About::Device(link.device.clone())),
            Body::Sysctl(setting) => ("", About::Device(setting.name.clone())),
            Body::Ruleset(counted) if counted.change != RulesetChange::Found => {
                (counted.change.name(), About::Table(counted.family, counted.table.clone()))
            }
            Body::HookStatus(status) => ("", About::Hook(status.hook)),
            Body::Marker(_) | Body::Gap(_) => ("", About::Namespace),
            Body::Clock(clock) => (clock.change.name(), About::Namespace),
            Body::Undo(_)
            | Body::Claim(_)
            | Body::ConntrackCounters(_)
            | Body::IpvsService(_)
            | Body::IpvsDestination(_)
            | Body::Stats(_)
            | Body::Owner(_)
            | Body::Container(_)
            | Body::Namespace(_)
            | Body::Node { .. }
            | Body::Ready
            | Body::Facts(_)
            | Body::Session(_)
            | Body::SessionBegin
            | Body::RouteLookup(_)
            | Body::Translation(_)
            | Body::NeighbourEntry(_)
            | Body::Ruleset(_) => return None,
        };
        let kind = body.kind();
        let importance = match body {
            Body::Retransmit(_) => Importance::Resent,
            Body::Conntrack(decision) if decision.event.is_failure() => Importance::Fault,
            Body::Conntrack(_) => Importance::Usual,
            Body::Ipvs(_) if word == USUAL_REUSE => Importance::Usual,
            _ => of_kind(kind),
        };
        Some(Self { netns: event.netns, kind, word, about, importance })
    }

    /// How much it tells.
    pub(super) fn importance(&self) -> Importance {
        self.importance
    }

    /// A pause after which the next such event is told anew, nanoseconds; `None` if each is told for itself.
    pub(super) fn pause_ns(&self) -> Option<u64> {
        /// A connection's attempts come at growing distances, and what goes wrong comes again.
        const FAULT_PAUSE_NS: u64 = 30_000_000_000;
        const PAUSE_NS: u64 = 5_000_000_000;
        match self.importance {
            Importance::Frame if self.kind == RecordKind::Marker => None,
            Importance::Frame | Importance::Change => Some(PAUSE_NS),
            Importance::Fault | Importance::Resent | Importance::Usual => Some(FAULT_PAUSE_NS),
        }
    }
}

/// How much events of a kind tell, whatever they say.
fn of_kind(kind: RecordKind) -> Importance {
    match kind {
        RecordKind::Ipvs
        | RecordKind::Neighbour
        | RecordKind::Icmp
        | RecordKind::Duplicate
        | RecordKind::ConntrackCounters => Importance::Fault,
        RecordKind::Marker | RecordKind::HookStatus | RecordKind::Clock | RecordKind::Gap => {
            Importance::Frame
        }
        _ => Importance::Change,
    }
}

/// The word for connections that went on as they were, to a server that may have them.
const USUAL_REUSE: &str = "kept";

/// What is scheduled as it should be is not told.
fn ipvs(decided: &Ipvs) -> Option<(&'static str, About)> {
    let service = IpvsService::of(decided.protocol, decided.virtual_service, decided.firewall_mark);
    let word = match decided.decision {
        _ if is_onto_drained(decided) => "drained",
        decision if !decision.is_accepted() => decision.name(),
        IpvsDecision::Scheduled => return None,
        _ => USUAL_REUSE,
    };
    Some((word, About::Real(service, decided.real)))
}
