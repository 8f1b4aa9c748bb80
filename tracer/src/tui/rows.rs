//! Rows of the tables, in order.

mod position;

use rustc_hash::FxHashSet;
use tracer_common::hook::HookId;

pub(super) use self::position::position;

use super::{
    model::{Screen, Subject},
    opened::Target,
};
pub(super) use crate::state::top;
use crate::{
    event::{HookState, HookStatus, Timestamp},
    probe::table::HOOKS,
    state::{
        ConntrackEntry, Flow, FlowKey, Neighbour, NeighbourKey, Real, RealKey, RecentChange, RecentDecision,
        Service, ServiceKey, State,
    },
};

/// A measure a table can be sorted by, the largest first.
#[derive(Clone, Copy)]
pub(super) struct Measure<V> {
    /// What it measures, as it is shown.
    pub(super) name: &'static str,
    /// Of one entry, at a time.
    pub(super) of: fn(&V, Timestamp) -> u64,
}

/// Measures of flows.
pub(super) const FLOW_MEASURES: [Measure<Flow>; 5] = [
    Measure { name: "retransmits", of: |flow, _| flow.attempts() },
    Measure { name: "last seen", of: |flow, _| flow.last.boot_ns },
    Measure { name: "rate", of: flow_rate },
    Measure { name: "longest outage", of: |flow, now| flow.longest_outage_ns(now) },
    Measure { name: "longest run", of: |flow, _| u64::from(flow.longest_run) },
];

/// Measures of neighbours.
pub(super) const NEIGHBOUR_MEASURES: [Measure<Neighbour>; 3] = [
    Measure { name: "trouble", of: |neighbour, _| neighbour.trouble() },
    Measure { name: "last seen", of: |neighbour, _| neighbour.last.boot_ns },
    Measure { name: "proposals", of: |neighbour, _| proposals(neighbour) },
];

/// Measures of virtual services.
pub(super) const SERVICE_MEASURES: [Measure<Service>; 4] = [
    Measure { name: "onto drained", of: |service, _| service.decisions.onto_drained },
    Measure { name: "new connections", of: |service, _| service.decisions.accepted() },
    Measure { name: "turned away", of: |service, _| service.decisions.turned_away() },
    Measure { name: "last seen", of: |service, _| service.last.boot_ns },
];

/// Measures of conntrack entries.
pub(super) const CONNTRACK_MEASURES: [Measure<ConntrackEntry>; 3] = [
    Measure { name: "last seen", of: |entry, _| entry.last.boot_ns },
    Measure { name: "failures", of: |entry, _| u64::from(entry.failures()) },
    Measure { name: "decisions", of: |entry, _| entry.decisions() },
];

/// Attempts in a thousand seconds, by the last ten.
fn flow_rate(flow: &Flow, now: Timestamp) -> u64 {
    const SECONDS: u64 = 10;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count over a time: positive, and far below 2^52"
    )]
    let rate = (flow.per_second(now, SECONDS) * 1_000.0).round() as u64;
    rate
}

/// Proposals in all, whatever became of them.
pub(super) fn proposals(neighbour: &Neighbour) -> u64 {
    neighbour.verdicts.iter().map(|&count| u64::from(count)).sum()
}

/// The first flows by a measure.
pub(super) fn flows(state: &State, measure: usize, through: usize) -> Vec<(&FlowKey, &Flow)> {
    let of = FLOW_MEASURES[measure % FLOW_MEASURES.len()].of;
    top(state.flows.iter(), |flow| of(flow, state.now()), through)
}

/// The first neighbours by a measure.
pub(super) fn neighbours(state: &State, measure: usize, through: usize) -> Vec<(&NeighbourKey, &Neighbour)> {
    let of = NEIGHBOUR_MEASURES[measure % NEIGHBOUR_MEASURES.len()].of;
    top(state.neighbours.iter(), |neighbour| of(neighbour, state.now()), through)
}

/// The first conntrack entries by a measure.
pub(super) fn conntrack(state: &State, measure: usize, through: usize) -> Vec<(&FlowKey, &ConntrackEntry)> {
    let of = CONNTRACK_MEASURES[measure % CONNTRACK_MEASURES.len()].of;
    top(state.conntrack.entries.iter(), |entry| of(entry, state.now()), through)
}

/// A row of the IPVS table.
#[derive(Clone, Copy)]
pub(super) enum IpvsRow<'a> {
    /// A virtual service.
    Service(&'a ServiceKey, &'a Service),
    /// One of its real servers, below it.
    Real(&'a RealKey, &'a Real),
}

/// The first rows of services by a measure, each followed by its real servers in the order of their addresses.
pub(super) fn ipvs(state: &State, measure: usize, through: usize) -> Vec<IpvsRow<'_>> {
    let of = SERVICE_MEASURES[measure % SERVICE_MEASURES.len()].of;
    let services = top(state.ipvs.services.iter(), |service| of(service, state.now()), through);
    // Only what can be shown is sorted: there may be fifty thousand.
    let shown: FxHashSet<&ServiceKey> = services.iter().map(|&(key, _)| key).collect();
    let mut reals: Vec<_> = state.ipvs.reals.iter().filter(|(key, _)| shown.contains(&key.service)).collect();
    reals.sort_unstable_by_key(|&(key, _)| key);
    let mut rows = Vec::new();
    for (key, service) in services {
        if rows.len() >= through {
            break;
        }
        rows.push(IpvsRow::Service(key, service));
        let first = reals.partition_point(|(real, _)| real.service < *key);
        let of_service = reals[first..].iter().take_while(|(real, _)| real.service == *key);
        rows.extend(of_service.map(|&(key, real)| IpvsRow::Real(key, real)));
    }
    rows.truncate(through);
    rows
}

