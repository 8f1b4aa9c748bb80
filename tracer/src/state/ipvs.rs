//! What IPVS is configured to do and what it decided: virtual services and their real servers.

mod administration;
mod mishaps;

use std::{collections::VecDeque, num::NonZeroU32};

pub use self::mishaps::{AllMishaps, MishapKey, MishapKind, Mishaps};
use super::{bounded::Bounded, rates::Buckets, span::Span};
use crate::event::{
    Endpoint, Ipvs as IpvsDecided, IpvsChange, IpvsDecision, IpvsForward, IpvsService, Netns, Text, Timestamp,
};

/// Seconds of history that are kept of every real server that is dialled: a minute of whole ones, and the one that runs.
pub const REAL_HISTORY_SECONDS: usize = 61;

/// Decisions that are kept in full.
pub(super) const RECENT_DECISIONS: usize = 1_000;

/// Changes of the configuration that are kept in full.
pub(super) const RECENT_CHANGES: usize = 1_000;

/// What tells one virtual service from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// The network namespace.
    pub netns: Netns,
    /// Which of its services.
    pub service: IpvsService,
}

impl ServiceKey {
    /// The service a decision is about.
    pub fn of(netns: Netns, decided: &IpvsDecided) -> Self {
        let service = IpvsService::of(decided.protocol, decided.virtual_service, decided.firewall_mark);
        Self { netns, service }
    }

    /// The service at every port of the same address; `None` of one known by a mark.
    fn at_any_port(self) -> Option<Self> {
        let IpvsService::Address { protocol, address } = self.service else { return None };
        let service = IpvsService::Address { protocol, address: Endpoint::new(address.ip(), 0) };
        Some(Self { service, ..self })
    }
}

/// What tells one real server of one service from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RealKey {
    /// The service it serves.
    pub service: ServiceKey,
    /// Its address; `None` gathers what reached no real server.
    pub address: Option<Endpoint>,
}

impl ServiceKey {
    /// Whether a decision may be about it: a service at any port is dialled at each.
    pub fn covers(self, netns: Netns, decided: &IpvsDecided) -> bool {
        let dialled = Self::of(netns, decided);
        self == dialled || dialled.at_any_port() == Some(self)
    }
}

impl RealKey {
    /// Whether a decision may be about it: a real server of any port is reached at each.
    pub fn covers(self, netns: Netns, decided: &IpvsDecided) -> bool {
        let is_own = match (self.address, decided.real) {
            (Some(own), Some(real)) => own == real || (own.port() == 0 && own.ip() == real.ip()),
            (own, real) => own == real,
        };
        is_own && self.service.covers(netns, decided)
    }
}

/// Counts of decisions, and new connections that reached a real server that should get none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// By decision, in the order of [`IpvsDecision::ALL`].
    pub counts: [u64; IpvsDecision::ALL.len()],
    /// New connections given to a real server of weight 0, or one that is no longer configured.
    pub onto_drained: u64,
    /// SYNs that came again, counted among those reused: no new connections.
    pub repeated: u64,
}

impl Decisions {
    /// How often something was decided.
    pub fn of(&self, decision: IpvsDecision) -> u64 {
        self.counts[decision as usize]
    }

    /// Decisions in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// New connections that went on to a real server.
    pub fn accepted(&self) -> u64 {
        self.total() - self.turned_away() - self.repeated
    }

    /// New connections that were dropped, delayed or refused.
    pub fn turned_away(&self) -> u64 {
        IpvsDecision::ALL.into_iter().filter(|decision| !decision.is_accepted()).map(|one| self.of(one)).sum()
    }

    fn count(&mut self, decided: &IpvsDecided) {
        self.counts[decided.decision as usize] += 1;
        self.onto_drained += u64::from(is_onto_drained(decided));
        self.repeated += u64::from(decided.is_repeated());
    }
}

