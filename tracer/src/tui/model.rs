//! What the screens show: the state, and where the user is in it. No drawing happens here.

use tracer_common::hook::HookId;

use crate::{
    event::{Body, Event, Text},
    state::{FlowKey, NeighbourKey, RealKey, ServiceKey, State},
};

/// One of the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Screen {
    /// The whole node at a glance.
    Overview,
    /// Flows that retransmit.
    Retransmits,
    /// Who answers for which address.
    Neighbours,
    /// Virtual services and their real servers.
    Ipvs,
    /// Connection tracking.
    Conntrack,
    /// Every event.
    Timeline,
    /// Hooks and accounting.
    Hooks,
}

impl Screen {
    /// All of them, in the order of their tabs.
    pub const ALL: [Self; 7] = [
        Self::Overview,
        Self::Retransmits,
        Self::Neighbours,
        Self::Ipvs,
        Self::Conntrack,
        Self::Timeline,
        Self::Hooks,
    ];

    /// Its name on the tab.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Retransmits => "Retransmits",
            Self::Neighbours => "Neighbours",
            Self::Ipvs => "IPVS",
            Self::Conntrack => "Conntrack",
            Self::Timeline => "Timeline",
            Self::Hooks => "Hooks",
        }
    }

    /// The one `steps` tabs to the right, around the end.
    #[must_use]
    pub fn after(self, steps: usize) -> Self {
        Self::ALL[(self as usize + steps) % Self::ALL.len()]
    }
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A flow: its retransmits and conntrack's decisions about it.
    Flow(FlowKey),
    /// A neighbour entry.
    Neighbour(NeighbourKey),
    /// A virtual service.
    Service(ServiceKey),
    /// A real server of a service.
    Real(RealKey),
    /// A hook.
    Hook(HookId),
}

impl Subject {
    /// What an event is about.
    pub fn of(event: &Event) -> Option<Self> {
        let netns = event.netns;
        Some(match &event.body {
            Body::Retransmit(retransmit) => Self::Flow(FlowKey { netns, endpoints: retransmit.flow }),
            Body::Undo(undo) => Self::Flow(FlowKey { netns, endpoints: undo.flow }),
            Body::Conntrack(decision) => Self::Flow(FlowKey { netns, endpoints: decision.original? }),
            Body::Neighbour(neighbour) => Self::Neighbour(NeighbourKey {
                netns,
                interface_index: neighbour.interface_index,
                address: neighbour.address,
            }),
            Body::Claim(claim) => Self::Neighbour(NeighbourKey {
                netns,
                interface_index: claim.interface_index,
                address: claim.address,
            }),
            Body::Icmp(icmp) => Self::Flow(FlowKey { netns, endpoints: icmp.about?.flow }),
            Body::Duplicate(duplicate) => Self::Flow(FlowKey { netns, endpoints: duplicate.flow }),
            Body::Ipvs(decided) => {
                Self::Real(RealKey { service: ServiceKey::of(netns, decided), address: decided.real })
            }
            Body::IpvsChange(change) => {
                let service = ServiceKey { netns, service: change.service };
                match change.real {
                    Some(_) => Self::Real(RealKey { service, address: change.real }),
                    None => Self::Service(service),
                }
            }
            Body::HookStatus(status) => Self::Hook(status.hook?),
            Body::Translation(found) => {
                Self::Flow(FlowKey { netns: found.flow_netns, endpoints: *found.flow() })
            }
            Body::RouteLookup(lookup) => Self::Flow(FlowKey { netns, endpoints: lookup.flow }),
            Body::NeighbourEntry(entry) => Self::Neighbour(NeighbourKey {
                netns,
                interface_index: entry.interface_index,
                address: entry.address,
            }),
            Body::Route(_)
            | Body::Address(_)
            | Body::Link(_)
            | Body::Rule(_)
            | Body::Sysctl(_)
            | Body::ConntrackCounters(_)
            | Body::IpvsService(_)
            | Body::IpvsDestination(_)
            | Body::Ruleset(_)
            | Body::Marker(_)
            | Body::Stats(_)
            | Body::Owner(_)
            | Body::Container(_)
            | Body::Namespace(_)
            | Body::Node { .. }
            | Body::Ready => return None,
        })
    }

    /// Whether an event is about it.
    pub fn concerns(self, event: &Event) -> bool {
        match (self, Self::of(event)) {
            (Self::Service(service), Some(Self::Real(real))) => real.service == service,
            (subject, Some(other)) => subject == other,
            (_, None) => false,
        }
    }
}

/// Where the events come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The running node.
    #[default]
    Node,
    /// A session.
    Session,
}

/// Everything the screens show.
#[derive(Debug)]
pub struct Model {
    state: State,
    frozen: Option<Box<State>>,
    /// The screen shown.
    pub screen: Screen,
    /// The selected row of every screen, in the order of [`Screen::ALL`].
    pub selected: [usize; Screen::ALL.len()],
    /// The measure every screen is sorted by, an index into its list of measures.
    pub sort: [usize; Screen::ALL.len()],
    /// What the details show, if they are open.
    pub details: Option<Subject>,
    /// Whether the help lies on top.
    pub help: bool,
    /// Where the events come from.
    pub source: Source,
    /// Whether the source of events has ended.
    pub ended: bool,
    /// What of the events is shown, if not all.
    pub filter: Option<String>,
    /// What the user should know besides the events: the latest, and how many there were.
    pub notice: Option<(Text, usize)>,
    /// Rows of the terminal.
    pub height: u16,
}

impl Model {
    /// The first picture of a state.
    pub fn new(state: State, source: Source) -> Self {
        Self {
            state,
            frozen: None,
            screen: Screen::Overview,
            selected: [0; Screen::ALL.len()],
            sort: [0; Screen::ALL.len()],
            details: None,
            help: false,
            source,
            ended: false,
            filter: None,
            notice: None,
            height: 24,
        }
    }

    /// The state to draw: of now, or of the moment the picture was frozen.
    pub fn shown(&self) -> &State {
        self.frozen.as_deref().unwrap_or(&self.state)
    }

    /// The state of now, for new events.
    pub fn live(&mut self) -> &mut State {
        &mut self.state
    }

    /// Whether the picture is frozen.
    pub fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// Events that came since the picture was frozen.
    pub fn events_behind(&self) -> u64 {
        self.state.events() - self.shown().events()
    }

    /// Freezes the picture, or goes on with what came meanwhile.
    pub fn toggle_pause(&mut self) {
        self.frozen = if self.frozen.is_some() { None } else { Some(Box::new(self.state.clone())) };
    }

    /// The selected row of the screen shown.
    pub fn selected_row(&self) -> usize {
        self.selected[self.screen as usize]
    }

    /// The measure the screen shown is sorted by.
    pub fn sorted_by(&self) -> usize {
        self.sort[self.screen as usize]
    }
}
