//! What is known of every other kind of subject.

use std::net::IpAddr;

use tracer_common::hook::{HookId, Way};

use super::connection;
use crate::{
    event::{Netns, Timestamp},
    probe::table,
    state::{
        ANSWERERS, Neighbour, NeighbourKey, NetworkKey, PeerKey, Reached, Real, RealKey, Related, ServiceKey,
        State, Subject,
    },
    tui::{
        owner_text::{namespace_words, netns_words},
        text::{age, counted, exact, time_of_day},
        theme::Role,
        view::{
            describe::{decisions_text, flow_name, kinds_text, subject_title, verdicts_text},
            event_text::route_fact,
        },
        widget::details::Line,
    },
};

/// The facts of a subject: those a first look is for, and the others.
pub(super) fn lines(state: &State, related: &Related<'_>) -> (Vec<Line>, Vec<Line>) {
    let mut lines = match related.subject {
        Subject::Flow(key) => return connection::lines(state, related, &key),
        Subject::Neighbour(key) => neighbour_lines(state, &key),
        Subject::Service(key) => service_lines(state, &key),
        Subject::Real(key) => real_lines(state, &key),
        Subject::Network(key) => network_lines(state, &key),
        Subject::Namespace(netns) => namespace_lines(state, netns),
        Subject::Hook(hook) => hook_lines(state, hook),
    };
    if !matches!(related.subject, Subject::Neighbour(_)) {
        lines
            .extend(related.neighbours.iter().take(8).map(|&(key, neighbour)| next_hop_line(key, neighbour)));
    }
    lines.extend(resent_lines(state, related));
    (lines, Vec::new())
}

/// Adds a part, unless it says nothing.
pub(super) fn add(line: &mut Line, part: String, role: Role) {
    if !part.is_empty() {
        line.told.push((part, role));
    }
}

/// When something was seen.
pub(super) fn span(state: &State, first: Timestamp, last: Timestamp) -> String {
    format!("first {} ago, last {} ago", age(state.now(), first), age(state.now(), last))
}

/// How the addresses of a flow are reached, each with the neighbour it is handed to.
pub(super) fn way_lines(related: &Related<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> =
        related.ways.iter().map(|(key, reached)| way_line(related, key, reached)).collect();
    for &(key, neighbour) in &related.neighbours {
        let is_told = lines.iter().any(|line| line.opens == Some(Subject::Neighbour(*key).into()));
        if !is_told {
            lines.push(next_hop_line(key, neighbour));
        }
    }
    lines
}

fn way_line(related: &Related<'_>, key: &PeerKey, reached: &Reached) -> Line {
    let role = if reached.result.is_astray() { Role::Bad } else { Role::Plain };
    let way = route_fact(reached.result, reached.gateway, reached.device.as_ref());
    let mut line = Line::new("way", [format!("to {}", key.peer)]).and(way, role);
    let next_hop: IpAddr = reached.gateway.unwrap_or(key.peer);
    if let Some(state) = reached.neighbour_state {
        let hardware = reached.neighbour.map(|hardware| format!(" at {hardware}")).unwrap_or_default();
        add(&mut line, format!("{next_hop} {state}{hardware}"), Role::Plain);
    }
    if let Some(changed) = reached.changed {
        add(&mut line, format!("another since {}", time_of_day(changed)), Role::Warning);
    }
    let neighbour = related.neighbours.iter().find(|(of, _)| of.netns == key.netns && of.address == next_hop);
    match neighbour {
        Some(&(of, neighbour)) => {
            if neighbour.is_contested() {
                let count = neighbour.answerers.len();
                add(&mut line, format!("{count} hardware addresses answer for it"), Role::Bad);
            }
            line.opening(Subject::Neighbour(*of))
        }
        None => line.opening(Subject::Network(NetworkKey::host(key.netns, key.peer))),
    }
}

