//! Events, one line each.

use std::net::IpAddr;

use super::describe::{flow_name, hook_name, weights_text};
use crate::{
    event::{
        Body, ConntrackCounters, Event, HookState, IpvsChange, LookupResult, Neighbour, Retransmit, Ruleset,
        Text,
    },
    tui::text::{exact, time_of_day_milliseconds},
};

/// An event in one line: its time, kind, and what happened.
pub(crate) fn event_fact(event: &Event) -> (String, &'static str, String) {
    (time_of_day_milliseconds(event.time), event.body.kind().name(), text(&event.body))
}

fn text(body: &Body) -> String {
    match body {
        Body::Retransmit(retransmit) => segment_text(retransmit),
        Body::Undo(undo) => {
            let what = if undo.after_timeout { "timeout" } else { "fast retransmit" };
            format!("needless {what} taken back, {}", flow_name(&undo.flow))
        }
        Body::Neighbour(neighbour) => proposal_text(neighbour),
        Body::Claim(claim) => {
            let hardware =
                claim.hardware_address.map(|hardware| format!(" at {hardware}")).unwrap_or_default();
            format!("{} {} {} on {}{hardware}", claim.operation, claim.direction, claim.address, claim.device)
        }
        Body::Conntrack(decision) => {
            let original =
                decision.original.map(|original| format!(" {}", flow_name(&original))).unwrap_or_default();
            format!("{}{original}", decision.event)
        }
        Body::ConntrackCounters(counters) => counters_text(counters),
        Body::Ipvs(decided) => {
            let real = decided.real.map_or("no real server".to_owned(), |real| real.to_string());
            let weight = decided.weight.map(|weight| format!(", weight {weight}")).unwrap_or_default();
            format!("{} {} → {} → {real}{weight}", decided.decision, decided.client, decided.virtual_service)
        }
        Body::IpvsChange(change) => change_text(change),
        Body::Ruleset(ruleset) => {
            let growth = ruleset.growth().map(|growth| format!(" ({growth:+})")).unwrap_or_default();
            let Ruleset { change, family, table, backend, entries, .. } = ruleset;
            format!("{family} {table} ({}) {}, {entries} rules{growth}", backend.name(), change.name())
        }
        Body::HookStatus(status) => {
            let name = status.hook.map_or("unknown hook", hook_name);
            match status.state() {
                HookState::Attached(way) => format!("{name} attached by {}", way.name()),
                HookState::Standby(_) => format!("{name} stands by: {}", status.reason),
                HookState::NotNeeded | HookState::Missing => format!("{name} missing: {}", status.reason),
            }
        }
        _ => path_text(body),
    }
}

/// What the way of packets is about; empty for what is not told by the line.
fn path_text(body: &Body) -> String {
    match body {
        Body::Icmp(icmp) => {
            let about =
                icmp.about.map(|about| format!(" about {}", flow_name(&about.flow))).unwrap_or_default();
            let sender = icmp.sender.map(|sender| format!(" from {sender}")).unwrap_or_default();
            format!("{} {}{sender}{about}", icmp.meaning(), icmp.direction)
        }
        Body::Duplicate(duplicate) => format!(
            "{} came {} times, ttl {} after {}, on {}",
            flow_name(&duplicate.flow),
            duplicate.times,
            duplicate.ttl,
            duplicate.previous_ttl,
            duplicate.device
        ),
        Body::Route(route) => {
            let via = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
            let device = route.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
            let kind = route.kind.name();
            format!("{kind} {}{via}{device}, table {} {}", route.prefix, route.table, route.change.name())
        }
        Body::RouteLookup(lookup) => format!(
            "to {} {}",
            lookup.flow.destination.ip(),
            route_fact(lookup.result, lookup.gateway, lookup.device.as_ref())
        ),
        Body::Translation(found) => {
            let onward = found.reply.reversed();
            let answer = if found.is_answered() { "answered" } else { "no answer so far" };
            format!(
                "{} goes on as {}, {}, {answer}",
                flow_name(&found.original),
                flow_name(&onward),
                found.name()
            )
        }
        Body::Address(address) => {
            let device = address.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
            format!("{}/{}{device} {}", address.address, address.prefix_bits, address.change.name_of_state())
        }
        Body::Link(link) => format!("{} {}", link.device, link.change.name_of_state()),
        Body::Rule(rule) => {
            let table = rule.table.map(|table| format!(" {table}")).unwrap_or_default();
            format!(
                "{} of IPv{}: {}{table} {}",
                rule.priority,
                rule.ip_version,
                rule.action,
                rule.change.name()
            )
        }
        Body::Sysctl(sysctl) => format!("{} = {}", sysctl.name, sysctl.value),
        Body::NeighbourEntry(entry) => format!("{} {}", entry.address, entry.state),
        Body::Clock(clock) => clock.to_string(),
        Body::Gap(gap) => gap.to_string(),
        Body::Marker(text) => text.to_string(),
        _ => String::new(),
    }
}

fn segment_text(retransmit: &Retransmit) -> String {
    // The failure stands before the ends, which are long.
    let failed = retransmit.error.map(|error| format!(" failed with {error},")).unwrap_or_default();
    let attempt = retransmit.attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
    format!("{}{failed} {}{attempt}", retransmit.kind, flow_name(&retransmit.flow))
}

fn proposal_text(neighbour: &Neighbour) -> String {
    let proposed = neighbour.proposed.map(|proposed| format!(" {proposed}")).unwrap_or_default();
    let previous = neighbour
        .previous
        .filter(|previous| Some(*previous) != neighbour.proposed)
        .map(|previous| format!(", held {previous}"))
        .unwrap_or_default();
    format!("{} on {} {}{proposed}{previous}", neighbour.address, neighbour.device, neighbour.verdict)
}

/// How a peer is reached, in a few words.
pub(super) fn route_fact(result: LookupResult, gateway: Option<IpAddr>, device: Option<&Text>) -> String {
    let via = gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let device = device.map(|device| format!(" dev {device}")).unwrap_or_default();
    format!("{}{via}{device}", result.name())
}

/// What changed in the configuration of IPVS: `10.9.9.9:80 → 10.2.1.2:8080 weight 5 → 0`.
fn change_text(change: &IpvsChange) -> String {
    let real = change.real.map(|real| format!(" → {real}")).unwrap_or_default();
    let weights = weights_text(change).map(|weights| format!(" {weights}")).unwrap_or_default();
    let namespace = if change.namespace_ends { " with its network namespace" } else { "" };
    format!("{}{real} {}{weights}{namespace}", change.service.name(), change.change)
}

/// What failed by conntrack's counters since they were last told.
fn counters_text(counters: &ConntrackCounters) -> String {
    let grown: Vec<String> = counters
        .counts()
        .filter(|(counter, count)| counter.is_failure() && count.growth > 0)
        .map(|(counter, count)| format!("{counter} {} more", exact(count.growth)))
        .collect();
    format!("{}, {} entries", grown.join(", "), exact(counters.entries))
}
