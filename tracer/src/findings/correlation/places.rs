//! Where findings are: the addresses they are about, by all the names that these have for those who use them.

use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{About, Finding};
use crate::{
    event::{Netns, Prefix},
    findings::{
        sums::recent_flows,
        way::{NextHop, Ways},
    },
    state::{FlowKey, NeighbourKey, NetworkKey, State, Subject},
};

/// Addresses and flows that are remembered of one finding.
const MOST_NAMES: usize = 32;

/// Where each of a list of findings is.
#[derive(Debug)]
pub(super) struct Places(Vec<Option<Place>>);

/// Where one is.
#[derive(Debug)]
struct Place {
    netns: Netns,
    /// Whether it befalls everything that passes the node.
    is_everywhere: bool,
    /// Whether it befalls what is sent to its addresses from any namespace of the node, as answers above all.
    is_way_back: bool,
    /// The addresses it is about.
    own: Vec<Prefix>,
    /// Other names of them: the next hop, the real server behind a virtual address, who the flows are of, and the next
    /// hop of these as their peers see them.
    others: FxHashSet<IpAddr>,
    /// The ends of flows to it: from here, and to there.
    flows: FxHashSet<(IpAddr, IpAddr)>,
}

impl Places {
    /// Asks the state for what nobody knows by the finding alone, if there are several.
    pub(super) fn of(state: &State, found: &[Finding]) -> Self {
        let mut places: Vec<Option<Place>> = found.iter().map(place).collect();
        if places.len() < 2 {
            return Self(places);
        }
        // Flows that pass a router are nobody's there.
        for (key, _) in state.path.loops.iter() {
            let place = places.iter_mut().flatten().filter(|place| place.netns.node == key.netns.node);
            for place in place.filter(|place| place.has(key.endpoints.destination.ip())) {
                place.note_ends(key);
            }
        }
        note_flows(state, &mut places);
        Self(places)
    }

    /// Whether one brings the other about: they are about the same address by any of its names, or by the same flows as
    /// both ends see them.
    pub(super) fn explains(&self, cause: usize, symptom: usize) -> bool {
        let (Some(cause), Some(symptom)) = (&self.0[cause], &self.0[symptom]) else { return false };
        if cause.netns.node != symptom.netns.node {
            return false;
        }
        cause.is_everywhere
            || cause.is_about_any(&symptom.own)
            || symptom.others.iter().any(|&other| cause.has(other))
            || cause.others.iter().any(|&other| symptom.has(other))
            || symptom.is_other_end_of(cause)
    }

    /// Whether two are about the same flows, each as one end of them sees them; the first of them is told.
    pub(super) fn mirrors(&self, one: usize, other: usize) -> bool {
        let (Some(first), Some(second)) = (&self.0[one], &self.0[other]) else { return false };
        one < other && first.netns.node == second.netns.node && second.is_other_end_of(first)
    }
}

impl Place {
    /// Whether an address is one of its own.
    fn has(&self, address: IpAddr) -> bool {
        self.own.iter().any(|own| own.contains(address))
    }

    fn is_about_any(&self, prefixes: &[Prefix]) -> bool {
        prefixes.iter().any(|prefix| {
            self.own.iter().any(|own| own.contains(prefix.address) || prefix.contains(own.address))
        })
    }

    /// Whether flows of its own are answers to those of the other.
    fn is_other_end_of(&self, other: &Self) -> bool {
        self.flows.iter().any(|&(here, there)| other.flows.contains(&(there, here)))
    }

    /// Takes in the ends of a flow of its own; whether they are new and there was room.
    fn note_ends(&mut self, key: &FlowKey) -> bool {
        let ends = (key.endpoints.source.ip(), key.endpoints.destination.ip());
        self.flows.len() < MOST_NAMES && self.flows.insert(ends)
    }

    /// Takes in a flow to one of its addresses, or one from there whose answers go by its namespace.
    fn note_way_back(&mut self, state: &State, key: &FlowKey) {
        if key.netns.node != self.netns.node {
            return;
        }
        let (source, destination) = (key.endpoints.source.ip(), key.endpoints.destination.ip());
        if self.has(destination) {
            self.note_ends(key);
        }
        let has = |address: IpAddr| state.names.holders_of(address).contains(&self.netns);
        let goes_by = |holder: &Netns| {
            let gateway = state.routes.reached(*holder, source).and_then(|reached| reached.gateway);
            gateway.is_some_and(has)
        };
        let answers_here = || has(destination) || state.names.holders_of(destination).iter().any(goes_by);
        if self.has(source) && answers_here() && self.flows.len() < MOST_NAMES {
            self.flows.insert((destination, source));
        }
    }