fn next_hop_line(key: &NeighbourKey, neighbour: &Neighbour) -> Line {
    let kept = neighbour.kept.map(|hardware| format!("at {hardware}")).unwrap_or_default();
    let mut line = Line::new("neighbour", [format!("{} on {}", key.address, neighbour.device), kept]);
    add(&mut line, neighbour.state.map(|state| state.to_string()).unwrap_or_default(), Role::Plain);
    if neighbour.is_contested() {
        let count = neighbour.answerers.len();
        add(&mut line, format!("{count} hardware addresses answer for it"), Role::Bad);
    }
    line.opening(Subject::Neighbour(*key))
}

/// Flows that belong to it and retransmit.
fn resent_lines(state: &State, related: &Related<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if related.flows_in_all > 1 {
        let flows = counted(related.flows_in_all as u64, "flow");
        lines.push(Line::new("sent again", [flows, counted(related.attempts, "attempt")]));
    }
    for &(key, flow) in &related.flows {
        let kinds = kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into());
        let ago = format!("last {} ago", age(state.now(), flow.last));
        let line = Line::new("flow", [flow_name(&key.endpoints), kinds, ago]);
        lines.push(line.opening(Subject::Flow(*key)));
    }
    let more = related.flows_in_all - related.flows.len();
    if more > 0 {
        lines.push(Line::new("", [format!("and {} more", counted(more as u64, "flow"))]));
    }
    lines
}

fn neighbour_lines(state: &State, key: &NeighbourKey) -> Vec<Line> {
    let Some(neighbour) = state.neighbours.get(key) else { return Vec::new() };
    let state_text = neighbour.state.map(|state| format!("state {state}")).unwrap_or_default();
    let mut lines = vec![Line::new(
        "verdicts",
        [verdicts_text(neighbour), state_text, span(state, neighbour.first, neighbour.last)],
    )];
    for answerer in &neighbour.answerers {
        let is_kept = Some(answerer.hardware_address) == neighbour.kept;
        let (text, role) = if is_kept { ("kept", Role::Good) } else { ("other", Role::Warning) };
        let line = Line::new("answers", [answerer.hardware_address.to_string()]).and(text, role);
        let (taken, ignored, claims) = (answerer.taken, answerer.ignored, answerer.claims);
        let counts = format!("taken {taken}, ignored {ignored}, claims {claims}");
        lines.push(
            line.and(counts, Role::Plain)
                .and(format!("last {} ago", age(state.now(), answerer.last)), Role::Plain),
        );
    }
    if neighbour.answerers_left_out > 0 {
        let left_out = exact(u64::from(neighbour.answerers_left_out));
        lines.push(Line::new("further", [format!("{left_out} messages of others than these {ANSWERERS}")]));
    }
    if neighbour.own_claims > 0 {
        let own = neighbour.own_hardware_address.map(|own| format!(" as {own}")).unwrap_or_default();
        let claims = format!("claims the address itself, {} times{own}", neighbour.own_claims);
        lines.push(Line::new("this node", []).and(claims, Role::Warning));
    }
    let is_behind =
        |place: &PeerKey, reached: &Reached| place.netns == key.netns && reached.gateway == Some(key.address);
    let behind = state.routes.peers.iter().filter(|(place, reached)| is_behind(place, reached)).count();
    if behind > 0 {
        lines.push(Line::new("next hop", [format!("to {}", counted(behind as u64, "peer"))]));
    }
    lines.push(
        Line::new("netns", [netns_words(state, key.netns, state.now())])
            .opening(Subject::Namespace(key.netns)),
    );
    lines
}

