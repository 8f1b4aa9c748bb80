//! What belongs to a subject: by tuples, addresses, namespaces and services.

use std::net::IpAddr;

use rustc_hash::FxHashSet;

use crate::{
    event::{Body, Endpoint, Endpoints, Event, Ipvs, IpvsChange, Netns, Route, Text},
    state::{
        Mapping, NetworkKey, Reached, RealKey, ServiceKey, State, Subject, Translator,
        translations::{Unordered, is_local, unordered},
    },
};

/// What belongs to a subject.
pub(super) struct Scope {
    subject: Subject,
    /// Namespaces its packets pass.
    namespaces: Vec<Netns>,
    /// Tuples of its connections.
    tuples: Vec<Endpoints>,
    named: FxHashSet<Unordered>,
    /// Flows that end here belong to it, whatever their other end.
    sockets: Vec<Endpoint>,
    /// Addresses its packets carry.
    addresses: Vec<IpAddr>,
    /// Who its packets are handed to.
    next_hops: Vec<IpAddr>,
    /// Flows to these belong to it: what is behind a next hop.
    behind: FxHashSet<IpAddr>,
    /// Devices its packets leave by.
    devices: Vec<Text>,
    /// Services it is dialled by, and who serves it.
    services: Vec<(ServiceKey, Vec<Endpoint>)>,
}

impl Scope {
    /// Of a subject; `mappings` are those of a flow.
    pub(super) fn new(state: &State, subject: Subject, mappings: &[&Mapping]) -> Self {
        let mut scope = Self {
            subject,
            namespaces: subject.netns().into_iter().collect(),
            tuples: Vec::new(),
            named: FxHashSet::default(),
            sockets: Vec::new(),
            addresses: Vec::new(),
            next_hops: Vec::new(),
            behind: FxHashSet::default(),
            devices: Vec::new(),
            services: Vec::new(),
        };
        match subject {
            Subject::Flow(key) => {
                scope.add_tuple(key.endpoints);
                for mapping in mappings {
                    scope.add_mapping(mapping);
                }
            }
            Subject::Neighbour(key) => {
                scope.next_hops.push(key.address);
                let is_by = |netns: Netns, peer: IpAddr, reached: &Reached| {
                    netns == key.netns && reached.gateway.unwrap_or(peer) == key.address
                };
                let behind = state
                    .routes
                    .peers
                    .iter()
                    .filter(|(place, reached)| is_by(place.netns, place.peer, reached))
                    .map(|(place, _)| place.peer);
                scope.behind = behind.collect();
            }
            Subject::Service(key) => {
                scope.sockets.extend(key.service.address());
                scope.addresses.extend(key.service.address().map(|address| address.ip()));
                scope.add_served(state, |mapping| is_of(mapping, key));
            }
            Subject::Real(RealKey { service, address: Some(real) }) => {
                scope.sockets.push(real);
                scope.addresses.push(real.ip());
                scope.add_served(state, |mapping| is_of(mapping, service) && mapping.learnt.server == real);
            }
            Subject::Network(NetworkKey { prefix, .. }) if prefix.is_host() => {
                scope.addresses.push(prefix.address);
            }
            Subject::Real(_) | Subject::Network(_) | Subject::Namespace(_) | Subject::Hook(_) => {}
        }
        scope
    }

    pub(super) fn subject(&self) -> Subject {
        self.subject
    }

    pub(super) fn namespaces(&self) -> &[Netns] {
        &self.namespaces
    }

    /// The tuples of a flow's connection.
    pub(super) fn tuples(&self) -> &[Endpoints] {
        &self.tuples
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    pub(super) fn add_namespaces(&mut self, namespaces: impl Iterator<Item = Netns>) {
        if matches!(self.subject, Subject::Flow(_)) {
            for netns in namespaces {
                add(&mut self.namespaces, netns);
            }
        }
    }

    pub(super) fn add_next_hops<'a>(&mut self, ways: impl Iterator<Item = &'a Reached>) {
        for reached in ways {
            if let Some(gateway) = reached.gateway {
                add(&mut self.next_hops, gateway);
            }
            if let Some(device) = &reached.device {
                add(&mut self.devices, device.clone());
            }
        }
    }

    fn add_tuple(&mut self, tuple: Endpoints) {
        if self.named.insert(unordered(&tuple)) {
            self.tuples.push(tuple);
            add(&mut self.addresses, tuple.source.ip());
            add(&mut self.addresses, tuple.destination.ip());
        }
    }

