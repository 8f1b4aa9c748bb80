//! Which findings a filter hides: those that can be told to be about something else.
//!
//! A finding is no event: what an expression asks of it often has no answer. Where its subject answers for all of it,
//! that counts; else the flows that belong to the subject do; and a finding that nothing is known against is shown.

use std::net::IpAddr;

use rustc_hash::FxHashSet;

use super::{
    Filter,
    syntax::{Condition, Expression, Network, Side},
};
use crate::{
    event::{Endpoint, Endpoints, IpvsService, Netns, Prefix, Text},
    findings::{About, Finding, FindingChange, FindingStatus, Key},
    state::{Flow, FlowKey, NetworkKey, State, Subject},
};

/// Says change by change whether to show it.
#[derive(Clone, Debug, Default)]
pub struct FindingSieve {
    filter: Option<Filter>,
    /// Findings that were shown and have not closed.
    shown: FxHashSet<Key>,
}

impl FindingSieve {
    /// Lets through what may meet the filter; everything if there is none.
    pub fn new(filter: Option<Filter>) -> Self {
        Self { filter, shown: FxHashSet::default() }
    }

    /// Whether to show a change of a finding. What was shown once is shown until it closes. Every change has to pass
    /// here, in their order.
    pub fn passes(&mut self, state: &State, change: &FindingChange) -> bool {
        let Some(filter) = &self.filter else { return true };
        let key = change.finding.key();
        if change.status == FindingStatus::Closed {
            return self.shown.remove(&key);
        }
        let is_shown = self.shown.contains(&key) || filter.may_mean(state, &change.finding);
        if is_shown {
            self.shown.insert(key);
        }
        is_shown
    }
}

impl Filter {
    /// Whether a finding, or one that it explains, may be about what is asked for.
    fn may_mean(&self, state: &State, finding: &Finding) -> bool {
        std::iter::once(finding).chain(&finding.symptoms).any(|one| self.may_mean_one(state, one))
    }

    fn may_mean_one(&self, state: &State, finding: &Finding) -> bool {
        let expression = &self.0;
        let subject = match finding.about {
            About::Subject(subject) => Some(subject),
            _ => finding.subject,
        };
        let netns = finding.netns();
        let told = answer(expression, &|condition| of_subject(condition, state, netns, subject));
        if told == Some(true) {
            return true;
        }
        let flows = subject.map(|subject| state.flows_about(subject)).unwrap_or_default();
        let has_flows = !flows.is_empty();
        let is_of_flow = |(key, flow): (&FlowKey, &Flow)| {
            answer(expression, &|condition| of_flow(condition, state, key, flow))
        };
        let mut answers = flows.into_iter().map(is_of_flow);
        match told {
            Some(_) => answers.any(|told| told == Some(true)),
            None => !has_flows || answers.any(|told| told != Some(false)),
        }
    }
}

/// What an expression comes to where some of its conditions may have no answer.
fn answer(expression: &Expression, ask: &impl Fn(&Condition) -> Option<bool>) -> Option<bool> {
    let any = |parts: &[Expression], wanted: bool| {
        let answers: Vec<Option<bool>> = parts.iter().map(|part| answer(part, ask)).collect();
        if answers.contains(&Some(wanted)) {
            Some(wanted)
        } else if answers.contains(&None) {
            None
        } else {
            Some(!wanted)
        }
    };
    match expression {
        Expression::Any(parts) => any(parts, true),
        Expression::All(parts) => any(parts, false),
        Expression::Not(part) => answer(part, ask).map(|answer| !answer),
        Expression::Condition(condition) => ask(condition),
    }
}

/// What the subject of a finding says to a condition.
fn of_subject(
    condition: &Condition,
    state: &State,
    netns: Option<Netns>,
    subject: Option<Subject>,
) -> Option<bool> {
    match condition {
        Condition::Host(side, network) => meets_host(*side, *network, &ends(subject?)?),
        Condition::Port(side, first, last) => {
            let asked = |port: u16| (*first..=*last).contains(&port);
            let ends = ends(subject?)?;
            let mut ports = ends.iter().filter(|end| is_side(*side, end.side)).map(|end| end.port);
            if ports.clone().any(|port| port.is_some_and(asked)) {
                Some(true)
            } else {
                // Of an address without a port it is not known.
                ports.all(|port| port.is_some()).then_some(false)
            }
        }
        Condition::Device(name) => {
            let Subject::Neighbour(key) = subject? else { return None };
            Some(state.neighbours.get(&key)?.device.as_str() == name)
        }
        _ => of_place(condition, state, netns?),
    }
}

