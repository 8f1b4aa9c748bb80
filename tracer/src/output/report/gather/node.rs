//! The node, and what of it could be seen.

use std::collections::BTreeSet;

use crate::{
    event::{Clock, HookState, HookStatus, Text},
    output::report::document::{Account, Fact, MissingHook, Node},
    probe::table::{self, HOOKS},
    state::{Machine, State},
    words::{exact, microseconds, owner::netns_column},
};

/// Settings told at most.
const SETTINGS: usize = 60;

/// The nodes of the session.
pub(super) fn nodes(state: &State) -> Vec<Node> {
    let names = state.node.as_ref();
    let accounting = state.accounting.seen().map(|(kind, counters)| Account {
        kind: kind.name(),
        seen: counters.seen,
        delivered: counters.delivered,
        suppressed: counters.suppressed,
        lost: counters.lost,
    });
    let missing = HOOKS.iter().filter_map(|hook| {
        let status = state.hooks.status(hook.id)?;
        (status.state() == HookState::Missing).then(|| missing_hook(status))
    });
    vec![Node {
        host: names.map(|node| node.host.to_string()).unwrap_or_default(),
        kernel: names.map(|node| node.kernel.to_string()).unwrap_or_default(),
        facts: state.machines.of(0).map(facts).unwrap_or_default(),
        hooks_attached: state.hooks.attached() as u64,
        hooks_missing: missing.collect(),
        accounting: accounting.collect(),
        settings: settings(state),
    }]
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

/// The settings of the node's own namespace, and of those that something was found in.
fn settings(state: &State) -> Vec<Fact> {
    let found: BTreeSet<_> =
        state.findings.all().iter().filter_map(|finding| finding.subject?.netns()).collect();
    let is_told = |netns| {
        let namespace = state.names.namespace(netns, state.now());
        found.contains(&netns) || namespace.is_some_and(|namespace| namespace.is_of_node)
    };
    let told = state.routes.sysctls.iter().filter(|((netns, _), _)| is_told(*netns));
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
