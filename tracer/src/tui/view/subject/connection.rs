//! What is known of a flow and the connection it is a part of.

use std::net::SocketAddr;

use super::facts::{add, real_line, span, way_lines};
use crate::{
    event::Endpoints,
    state::{Flow, FlowKey, Mapping, RealKey, Related, ServiceKey, State, Subject, Translator},
    tui::{
        text::{age, exact, microseconds},
        theme::Role,
        view::describe::{conntrack_text, flow_name, kinds_text},
        widget::details::Line,
    },
};

/// The facts of a flow: who dials whom and who answers, what was sent again, how it gets there.
pub(super) fn lines(state: &State, related: &Related<'_>, key: &FlowKey) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(route) = route_line(related) {
        lines.push(route);
    }
    related.mappings.iter().for_each(|mapping| mapping_lines(&mut lines, state, key.netns, mapping));
    if let Some(flow) = state.flows.get(key) {
        flow_lines(&mut lines, state, key, flow);
    }
    let others = related.flows.iter().filter(|(other, _)| *other != key);
    lines.extend(others.map(|(other, flow)| other_line(state, key, other, flow)));
    lines.extend(way_lines(related));
    for (of, entry) in &related.entries {
        let was = entry.tcp_state.map(|state| format!("was {state}")).unwrap_or_default();
        let mark = if entry.mark == 0 { String::new() } else { format!("mark {:#x}", entry.mark) };
        let zone = if entry.zone == 0 { String::new() } else { format!("zone {}", entry.zone) };
        let whose = if of.endpoints == key.endpoints { String::new() } else { flow_name(&of.endpoints) };
        let ago = format!("last {} ago", age(state.now(), entry.last));
        lines.push(Line::new("conntrack", [conntrack_text(entry), was, mark, zone, whose, ago]));
    }
    for (_, found) in &related.loops {
        let packets = format!("{} packets", exact(found.packets));
        let most = format!("one {} times", found.most_times);
        let ttl = format!("ttl {} less each time, down to {}", found.step, found.lowest_ttl);
        let line = Line::new("goes round", [packets, most, ttl, format!("in by {}", found.device)]);
        lines.push(line);
    }
    lines
}

/// From the client through every address it is translated to.
fn route_line(related: &Related<'_>) -> Option<Line> {
    let dialled = related.mappings.first()?.learnt.original;
    let mut parts = vec![dialled.source.to_string(), format!("→ {}", dialled.destination)];
    let mut last = dialled.destination;
    for mapping in &related.mappings {
        if mapping.learnt.server != last {
            last = mapping.learnt.server;
            parts.push(format!("→ {last}"));
        }
    }
    Some(Line::new("connection", parts))
}

fn mapping_lines(lines: &mut Vec<Line>, state: &State, netns: u32, mapping: &Mapping) {
    let learnt = &mapping.learnt;
    let place = if mapping.netns == netns { String::new() } else { format!("netns {}", mapping.netns) };
    let before =
        mapping.previous.map(|previous| format!("before: {}", onward_text(&learnt.original, &previous)));
    let ago = format!("last {} ago", age(state.now(), mapping.last));
    match (learnt.by, learnt.service) {
        (Translator::Ipvs, Some(service)) => {
            let service = ServiceKey { netns: mapping.netns, service };
            let real = RealKey { service, address: Some(learnt.server) };
            lines.push(service_line(state, &service, [place, before.unwrap_or_default(), ago]));
            lines.extend(real_line(state, &real, "real server"));
        }
        _ => {
            let onward = format!("goes on as {}", onward_text(&learnt.original, &learnt.onward));
            lines.push(Line::new("nat", [onward, before.unwrap_or_default(), place, ago]));
        }
    }
}

fn service_line(state: &State, key: &ServiceKey, rest: [String; 3]) -> Line {
    let mut line = Line::new("service", [key.service.to_string()]).opening(Subject::Service(*key));
    if let Some(service) = state.ipvs.services.get(key) {
        if let Some(mode) = service.reuse_mode {
            add(&mut line, format!("conn_reuse_mode {mode}"), Role::Plain);
        }
        if service.decisions.onto_drained > 0 {
            let drained = exact(service.decisions.onto_drained);
            add(&mut line, format!("{drained} new connections onto drained"), Role::Bad);
        }
    }
    rest.into_iter().for_each(|part| add(&mut line, part, Role::Plain));
    line
}

/// How packets go on: the ends that are others than before.
fn onward_text(original: &Endpoints, onward: &Endpoints) -> String {
    let end = |before: SocketAddr, after: SocketAddr| (before != after).then(|| after.to_string());
    match (end(original.source, onward.source), end(original.destination, onward.destination)) {
        (None, Some(destination)) => format!("→ {destination}"),
        (Some(source), None) => format!("from {source}"),
        _ => flow_name(onward),
    }
}

fn flow_lines(lines: &mut Vec<Line>, state: &State, key: &FlowKey, flow: &Flow) {
    let kinds = kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into());
    let mut resent = Line::new("sent again", [kinds, format!("{} segments", exact(flow.segments))]);
    if flow.longest_run > 0 {
        add(&mut resent, format!("longest run {}", flow.longest_run), Role::Plain);
    }
    if let Some(error) = flow.error {
        add(&mut resent, format!("last failed with {error}"), Role::Bad);
    }
    add(&mut resent, span(state, flow.first, flow.last), Role::Plain);
    lines.push(resent);

    let mut connection = vec![format!("state {}", flow.tcp_state)];
    connection.extend(flow.rto_us.map(|us| format!("rto {}", microseconds(us))));
    connection.extend(flow.srtt_us.map(|us| format!("srtt {}", microseconds(u64::from(us)))));
    connection.extend(flow.congestion_window.map(|segments| format!("cwnd {segments}")));
    connection.extend(flow.device.as_ref().map(|device| format!("by {device}")));
    lines.push(Line::new("socket", connection));

    let mut owner = Vec::new();
    owner.extend(state.process_of(flow).map(|process| format!("{} (pid {})", process.command, process.id)));
    owner.extend(flow.cgroup_id.map(|id| format!("cgroup {id}")));
    owner.extend(flow.socket_inode.map(|inode| format!("socket {inode}")));
    owner.push(format!("netns {}", key.netns));
    lines.push(Line::new("owner", owner).opening(Subject::Namespace(key.netns)));
}

/// Another flow of the connection: its other end, if that is on this node too, or the same packets elsewhere.
fn other_line(state: &State, key: &FlowKey, other: &FlowKey, flow: &Flow) -> Line {
    let is_other_end = other.endpoints.source != key.endpoints.source;
    let label = if is_other_end { "other end" } else { "also" };
    let kinds = kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into());
    let owner = state.process_of(flow).map(|process| format!("{} (pid {})", process.command, process.id));
    let netns = format!("netns {}", other.netns);
    Line::new(label, [flow_name(&other.endpoints), kinds, owner.unwrap_or_default(), netns])
        .opening(Subject::Flow(*other))
}