/// One virtual service.
#[derive(Clone, Debug)]
pub struct Service {
    /// When it was first dialled or listed.
    pub first: Timestamp,
    /// When it was last dialled or changed.
    pub last: Timestamp,
    /// What was decided.
    pub decisions: Decisions,
    /// When new connections were dropped, delayed or refused.
    pub turned_away: Option<Span>,
    /// `net.ipv4.vs.conn_reuse_mode` at the last decision.
    pub reuse_mode: Option<i32>,
    /// `net.ipv4.vs.expire_nodest_conn` at the last decision.
    pub expire_nodest: Option<i32>,
    /// Its scheduler, if that is known.
    pub scheduler: Option<Text>,
    /// Seconds for which a client stays with its real server, if it does.
    pub persistence_s: Option<NonZeroU32>,
    /// When it was removed, if it was.
    pub removed: Option<Timestamp>,
    /// The time of the newest word on its configuration.
    known_at: Timestamp,
}

impl Service {
    /// Whether it was listed or changed, and not dialled only, and is there still.
    fn is_configured(&self) -> bool {
        self.known_at != Timestamp::default() && self.removed.is_none()
    }

    fn new(time: Timestamp) -> Self {
        Self {
            first: time,
            last: time,
            decisions: Decisions::default(),
            turned_away: None,
            reuse_mode: None,
            expire_nodest: None,
            scheduler: None,
            persistence_s: None,
            removed: None,
            known_at: Timestamp::default(),
        }
    }
}

/// Connections a real server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Established ones.
    pub active: u32,
    /// Those that are not, or no more.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
}

/// One real server of one service.
#[derive(Clone, Debug)]
pub struct Real {
    /// When it was first chosen, met or listed.
    pub first: Timestamp,
    /// When it was last chosen, met or changed.
    pub last: Timestamp,
    /// What was decided.
    pub decisions: Decisions,
    /// When new connections reached it though it should get none.
    pub dialled_drained: Option<Span>,
    /// Its weight by the newest word on it; for one that was removed, the last it had.
    pub weight: Option<i32>,
    /// The last change of its weight that was noticed: when, and from which weight.
    pub weight_changed: Option<(Timestamp, i32)>,
    /// Whether it is configured, by the newest word on it.
    pub available: bool,
    /// When it was removed, if it was and has not come back.
    pub removed: Option<Timestamp>,
    /// How packets reach it, if that is known.
    pub forwarding: Option<IpvsForward>,
    /// Its connections when it was last listed.
    pub connections: Option<Connections>,
    /// New connections over the last seconds, if it ever got one: most of a large service's servers are only listed.
    pub recent: Option<Box<Buckets<REAL_HISTORY_SECONDS, u16>>>,
    /// The time of the newest word on its configuration.
    known_at: Timestamp,
}

/// One decision in full.
#[derive(Clone, Debug)]
pub struct RecentDecision {
    /// When.
    pub time: Timestamp,
    /// The network namespace.
    pub netns: Netns,
    /// What was decided.
    pub decided: IpvsDecided,
}

/// One change of the configuration in full.
#[derive(Clone, Debug)]
pub struct RecentChange {
    /// When.
    pub time: Timestamp,
    /// The network namespace.
    pub netns: Netns,
    /// What changed.
    pub change: IpvsChange,
}

/// IPVS on this node: what it is configured to do, and its decisions.
#[derive(Clone, Debug)]
pub struct Ipvs {
    /// The virtual services listed or dialled.
    pub services: Bounded<ServiceKey, Service>,
    /// Their real servers.
    pub reals: Bounded<RealKey, Real>,
    /// The last decisions, oldest first.
    pub recent: VecDeque<RecentDecision>,
    /// The last changes of the configuration, oldest first.
    pub changes: VecDeque<RecentChange>,
    /// New connections that went wrong.
    pub mishaps: AllMishaps,
    /// All decisions.
    pub total: Decisions,
}

