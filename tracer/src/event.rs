//! Events: what records mean, in the field's own words.
//!
//! A record holds raw facts of one kernel; an event is what they tell on any. Every conversion is a pure function of
//! the record, so a session shows on another machine what it showed on its own.

mod change;
mod claim;
mod clock;
mod conntrack;
mod conntrack_counters;
mod container;
mod duplicate;
mod endpoint;
mod facts;
mod failure;
mod flow;
mod gap;
mod hook_status;
mod icmp;
mod ipvs;
mod ipvs_change;
mod ipvs_listing;
mod ipvs_service;
mod namespace;
mod neighbour;
mod netns;
mod owner;
mod retransmit;
mod route;
mod ruleset;
mod session;
mod stats;
mod surroundings;
mod text;
mod translation;
mod undo;

pub(crate) use self::hook_status::{ATTACHED, NOT_NEEDED, STANDBY};
pub use self::{
    change::Change,
    claim::{Claim, ClaimOperation, Direction},
    clock::{Clock, ClockChange},
    conntrack::{Conntrack, ConntrackEvent},
    conntrack_counters::{ConntrackCounter, ConntrackCounters, Count},
    container::{Container, Pod, Runtime},
    duplicate::Duplicate,
    endpoint::Endpoint,
    facts::Facts,
    failure::{Failure, FailureName},
    flow::{Endpoints, Protocol, address},
    gap::Gap,
    hook_status::{HookState, HookStatus},
    icmp::{Icmp, IcmpClass, Quoted},
    ipvs::{Ipvs, IpvsDecision, IpvsForward},
    ipvs_change::{IpvsChange, IpvsChangeKind},
    ipvs_listing::{ListedDestination, ListedService, ListedWhy},
    ipvs_service::IpvsService,
    namespace::Namespace,
    neighbour::{HardwareAddress, Neighbour, NeighbourState, Verdict},
    netns::Netns,
    owner::{Owner, Process},
    retransmit::{Retransmit, RetransmitKind, TcpState},
    route::{LookupResult, NextHop, Prefix, Route, RouteLookup, RouteProtocol, RouteTable, RouteType},
    ruleset::{
        ChainEntries, RepeatedRule, Ruleset, RulesetBackend, RulesetChange, RulesetExactness, RulesetFamily,
    },
    session::{SessionId, SessionPart},
    stats::Stats,
    surroundings::{Address, Link, NeighbourEntry, Rule, Sysctl},
    text::Text,
    translation::Translation,
    undo::Undo,
};
use std::sync::Arc;

use tracer_common::record::RecordKind;

/// When something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Nanoseconds since the node booted, suspend included. Never goes back.
    pub boot_ns: u64,
    /// Nanoseconds since 1970, by the node's wall clock.
    pub wall_ns: i64,
}

impl Timestamp {
    /// That many nanoseconds before.
    #[must_use]
    pub fn earlier_by_ns(self, nanoseconds: u64) -> Self {
        Self {
            boot_ns: self.boot_ns.saturating_sub(nanoseconds),
            wall_ns: self.wall_ns.saturating_sub_unsigned(nanoseconds),
        }
    }
}

/// One thing that happened, or one fact learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// The network namespace it is about; inode number 0 for the whole node.
    pub netns: Netns,
    /// The CPU it was seen on.
    pub cpu: u16,
    /// What.
    pub body: Body,
}

