//! The node, and what of it could be seen.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    event::{Clock, HookState, HookStatus, Netns, Text},
    output::report::document::{Account, Fact, MissingHook, Node},
    probe::table::{self, HOOKS},
    state::{Machine, State},
    words::{exact, microseconds, owner::netns_column},
};

/// Settings told at most.
const SETTINGS: usize = 60;

/// What the events told of a node, beside what the state keeps.
#[derive(Clone, Debug, Default)]
pub(in crate::output::report) struct Told {
    /// Its names, as they were told last.
    pub(in crate::output::report) host: Text,
    pub(in crate::output::report) kernel: Text,
    /// Whether every hook has been tried.
    pub(in crate::output::report) is_ready: bool,
    /// Whether it told what became of its events.
    pub(in crate::output::report) is_accounted: bool,
}

/// The nodes of the session; one that told nothing of itself, if none did.
pub(super) fn nodes(state: &State, told: &BTreeMap<u16, Told>) -> Vec<Node> {
    let unknown = BTreeMap::from([(0, Told::default())]);
    let told = if told.is_empty() { &unknown } else { told };
    let own = own_namespaces(state);
    told.iter().map(|(&number, told)| node(state, number, told, &own)).collect()
}

fn node(state: &State, number: u16, told: &Told, namespaces: &BTreeSet<Netns>) -> Node {
    let kinds = state.accounting.seen().map(|(kind, _)| (kind, state.accounting.of_node(number, kind)));
    let accounting = kinds.filter(|(_, counters)| counters.seen > 0).map(|(kind, counters)| Account {
        kind: kind.name(),
        seen: counters.seen,
        delivered: counters.delivered,
        suppressed: counters.suppressed,
        lost: counters.lost,
    });
    let statuses = HOOKS.iter().flat_map(|hook| state.hooks.statuses(hook.id));
    let statuses: Vec<&HookStatus> =
        statuses.filter(|&(node, _)| node == number).map(|(_, status)| status).collect();
    let attached = statuses.iter().filter(|status| matches!(status.state(), HookState::Attached(_)));
    let missing = statuses.iter().filter(|status| status.state() == HookState::Missing);
    let settings: BTreeSet<Netns> = namespaces.iter().copied().filter(|netns| netns.node == number).collect();
    Node {
        host: told.host.to_string(),
        kernel: told.kernel.to_string(),
        facts: state.machines.of(number).map(facts).unwrap_or_default(),
        hooks_attached: attached.count() as u64,
        hooks_missing: missing.map(|status| missing_hook(status)).collect(),
        is_accounted: told.is_accounted,
        accounting: accounting.collect(),
        settings: self::settings(state, &settings),
    }
}

/// What the machine told of itself, and how its clocks stood.
fn facts(machine: &Machine) -> Vec<Fact> {
    let is_offset = |name: &Text| name.as_str().starts_with("offset ");
    let offsets = machine.facts().filter(|(name, _)| is_offset(name)).count();
    let told = machine.facts().filter(|(name, _)| !is_offset(name));
    let mut facts: Vec<Fact> = told.map(|(name, value)| fact(name.as_str(), value.to_string())).collect();
    if offsets > 0 {
        facts.push(fact("fields of the kernel found", exact(offsets as u64)));
    }
    facts.extend(machine.clock.as_ref().and_then(clock).map(|text| fact("wall clock", text)));
    facts
}

fn fact(name: &str, value: String) -> Fact {
    Fact { name: name.to_owned(), value }
}

fn clock(clock: &Clock) -> Option<String> {
    let is_synchronised = clock.is_synchronised?;
    let error = clock.largest_error_us.filter(|_| is_synchronised);
    let error =
        error.map(|us| format!(", off by {} at most", microseconds(u64::from(us)))).unwrap_or_default();
    Some(format!("{}synchronised{error}", if is_synchronised { "" } else { "not " }))
}

fn missing_hook(status: &HookStatus) -> MissingHook {
    let hook = status.hook.and_then(table::find);
    MissingHook {
        hook: hook.map_or("unknown", |hook| hook.name),
        tells: hook.map_or("", |hook| hook.tells),
        reason: status.reason.to_string(),
    }
}

/// The nodes' own namespaces, and those that something was found in.
fn own_namespaces(state: &State) -> BTreeSet<Netns> {
    let over = state.findings.over();
    let found = state.findings.open().iter().chain(over.iter().map(|over| over.finding));
    let found = found.filter_map(|finding| finding.subject?.netns());
    let is_of_node = |&netns: &Netns| {
        state.names.namespace(netns, state.now()).is_some_and(|namespace| namespace.is_of_node)
    };
    let all = state.routes.sysctls.iter().map(|((netns, _), _)| *netns);
    found.chain(all.filter(is_of_node)).collect()
}

/// The settings of these namespaces.
fn settings(state: &State, namespaces: &BTreeSet<Netns>) -> Vec<Fact> {
    let told = state.routes.sysctls.iter().filter(|((netns, _), _)| namespaces.contains(netns));
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(key, _)| *key);
    told.into_iter()
        .take(SETTINGS)
        .map(|((netns, name), sysctl)| Fact {
            name: format!("{name} ({})", netns_column(state, *netns, state.now())),
            value: sysctl.value.to_string(),
        })
        .collect()
}