    fn add_mapping(&mut self, mapping: &Mapping) {
        let Mapping { netns, learnt, previous, .. } = mapping;
        for tuple in mapping.tuples() {
            self.add_tuple(tuple);
        }
        add(&mut self.namespaces, *netns);
        add(&mut self.addresses, learnt.server.ip());
        if let Some(service) = learnt.service {
            let mut servers = vec![learnt.server];
            servers.extend(previous.map(|previous| previous.destination));
            self.services.push((ServiceKey { netns: *netns, service }, servers));
        }
    }

    /// Names the connections that are translated by one service, also as NAT translates them besides.
    fn add_served(&mut self, state: &State, is_of: impl Fn(&Mapping) -> bool) {
        let mut dialled = FxHashSet::default();
        for mapping in state.translations.iter().filter(|mapping| is_of(mapping)) {
            dialled.insert(unordered(&mapping.learnt.original));
            self.named.extend(mapping.tuples().map(|tuple| unordered(&tuple)));
        }
        let by_nat = state.translations.iter().filter(|mapping| mapping.learnt.by == Translator::Conntrack);
        for mapping in by_nat.filter(|mapping| dialled.contains(&unordered(&mapping.learnt.original))) {
            self.named.extend(mapping.tuples().map(|tuple| unordered(&tuple)));
        }
    }

    fn has_namespace(&self, netns: Netns) -> bool {
        self.namespaces.contains(&netns)
    }

    /// Whether a flow in a namespace belongs to it.
    pub(super) fn has_flow(&self, netns: Netns, flow: &Endpoints) -> bool {
        match self.subject {
            Subject::Neighbour(_) => {
                self.has_namespace(netns) && self.behind.contains(&flow.destination.ip())
            }
            Subject::Network(NetworkKey { prefix, .. }) => {
                self.has_namespace(netns)
                    && (prefix.contains(flow.source.ip()) || prefix.contains(flow.destination.ip()))
            }
            Subject::Namespace(_) => self.has_namespace(netns),
            Subject::Hook(_) => false,
            Subject::Flow(_) | Subject::Service(_) | Subject::Real(_) => {
                let is_named = self.sockets.contains(&flow.source)
                    || self.sockets.contains(&flow.destination)
                    || self.named.contains(&unordered(flow));
                is_named
                    && self.may_mean(netns, flow.source.ip())
                    && self.may_mean(netns, flow.destination.ip())
            }
        }
    }

    /// Whether an address in a namespace can be the one that is meant: loopback is another in every namespace.
    fn may_mean(&self, netns: Netns, address: IpAddr) -> bool {
        !is_local(address) || self.has_namespace(netns)
    }

    /// Whether a neighbour is one its packets are handed to, or has one of its addresses.
    pub(super) fn has_neighbour(&self, netns: Netns, address: IpAddr) -> bool {
        match self.subject {
            Subject::Network(NetworkKey { prefix, .. }) => {
                self.has_namespace(netns) && prefix.contains(address)
            }
            Subject::Namespace(_) => self.has_namespace(netns),
            _ => {
                (self.addresses.contains(&address) && self.may_mean(netns, address))
                    || (self.next_hops.contains(&address) && self.has_namespace(netns))
            }
        }
    }

