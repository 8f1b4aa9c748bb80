//! What the rules about services of IPVS have in common.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::View;
use crate::{
    event::{Endpoint, IpvsService, Netns, Protocol, RetransmitKind, Timestamp},
    findings::{About, Affects, sums::recent_flows},
    state::{
        DENSE_SECONDS, Flow, FlowKey, MishapKey, MishapKind, Mishaps, Real, RealKey, ServiceKey, State,
        Subject, second_of,
    },
    words::{counted, exact, owner::netns_words, time_of_day, time_of_day_milliseconds},
};

/// Names that are listed in one line of evidence at most.
pub(super) const LISTED: usize = 4;

/// One row of trouble that is told.
pub(super) struct Told<'a> {
    /// What it is about.
    pub(super) real: &'a RealKey,
    /// The trouble.
    pub(super) mishaps: &'a Mishaps,
    /// Whether it goes on.
    pub(super) is_open: bool,
}

/// The rows of a kind for which `is_open` says whether it goes on, those that do first, of each the largest first. `None`
/// leaves one out.
pub(super) fn told<'a>(
    view: &View<'a>,
    kind: MishapKind,
    is_open: impl Fn(&'a RealKey, &'a Mishaps) -> Option<bool>,
) -> Vec<Told<'a>> {
    let rows = view.state.ipvs.mishaps.iter().filter(|(key, _)| key.kind == kind);
    let mut told: Vec<Told<'a>> = rows
        .filter_map(|(MishapKey { real, .. }, mishaps)| {
            Some(Told { real, mishaps, is_open: is_open(real, mishaps)? })
        })
        .collect();
    told.sort_unstable_by_key(|told| (!told.is_open, Reverse(told.mishaps.connections), *told.real));
    told
}

impl Told<'_> {
    /// What the finding is known by.
    pub(super) fn about(&self) -> About {
        about(self.real)
    }

    /// What can be opened.
    pub(super) fn subject(&self) -> Subject {
        subject(self.real)
    }

    /// Its service.
    pub(super) fn service(&self) -> IpvsService {
        self.real.service.service
    }

    /// `10.9.9.9:80 → 10.2.1.2:8080`, or the service alone.
    pub(super) fn who(&self) -> String {
        name(self.real.service, self.real.address)
    }

    /// Where it is not the node's own, the namespace it is about, as a line of evidence.
    pub(super) fn place(&self, state: &State) -> Option<String> {
        foreign_place(state, self.real.service.netns, self.mishaps.spell.span.last)
    }

    /// The last decision, as a line of evidence.
    pub(super) fn last(&self) -> String {
        let newest = &self.mishaps.newest;
        let entry = newest.connection_state.map(|state| format!(" on an entry in {state}"));
        format!(
            "the last one at {} UTC from {}{}",
            time_of_day_milliseconds(self.mishaps.spell.span.last),
            newest.client,
            entry.unwrap_or_default()
        )
    }

    /// The settings of IPVS by that decision, as a line of evidence.
    pub(super) fn settings(&self) -> String {
        let newest = &self.mishaps.newest;
        format!(
            "net.ipv4.vs.conn_reuse_mode={}, net.ipv4.vs.expire_nodest_conn={} at that moment",
            newest.reuse_mode, newest.expire_nodest
        )
    }

    /// Whom they come from most, if that is several.
    pub(super) fn clients(&self) -> Option<String> {
        let clients = self.mishaps.clients.most();
        (clients.len() > 1).then(|| {
            let listed: Vec<String> = clients
                .iter()
                .take(LISTED)
                .map(|(address, count)| format!("{address} ({})", exact(*count)))
                .collect();
            format!("from {}{}", listed.join(", "), and_more(clients.len()))
        })
    }

    /// So many first packets: `3 SYNs`.
    pub(super) fn packets(&self, count: u64) -> String {
        let first = match self.mishaps.newest.protocol {
            Protocol::TCP => "SYN",
            Protocol::SCTP => "INIT",
            _ => "packet",
        };
        counted(count, first)
    }
}

