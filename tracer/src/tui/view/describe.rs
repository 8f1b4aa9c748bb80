//! Subjects and events in words.

use tracer_common::hook::HookId;

pub(super) use super::event_text::route_fact;
use crate::{
    event::{ConntrackEvent, Endpoints, IpvsChange, IpvsDecision, RetransmitKind, Verdict},
    probe::table::{self, Family},
    state::{
        ANSWERERS, ConntrackEntry, Decisions, FlowKey, Neighbour, NeighbourKey, RealKey, ServiceKey, State,
    },
    tui::{
        model::Subject,
        owner_text::owner_words,
        text::{age, exact, microseconds, time_of_day},
        theme::Role,
        widget::lines::Fact,
    },
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
        Subject::Hook(hook) => hook_name(hook).to_owned(),
    }
}

/// Everything known of a subject, a line each.
pub(crate) fn subject_facts(state: &State, subject: Subject) -> Vec<Fact> {
    match subject {
        Subject::Flow(key) => flow_facts(state, &key),
        Subject::Neighbour(key) => neighbour_facts(state, &key),
        Subject::Service(key) => service_facts(state, &key),
        Subject::Real(key) => real_facts(state, &key),
        Subject::Hook(hook) => hook_facts(state, hook),
    }
}

fn fact(subject: &str, told: String) -> Fact {
    Fact { subject: subject.to_owned(), told: vec![(told, Role::Plain)] }
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

fn flow_facts(state: &State, key: &FlowKey) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(flow) = state.flows.get(key) {
        let mut path = vec![format!("state {}", flow.tcp_state)];
        path.extend(flow.rto_us.map(|us| format!("rto {}", microseconds(us))));
        path.extend(flow.srtt_us.map(|us| format!("srtt {}", microseconds(u64::from(us)))));
        path.extend(flow.congestion_window.map(|segments| format!("cwnd {segments}")));
        path.extend(flow.device.as_ref().map(|device| format!("by {device}")));
        let failed = flow.error.map(|error| format!(", last failed with {error}")).unwrap_or_default();
        facts.push(fact(
            "retransmits",
            format!(
                "{}{failed}",
                kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into())
            ),
        ));
        facts.push(fact(
            "segments",
            format!("{} sent again, longest run {}", exact(flow.segments), flow.longest_run),
        ));
        facts.push(fact("connection", path.join(" · ")));
        facts.push(fact("owner", owner_words(state, key, flow).join(" · ")));
        facts.push(fact("seen", span(state, flow.first, flow.last)));
    }
    if let Some(reached) = state.routes.reached(key.netns, key.endpoints.destination.ip()) {
        let mut way = vec![route_fact(reached.result, reached.gateway, reached.device.as_ref())];
        way.extend(reached.neighbour_state.map(|state| format!("next hop {state}")));
        way.extend(reached.neighbour.map(|hardware| format!("at {hardware}")));
        way.extend(reached.changed.map(|time| format!("another since {}", time_of_day(time))));
        facts.push(fact("way there", way.join(" · ")));
    }
    if let Some(entry) = state.conntrack.entries.get(key) {
        facts.push(fact("conntrack", conntrack_text(entry)));
        facts.extend(entry.reply.map(|reply| fact("reply tuple", flow_name(&reply))));
        facts.extend(entry.previous_reply.map(|reply| fact("before", flow_name(&reply))));
        facts.push(fact("decided", span(state, entry.first, entry.last)));
    }
    facts
}

fn span(state: &State, first: crate::event::Timestamp, last: crate::event::Timestamp) -> String {
    format!("first {} ago, last {} ago", age(state.now(), first), age(state.now(), last))
}

/// What conntrack decided about an entry: `reused 3, insert-failed 1`.
pub(crate) fn conntrack_text(entry: &ConntrackEntry) -> String {
    let counted = ConntrackEvent::ALL.iter().zip(entry.counts).filter(|&(_, count)| count > 0);
    let texts: Vec<String> = counted.map(|(event, count)| format!("{event} {count}")).collect();
    texts.join(", ")
}

