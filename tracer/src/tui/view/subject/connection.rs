//! What is known of a flow and the connection it is a part of.

use super::facts::{add, real_line, span, way_lines};
use crate::{
    event::{Endpoints, Netns},
    state::{
        ConntrackEntry, Flow, FlowKey, Mapping, RATE_SPANS_SECONDS, RealKey, Related, ServiceKey, State,
        Subject,
    },
    tui::{
        owner_text::{netns_words, owner_column, owner_words, pod_words},
        text::{age, counted, duration, microseconds, rate},
        theme::Role,
        view::describe::{conntrack_text, flow_name, kinds_text},
        widget::details::Line,
    },
};

/// The facts of a flow: who dials whom, who answers and what was sent again; and how that gets there.
pub(super) fn lines(state: &State, related: &Related<'_>, key: &FlowKey) -> (Vec<Line>, Vec<Line>) {
    let (mut head, mut rest) = (Vec::new(), Vec::new());
    head.extend(route_line(related));
    for mapping in &related.mappings {
        let (first, other) = mapping_lines(state, key.netns, mapping);
        head.extend(first);
        rest.push(other);
    }
    if let Some(flow) = state.flows.get(key) {
        head.push(resent_line(state, flow));
        head.push(owner_line(state, key, flow));
        let peer = pod_words(state, key.endpoints.destination.ip(), flow.last);
        head.extend(peer.map(|pod| Line::new("peer", [pod])));
        rest.insert(0, socket_line(flow));
    }
    let others = related.flows.iter().filter(|(other, _)| *other != key);
    head.extend(others.map(|(other, flow)| other_line(state, key, other, flow)));
    rest.extend(way_lines(related));
    rest.extend(related.entries.iter().map(|(of, entry)| entry_line(state, key, of, entry)));
    for (_, found) in &related.loops {
        let most = format!("one {} times", found.most_times);
        let ttl = format!("ttl {} less each time, down to {}", found.step, found.lowest_ttl);
        let told = [counted(found.packets, "packet"), most, ttl, format!("in by {}", found.device)];
        head.push(Line::new("goes round", told));
    }
    (head, rest)
}

fn entry_line(state: &State, key: &FlowKey, of: &FlowKey, entry: &ConntrackEntry) -> Line {
    let was = entry.tcp_state.map(|state| format!("was {state}")).unwrap_or_default();
    let mark = if entry.mark == 0 { String::new() } else { format!("mark {:#x}", entry.mark) };
    let zone = if entry.zone == 0 { String::new() } else { format!("zone {}", entry.zone) };
    let whose = if of.endpoints == key.endpoints { String::new() } else { flow_name(&of.endpoints) };
    let ago = format!("last {} ago", age(state.now(), entry.last));
    Line::new("conntrack", [conntrack_text(entry), was, mark, zone, whose, ago])
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

/// What a first look is for, if that is anything, and the rest.
fn mapping_lines(state: &State, netns: Netns, mapping: &Mapping) -> (Option<Line>, Line) {
    let learnt = &mapping.learnt;
    let place = if mapping.netns == netns {
        String::new()
    } else {
        format!("netns {}", netns_words(state, mapping.netns, mapping.last))
    };
    let before =
        mapping.previous.map(|previous| format!("before {}", onward_text(&learnt.original, &previous)));
    let ago = format!("last {} ago", age(state.now(), mapping.last));
    if let Some(service) = learnt.service {
        let service = ServiceKey { netns: mapping.netns, service };
        let real = RealKey { service, address: Some(learnt.server) };
        let rest = service_line(state, &service, [place, before.unwrap_or_default(), ago]);
        return (real_line(state, &real, "real server"), rest);
    }
    let onward = format!("goes on {}", onward_text(&learnt.original, &learnt.onward));
    (None, Line::new("nat", [onward, before.unwrap_or_default(), place, ago]))
}

fn service_line(state: &State, key: &ServiceKey, rest: [String; 3]) -> Line {
    let mut line = Line::new("service", [key.service.to_string()]).opening(Subject::Service(*key));
    if let Some(service) = state.ipvs.services.get(key) {
        if let Some(mode) = service.reuse_mode {
            add(&mut line, format!("conn_reuse_mode {mode}"), Role::Plain);
        }
        if service.decisions.onto_drained > 0 {
            let connections = counted(service.decisions.onto_drained, "new connection");
            add(&mut line, format!("{connections} onto drained servers"), Role::Bad);
        }
    }
    for part in rest {
        add(&mut line, part, Role::Plain);
    }
    line
}

/// How packets go on: the ends that are others than before.
pub(super) fn onward_text(original: &Endpoints, onward: &Endpoints) -> String {
    match (original.source == onward.source, original.destination == onward.destination) {
        (true, _) => format!("to {}", onward.destination),
        (false, true) => format!("from {}", onward.source),
        (false, false) => format!("as {}", flow_name(onward)),
    }
}

fn resent_line(state: &State, flow: &Flow) -> Line {
    let kinds = kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into());
    let mut line = Line::new("sent again", [kinds, counted(flow.segments, "segment")]);
    if let Some(outage) = flow.outage_at(state.now()) {
        let since = age(state.now(), outage.began);
        add(&mut line, format!("nothing acknowledged for {since}"), Role::Bad);
    } else if let Some(outage) = flow.longest_outage() {
        let lasted = duration(outage.duration_ns());
        add(&mut line, format!("longest outage {lasted}"), Role::Warning);
    }
    if flow.longest_run > 0 {
        add(&mut line, format!("longest run {}", flow.longest_run), Role::Plain);
    }
    let rates = RATE_SPANS_SECONDS.map(|seconds| rate(flow.per_second(state.now(), seconds)));
    add(&mut line, format!("{}/s over 1, 10 and 60 s", rates.join(", ")), Role::Plain);
    if let Some(error) = flow.error {
        add(&mut line, format!("last failed with {error}"), Role::Bad);
    }
    line.and(span(state, flow.first, flow.last), Role::Plain)
}

fn socket_line(flow: &Flow) -> Line {
    let mut told = vec![format!("state {}", flow.tcp_state)];
    told.extend(flow.rto_us.map(|us| format!("rto {}", microseconds(us))));
    told.extend(flow.srtt_us.map(|us| format!("srtt {}", microseconds(u64::from(us)))));
    told.extend(flow.congestion_window.map(|segments| format!("cwnd {segments}")));
    told.extend(flow.device.as_ref().map(|device| format!("by {device}")));
    Line::new("socket", told)
}

fn owner_line(state: &State, key: &FlowKey, flow: &Flow) -> Line {
    Line::new("owner", owner_words(state, key, flow)).opening(Subject::Namespace(key.netns))
}

/// Another flow of the connection: its other end, if that is on this node too, or the same packets elsewhere.
fn other_line(state: &State, key: &FlowKey, other: &FlowKey, flow: &Flow) -> Line {
    let is_other_end = other.endpoints.source != key.endpoints.source;
    let label = if is_other_end { "other end" } else { "also" };
    let kinds = kinds_text(&flow.kinds.map(u64::from), flow.failed.into(), flow.undone.into());
    let owner = owner_column(state, other, flow).unwrap_or_default();
    let netns = format!("netns {}", netns_words(state, other.netns, flow.last));
    Line::new(label, [flow_name(&other.endpoints), kinds, owner, netns]).opening(Subject::Flow(*other))
}