fn service_lines(state: &State, key: &ServiceKey) -> Vec<Line> {
    let Some(service) = state.ipvs.services.get(key) else { return Vec::new() };
    let mut decisions = Line::new("decisions", [decisions_text(&service.decisions)]);
    if service.decisions.onto_drained > 0 {
        let connections = counted(service.decisions.onto_drained, "new connection");
        add(&mut decisions, format!("{connections} onto drained servers"), Role::Bad);
    }
    add(&mut decisions, span(state, service.first, service.last), Role::Plain);
    let mut set_up = Vec::new();
    set_up.extend(service.scheduler.as_ref().map(|scheduler| format!("scheduler {scheduler}")));
    set_up.extend(service.persistence_s.map(|seconds| format!("persistent for {seconds} s")));
    set_up.extend(service.reuse_mode.map(|mode| format!("conn_reuse_mode {mode}")));
    set_up.extend(service.expire_nodest.map(|mode| format!("expire_nodest_conn {mode}")));
    set_up.extend(service.removed.map(|time| format!("removed {} ago", age(state.now(), time))));
    let mut lines = vec![decisions, Line::new("configured", set_up)];
    let mut reals: Vec<_> = state.ipvs.reals.iter().filter(|(real, _)| real.service == *key).collect();
    reals.sort_unstable_by_key(|(real, _)| **real);
    lines.extend(reals.iter().filter_map(|(real, _)| {
        let name = real.address.map_or("no real server".to_owned(), |address| address.to_string());
        let line = real_line(state, real, "real server")?;
        let told = [(name, Role::Plain)].into_iter().chain(line.told).collect();
        Some(Line { told, ..line })
    }));
    lines
}

/// The weight of a real server, whether it is drained, and what reached it nevertheless.
pub(super) fn real_line(state: &State, key: &RealKey, label: &str) -> Option<Line> {
    let real = state.ipvs.reals.get(key)?;
    let mut line = Line::new(label, []).opening(Subject::Real(*key));
    if let Some(weight) = real.weight {
        let role = if weight == 0 { Role::Warning } else { Role::Plain };
        add(&mut line, format!("weight {weight}{}", weight_change(state, real)), role);
    }
    add(&mut line, gone_text(state, real), Role::Warning);
    add(&mut line, decisions_text(&real.decisions), Role::Plain);
    if real.decisions.onto_drained > 0 {
        let connections = counted(real.decisions.onto_drained, "new connection");
        add(&mut line, format!("{connections} while drained"), Role::Bad);
    }
    Some(line)
}

fn weight_change(state: &State, real: &Real) -> String {
    real.weight_changed
        .map(|(time, from)| format!(", was {from} until {} ago", age(state.now(), time)))
        .unwrap_or_default()
}

fn gone_text(state: &State, real: &Real) -> String {
    match real.removed {
        Some(time) => format!("removed {} ago", age(state.now(), time)),
        None if real.available || real.weight.is_none() => String::new(),
        None => "no longer configured".to_owned(),
    }
}

fn real_lines(state: &State, key: &RealKey) -> Vec<Line> {
    let service =
        Line::new("service", [key.service.service.to_string()]).opening(Subject::Service(key.service));
    let Some(real) = state.ipvs.reals.get(key) else { return Vec::new() };
    let mut lines = vec![service];
    lines.extend(real_line(state, key, "state").map(|line| Line { opens: None, ..line }));
    let mut about = Vec::new();
    about.extend(real.forwarding.map(|forwarding| format!("forwarding {}", forwarding.name())));
    about.extend(real.connections.map(|connections| {
        let (active, inactive) = (exact(connections.active.into()), exact(connections.inactive.into()));
        format!("{active} connections active, {inactive} not, when last listed")
    }));
    about.push(span(state, real.first, real.last));
    lines.push(Line::new("about", about));
    lines
}