/// What a flow says to a condition.
fn of_flow(condition: &Condition, state: &State, key: &FlowKey, flow: &Flow) -> Option<bool> {
    let Endpoints { source, destination, .. } = key.endpoints;
    let whose = || state.ownership_of(key, flow);
    match condition {
        Condition::Host(side, network) => meets_host(*side, *network, &both(source, destination)),
        Condition::Port(side, first, last) => Some(both(source, destination).iter().any(|end| {
            is_side(*side, end.side) && end.port.is_some_and(|port| (*first..=*last).contains(&port))
        })),
        Condition::Process(name) => Some(name.fits(whose().process?.command.as_str())),
        Condition::Container(name) => {
            let container = whose().container?;
            Some(name.fits(container.name.as_str()) || name.fits(container.id.as_str()))
        }
        Condition::Pod(name) => {
            let pod = whose().pod?;
            Some(name.fits(pod.name.as_str()) || name.fits(&pod.to_string()))
        }
        _ => of_place(condition, state, key.netns),
    }
}

/// What the place says to a condition.
fn of_place(condition: &Condition, state: &State, netns: Netns) -> Option<bool> {
    match condition {
        Condition::Netns(inode) => Some(netns.inode == *inode),
        Condition::NetnsName(name) => {
            let told = state.names.namespace(netns, state.now())?.name.as_ref()?;
            Some(name.fits(told.as_str()))
        }
        Condition::Node(name) => {
            let host = state.names.nodes().find(|(node, _)| *node == netns.node).map(|(_, host)| host);
            host.map(Text::as_str).map(|host| name.fits(host))
        }
        _ => None,
    }
}

/// One end of what a finding is about: an address or a network of them.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Which end, where it is one of two.
    side: Side,
    prefix: Prefix,
    port: Option<u16>,
}

fn both(source: Endpoint, destination: Endpoint) -> Vec<End> {
    [(Side::Source, source), (Side::Destination, destination)].map(|(side, end)| socket(side, end)).into()
}

fn socket(side: Side, end: Endpoint) -> End {
    End { side, prefix: Prefix::host(end.ip()), port: Some(end.port()) }
}

fn address(address: IpAddr) -> End {
    End { side: Side::Either, prefix: Prefix::host(address), port: None }
}

/// The ends of a subject; `None` where it has none.
fn ends(subject: Subject) -> Option<Vec<End>> {
    let of_service =
        |service: IpvsService| service.address().map(|address| socket(Side::Destination, address));
    let ends: Vec<End> = match subject {
        Subject::Flow(key) => both(key.endpoints.source, key.endpoints.destination),
        Subject::Neighbour(key) => vec![address(key.address)],
        Subject::Service(key) => of_service(key.service).into_iter().collect(),
        Subject::Real(key) => {
            let real = key.address.map(|real| socket(Side::Destination, real));
            of_service(key.service.service).into_iter().chain(real).collect()
        }
        Subject::Network(NetworkKey { prefix, .. }) => vec![End { side: Side::Either, prefix, port: None }],
        Subject::Namespace(_) | Subject::Hook(_) => Vec::new(),
    };
    (!ends.is_empty()).then_some(ends)
}

fn is_side(asked: Side, side: Side) -> bool {
    asked == Side::Either || side == Side::Either || asked == side
}

fn meets_host(side: Side, network: Network, ends: &[End]) -> Option<bool> {
    let mut ends = ends.iter().filter(|end| is_side(side, end.side)).peekable();
    // Who dials a service is not told with it.
    ends.peek()?;
    Some(ends.any(|end| network.meets(end.prefix)))
}

#[cfg(test)]
mod tests {
    use super::FindingSieve;
    use crate::{
        event::{Body, IpvsService, Netns, Prefix, Protocol, RetransmitKind},
        filter::parse,
        findings::{About, Finding, FindingChange, FindingStatus, Severity},
        state::{
            FlowKey, NeighbourKey, NetworkKey, ServiceKey, State, Subject,
            fixture::{at, event, retransmit},
        },
    };

    fn finding(about: About) -> Finding {
        Finding::new("id", about, Severity::Warning, "who".to_owned(), "what".to_owned())
    }

    fn about(subject: Subject) -> Finding {
        finding(About::Subject(subject))
    }

