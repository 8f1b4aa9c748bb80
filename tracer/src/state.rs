//! State: what all events so far amount to.
//!
//! [`State::apply`] is pure: no clock, no input or output, no order of its own. Time is the time of the events, so a
//! replay arrives at exactly the state that live had. Every table is bounded, and what it gives up is counted.

mod accounting;
mod active;
mod batch;
mod bounded;
mod chronicle;
mod conntrack;
mod contest;
#[cfg(test)]
pub(crate) mod fixture;
mod flows;
mod hooks;
mod index;
mod ipvs;
mod machine;
mod markers;
mod memory;
mod names;
mod neighbours;
mod outage;
mod path;
mod prefetch;
mod rates;
mod recent;
mod related;
mod routes;
mod rulesets;
mod shared;
mod span;
mod spell;
mod subject;
#[cfg(test)]
mod tests;
mod timeline;
mod top;
mod translations;

#[cfg(test)]
pub(crate) use self::related::story;
pub(crate) use self::top::top;
pub use self::{
    accounting::Accounting,
    batch::Batch,
    bounded::Bounded,
    chronicle::Chronicle,
    conntrack::{
        AllStale, CONNTRACK_HISTORY, Conntrack, ConntrackEntry, ConntrackTable, Failed,
        Failure as ConntrackFailure, Failures, Stale, StaleKey,
    },
    contest::{Contest, DoubleAnswer, Move, Return, SAME_QUESTION_NS, SIGNS, Spoken, TAKEOVER_NS},
    flows::{ACTIVE_SECONDS, FLOW_HISTORY_SECONDS, Flow, FlowKey, Flows, RATE_SPANS_SECONDS},
    hooks::Hooks,
    ipvs::{
        AllMishaps, Connections, Decisions, Ipvs, MishapKey, MishapKind, Mishaps, REAL_HISTORY_SECONDS, Real,
        RealKey, RecentChange, RecentDecision, Service, ServiceKey, is_onto_drained,
    },
    machine::{Machine, Machines},
    markers::{MARKERS_KEPT, Marker, MarkerKind, Markers},
    names::{Names, Ownership, Socket},
    neighbours::{
        ANSWERERS, Answerer, NEIGHBOUR_HISTORY, Neighbour, NeighbourKey, Neighbours, OwnAnswers, Proposal,
    },
    outage::Outage,
    path::{DEATHS_KEPT, Death, IcmpKey, IcmpSubject, Loop, Path},
    rates::{Buckets, COUNTED_FAMILIES, Counter, HISTORY_SECONDS, Rates, second_of},
    recent::Recent,
    related::{RELATED_FLOWS, Related},
    routes::{PeerKey, Reached, RouteChanges, Routes},
    rulesets::{RULESET_HISTORY, Rulesets, Table, TableKey},
    span::Span,
    spell::{DENSE_SECONDS, FREQUENT_KEYS, Frequent, Spell},
    subject::{NetworkKey, Subject},
    timeline::Timeline,
    translations::{Ends, Learnt, Mapping, Translations, Translator},
};
use std::sync::Arc;

use self::{bounded::Asked, shared::Shared};
use crate::{
    decode::DecodeCounts,
    event::{Body, Change, Event, Netns, Process, Stats, Text, Timestamp},
    findings::{Findings, Rules},
    probe::table::Family,
};