/// A row of the table of what IPVS did last.
#[derive(Clone, Copy)]
pub(super) enum RecentIpvs<'a> {
    /// A decision.
    Decision(&'a RecentDecision),
    /// A change of its configuration.
    Change(&'a RecentChange),
}

impl RecentIpvs<'_> {
    /// When it was.
    pub(super) fn time(&self) -> Timestamp {
        match self {
            Self::Decision(row) => row.time,
            Self::Change(row) => row.time,
        }
    }
}

/// The last decisions and changes of IPVS together, the newest first.
pub(super) fn recent_ipvs(state: &State, most: usize) -> Vec<RecentIpvs<'_>> {
    let decisions = state.ipvs.recent.iter().rev().take(most).map(RecentIpvs::Decision);
    let mut rows: Vec<RecentIpvs<'_>> =
        decisions.chain(state.ipvs.changes.iter().rev().take(most).map(RecentIpvs::Change)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.time()));
    rows.truncate(most);
    rows
}

/// What hooks can be sorted by: what is missing first, or as they are attached, family by family.
pub(super) const HOOK_MEASURES: [&str; 2] = ["missing", "family"];

/// All hooks in order.
pub(super) fn hooks(state: &State, measure: usize) -> Vec<HookId> {
    let mut hooks: Vec<HookId> = HOOKS.iter().map(|hook| hook.id).collect();
    // Stable: within a rank the order of the table stays.
    if measure.is_multiple_of(HOOK_MEASURES.len()) {
        hooks.sort_by_key(|&hook| missing_first(state, hook));
    }
    hooks
}

fn missing_first(state: &State, hook: HookId) -> u8 {
    match state.hooks.status(hook).map(HookStatus::state) {
        Some(HookState::Missing) => 0,
        None => 1,
        Some(HookState::Standby(_)) => 2,
        Some(HookState::Attached(_)) => 3,
        Some(HookState::NotNeeded) => 4,
    }
}

/// How many rows a screen has.
pub(super) fn count(state: &State, screen: Screen) -> usize {
    match screen {
        Screen::Overview => state.findings.listed().len(),
        Screen::Retransmits => state.flows.len(),
        Screen::Neighbours => state.neighbours.len(),
        Screen::Ipvs => state.ipvs.services.len() + state.ipvs.reals.len(),
        Screen::Conntrack => state.conntrack.entries.len(),
        Screen::Timeline => state.timeline.events().len(),
        Screen::Hooks => HookId::ALL.len(),
    }
}

/// The names of the measures a screen can be sorted by.
pub(super) fn measures(screen: Screen) -> Vec<&'static str> {
    match screen {
        Screen::Retransmits => FLOW_MEASURES.iter().map(|measure| measure.name).collect(),
        Screen::Neighbours => NEIGHBOUR_MEASURES.iter().map(|measure| measure.name).collect(),
        Screen::Ipvs => SERVICE_MEASURES.iter().map(|measure| measure.name).collect(),
        Screen::Conntrack => CONNTRACK_MEASURES.iter().map(|measure| measure.name).collect(),
        Screen::Hooks => HOOK_MEASURES.to_vec(),
        Screen::Overview | Screen::Timeline => Vec::new(),
    }
}

/// What a row of a screen opens.
pub(super) fn target(state: &State, screen: Screen, measure: usize, row: usize) -> Option<Target> {
    match screen {
        Screen::Overview => Some(Target::Finding(state.findings.listed().get(row)?.finding.key())),
        _ => subject(state, screen, measure, row).map(Target::Subject),
    }
}

/// What a row of a table is about.
fn subject(state: &State, screen: Screen, measure: usize, row: usize) -> Option<Subject> {
    let through = row + 1;
    match screen {
        Screen::Overview => None,
        Screen::Retransmits => flows(state, measure, through).get(row).map(|&(key, _)| Subject::Flow(*key)),
        Screen::Neighbours => {
            neighbours(state, measure, through).get(row).map(|&(key, _)| Subject::Neighbour(*key))
        }
        Screen::Ipvs => ipvs(state, measure, through).get(row).map(|row| match row {
            IpvsRow::Service(key, _) => Subject::Service(**key),
            IpvsRow::Real(key, _) => Subject::Real(**key),
        }),
        Screen::Conntrack => conntrack(state, measure, through).get(row).map(|&(key, _)| Subject::Flow(*key)),
        Screen::Timeline => state.timeline.events().iter().rev().nth(row).and_then(Subject::of),
        Screen::Hooks => hooks(state, measure).get(row).map(|&hook| Subject::Hook(hook)),
    }
}