    fn change(status: FindingStatus, finding: &Finding) -> FindingChange {
        FindingChange { time: at(1), status, finding: finding.clone(), explained_by: None }
    }

    /// A state with one flow of a namespace.
    fn state() -> (State, Netns, Subject) {
        let told = retransmit(RetransmitKind::Syn, "10.0.0.1:4242", "10.0.0.2:80");
        let endpoints = told.flow;
        let told = event(1, Body::Retransmit(told));
        let mut state = State::default();
        state.apply(&told);
        (state, told.netns, Subject::Flow(FlowKey { netns: told.netns, endpoints }))
    }

    #[test]
    fn a_filter_hides_findings_that_are_about_something_else() {
        let (state, netns, flow) = state();
        let neighbour = |address: &str| {
            Subject::Neighbour(NeighbourKey { netns, interface_index: 2, address: address.parse().unwrap() })
        };
        let network = |address: &str, bits| {
            let prefix = Prefix { address: address.parse().unwrap(), bits };
            Subject::Network(NetworkKey { netns, prefix })
        };
        let service = Subject::Service(ServiceKey {
            netns,
            service: IpvsService::Address {
                protocol: Protocol::TCP,
                address: "10.9.9.9:443".parse().unwrap(),
            },
        });
        for (filter, finding, is_shown) in [
            ("host 10.0.0.2", about(flow), true),
            ("src host 10.0.0.2", about(flow), false),
            ("host 10.0.0.3", about(flow), false),
            ("port 80", about(flow), true),
            ("port 81", about(flow), false),
            ("not port 80", about(flow), false),
            // The retransmits are this flow's, but what else it may be asked is not known of a finding.
            ("kind rto and host 10.0.0.2", about(flow), true),
            ("kind rto and host 10.0.0.3", about(flow), false),
            ("conntrack", about(flow), true),
            ("host 10.0.0.9", about(neighbour("10.0.0.9")), true),
            ("host 10.0.0.8", about(neighbour("10.0.0.9")), false),
            ("net 10.0.0.0/24", about(neighbour("10.0.0.9")), true),
            ("host fd00::9", about(neighbour("fd00::9")), true),
            ("host fd00::8", about(neighbour("fd00::9")), false),
            ("port 80", about(neighbour("10.0.0.9")), true),
            // The flow goes there.
            ("host 10.0.0.1", about(network("10.0.0.2", 32)), true),
            ("host 10.0.0.7", about(network("10.0.0.0", 24)), true),
            ("net 10.0.0.0/8", about(network("10.0.0.0", 24)), true),
            ("host 10.1.0.7", about(network("10.0.0.0", 24)), false),
            ("port 443", about(service), true),
            ("port 444", about(service), false),
            // Who dials it is not known.
            ("src host 10.0.0.1", about(service), true),
            ("host 10.0.0.9", finding(About::Node), true),
            (&format!("netns {}", netns.inode), about(flow), true),
            ("netns 7", about(flow), false),
            ("netns 7", finding(About::Node), true),
        ] {
            let mut sieve = FindingSieve::new(Some(parse(filter).unwrap()));
            let shown = sieve.passes(&state, &change(FindingStatus::Open, &finding));
            assert_eq!(shown, is_shown, "{filter}: {finding:?}");
            let closed = sieve.passes(&state, &change(FindingStatus::Closed, &finding));
            assert_eq!(closed, is_shown, "{filter}: {finding:?}");
        }
    }

    #[test]
    fn a_cause_is_shown_for_what_it_explains_and_until_it_closes() {
        let (state, netns, flow) = state();
        let address = "10.0.0.9".parse().unwrap();
        let mut cause = about(Subject::Neighbour(NeighbourKey { netns, interface_index: 2, address }));
        let mut sieve = FindingSieve::new(Some(parse("host 10.0.0.2").unwrap()));
        assert!(!sieve.passes(&state, &change(FindingStatus::Open, &cause)));
        cause.symptoms.push(about(flow));
        assert!(sieve.passes(&state, &change(FindingStatus::Update, &cause)));
        cause.symptoms.clear();
        assert!(sieve.passes(&state, &change(FindingStatus::Update, &cause)));
        assert!(sieve.passes(&state, &change(FindingStatus::Closed, &cause)));
        assert!(!sieve.passes(&state, &change(FindingStatus::Open, &cause)));
        assert!(FindingSieve::new(None).passes(&state, &change(FindingStatus::Open, &cause)));
    }
}