/// What happened, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A segment was sent again, or could not be.
    Retransmit(Retransmit),
    /// A window reduction was taken back: the retransmit was needless.
    Undo(Undo),
    /// Somebody proposed something to the neighbour table.
    Neighbour(Neighbour),
    /// An ARP or ND message claims an address.
    Claim(Claim),
    /// Conntrack decided about a first packet.
    Conntrack(Conntrack),
    /// What conntrack of a namespace has counted.
    ConntrackCounters(Box<ConntrackCounters>),
    /// IPVS decided about a first packet.
    Ipvs(Ipvs),
    /// An ICMP error was sent or received.
    Icmp(Icmp),
    /// A packet came again with a lower TTL.
    Duplicate(Duplicate),
    /// What IPVS is configured to do changed.
    IpvsChange(IpvsChange),
    /// A virtual service of IPVS, listed.
    IpvsService(Box<ListedService>),
    /// A real server of IPVS, listed.
    IpvsDestination(Box<ListedDestination>),
    /// The accounting of one kind.
    Stats(Stats),
    /// How a hook is attached, or why not.
    HookStatus(HookStatus),
    /// Which process owns a socket.
    Owner(Owner),
    /// Which container and pod a cgroup or a process belongs to.
    Container(Arc<Container>),
    /// What a network namespace is called, and whose it is.
    Namespace(Arc<Namespace>),
    /// The node's names.
    Node {
        /// The kernel's release, as `uname -r` prints it.
        kernel: Text,
        /// The host's name.
        host: Text,
    },
    /// Every hook has been tried.
    Ready,
    /// A routing table changed.
    Route(Route),
    /// How a flow's peer is reached.
    RouteLookup(RouteLookup),
    /// An address of this node.
    Address(Address),
    /// A network device.
    Link(Link),
    /// The rules that choose a routing table changed.
    Rule(Rule),
    /// An entry of a neighbour table.
    NeighbourEntry(NeighbourEntry),
    /// A setting of the kernel.
    Sysctl(Sysctl),
    /// How many rules a table has.
    Ruleset(Ruleset),
    /// What conntrack makes of a flow, looked up.
    Translation(Box<Translation>),
    /// The user marked the moment; what they typed, which may be nothing.
    Marker(Text),
    /// How the node's clocks stand.
    Clock(Clock),
    /// Facts of the machine and of tracer.
    Facts(Arc<Facts>),
    /// A session file begins; facts follow that were known by then.
    Session(SessionPart),
    /// What follows happened while the session file was recorded.
    SessionBegin,
    /// Records are missing here.
    Gap(Gap),
}

impl Body {
    /// Its kind.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Retransmit(_) => RecordKind::Retransmit,
            Self::Undo(_) => RecordKind::Undo,
            Self::Neighbour(_) => RecordKind::Neighbour,
            Self::Claim(_) => RecordKind::Claim,
            Self::Conntrack(_) => RecordKind::Conntrack,
            Self::ConntrackCounters(_) => RecordKind::ConntrackCounters,
            Self::Ipvs(_) => RecordKind::Ipvs,
            Self::Icmp(_) => RecordKind::Icmp,
            Self::Duplicate(_) => RecordKind::Duplicate,
            Self::IpvsChange(_) => RecordKind::IpvsChange,
            Self::IpvsService(_) => RecordKind::IpvsService,
            Self::IpvsDestination(_) => RecordKind::IpvsDestination,
            Self::Stats(_) => RecordKind::Stats,
            Self::HookStatus(_) => RecordKind::HookStatus,
            Self::Owner(_) => RecordKind::Owner,
            Self::Container(_) => RecordKind::Container,
            Self::Namespace(_) => RecordKind::Namespace,
            Self::Node { .. } => RecordKind::Node,
            Self::Ready => RecordKind::Ready,
            Self::Route(_) => RecordKind::Route,
            Self::RouteLookup(_) => RecordKind::RouteLookup,
            Self::Address(_) => RecordKind::Address,
            Self::Link(_) => RecordKind::Link,
            Self::Rule(_) => RecordKind::Rule,
            Self::NeighbourEntry(_) => RecordKind::NeighbourEntry,
            Self::Sysctl(_) => RecordKind::Sysctl,
            Self::Ruleset(_) => RecordKind::Ruleset,
            Self::Translation(_) => RecordKind::Translation,
            Self::Marker(_) => RecordKind::Marker,
            Self::Clock(_) => RecordKind::Clock,
            Self::Facts(_) => RecordKind::Facts,
            Self::Session(_) => RecordKind::Session,
            Self::SessionBegin => RecordKind::SessionBegin,
            Self::Gap(_) => RecordKind::Gap,
        }
    }

    /// Whether it lists what there is, as when tracer looks first, rather than tells what happened.
    pub fn is_snapshot(&self) -> bool {
        match self {
            Self::NeighbourEntry(_) | Self::IpvsService(_) | Self::IpvsDestination(_) => true,
            Self::Address(Address { change, .. })
            | Self::Link(Link { change, .. })
            | Self::Sysctl(Sysctl { change, .. })
            | Self::Rule(Rule { change, .. }) => *change == Change::Present,
            Self::Clock(Clock { change, .. }) => *change == ClockChange::Start,
            _ => false,
        }
    }
}
