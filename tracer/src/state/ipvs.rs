//! What IPVS decided: virtual services and their real servers.

use std::{collections::VecDeque, net::SocketAddr};

use super::bounded::Bounded;
use crate::event::{Ipvs as IpvsDecided, IpvsDecision, Protocol, Timestamp};

/// Decisions that are kept in full.
pub(super) const RECENT_DECISIONS: usize = 1_000;

/// What tells one virtual service from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The address dialled.
    pub address: SocketAddr,
    /// By which protocol.
    pub protocol: Protocol,
    /// Firewall mark, where the service is known by one.
    pub firewall_mark: Option<u32>,
}

/// What tells one real server of one service from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RealKey {
    /// The service it serves.
    pub service: ServiceKey,
    /// Its address; `None` gathers what reached no real server.
    pub address: Option<SocketAddr>,
}

/// Counts of decisions, and new connections that reached a real server that should get none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// By decision, in the order of [`IpvsDecision::ALL`].
    pub counts: [u64; IpvsDecision::ALL.len()],
    /// New connections given to a real server of weight 0, or one that is no longer configured.
    pub onto_drained: u64,
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
        IpvsDecision::ALL.into_iter().filter(|&decision| is_accepted(decision)).map(|one| self.of(one)).sum()
    }

    /// New connections that were dropped, delayed or refused.
    pub fn turned_away(&self) -> u64 {
        self.total() - self.accepted()
    }

    fn count(&mut self, decided: &IpvsDecided) {
        self.counts[decided.decision as usize] += 1;
        self.onto_drained += u64::from(is_onto_drained(decided));
    }
}

/// One virtual service.
#[derive(Clone, Debug)]
pub struct Service {
    /// When it was first dialled.
    pub first: Timestamp,
    /// When it was last dialled.
    pub last: Timestamp,
    /// What was decided.
    pub decisions: Decisions,
    /// `net.ipv4.vs.conn_reuse_mode` at the last decision.
    pub reuse_mode: i32,
    /// `net.ipv4.vs.expire_nodest_conn` at the last decision.
    pub expire_nodest: i32,
}

/// One real server of one service.
#[derive(Clone, Debug)]
pub struct Real {
    /// When it was first chosen or met.
    pub first: Timestamp,
    /// When it was last chosen or met.
    pub last: Timestamp,
    /// What was decided.
    pub decisions: Decisions,
    /// Its weight at the last decision that told it.
    pub weight: Option<i32>,
    /// The last change of its weight that was noticed: when, and from which weight.
    pub weight_changed: Option<(Timestamp, i32)>,
    /// Whether it was still configured at the last decision.
    pub available: bool,
}

/// One decision in full.
#[derive(Clone, Debug)]
pub struct RecentDecision {
    /// When.
    pub time: Timestamp,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// What was decided.
    pub decided: IpvsDecided,
}

/// The decisions of IPVS on this node.
#[derive(Clone, Debug)]
pub struct Ipvs {
    /// The virtual services dialled.
    pub services: Bounded<ServiceKey, Service>,
    /// Their real servers.
    pub reals: Bounded<RealKey, Real>,
    /// The last decisions, oldest first.
    pub recent: VecDeque<RecentDecision>,
    /// All decisions.
    pub total: Decisions,
}

/// Whether a new connection goes on to a real server.
fn is_accepted(decision: IpvsDecision) -> bool {
    match decision {
        IpvsDecision::Scheduled | IpvsDecision::Reused | IpvsDecision::Rescheduled => true,
        IpvsDecision::Delayed | IpvsDecision::Dropped | IpvsDecision::Refused => false,
    }
}

/// Whether a new connection reaches a real server that should get none.
pub fn is_onto_drained(decided: &IpvsDecided) -> bool {
    is_accepted(decided.decision)
        && decided.real.is_some()
        && (decided.weight == Some(0) || !decided.available)
}

impl Ipvs {
    pub(super) fn new(services: usize, reals: usize) -> Self {
        Self {
            services: Bounded::new(services),
            reals: Bounded::new(reals),
            recent: VecDeque::new(),
            total: Decisions::default(),
        }
    }

    pub(super) fn decision(&mut self, netns: u32, time: Timestamp, decided: &IpvsDecided) {
        self.total.count(decided);
        let key = ServiceKey {
            netns,
            address: decided.virtual_service,
            protocol: decided.protocol,
            firewall_mark: decided.firewall_mark,
        };
        let service = self.services.touch(key, || Service {
            first: time,
            last: time,
            decisions: Decisions::default(),
            reuse_mode: decided.reuse_mode,
            expire_nodest: decided.expire_nodest,
        });
        service.last = service.last.max(time);
        service.decisions.count(decided);
        (service.reuse_mode, service.expire_nodest) = (decided.reuse_mode, decided.expire_nodest);

        let real = self.reals.touch(RealKey { service: key, address: decided.real }, || Real {
            first: time,
            last: time,
            decisions: Decisions::default(),
            weight: None,
            weight_changed: None,
            available: decided.available,
        });
        real.decision(time, decided);
        if self.recent.len() == RECENT_DECISIONS {
            self.recent.pop_front();
        }
        self.recent.push_back(RecentDecision { time, netns, decided: decided.clone() });
    }
}

impl Real {
    fn decision(&mut self, time: Timestamp, decided: &IpvsDecided) {
        self.last = self.last.max(time);
        self.decisions.count(decided);
        self.available = decided.available;
        if let Some(weight) = decided.weight {
            if let Some(before) = self.weight.filter(|&before| before != weight) {
                self.weight_changed = Some((time, before));
            }
            self.weight = Some(weight);
        }
    }
}