/// What a finding about it is known by.
pub(super) fn about(real: &RealKey) -> About {
    About::Subject(subject(real))
}

/// What can be opened: the real server, or the service.
fn subject(real: &RealKey) -> Subject {
    match real.address {
        Some(_) => Subject::Real(*real),
        None => Subject::Service(real.service),
    }
}

/// A service, and one of its real servers. Resolvers are dialled by UDP and TCP at one address: what is not TCP says so.
pub(super) fn name(service: ServiceKey, real: Option<Endpoint>) -> String {
    let protocol = service.service.protocol().filter(|protocol| *protocol != Protocol::TCP);
    let protocol = protocol.map(|protocol| format!("{protocol} ")).unwrap_or_default();
    let name = format!("{protocol}{}", service.service.name());
    real.map_or_else(|| name.clone(), |real| format!("{name} → {real}"))
}

/// ` and 3 more`, of so many of which only some are listed.
pub(super) fn and_more(all: usize) -> String {
    match all.saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {} more", exact(more as u64)),
    }
}

/// Says which namespace commands are meant for, if it is known not to be the node's own.
pub(super) fn foreign_place(state: &State, netns: Netns, then: Timestamp) -> Option<String> {
    let namespace = state.names.namespace(netns, then)?;
    (!namespace.is_of_node).then(|| format!("in network namespace {}", netns_words(state, netns, then)))
}

/// How a server came to get no new connections, by the newest word on it: `weight 1 → 0 at 12:04:11 UTC`.
pub(super) fn how_drained(real: Option<&Real>) -> Option<String> {
    let real = real?;
    if !real.available {
        return Some(match real.removed {
            Some(time) => format!("removed at {} UTC", time_of_day(time)),
            None => "removed".to_owned(),
        });
    }
    match (real.weight, real.weight_changed) {
        (Some(0), Some((time, before))) if before != 0 => {
            Some(format!("weight {before} → 0 at {} UTC", time_of_day(time)))
        }
        _ => None,
    }
}

/// The service as an option of `ipvsadm`: `-t 10.9.9.9:80`.
pub(super) fn ipvsadm_service(service: IpvsService) -> String {
    match service {
        IpvsService::Mark { mark, is_ipv6 } => format!("-f {mark}{}", if is_ipv6 { " -6" } else { "" }),
        IpvsService::Address { protocol, address } => match protocol {
            Protocol::UDP => format!("-u {address}"),
            Protocol::SCTP => format!("--sctp-service {address}"),
            _ => format!("-t {address}"),
        },
    }
}

/// A real server as the list of entries has it, where one of any port stands with the port that was dialled.
pub(super) fn listed_as(real: Endpoint) -> String {
    match real.port() {
        0 => real.to_string().trim_end_matches('0').to_owned(),
        _ => real.to_string(),
    }
}

/// The real servers of some services, each service's by their addresses.
pub(super) fn reals_of(
    state: &State,
    services: impl Iterator<Item = ServiceKey>,
) -> FxHashMap<ServiceKey, Vec<(Endpoint, &Real)>> {
    let mut reals: FxHashMap<ServiceKey, Vec<(Endpoint, &Real)>> =
        services.map(|service| (service, Vec::new())).collect();
    if reals.is_empty() {
        return reals;
    }
    for (key, real) in state.ipvs.reals.iter() {
        if let (Some(of_service), Some(address)) = (reals.get_mut(&key.service), key.address) {
            of_service.push((address, real));
        }
    }
    for of_service in reals.values_mut() {
        of_service.sort_unstable_by_key(|(address, _)| *address);
    }
    reals
}

/// New connections that these servers got within the seconds that a spell counts as recent.
fn accepted_lately(view: &View<'_>, reals: &[(Endpoint, &Real)]) -> u64 {
    let recent = reals.iter().filter_map(|(_, real)| real.recent.as_ref());
    recent
        .map(|recent| {
            let running = u64::from(recent.at(second_of(view.now())));
            recent.sum_before(view.now(), DENSE_SECONDS as u64 - 1) + running
        })
        .sum()
}

