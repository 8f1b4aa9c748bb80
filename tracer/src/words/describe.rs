//! Subjects and events in words.

use tracer_common::hook::HookId;

use crate::{
    event::{ConntrackEvent, Endpoints, IpvsChange, IpvsDecision, RetransmitKind, Verdict},
    probe::table::{self, Family},
    state::{ConntrackEntry, Decisions, Neighbour, NetworkKey, RealKey, State, Subject},
    words::{exact, owner::netns_words},
};

/// A flow by its two ends.
pub(crate) fn flow_name(endpoints: &Endpoints) -> String {
    format!("{} → {}", endpoints.source, endpoints.destination)
}

/// A hook's name.
pub(crate) fn hook_name(hook: HookId) -> &'static str {
    table::find(hook).map_or("unknown hook", |hook| hook.name)
}

/// What a subject is called.
pub(crate) fn subject_title(state: &State, subject: Subject) -> String {
    match subject {
        Subject::Flow(key) => format!("{} {}", key.endpoints.protocol, flow_name(&key.endpoints)),
        Subject::Neighbour(key) => match state.neighbours.get(&key) {
            Some(neighbour) => format!("{} on {}", key.address, neighbour.device),
            None => key.address.to_string(),
        },
        Subject::Service(key) => format!("service {}", key.service),
        Subject::Real(RealKey { service, address: Some(real) }) => {
            format!("{} → {real}", service.service.name())
        }
        Subject::Real(RealKey { service, address: None }) => {
            format!("{} → no real server", service.service.name())
        }
        Subject::Network(NetworkKey { prefix, .. }) if prefix.is_host() => prefix.address.to_string(),
        Subject::Network(NetworkKey { prefix, .. }) => format!("network {prefix}"),
        Subject::Namespace(netns) => format!("network namespace {}", netns_words(state, netns, state.now())),
        Subject::Hook(hook) => format!("hook {}", hook_name(hook)),
    }
}

/// The kinds that happened, the most frequent first: `syn 12, rto 3`.
pub(crate) fn kinds_text(kinds: &[u64; RetransmitKind::ALL.len()], failed: u64, undone: u64) -> String {
    let mut kinds: Vec<(u64, &str)> = RetransmitKind::ALL
        .into_iter()
        .map(|kind| (kinds[kind as usize], kind.name()))
        .chain([(failed, "failed"), (undone, "needless")])
        .filter(|&(count, _)| count > 0)
        .collect();
    kinds.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
    let texts: Vec<String> = kinds.iter().map(|(count, name)| format!("{name} {}", exact(*count))).collect();
    texts.join(", ")
}

/// What conntrack decided about an entry: `reused 3, insert-failed 1`.
pub(crate) fn conntrack_text(entry: &ConntrackEntry) -> String {
    let counted = ConntrackEvent::ALL.iter().zip(entry.counts).filter(|&(_, count)| count > 0);
    let texts: Vec<String> = counted.map(|(event, count)| format!("{event} {count}")).collect();
    texts.join(", ")
}

/// The verdicts that fell: `learned 1, ignored 12`.
pub(crate) fn verdicts_text(neighbour: &Neighbour) -> String {
    let counted = Verdict::ALL.into_iter().map(|verdict| (verdict, neighbour.with_verdict(verdict)));
    let texts: Vec<String> = counted
        .filter(|&(_, count)| count > 0)
        .map(|(verdict, count)| format!("{verdict} {count}"))
        .collect();
    if texts.is_empty() { "no proposal, only claims".to_owned() } else { texts.join(", ") }
}

/// What IPVS decided: `scheduled 12, reused 3`.
pub(crate) fn decisions_text(decisions: &Decisions) -> String {
    let counted = IpvsDecision::ALL.into_iter().map(|decision| (decision, decisions.of(decision)));
    let texts: Vec<String> = counted
        .filter(|&(_, count)| count > 0)
        .map(|(decision, count)| match decision {
            IpvsDecision::Reused if decisions.repeated > 0 => {
                format!("{decision} {}, {} of them repeated SYNs", exact(count), exact(decisions.repeated))
            }
            _ => format!("{decision} {}", exact(count)),
        })
        .collect();
    texts.join(", ")
}

/// The weights a change is about: `5 → 0`, or the one there is.
pub(crate) fn weights_text(change: &IpvsChange) -> Option<String> {
    match (change.from, change.to) {
        (Some(from), Some(to)) => Some(format!("{from} → {to}")),
        (one, other) => one.or(other).map(|weight| weight.to_string()),
    }
}

/// Where the screens say why a hook is missing.
pub(crate) const HOOKS_SCREEN: &str = " (the Hooks screen says why)";

/// Why nothing of a family can be shown.
pub(crate) fn blind_text(family: Family) -> String {
    format!("not seen here: no {family} hook is attached{HOOKS_SCREEN}")
}

/// What a list without rows says: that nothing has happened, or that it could not be seen.
pub(crate) fn empty_text(state: &State, family: Family, nothing: &str) -> String {
    if state.hooks.is_blind(family) { blind_text(family) } else { nothing.to_owned() }
}