/// How much is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows that retransmit.
    pub flows: usize,
    /// Sockets whose owner is known.
    pub owners: usize,
    /// Cgroups whose container and pod are known.
    pub containers: usize,
    /// Network namespaces whose names are known.
    pub namespaces: usize,
    /// Neighbour entries.
    pub neighbours: usize,
    /// Conntrack entries decided about.
    pub conntrack_entries: usize,
    /// Namespaces whose conntrack is counted.
    pub conntrack_tables: usize,
    /// Virtual services.
    pub services: usize,
    /// Real servers of all services.
    pub reals: usize,
    /// Peers whose way was looked up.
    pub peers: usize,
    /// Addresses, devices and settings, each.
    pub surroundings: usize,
    /// Tables of rules.
    pub tables: usize,
    /// Addresses ICMP errors were about.
    pub icmp_subjects: usize,
    /// Flows whose packets went round.
    pub loops: usize,
    /// Translated connections.
    pub translations: usize,
    /// Events of the timeline.
    pub timeline: usize,
    /// Events of each sort but retransmits that are kept longer than the timeline.
    pub chronicle: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 100_000,
            owners: 100_000,
            containers: 16_384,
            namespaces: 4_096,
            neighbours: 16_384,
            conntrack_entries: 50_000,
            conntrack_tables: 1_024,
            services: 10_000,
            reals: 50_000,
            peers: 20_000,
            surroundings: 50_000,
            tables: 8_192,
            icmp_subjects: 20_000,
            loops: 10_000,
            translations: 50_000,
            timeline: 16_384,
            chronicle: 2_000,
        }
    }
}

/// The names of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The kernel's release.
    pub kernel: Text,
    /// The host's name.
    pub host: Text,
}

/// What all events so far amount to.
#[derive(Clone, Debug)]
pub struct State {
    /// The names of the node, once a record told them; of the first, where there are several.
    pub node: Option<Node>,
    /// Each machine's clocks and facts, and the session they were kept in.
    pub machines: Machines,
    /// Which hooks are attached.
    pub hooks: Hooks,
    /// What became of everything the hooks saw.
    pub accounting: Accounting,
    /// Flows that retransmit.
    pub flows: Flows,
    /// Neighbours and who answers for them.
    pub neighbours: Neighbours,
    /// Decisions of conntrack.
    pub conntrack: Conntrack,
    /// Decisions of IPVS.
    pub ipvs: Ipvs,
    /// How peers are reached, and what that depends on.
    pub routes: Routes,
    /// How many rules the tables have.
    pub rulesets: Rulesets,
    /// What the way of packets came to.
    pub path: Path,
    /// Which flows are one connection.
    pub translations: Translations,
    /// Rates of the families.
    pub rates: Rates,
    /// Moments to show on every time axis.
    pub markers: Markers,
    /// The last events.
    pub timeline: Timeline,
    /// Who is who.
    pub names: Names,
    /// The last events of every sort but retransmits.
    pub chronicle: Chronicle,
    /// What stands out of all this.
    pub findings: Findings,
    /// Namespaces that have had flows, so that a flow can be looked for in all of them.
    flow_namespaces: Bounded<Netns, ()>,
    shared: Shared,
    began: Option<Timestamp>,
    now: Timestamp,
    events: u64,
}

