//! Packets go round between routers until they die of TTL.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use super::{MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    event::{Body, Endpoints, IcmpClass, Prefix, Protocol, Timestamp},
    findings::{
        About, Affects, Certainty, Finding, Severity,
        beside::{network, route_text},
    },
    state::{Death, Flow, FlowKey, IcmpKey, IcmpSubject, Loop, NetworkKey, Span, State, Subject},
    words::{counted, describe::flow_name, exact, owner::netns_name, time_of_day},
};

/// Packets go round between routers until they die of TTL.
///
/// A packet that comes time after time goes round; that is certain. Where that cannot be seen, the deaths of packets tell,
/// unless somebody makes them die on purpose: who traces a route sends few packets a hop and each with another port, so
/// only deaths of a flow that goes on count, or very many of one router's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoutingLoop {
    /// How often one packet must have come: one that is sent through routers beside the way comes again as well.
    pub times: u32,
    /// Deaths of packets of one flow that was sent again, as its own node is told.
    pub resent_deaths: usize,
    /// Deaths of packets of one flow that nobody is known to send again.
    pub flow_deaths: usize,
    /// Different flows whose packets died at one and the same router.
    pub flows: usize,
    /// Seconds within which such deaths must come.
    pub deaths_seconds: u32,
    /// Destinations of one network that are told as one.
    pub destinations: usize,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for RoutingLoop {
    fn default() -> Self {
        Self {
            times: 4,
            resent_deaths: 2,
            flow_deaths: 6,
            flows: 12,
            deaths_seconds: 10,
            destinations: 4,
            quiet_seconds: 20,
        }
    }
}

/// What shows that packets to an address go round, on one node.
#[derive(Clone, Debug, Default)]
struct Round<'a> {
    loops: Vec<(&'a FlowKey, &'a Loop)>,
    deaths: Vec<(&'a IcmpKey, &'a IcmpSubject)>,
}

/// Signs of one finding: those of an address, or of several of one network.
struct Told<'a> {
    place: NetworkKey,
    destinations: Vec<IpAddr>,
    loops: Vec<(&'a FlowKey, &'a Loop)>,
    deaths: Vec<(&'a IcmpKey, &'a IcmpSubject)>,
}

impl Rule for RoutingLoop {
    const ID: &'static str = "routing-loop";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let mut rounds: BTreeMap<(u16, IpAddr), Round<'_>> = BTreeMap::new();
        for (key, one) in view.state.path.loops.iter() {
            let goes_on = one.last_round.is_some_and(|last| view.is_within(last, self.quiet_seconds));
            if goes_on && one.most_times >= self.times {
                let place = (key.netns.node, key.endpoints.destination.ip());
                rounds.entry(place).or_default().loops.push((key, one));
            }
        }
        for (key, subject) in view.state.path.icmp.iter() {
            let Some(destination) = key.destination else { continue };
            let is_recent =
                subject.deaths.back().is_some_and(|death| view.is_within(death.time, self.quiet_seconds));
            if is_recent && (self.tells_of_loop(view, key, subject) || Self::was_told(view, key)) {
                rounds.entry((key.netns.node, destination)).or_default().deaths.push((key, subject));
            }
        }
        let told = self.gathered(view, rounds);
        let all = told.len();
        found.extend(told.iter().take(MOST_OF_A_RULE).map(|told| tell(view, told)));
        tell_left_out(found, Self::ID, all, Severity::Critical, ("addresses", "that packets go round for"));
    }
}

impl RoutingLoop {
    /// Whether packets to an address die as they do in a loop.
    fn tells_of_loop(&self, view: &View<'_>, key: &IcmpKey, subject: &IcmpSubject) -> bool {
        let recent = || subject.deaths.iter().filter(|death| view.is_within(death.time, self.deaths_seconds));
        let mut flows: BTreeMap<Endpoints, usize> = BTreeMap::new();
        for death in recent() {
            *flows.entry(death.flow).or_default() += 1;
        }
        let goes_on = |(flow, &deaths): (&Endpoints, &usize)| {
            let is_resent = resent(view, key, flow).is_some();
            deaths >= if is_resent { self.resent_deaths } else { self.flow_deaths }
        };
        if flows.iter().any(goes_on) {
            return true;
        }
        // Who traces a route by TCP hears from every router on it.
        let dials: BTreeSet<&Endpoints> =
            flows.keys().filter(|flow| flow.protocol == Protocol::TCP).collect();
        let senders: BTreeSet<Option<IpAddr>> = recent().map(|death| death.sender).collect();
        let ports: BTreeSet<u16> = dials.iter().map(|flow| flow.destination.port()).collect();
        dials.len() >= self.flows && senders.len() == 1 && ports.len() < dials.len()
    }