/// Whether mishaps make up so many thousandths of the new connections that the service had lately.
pub(super) fn is_share(view: &View<'_>, service: ServiceKey, mishaps: &Mishaps, permille: u64) -> bool {
    let reals = reals_of(view.state, std::iter::once(service));
    let accepted = accepted_lately(view, reals.get(&service).map(Vec::as_slice).unwrap_or_default());
    let lately = mishaps.spell.lately(view.now());
    lately > 0 && lately * 1_000 >= (accepted + lately) * permille
}

/// ` (now 0)`: a setting as it was last read, if it was.
pub(super) fn now(state: &State, real: &RealKey, setting: &str) -> String {
    let value = state.routes.sysctl(real.service.netns, setting);
    value.map(|value| format!(" (now {value})")).unwrap_or_default()
}

/// Whether an end is a real server's: one that is configured with port 0 is dialled at any.
fn is_at(end: Endpoint, real: Endpoint) -> bool {
    end == real || (real.port() == 0 && end.ip() == real.ip())
}

/// Flows that are resent on the way to, or by, one of these servers and services.
pub(super) struct Hit<'a>(FxHashMap<RealKey, Vec<(&'a FlowKey, &'a Flow)>>);

impl<'a> Hit<'a> {
    /// Goes through the flows that are resent, if there is anything to look for.
    pub(super) fn of(view: &View<'a>, told: &[Told<'_>]) -> Self {
        let mut places: FxHashMap<Endpoint, Vec<RealKey>> = FxHashMap::default();
        for told in told.iter().filter(|told| told.is_open) {
            // What a firewall mark stands for is known by what was dialled.
            let dialled = told.service().address().unwrap_or(told.mishaps.newest.virtual_service);
            let ends = [told.real.address, Some(dialled)];
            for end in ends.into_iter().flatten() {
                places.entry(end).or_default().push(*told.real);
            }
        }
        let mut hit: FxHashMap<RealKey, Vec<(&FlowKey, &Flow)>> = FxHashMap::default();
        if places.is_empty() {
            return Self(hit);
        }
        for (key, flow) in recent_flows(view.state) {
            let ends = [key.endpoints.destination, key.endpoints.source];
            // What is configured for any port is dialled at each.
            let names = ends.into_iter().flat_map(|end| [end, Endpoint::new(end.ip(), 0)]);
            let asked = names.filter_map(|end| places.get(&end)).flatten();
            let mut server = None;
            for real in asked {
                let is_hit = real.address.is_none_or(|address| {
                    ends.iter().any(|end| is_at(*end, address))
                        || server
                            .get_or_insert_with(|| {
                                let found = view.state.translations.ends(key.netns, &key.endpoints);
                                found.map(|found| found.server)
                            })
                            .is_some_and(|server| is_at(server, address))
                });
                let flows = hit.entry(*real).or_default();
                if is_hit && flows.last().is_none_or(|(last, _)| *last != key) {
                    flows.push((key, flow));
                }
            }
        }
        Self(hit)
    }

    /// Whether one of the flows gets no answer to its first segment.
    pub(super) fn is_opening(&self, real: &RealKey) -> bool {
        let of_kind = |flow: &Flow, kind| flow.of_kind(kind) > 0;
        self.0
            .get(real)
            .into_iter()
            .flatten()
            .any(|(_, flow)| of_kind(flow, RetransmitKind::Syn) || of_kind(flow, RetransmitKind::SynAck))
    }

    /// Whom that hits: so many new connections, and these flows.
    pub(super) fn affects(&self, state: &'a State, real: &RealKey, connections: u64) -> Affects {
        let flows = self.0.get(real).map(Vec::as_slice).unwrap_or_default();
        Affects { connections, ..Affects::of_flows(state, flows.iter().copied()) }
    }
}