fn network_lines(state: &State, key: &NetworkKey) -> Vec<Line> {
    let NetworkKey { netns, prefix } = *key;
    let mut lines = Vec::new();
    let own = state.routes.addresses.iter().filter(|((of, _, address, _), told)| {
        *of == netns && prefix.contains(*address) && told.change != crate::event::Change::Removed
    });
    for (_, told) in own.take(8) {
        let device = told.device.as_ref().map(|device| format!("on {device}")).unwrap_or_default();
        let address = format!("{}/{}", told.address, told.prefix_bits);
        lines.push(Line::new("this node", [format!("has {address}"), device]));
    }
    let mut ways: Vec<_> = state
        .routes
        .peers
        .iter()
        .filter(|(place, _)| place.netns == netns && prefix.contains(place.peer))
        .collect();
    ways.sort_unstable_by_key(|(place, _)| **place);
    for (place, reached) in ways.into_iter().take(8) {
        let way = route_fact(reached.result, reached.gateway, reached.device.as_ref());
        let role = if reached.result.is_astray() { Role::Bad } else { Role::Plain };
        lines.push(Line::new("way", [format!("to {}", place.peer)]).and(way, role));
    }
    let mut reals: Vec<_> = state.ipvs.reals.iter().map(|(real, _)| *real).collect();
    reals.retain(|real| {
        let is_virtual = real.service.service.address().is_some_and(|address| prefix.contains(address.ip()));
        let is_real = real.address.is_some_and(|address| prefix.contains(address.ip()));
        real.service.netns == netns && (is_virtual || is_real)
    });
    reals.sort_unstable();
    lines.extend(reals.iter().take(8).filter_map(|real| {
        let line = real_line(state, real, "IPVS")?;
        let name = subject_title(state, Subject::Real(*real));
        Some(Line { told: [(name, Role::Plain)].into_iter().chain(line.told).collect(), ..line })
    }));
    lines.push(
        Line::new("netns", [netns_words(state, netns, state.now())]).opening(Subject::Namespace(netns)),
    );
    lines
}

fn namespace_lines(state: &State, netns: Netns) -> Vec<Line> {
    let mut lines = vec![Line::new("names", namespace_words(state, netns, state.now()))];
    let mut devices: Vec<_> = state.routes.links.iter().filter(|((of, _), _)| *of == netns).collect();
    devices.sort_unstable_by_key(|(key, _)| **key);
    let names = devices.iter().take(32).map(|(_, link)| {
        let addresses = state.routes.addresses.iter().filter(|((of, index, ..), told)| {
            (*of, *index) == (netns, link.interface_index) && told.change != crate::event::Change::Removed
        });
        let addresses: Vec<String> =
            addresses.map(|(_, told)| format!(" {}/{}", told.address, told.prefix_bits)).collect();
        format!("{}{}", link.device, addresses.concat())
    });
    lines.push(Line::new("devices", names));
    if let Some(table) = state.conntrack.tables.get(&netns) {
        let limit = table.counters.limit.map(|limit| format!(" of {}", exact(limit))).unwrap_or_default();
        let entries = format!("{} entries{limit}", exact(table.counters.entries));
        lines.push(Line::new("conntrack", [entries, format!("{} failures", exact(table.failures()))]));
    }
    let mut tables: Vec<_> = state.rulesets.iter().filter(|(key, _)| key.netns == netns).collect();
    tables.sort_unstable_by_key(|(key, _)| *key);
    let told = tables.iter().map(|(key, table)| {
        format!("{} {} ({}) {} rules", key.family, key.table, key.backend.name(), exact(table.entries.into()))
    });
    lines.push(Line::new("rules", told));
    let mut settings: Vec<_> = state.routes.sysctls.iter().filter(|((of, _), _)| *of == netns).collect();
    settings.sort_unstable_by_key(|(key, _)| *key);
    lines.push(Line::new(
        "settings",
        settings.iter().map(|((_, name), sysctl)| format!("{name} = {}", sysctl.value)),
    ));
    lines.retain(|line| !line.told.is_empty());
    lines
}

fn hook_lines(state: &State, hook: HookId) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(entry) = table::find(hook) {
        lines.push(Line::new("family", [entry.family.to_string()]));
        lines.push(Line::new("tells", [entry.tells.to_owned()]));
    }
    if let Some(status) = state.hooks.status(hook) {
        lines.push(Line::new("attached", [status.attached.map_or("no", Way::name).to_owned()]));
        if !status.reason.is_empty() {
            lines.push(Line::new("reason", [status.reason.to_string()]));
        }
    }
    lines
}