fn neighbour_facts(state: &State, key: &NeighbourKey) -> Vec<Fact> {
    let Some(neighbour) = state.neighbours.get(key) else { return Vec::new() };
    let mut facts = vec![fact("verdicts", verdicts_text(neighbour))];
    for answerer in &neighbour.answerers {
        let kept = Some(answerer.hardware_address) == neighbour.kept;
        let role = if kept { Role::Good } else { Role::Warning };
        facts.push(Fact {
            subject: answerer.hardware_address.to_string(),
            told: vec![
                (if kept { "kept " } else { "other" }.to_owned(), role),
                (
                    format!(
                        "taken {}, ignored {}, claims {}, last {} ago",
                        answerer.taken,
                        answerer.ignored,
                        answerer.claims,
                        age(state.now(), answerer.last)
                    ),
                    Role::Plain,
                ),
            ],
        });
    }
    if neighbour.answerers_left_out > 0 {
        let left_out = exact(u64::from(neighbour.answerers_left_out));
        facts.push(fact("further", format!("{left_out} messages of others than these {ANSWERERS}")));
    }
    if neighbour.own_claims > 0 {
        let own = neighbour.own_hardware_address.map(|own| format!(" as {own}")).unwrap_or_default();
        facts.push(fact(
            "this node",
            format!("claims the address itself, {} times{own}", neighbour.own_claims),
        ));
    }
    facts.push(fact("seen", span(state, neighbour.first, neighbour.last)));
    facts
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
        .map(|(decision, count)| format!("{decision} {}", exact(count)))
        .collect();
    texts.join(", ")
}

fn service_facts(state: &State, key: &ServiceKey) -> Vec<Fact> {
    let Some(service) = state.ipvs.services.get(key) else { return Vec::new() };
    let mut facts = vec![
        fact("decisions", decisions_text(&service.decisions)),
        fact("onto drained", format!("{} new connections", exact(service.decisions.onto_drained))),
    ];
    if let (Some(reuse_mode), Some(expire_nodest)) = (service.reuse_mode, service.expire_nodest) {
        let text = format!("conn_reuse_mode {reuse_mode}, expire_nodest_conn {expire_nodest}");
        facts.push(fact("sysctls", text));
    }
    let mut set_up = Vec::new();
    set_up.extend(service.scheduler.as_ref().map(|scheduler| format!("scheduler {scheduler}")));
    set_up.extend(service.persistence_s.map(|seconds| format!("persistent for {seconds} s")));
    set_up.extend(service.removed.map(|time| format!("removed {} ago", age(state.now(), time))));
    if !set_up.is_empty() {
        facts.push(fact("configured", set_up.join(" · ")));
    }
    facts.push(fact("seen", span(state, service.first, service.last)));
    facts
}

fn real_facts(state: &State, key: &RealKey) -> Vec<Fact> {
    let Some(real) = state.ipvs.reals.get(key) else { return Vec::new() };
    let mut facts = vec![fact("decisions", decisions_text(&real.decisions))];
    if let Some(weight) = real.weight {
        let changed = real
            .weight_changed
            .map(|(time, from)| format!(", was {from} until {} ago", age(state.now(), time)))
            .unwrap_or_default();
        let gone = match real.removed {
            Some(time) => format!(", removed {} ago", age(state.now(), time)),
            None if real.available => String::new(),
            None => ", no longer configured".to_owned(),
        };
        facts.push(fact("weight", format!("{weight}{changed}{gone}")));
    }
    facts.extend(real.forwarding.map(|forwarding| fact("forwarding", forwarding.name().to_owned())));
    if let Some(connections) = real.connections {
        let (active, inactive) = (exact(connections.active.into()), exact(connections.inactive.into()));
        facts.push(fact("connections", format!("{active} active, {inactive} not, when last listed")));
    }
    facts.push(fact("onto drained", format!("{} new connections", exact(real.decisions.onto_drained))));
    facts.push(fact("seen", span(state, real.first, real.last)));
    facts
}

fn hook_facts(state: &State, hook: HookId) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(entry) = table::find(hook) {
        facts.push(fact("family", entry.family.to_string()));
        facts.push(fact("tells", entry.tells.to_owned()));
    }
    if let Some(status) = state.hooks.status(hook) {
        facts.push(fact("attached", status.attached.map_or("no", tracer_common::hook::Way::name).to_owned()));
        if !status.reason.is_empty() {
            facts.push(fact("reason", status.reason.to_string()));
        }
    }
    facts
}

/// The weights a change is about: `5 → 0`, or the one there is.
pub(crate) fn weights_text(change: &IpvsChange) -> Option<String> {
    match (change.from, change.to) {
        (Some(from), Some(to)) => Some(format!("{from} → {to}")),
        (one, other) => one.or(other).map(|weight| weight.to_string()),
    }
}

/// Why nothing of a family can be shown.
pub(crate) fn blind_text(family: Family) -> String {
    format!("not seen here: no {family} hook is attached (the Hooks screen says why)")
}

/// What a list without rows says: that nothing has happened, or that it could not be seen.
pub(super) fn empty_text(state: &State, family: Family, nothing: &str) -> String {
    if state.hooks.is_blind(family) { blind_text(family) } else { nothing.to_owned() }
}