    /// Whether an event belongs to it.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        let netns = event.netns;
        let has = |flow: &Endpoints| self.has_flow(netns, flow);
        match (&event.body, self.subject) {
            (Body::HookStatus(status), Subject::Hook(hook)) => status.hook == Some(hook),
            (Body::HookStatus(_) | Body::Marker(_) | Body::Clock(_) | Body::Gap(_), _)
            | (_, Subject::Hook(_)) => false,
            (_, Subject::Namespace(namespace)) => netns == namespace,
            (Body::Retransmit(retransmit), _) => has(&retransmit.flow),
            (Body::Undo(undo), _) => has(&undo.flow),
            (Body::Duplicate(duplicate), _) => has(&duplicate.flow),
            (Body::Conntrack(decision), _) => {
                let tuples = [decision.original, decision.reply, decision.previous_reply];
                tuples.iter().flatten().any(has)
            }
            (Body::Translation(found), _) => has(&found.original) || has(&found.reply),
            (Body::Icmp(icmp), _) => icmp.about.is_some_and(|about| {
                if about.has_ports { has(&about.flow) } else { self.has_ends(netns, &about.flow) }
            }),
            (Body::RouteLookup(lookup), _) => {
                has(&lookup.flow)
                    || (self.has_namespace(netns)
                        && (self.addresses.contains(&lookup.flow.destination.ip())
                            || lookup.gateway.is_some_and(|gateway| self.next_hops.contains(&gateway))))
            }
            (Body::Ipvs(decided), _) => self.has_decision(netns, decided),
            (Body::IpvsChange(change), _) => self.has_change(netns, change),
            (Body::Neighbour(told), _) => self.has_neighbour(netns, told.address),
            (Body::Claim(claim), _) => self.has_neighbour(netns, claim.address),
            (Body::Address(told), _) => self.has_neighbour(netns, told.address),
            (Body::Route(route), _) => self.has_route(netns, route),
            (Body::Link(link), _) => self.has_namespace(netns) && self.devices.contains(&link.device),
            (Body::Rule(_), Subject::Flow(_) | Subject::Network(_)) => self.has_namespace(netns),
            (Body::Sysctl(sysctl), _) => {
                const OF_IPVS: &str = "net.ipv4.vs.";
                let is_dialled = self.services.iter().any(|(service, _)| service.netns == netns)
                    || matches!(self.subject, Subject::Service(_) | Subject::Real(_))
                        && self.has_namespace(netns);
                is_dialled && sysctl.name.as_str().starts_with(OF_IPVS)
            }
            _ => false,
        }
    }

    /// Whether a packet without known ports went between its addresses.
    fn has_ends(&self, netns: Netns, flow: &Endpoints) -> bool {
        let [source, destination] = [flow.source.ip(), flow.destination.ip()];
        match self.subject {
            Subject::Flow(_) => {
                self.addresses.contains(&source)
                    && self.addresses.contains(&destination)
                    && self.may_mean(netns, source)
            }
            _ => self.has_flow(netns, flow),
        }
    }

    fn has_decision(&self, netns: Netns, decided: &Ipvs) -> bool {
        match self.subject {
            Subject::Service(key) => key.covers(netns, decided),
            Subject::Real(key) => key.covers(netns, decided),
            _ => {
                let dialled = Endpoints {
                    source: decided.client,
                    destination: decided.virtual_service,
                    protocol: decided.protocol,
                };
                self.has_flow(netns, &dialled)
            }
        }
    }

    fn has_change(&self, netns: Netns, change: &IpvsChange) -> bool {
        let service = ServiceKey { netns, service: change.service };
        match self.subject {
            Subject::Service(key) => service == key,
            // What happens to the service happens to all who serve it.
            Subject::Real(key) => {
                service == key.service && (change.real.is_none() || change.real == key.address)
            }
            Subject::Network(NetworkKey { prefix, .. }) => {
                let virtual_address = change.service.address();
                self.has_namespace(netns)
                    && [virtual_address, change.real]
                        .into_iter()
                        .flatten()
                        .any(|address| prefix.contains(address.ip()))
            }
            _ => self.services.iter().any(|(key, servers)| {
                *key == service && change.real.is_none_or(|real| servers.contains(&real))
            }),
        }
    }

    fn has_route(&self, netns: Netns, route: &Route) -> bool {
        let by_next_hop = route
            .gateway
            .into_iter()
            .chain(route.next_hops.iter().filter_map(|next_hop| next_hop.gateway))
            .any(|gateway| self.next_hops.contains(&gateway));
        match self.subject {
            Subject::Network(NetworkKey { prefix, .. }) => {
                self.has_namespace(netns)
                    && (route.prefix.contains(prefix.address) || prefix.contains(route.prefix.address))
            }
            Subject::Neighbour(_) => self.has_namespace(netns) && by_next_hop,
            // A default route leads everywhere, so it counts only where its packets pass.
            _ => {
                (route.prefix.bits > 0 || self.has_namespace(netns))
                    && self.addresses.iter().any(|&address| route.prefix.contains(address))
            }
        }
    }
}

fn is_of(mapping: &Mapping, key: ServiceKey) -> bool {
    mapping.netns == key.netns
        && mapping.learnt.by == Translator::Ipvs
        && mapping.learnt.service == Some(key.service)
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}