    /// Takes in a flow that may be one of its own, with its next hops.
    fn note(&mut self, state: &State, key: &FlowKey, hops: &[NextHop]) {
        if self.flows.len() == MOST_NAMES {
            return;
        }
        let there = key.endpoints.destination.ip();
        let is_own = (key.netns == self.netns && self.has(there))
            || hops.iter().any(|&(netns, address)| netns == self.netns && self.has(address));
        if !is_own || !self.note_ends(key) {
            return;
        }
        self.others.extend(hops.iter().map(|&(_, address)| address).filter(|&address| address != there));
        let ends = state.translations.ends(key.netns, &key.endpoints);
        for end in ends.iter().flat_map(|ends| [ends.dialled, ends.server]) {
            self.others.insert(end.ip());
        }
    }
}

/// Takes in the flows that are resent, each where it belongs.
fn note_flows(state: &State, places: &mut [Option<Place>]) {
    let hosts = positions_of_hosts(places);
    let has_network = |place: &Place| place.own.iter().any(|prefix| !prefix.is_host());
    let networks: Vec<usize> =
        (0..places.len()).filter(|&position| places[position].as_ref().is_some_and(has_network)).collect();
    let is_way_back = |place: &Place| place.is_way_back;
    let way_back: Vec<usize> =
        (0..places.len()).filter(|&position| places[position].as_ref().is_some_and(is_way_back)).collect();
    let ways = Ways::of(state);
    let mut hops: Vec<NextHop> = Vec::new();
    for (key, _) in recent_flows(state) {
        for &position in &way_back {
            if let Some(place) = &mut places[position] {
                place.note_way_back(state, key);
            }
        }
        let destination = key.endpoints.destination.ip();
        hops.clear();
        hops.extend(ways.hops(key.netns, destination));
        let there = (key.netns, destination);
        let at = hops.iter().chain(std::iter::once(&there)).filter_map(|hop| hosts.get(hop)).flatten();
        // One that is there twice takes the flow in once.
        for &position in at.chain(&networks) {
            if let Some(place) = &mut places[position] {
                place.note(state, key, &hops);
            }
        }
        // Answers to it, where another namespace of the node gives them.
        let holders = state.names.holders_of(destination).iter();
        for &holder in holders.filter(|&&holder| holder.node == key.netns.node && holder != key.netns) {
            for hop in ways.hops(holder, key.endpoints.source.ip()) {
                for &position in hosts.get(&hop).into_iter().flatten() {
                    if let Some(place) = &mut places[position] {
                        let endpoints = key.endpoints.reversed();
                        place.note_ends(&FlowKey { netns: holder, endpoints });
                    }
                }
            }
        }
    }
}

/// Which places are about an address of a namespace.
fn positions_of_hosts(places: &[Option<Place>]) -> FxHashMap<NextHop, Vec<usize>> {
    let mut hosts: FxHashMap<NextHop, Vec<usize>> = FxHashMap::default();
    for (position, place) in places.iter().enumerate() {
        let Some(place) = place else { continue };
        for prefix in place.own.iter().filter(|prefix| prefix.is_host()) {
            hosts.entry((place.netns, prefix.address)).or_default().push(position);
        }
    }
    hosts
}

/// Where a finding is, by itself.
fn place(finding: &Finding) -> Option<Place> {
    // Without room in conntrack no connection of any namespace gets through.
    const EVERYWHERE: &str = "conntrack-table-full";
    const WAY_BACK: &str = "reply-misrouted";
    let (netns, own): (Netns, Vec<Prefix>) = match &finding.about {
        About::Subject(Subject::Neighbour(NeighbourKey { netns, address, .. })) => {
            (*netns, vec![Prefix::host(*address)])
        }
        About::Subject(Subject::Network(NetworkKey { netns, prefix })) => (*netns, vec![*prefix]),
        About::Subject(Subject::Real(real)) => {
            let ends = [real.address, real.service.service.address()];
            (real.service.netns, ends.into_iter().flatten().map(|end| Prefix::host(end.ip())).collect())
        }
        About::Subject(Subject::Service(service)) => {
            (service.netns, service.service.address().map(|end| Prefix::host(end.ip())).into_iter().collect())
        }
        About::Subject(Subject::Flow(flow)) => {
            (flow.netns, vec![Prefix::host(flow.endpoints.destination.ip())])
        }
        About::Subject(Subject::Namespace(netns)) => (*netns, Vec::new()),
        _ => return None,
    };
    Some(Place {
        netns,
        is_everywhere: finding.id == EVERYWHERE,
        is_way_back: finding.id == WAY_BACK,
        own,
        others: FxHashSet::default(),
        flows: FxHashSet::default(),
    })
}