impl Default for State {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl State {
    /// Nothing has happened yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            node: None,
            machines: Machines::default(),
            hooks: Hooks::default(),
            accounting: Accounting::default(),
            flows: Flows::new(limits.flows),
            neighbours: Bounded::new(limits.neighbours),
            conntrack: Conntrack::new(limits.conntrack_entries, limits.conntrack_tables),
            ipvs: Ipvs::new(limits.services, limits.reals),
            routes: Routes::new(limits.peers, limits.surroundings),
            rulesets: Bounded::new(limits.tables),
            path: Path::new(limits.icmp_subjects, limits.loops),
            translations: Translations::new(limits.translations),
            rates: Rates::default(),
            markers: Markers::default(),
            timeline: Timeline::new(limits.timeline),
            names: Names::new(limits.owners, limits.containers, limits.namespaces),
            chronicle: Chronicle::new(limits.chronicle),
            findings: Findings::default(),
            flow_namespaces: Bounded::new(limits.conntrack_tables),
            shared: Shared::default(),
            began: None,
            now: Timestamp::default(),
            events: 0,
        }
    }

    /// With other thresholds of the rules than the usual ones.
    #[must_use]
    pub fn judged_by(self, rules: Arc<Rules>) -> Self {
        Self { findings: Findings::judged_by(rules), ..self }
    }

    /// What is known of tracer and the node, without anything that happened: where a filter begins that cannot be
    /// applied to what came before any more.
    #[must_use]
    pub fn facts(&self, limits: Limits) -> Self {
        Self {
            node: self.node.clone(),
            machines: self.machines.clone(),
            hooks: self.hooks.clone(),
            accounting: self.accounting.clone(),
            markers: self.markers.clone(),
            names: self.names.clone(),
            translations: self.translations.clone(),
            findings: Findings::judged_by(Arc::clone(self.findings.rules())),
            began: self.began.map(|_| self.now),
            now: self.now,
            ..Self::new(limits)
        }
    }

    /// Takes one event in. Events of different CPUs may come a little out of order.
    pub fn apply(&mut self, event: &Event) {
        if self.count_in(event, None) {
            self.timeline.take(&mut event.clone());
        }
    }

    /// The same with an event nobody else needs: it may be another afterwards, which spares the timeline a copy. `row`
    /// is what [`ask`](Self::ask) said of it.
    fn apply_taking(&mut self, event: &mut Event, row: Option<Asked>) {
        if self.count_in(event, row) {
            self.timeline.take(event);
        }
    }

    /// Takes an event in everywhere but in the timeline, and says whether it belongs there.
    fn count_in(&mut self, event: &Event, row: Option<Asked>) -> bool {
        let &Event { time, netns, cpu: _, ref body } = event;
        if matches!(body, Body::Session(_) | Body::SessionBegin) {
            self.session_told(event);
            return false;
        }
        let is_prologue = self.machines.is_prologue(netns.node, time);
        if !is_prologue {
            self.began.get_or_insert(time);
        }
        self.now = self.now.max(time);
        let flows_before = (self.flows.len(), self.flows.evicted());
        match body {
            Body::Retransmit(retransmit) => {
                self.rates.count(Family::Retransmit, time);
                self.flows.retransmit(&mut self.shared, row, netns, time, retransmit);
            }
            Body::Undo(undo) => self.flows.undo(netns, time, undo),
            Body::Neighbour(neighbour) => {
                self.rates.count(Family::Neighbour, time);
                neighbours::proposal(&mut self.neighbours, netns, time, neighbour);
            }
            Body::Claim(claim) => neighbours::claim(&mut self.neighbours, netns, time, claim),
            Body::Conntrack(decision) => {
                self.rates.count(Family::Conntrack, time);
                self.conntrack.decision(netns, time, decision, row);
                self.translations.conntrack(netns, time, decision);
            }
            Body::ConntrackCounters(counters) => self.conntrack.counters(netns, time, counters),
            Body::Ipvs(decided) => {
                self.rates.count(Family::Ipvs, time);
                self.ipvs.decision(netns, time, decided);
                self.translations.ipvs(netns, time, decided);
            }
            Body::Icmp(_) | Body::Duplicate(_) | Body::Route(_) | Body::Rule(_) => self.path_told(event),
            Body::IpvsChange(change) => self.ipvs.change(netns, time, change),
            Body::IpvsService(listed) => self.ipvs.listed_service(netns, time, listed),
            Body::IpvsDestination(listed) => self.ipvs.listed_destination(netns, time, listed),
            Body::RouteLookup(_) | Body::Translation(_) => self.looked_up(event),
            Body::Address(address) => {
                self.own_told(netns, address.change);
                self.routes.address(netns, time, address);
            }
            Body::Link(link) => {
                self.own_told(netns, link.change);
                self.routes.link(netns, link);
            }
            Body::NeighbourEntry(entry) => neighbours::entry(&mut self.neighbours, netns, time, entry),
            Body::Sysctl(sysctl) => self.routes.sysctl_told(netns, sysctl),
            Body::Namespace(namespace) => self.namespace_told(netns, time, namespace.change),
            Body::Ruleset(counted) => rulesets::counted(&mut self.rulesets, netns, time, counted),
            _ => self.node_told(netns.node, body),
        }
        if flows_before != (self.flows.len(), self.flows.evicted()) {
            self.flow_namespaces.touch(netns, || ());
        }
        self.names.take_in(event);
        if is_prologue {
            return false;
        }
        self.markers.note(event);
        self.chronicle.note(event);
        if Self::looks_at(body) {
            self.look();
        }
        let is_told = timeline::is_told(body);
        self.events += u64::from(is_told);
        is_told
    }

    /// Takes in what became of the way of packets. Rules that were there before did not happen.
    fn path_told(&mut self, event: &Event) {
        let &Event { time, netns, ref body, .. } = event;
        if !body.is_snapshot() {
            self.rates.count(Family::Path, time);
        }
        match body {
            Body::Icmp(icmp) => self.path.icmp(netns, time, icmp),
            Body::Duplicate(duplicate) => self.path.duplicate(netns, time, duplicate),
            Body::Route(route) => self.routes.route(route),
            _ => {}
        }
    }

    /// Takes in what is told of a node and of tracer there.
    fn node_told(&mut self, node: u16, body: &Body) {
        match body {
            Body::Stats(stats) => self.accounting.sample(node, stats),
            Body::HookStatus(status) => self.hooks.status_of(node, status),
            Body::Gap(gap) => self.accounting.unrecorded += gap.records,
            // Of several, the first one stands for all.
            Body::Node { kernel, host } if node == 0 || self.node.is_none() => {
                self.node = Some(Node { kernel: kernel.clone(), host: host.clone() });
            }
            Body::Ready => self.hooks.set_ready(node),
            Body::Clock(clock) => self.machines.of_mut(node).clock = Some(*clock),
            Body::Facts(facts) => self.machines.of_mut(node).told(facts),
            _ => {}
        }
    }

    /// A session file begins, or its prologue ends: what comes now happened while it was recorded. Where it begins with
    /// tracer itself, the first record says when that was, as it does live.
    fn session_told(&mut self, event: &Event) {
        let &Event { time, netns, ref body, .. } = event;
        let machine = self.machines.of_mut(netns.node);
        if let Body::Session(part) = body {
            machine.session_begins(time, *part);
            return;
        }
        machine.prologue_ends();
        if machine.session.is_some_and(|session| session.is_under_way) {
            self.began.get_or_insert(time);
            self.now = self.now.max(time);
        }
    }

    /// Whether what stands out is looked for once this has been taken in.
    pub(crate) fn looks_at(body: &Body) -> bool {
        matches!(body, Body::Ready | Body::Stats(Stats { last_of_batch: true, .. }))
    }

    /// Looks for what stands out.
    pub(crate) fn look(&mut self) {
        let mut findings = std::mem::take(&mut self.findings);
        findings.look(self);
        self.findings = findings;
    }

    /// Takes in the answer to a question, and remembers it if it says something new.
    fn looked_up(&mut self, event: &Event) {
        let &Event { time, netns, ref body, .. } = event;
        let is_news = match body {
            Body::RouteLookup(lookup) => self.routes.lookup(netns, time, lookup),
            Body::Translation(found) => self.translations.looked_up(netns, time, found),
            _ => false,
        };
        if is_news {
            self.chronicle.note_lookup(event);
        }
    }

    /// A namespace's inode number is given on to another once it ended, mostly to the next one that is made. What was its
    /// own is not the other's: whom it had as neighbours, which addresses it had, how it reached its peers.
    fn namespace_told(&mut self, netns: Netns, time: Timestamp, change: Change) {
        /// What lived shorter than that may have come and gone without a word.
        const UNNOTICED_NS: u64 = 3_000_000_000;
        if change == Change::Removed {
            self.routes.namespace_ended(netns, time);
            return;
        }
        let until = self.names.ended_at(netns);
        let is_first = change == Change::Added && !self.names.knows(netns);
        if let Some(until) = until.or_else(|| is_first.then(|| time.earlier_by_ns(UNNOTICED_NS))) {
            self.number_given_on(netns, until);
        }
    }

    /// A device or an address of a namespace. Those a new one has are told together with it, one before the other.
    fn own_told(&mut self, netns: Netns, change: Change) {
        if let Some(until) = self.names.ended_at(netns).filter(|_| change == Change::Present) {
            self.number_given_on(netns, until);
        }
    }

    fn number_given_on(&mut self, netns: Netns, until: Timestamp) {
        self.neighbours.retain(|key, neighbour| key.netns != netns || neighbour.last > until);
        self.routes.number_given_on(netns, until);
    }

    /// Asks for the place where the row is told that an event will change, if it is one of the many.
    fn ask(&self, event: &Event) -> Option<Asked> {
        match &event.body {
            Body::Retransmit(retransmit) => {
                Some(self.flows.ask(&FlowKey { netns: event.netns, endpoints: retransmit.flow }))
            }
            Body::Conntrack(decision) => self.conntrack.ask(event.netns, decision),
            _ => None,
        }
    }

    /// Asks for the row itself, a while later.
    fn ask_entry(&self, event: &Event, asked: &mut Asked) {
        match &event.body {
            Body::Conntrack(_) => self.conntrack.entries.ask_entry(asked),
            _ => self.flows.ask_entry(asked),
        }
    }

    /// Takes in what the decoder could and could not read.
    pub fn set_decoded(&mut self, counts: DecodeCounts) {
        self.accounting.decoded = counts;
    }

    /// The time of the newest event.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The time of the first event.
    pub fn began(&self) -> Timestamp {
        self.began.unwrap_or_default()
    }

    /// Events so far that tell what happened on the node.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Events of a family a second, over the last whole `seconds`.
    pub fn rate(&self, family: Family, seconds: u64) -> f64 {
        self.rates.per_second(family, self.began(), self.now, seconds)
    }

    /// Who owns a flow's socket: seen by a hook, or found in user space before or after.
    pub fn process_of<'a>(&'a self, key: &FlowKey, flow: &'a Flow) -> Option<&'a Process> {
        self.names.process_of(key.netns.node, Socket::from(flow))
    }

    /// Whose a flow is: process, container, pod and network namespace, as they were when it was last seen.
    pub fn ownership_of<'a>(&'a self, key: &FlowKey, flow: &'a Flow) -> Ownership<'a> {
        self.names.of_socket(key.netns, flow.last, Socket::from(flow))
    }

    /// Entries of all tables given up for newer ones.
    pub fn evicted(&self) -> u64 {
        self.evictions().map(|(_, evicted)| evicted).sum()
    }

    /// How many entries each table gave up for newer ones, and what these are.
    pub fn evictions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { flows, neighbours, conntrack, ipvs, routes, rulesets, path, translations, names, .. } =
            self;
        [
            ("flows", flows.evicted()),
            ("owners and names", names.evicted()),
            ("neighbours", neighbours.evicted()),
            ("conntrack entries", conntrack.entries.evicted()),
            ("conntrack tables", conntrack.tables.evicted()),
            ("troubles of conntrack", conntrack.failures.evicted() + conntrack.stale.evicted()),
            ("virtual services", ipvs.services.evicted()),
            ("real servers", ipvs.reals.evicted()),
            ("troubles of services", ipvs.mishaps.evicted()),
            ("peers and addresses", routes.evicted()),
            ("tables of rules", rulesets.evicted()),
            ("subjects of ICMP errors", path.icmp.evicted()),
            ("packets that went round", path.loops.evicted()),
            ("translations", translations.evicted()),
        ]
        .into_iter()
    }
}
