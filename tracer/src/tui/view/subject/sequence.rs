//! A connection as a sequence diagram.

use std::net::IpAddr;

use crate::{
    event::{
        Body, Conntrack, ConntrackEvent, Direction, Endpoint, Endpoints, Event, Icmp, Ipvs, IpvsChange,
        IpvsDecision, Protocol, Retransmit, RetransmitKind,
    },
    state::{Mapping, Related, Subject, Translator, is_onto_drained},
    tui::{
        theme::Role,
        view::{describe::weights_text, event_text::route_fact},
        widget::sequence::{Lifeline, Sequence, Step},
    },
};

/// The lifelines of a connection, and which of its tuples runs between which.
struct Parties<'a> {
    /// As the client dials.
    dialled: Endpoints,
    /// How this node translates it, if it does.
    mappings: &'a [&'a Mapping],
    /// Who answers.
    server: Endpoint,
}

/// What a step is, without its time.
struct What {
    from: usize,
    to: usize,
    text: String,
    details: Vec<String>,
    role: Role,
    is_lost: bool,
}

impl What {
    fn sent(from: usize, to: usize, text: impl Into<String>, role: Role) -> Self {
        Self { from, to, text: text.into(), details: Vec::new(), role, is_lost: false }
    }

    fn noted(place: usize, text: impl Into<String>, role: Role) -> Self {
        Self::sent(place, place, text, role)
    }

    fn with(mut self, detail: Option<String>) -> Self {
        self.details.extend(detail);
        self
    }

    fn lost(self) -> Self {
        Self { is_lost: true, ..self }
    }
}

/// The diagram of a flow's connection; `None` for anything else, and where nothing is known to have been sent.
pub(super) fn of(related: &Related<'_>) -> Option<Sequence> {
    let parties = Parties::of(related)?;
    let mut steps: Vec<Step> = Vec::new();
    for event in &related.events {
        let is_again = matches!(event.body, Body::Retransmit(_));
        for What { from, to, text, details, role, is_lost } in parties.told(event) {
            let (time, last) = (event.time, event.time);
            let step = Step { time, last, times: 1, from, to, text, details, role, is_lost, is_again };
            if !steps.last_mut().is_some_and(|last| last.absorbs(&step)) {
                steps.push(step);
            }
        }
    }
    if steps.is_empty() {
        return None;
    }
    Some(Sequence { lifelines: parties.lifelines(related), steps })
}

impl<'a> Parties<'a> {
    fn of(related: &'a Related<'_>) -> Option<Self> {
        let Subject::Flow(key) = related.subject else { return None };
        let mappings = related.mappings.as_slice();
        let dialled = match mappings.first() {
            Some(mapping) => mapping.learnt.original,
            None => dialled(related, key.endpoints),
        };
        let server = mappings
            .iter()
            .map(|mapping| mapping.learnt.server)
            .rfind(|server| *server != dialled.destination);
        Some(Self { dialled, mappings, server: server.unwrap_or(dialled.destination) })
    }

    fn is_translated(&self) -> bool {
        !self.mappings.is_empty()
    }

    /// The lifeline of the server.
    fn last(&self) -> usize {
        if self.is_translated() { 2 } else { 1 }
    }

    /// The lifeline of this node as far as it handles packets in between; the client's where it does not.
    fn middle(&self) -> usize {
        usize::from(self.is_translated())
    }

    /// From which lifeline to which a packet of these ends goes.
    fn way(&self, ends: &Endpoints) -> (usize, usize) {
        let is_dialled = *ends == self.dialled;
        let is_answer = ends.reversed() == self.dialled;
        if !self.is_translated() {
            return if is_dialled { (0, 1) } else { (1, 0) };
        }
        // Where packets keep the virtual address on their way, the server answers past the director.
        let keeps_address =
            self.mappings.iter().all(|mapping| mapping.learnt.onward == mapping.learnt.original);
        match (is_dialled, is_answer, keeps_address) {
            (true, ..) => (0, 1),
            (_, true, true) => (2, 0),
            (_, true, false) => (1, 0),
            _ if self.mappings.iter().any(|mapping| mapping.tuples().any(|tuple| tuple == *ends)) => (1, 2),
            _ => (2, 1),
        }
    }

    fn lifelines(&self, related: &Related<'_>) -> Vec<Lifeline> {
        let here = |address: Endpoint| {
            let is_here = related.flows.iter().any(|(key, _)| key.endpoints.source == address);
            if is_here { " · here" } else { "" }
        };
        let Endpoints { source, destination, .. } = self.dialled;
        let lifeline = |role: String, address: Endpoint| Lifeline { role, name: address.to_string() };
        let mut lifelines = vec![lifeline(format!("client{}", here(source)), source)];
        if self.is_translated() {
            let has = |by| self.mappings.iter().any(|mapping| mapping.learnt.by == by);
            let role = match (has(Translator::Ipvs), has(Translator::Conntrack)) {
                (true, true) => "IPVS, NAT · here",
                (true, false) => "IPVS · here",
                _ => "NAT · here",
            };
            lifelines.push(lifeline(role.to_owned(), destination));
        }
        let role = if self.server == destination { "server" } else { "real server" };
        lifelines.push(lifeline(format!("{role}{}", here(self.server)), self.server));
        lifelines
    }