    /// Whether that was found before: then any death says that it goes on.
    fn was_told(view: &View<'_>, key: &IcmpKey) -> bool {
        key.destination.is_some_and(|destination| {
            let hosts = NetworkKey::host(key.netns, destination);
            let networks = NetworkKey { prefix: network(destination), ..hosts };
            [hosts, networks]
                .into_iter()
                .any(|place| view.was_open(Self::ID, &About::Subject(Subject::Network(place))))
        })
    }

    /// An address each, or a network of several.
    fn gathered<'a>(&self, view: &View<'_>, rounds: BTreeMap<(u16, IpAddr), Round<'a>>) -> Vec<Told<'a>> {
        let mut networks: BTreeMap<(u16, Prefix), Vec<(IpAddr, Round<'a>)>> = BTreeMap::new();
        for ((node, destination), round) in rounds {
            networks.entry((node, network(destination))).or_default().push((destination, round));
        }
        let mut told = Vec::new();
        for ((_, prefix), rounds) in networks {
            let of_network = Told::of(prefix, &rounds);
            let was_one = of_network
                .as_ref()
                .is_some_and(|told| view.was_open(Self::ID, &About::Subject(Subject::Network(told.place))));
            if rounds.len() >= self.destinations.max(2) || was_one {
                told.extend(of_network);
            } else {
                told.extend(
                    rounds
                        .iter()
                        .filter_map(|round| Told::of(Prefix::host(round.0), std::slice::from_ref(round))),
                );
            }
        }
        told.sort_by_key(|told| (std::cmp::Reverse(told.loops.len() + told.deaths.len()), told.place));
        told
    }
}

impl<'a> Told<'a> {
    /// As seen from the namespace that saw it first: every router on this node sees the same loop.
    fn of(prefix: Prefix, rounds: &[(IpAddr, Round<'a>)]) -> Option<Self> {
        let loops: Vec<_> = rounds.iter().flat_map(|(_, round)| round.loops.iter().copied()).collect();
        let deaths: Vec<_> = rounds.iter().flat_map(|(_, round)| round.deaths.iter().copied()).collect();
        let seen = loops.iter().map(|(key, one)| (one.first, key.netns));
        let told = deaths.iter().map(|(key, subject)| (subject.first, key.netns));
        let netns = seen.min().or_else(|| told.min())?.1;
        let destinations = rounds.iter().map(|(destination, _)| *destination).collect();
        Some(Self { place: NetworkKey { netns, prefix }, destinations, loops, deaths })
    }

    /// When the signs of it came, those of an older loop left out.
    fn span(&self) -> Option<Span> {
        let loops = self.loops.iter().map(|(_, one)| Span { first: one.first, last: one.last });
        let deaths = self.deaths.iter().filter_map(|(_, subject)| {
            Some(Span { first: subject.deaths.front()?.time, last: subject.deaths.back()?.time })
        });
        loops.chain(deaths).reduce(Span::union)
    }

    /// The flows whose packets go round, as far as they are known.
    fn flows(&self) -> BTreeSet<Endpoints> {
        let deaths = self.deaths.iter().flat_map(|(_, subject)| &subject.deaths).map(|death| death.flow);
        self.loops.iter().map(|(key, _)| key.endpoints).chain(deaths).collect()
    }
}

/// The row of a flow whose packet died, if this node has sent it again.
fn resent<'a>(view: &View<'a>, key: &IcmpKey, flow: &Endpoints) -> Option<(FlowKey, &'a Flow)> {
    let key = FlowKey { netns: key.netns, endpoints: *flow };
    Some((key, view.state.flows.get(&key)?))
}

fn tell(view: &View<'_>, told: &Told<'_>) -> Finding {
    let flows = told.flows();
    let about = Subject::Network(told.place);
    let destination = match told.destinations.as_slice() {
        [one] => one.to_string(),
        _ => told.place.prefix.to_string(),
    };
    let what = match told.loops.iter().max_by_key(|(key, one)| (one.last_round, *key)) {
        // A router alone sends to itself: by a tunnel whose far end is its own address, or a peer that hands back.
        Some((_, one)) if one.step == 1 => format!(
            "packets to {destination} come back to the router that sent them: TTL −1 each time, {} times",
            exact(u64::from(one.most_times))
        ),
        Some((_, one)) => format!(
            "packets to {destination} go round between {}: TTL −{} each time, {} times",
            counted(u64::from(one.step), "router"),
            one.step,
            exact(u64::from(one.most_times))
        ),
        None => format!("packets to {destination} die of TTL on their way: they go round"),
    };
    let mut finding =
        Finding::new(RoutingLoop::ID, About::Subject(about), Severity::Critical, destination, what);
    finding.certainty = if told.loops.is_empty() { Certainty::Likely } else { Certainty::Certain };
    finding.subject = match flows.first() {
        Some(flow) if flows.len() == 1 => {
            Some(Subject::Flow(FlowKey { netns: told.place.netns, endpoints: *flow }))
        }
        _ => Some(about),
    };
    finding.evidence = evidence(view, told, &flows);
    finding.affects = affects(view, told, &flows);
    finding.advice = advice(told);
    finding.span = told.span();
    finding
}

/// Who sends them, where that is on this node: in any namespace of it.
fn affects(view: &View<'_>, told: &Told<'_>, flows: &BTreeSet<Endpoints>) -> Affects {
    let is_meant = |key: &FlowKey| {
        key.netns.node == told.place.netns.node
            && (flows.contains(&key.endpoints) || told.destinations.contains(&key.endpoints.destination.ip()))
    };
    let recent = crate::findings::sums::recent_flows(view.state).filter(|(key, _)| is_meant(key));
    let mut affects = Affects::of_flows(view.state, recent);
    affects.flows = affects.flows.max(flows.len() as u64);
    affects
}

fn evidence(view: &View<'_>, told: &Told<'_>, flows: &BTreeSet<Endpoints>) -> Vec<String> {
    let mut evidence = Vec::new();
    let name = |netns| netns_name(view.state, netns, view.now());
    let mut loops: Vec<_> = told.loops.iter().collect();
    loops.sort_by_key(|(key, one)| (key.netns, std::cmp::Reverse(one.most_times), *key));
    loops.dedup_by_key(|(key, _)| key.netns);
    for (key, one) in loops {
        evidence.push(format!(
            "one packet of {} came {} times to {} by {}, TTL −{} each time down to {}",
            flow_name(&key.endpoints),
            exact(u64::from(one.most_times)),
            name(key.netns),
            one.device,
            one.step,
            one.lowest_ttl
        ));
    }
    for (key, subject) in &told.deaths {
        let died = subject.counts[IcmpClass::TimeExceeded as usize];
        let senders: BTreeSet<IpAddr> =
            subject.deaths.iter().filter_map(|death: &Death| death.sender).collect();
        let senders: Vec<String> = senders.iter().map(IpAddr::to_string).collect();
        let how = if key.is_sent {
            format!("sent by {}", name(key.netns))
        } else {
            format!("from {} to {}", senders.join(", "), name(key.netns))
        };
        evidence.push(format!("ICMP time exceeded {how}: {} so far", exact(died)));
    }
    if flows.len() > 1 {
        evidence.push(format!("{} seen to go round", counted(flows.len() as u64, "flow")));
    }
    evidence.extend(newest_route(view.state, told));
    evidence
}

/// The last change of a route that leads there, on this node.
fn newest_route(state: &State, told: &Told<'_>) -> Option<String> {
    let is_meant = |prefix: Prefix| {
        prefix.bits != 0 && told.destinations.iter().any(|&destination| prefix.contains(destination))
    };
    let (time, route): (Timestamp, _) =
        state.chronicle.of_routing().rev().find_map(|event| match &event.body {
            Body::Route(route) if event.netns.node == told.place.netns.node && is_meant(route.prefix) => {
                Some((event.time, route))
            }
            _ => None,
        })?;
    Some(format!("{}, {} UTC", route_text(route), time_of_day(time)))
}

fn advice(told: &Told<'_>) -> Vec<String> {
    let Some(destination) = told.destinations.first() else { return Vec::new() };
    let mut advice = vec![format!(
        "find the routers that send it to each other: `traceroute -n {destination}` names them by turns"
    )];
    advice.push(format!(
        "on each of them: `ip route get {destination}`; one has lost the route to it and follows a wider one back"
    ));
    let alone = told.loops.iter().find(|(_, one)| one.step == 1);
    advice.extend(alone.map(|(_, Loop { device, .. })| {
        format!(
            "if {device} is a tunnel, its far end may be an address of this node: ip -d link show {device}; \
             bridge fdb show dev {device}"
        )
    }));
    if let Some((key, one)) = told.loops.first() {
        advice.push(format!(
            "watch it go round: `tcpdump -vni {} host {} and host {}`",
            one.device,
            key.endpoints.source.ip(),
            key.endpoints.destination.ip()
        ));
    }
    advice
}

#[cfg(test)]
mod tests;