/// Whether a new connection reaches a real server that should get none.
pub fn is_onto_drained(decided: &IpvsDecided) -> bool {
    decided.decision.is_accepted()
        && !decided.is_repeated()
        && decided.real.is_some()
        && decided.weight.is_some_and(|weight| weight == 0 || !decided.available)
}

impl Ipvs {
    pub(super) fn new(services: usize, reals: usize) -> Self {
        Self {
            services: Bounded::new(services),
            reals: Bounded::new(reals),
            recent: VecDeque::new(),
            changes: VecDeque::new(),
            mishaps: mishaps::new(),
            total: Decisions::default(),
        }
    }

    /// The row of a decision. One about the port that was dialled belongs to the service at any port, and to the real
    /// server of any port, where those are what is configured: servers behind a firewall mark have no port of their own.
    ///
    /// Source: `ip_vs_service_find` and `ip_vs_schedule` (`dest->port`, or else the port dialled), v6.18.
    pub fn row_of(&self, netns: Netns, decided: &IpvsDecided) -> RealKey {
        let dialled = ServiceKey::of(netns, decided);
        let is_configured = |key: &ServiceKey| self.services.get(key).is_some_and(Service::is_configured);
        let service = match dialled.at_any_port() {
            Some(any) if !is_configured(&dialled) && is_configured(&any) => any,
            _ => dialled,
        };
        let of = |address| RealKey { service, address: Some(address) };
        let is_known = |key: &RealKey| self.reals.get(key).is_some_and(Real::is_known);
        let Some(address) = decided.real else { return RealKey { service, address: None } };
        let any = of(Endpoint::new(address.ip(), 0));
        if !is_known(&of(address)) && is_known(&any) { any } else { of(address) }
    }

    pub(super) fn decision(&mut self, netns: Netns, time: Timestamp, decided: &IpvsDecided) {
        self.total.count(decided);
        let real = self.row_of(netns, decided);
        mishaps::note(&mut self.mishaps, real, time, decided);
        let service = self.services.touch(real.service, || Service::new(time));
        service.last = service.last.max(time);
        service.decisions.count(decided);
        if !decided.decision.is_accepted() {
            Span::extend(&mut service.turned_away, time);
        }
        service.reuse_mode = Some(decided.reuse_mode);
        service.expire_nodest = Some(decided.expire_nodest);

        self.reals.touch(real, || Real::new(time, decided.available)).decision(time, decided);
        if self.recent.len() == RECENT_DECISIONS {
            self.recent.pop_front();
        }
        self.recent.push_back(RecentDecision { time, netns, decided: decided.clone() });
    }
}

impl Real {
    /// Whether it was ever listed or changed, and not dialled only.
    fn is_known(&self) -> bool {
        self.known_at != Timestamp::default()
    }

    fn new(time: Timestamp, available: bool) -> Self {
        Self {
            first: time,
            last: time,
            decisions: Decisions::default(),
            dialled_drained: None,
            weight: None,
            weight_changed: None,
            available,
            removed: None,
            forwarding: None,
            connections: None,
            recent: None,
            known_at: Timestamp::default(),
        }
    }

    fn decision(&mut self, time: Timestamp, decided: &IpvsDecided) {
        self.last = self.last.max(time);
        self.decisions.count(decided);
        if decided.decision.is_accepted() && !decided.is_repeated() && decided.real.is_some() {
            self.recent.get_or_insert_default().add(time, 1);
        }
        if is_onto_drained(decided) {
            Span::extend(&mut self.dialled_drained, time);
        }
        if time < self.known_at {
            return;
        }
        self.available = decided.available;
        if let Some(weight) = decided.weight {
            self.set_weight(time, weight);
        }
    }

    fn set_weight(&mut self, time: Timestamp, weight: i32) {
        if let Some(before) = self.weight.filter(|&before| before != weight) {
            self.weight_changed = Some((time, before));
        }
        self.weight = Some(weight);
    }
}