    /// What an event was between the lifelines.
    fn told(&self, event: &Event) -> Vec<What> {
        match &event.body {
            Body::Retransmit(retransmit) => vec![self.resent(retransmit)],
            Body::Undo(undo) => vec![What::noted(self.way(&undo.flow).0, "that was needless", Role::Plain)],
            Body::Ipvs(decided) => self.decided(decided),
            Body::Conntrack(decision) => vec![self.tracked(decision)],
            Body::Icmp(icmp) => self.refused(icmp).into_iter().collect(),
            Body::Duplicate(duplicate) => {
                let ttl = format!("ttl {} after {}", duplicate.ttl, duplicate.previous_ttl);
                vec![What::noted(self.middle(), "came again", Role::Warning).with(Some(ttl))]
            }
            Body::RouteLookup(lookup) if lookup.result.is_astray() => {
                let way = route_fact(lookup.result, lookup.gateway, lookup.device.as_ref());
                let text = format!("to {}: {way}", lookup.flow.destination.ip());
                vec![What::noted(self.way(&lookup.flow).0, text, Role::Bad)]
            }
            Body::Translation(found) => {
                let answer = if found.is_answered() { "answered before" } else { "no answer so far" };
                vec![What::noted(self.middle(), answer, Role::Plain).with(found.tcp_state.map(str::to_owned))]
            }
            Body::IpvsChange(change) => self.changed(change).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn resent(&self, retransmit: &Retransmit) -> What {
        let (from, to) = self.way(&retransmit.flow);
        let role = if retransmit.succeeded() { Role::Warning } else { Role::Bad };
        let (text, detail) = match retransmit.kind {
            RetransmitKind::Syn => ("SYN again", None),
            RetransmitKind::SynAck => ("SYN-ACK again", None),
            kind => ("data again", Some(kind.name().to_owned())),
        };
        let what = What::sent(from, to, text, role).with(detail);
        match retransmit.error {
            Some(error) => what.with(Some(error.to_string())).lost(),
            None => what,
        }
    }

    fn decided(&self, decided: &Ipvs) -> Vec<What> {
        let dialled = if decided.protocol == Protocol::TCP { "SYN" } else { "first packet" };
        let role = match decided.decision {
            decision if !decision.is_accepted() || is_onto_drained(decided) => Role::Bad,
            _ => Role::Plain,
        };
        let decision = decided.decision.name();
        let what = match decided.decision {
            IpvsDecision::Refused => What::sent(1, 0, decision, role),
            accepted if self.is_translated() && accepted.is_accepted() => {
                let weight = decided.weight.map(|weight| format!("weight {weight}"));
                What::sent(1, 2, decision, role).with(weight)
            }
            _ if self.is_translated() => What::sent(1, 2, decision, role).lost(),
            _ => What::noted(1, decision, role),
        };
        vec![What::sent(0, 1, dialled, Role::Plain), what]
    }

    fn tracked(&self, decision: &Conntrack) -> What {
        let role = match decision.event {
            event if event.is_failure() => Role::Bad,
            ConntrackEvent::Reused => Role::Warning,
            _ => Role::Plain,
        };
        let was = decision.tcp_state.map(|state| format!("was {state}"));
        What::noted(self.middle(), format!("conntrack {}", decision.event), role).with(was)
    }

    fn refused(&self, icmp: &Icmp) -> Option<What> {
        let (from, _) = self.way(&icmp.about?.flow);
        let (meaning, role) = (icmp.meaning(), Role::Warning);
        Some(match (icmp.direction, icmp.sender) {
            (Direction::In, Some(sender)) => match self.lifeline_of(sender).filter(|place| *place != from) {
                Some(place) => What::sent(place, from, meaning, role),
                None => What::noted(from, format!("{meaning} from {sender}"), role),
            },
            _ if self.middle() != from => What::sent(self.middle(), from, meaning, role),
            _ => What::noted(from, format!("{meaning} sent"), role),
        })
    }

    fn changed(&self, change: &IpvsChange) -> Option<What> {
        change.real?;
        let weights = weights_text(change).map(|weights| format!(" {weights}")).unwrap_or_default();
        Some(What::noted(self.last(), format!("{}{weights}", change.change), Role::Warning))
    }

    fn lifeline_of(&self, address: IpAddr) -> Option<usize> {
        let last = (self.last(), self.server);
        [(0, self.dialled.source), (1, self.dialled.destination), last]
            .into_iter()
            .find(|(_, known)| known.ip() == address)
            .map(|(place, _)| place)
    }
}

/// A connection that nobody translates, from client to server: who resends a SYN-ACK is the server.
fn dialled(related: &Related<'_>, own: Endpoints) -> Endpoints {
    let from_client = related.events.iter().find_map(|event| match &event.body {
        Body::Retransmit(told) => match told.kind {
            RetransmitKind::Syn => Some(told.flow),
            RetransmitKind::SynAck => Some(told.flow.reversed()),
            _ => None,
        },
        Body::Conntrack(decision) => decision.original,
        Body::Ipvs(decided) => Some(Endpoints {
            source: decided.client,
            destination: decided.virtual_service,
            protocol: decided.protocol,
        }),
        _ => None,
    });
    let of_kind = |kind| {
        related.flows.iter().find(move |(_, flow)| flow.of_kind(kind) > 0).map(|(key, _)| key.endpoints)
    };
    from_client
        .or_else(|| of_kind(RetransmitKind::Syn))
        .or_else(|| of_kind(RetransmitKind::SynAck).map(Endpoints::reversed))
        .unwrap_or(own)
}
