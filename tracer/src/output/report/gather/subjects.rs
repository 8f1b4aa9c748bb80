//! Who was affected most.

use super::{ROWS, extent, extent_of, place};
use crate::{
    event::RetransmitKind,
    findings::peers::most_resent_to,
    output::report::{
        answering::{AnsweredKey, Answering, Heard, History, heard},
        document::{Answerer, Flow, Icmp, Kept, Moment, Neighbour, Peer, Ranking, Ruleset, Server, Weight},
        servers::{self, ServerKey, Servers, dialled},
    },
    state::{self, FlowKey, State, top},
    words::{
        describe::{flow_name, kinds_text},
        owner::owner_words,
    },
};

/// Flows told at most: where they go to says more of most.
const FLOWS: usize = 15;

/// Real servers told at most, and addresses with several answerers.
const DRAWN: usize = 40;

/// Where most segments were sent again to.
pub(super) fn peers(state: &State) -> Ranking<Peer> {
    let peers = most_resent_to(state);
    let rows = peers.iter().take(ROWS).map(|peer| Peer {
        name: peer.name(),
        place: place(state, peer.worst.netns, peer.last),
        flows: peer.flows,
        attempts: peer.attempts(),
        kinds: kinds_text(&peer.kinds, peer.failed, peer.undone),
        longest_run: peer.longest_run,
        longest_outage_ns: peer.outage_ns,
        span: extent(peer.first, peer.last),
        owner: peer.owner(state),
    });
    Ranking::new(rows.collect(), peers.len())
}

/// The flows with the most attempts.
pub(super) fn flows(state: &State) -> Ranking<Flow> {
    let flows = top(state.flows.iter(), state::Flow::attempts, FLOWS);
    Ranking::new(flows.into_iter().map(|(key, flow)| flow_row(state, key, flow)).collect(), state.flows.len())
}

fn flow_row(state: &State, key: &FlowKey, flow: &state::Flow) -> Flow {
    let kinds: [u64; RetransmitKind::ALL.len()] = flow.kinds.map(u64::from);
    let mut owner = owner_words(state, key, flow);
    // The last is the network namespace, which the row tells apart.
    owner.pop();
    Flow {
        name: flow_name(&key.endpoints),
        place: place(state, key.netns, flow.last),
        attempts: flow.attempts(),
        segments: flow.segments,
        failed: u64::from(flow.failed),
        kinds: kinds_text(&kinds, u64::from(flow.failed), u64::from(flow.undone)),
        state: flow.tcp_state.to_string(),
        span: extent(flow.first, flow.last),
        longest_outage: flow
            .longest_outage()
            .filter(|outage| outage.duration_ns() > 0)
            .map(|outage| extent(outage.began, outage.last)),
        owner: owner.join(" · "),
    }
}

/// Addresses with several answerers.
pub(super) fn neighbours(state: &State, answering: &Answering) -> Ranking<Neighbour> {
    let contested = answering.contested();
    let rows = contested.iter().take(DRAWN).map(|(key, history)| neighbour(state, key, history));
    Ranking::new(rows.collect(), contested.len())
}

fn neighbour(state: &State, key: &AnsweredKey, history: &History) -> Neighbour {
    let kept = history.kept.iter();
    Neighbour {
        address: key.address.to_string(),
        dev: key.device.to_string(),
        place: place(state, key.netns, state.now()),
        answerers: history.answerers.iter().map(answerer).collect(),
        kept: kept
            .map(|(since, mac)| Kept { since: Moment(since), mac: mac.map(|mac| mac.to_string()) })
            .collect(),
        earlier_changes: history.kept.left_out(),
        answers_left_out: history.left_out,
    }
}

fn answerer(one: &Heard) -> Answerer {
    Answerer {
        mac: one.hardware_address.to_string(),
        taken: one.series.total(heard::TAKEN),
        ignored: one.series.total(heard::IGNORED),
        claims: one.series.total(heard::CLAIMED),
        span: extent(one.first, one.last),
        bucket_ns: one.series.width_ns(),
        counts: one.series.buckets().to_vec(),
    }
}

/// Real servers that got connections, or whose weight changed; those of one service stand together.
pub(super) fn servers(state: &State, servers: &Servers) -> Ranking<Server> {
    let telling = servers.telling();
    let all = telling.len();
    let rows = telling.into_iter().take(DRAWN).map(|(key, server)| server_row(state, key, server));
    Ranking::new(rows.collect(), all)
}

fn server_row(state: &State, key: &ServerKey, server: &servers::Server) -> Server {
    let weights = server.weight.iter();
    Server {
        service: key.service.to_string(),
        real: key.real.map(|real| real.to_string()),
        place: place(state, key.netns, state.now()),
        connections: server.connections(),
        onto_drained: server.series.total(dialled::DRAINED),
        turned_away: server.series.total(dialled::TURNED_AWAY),
        weights: weights.map(|(since, weight)| Weight { since: Moment(since), weight }).collect(),
        earlier_changes: server.weight.left_out(),
        bucket_ns: server.series.width_ns(),
        counts: server.series.buckets().to_vec(),
    }
}

/// Whom ICMP errors were about.
pub(super) fn icmp(state: &State) -> Ranking<Icmp> {
    let count = |subject: &state::IcmpSubject| subject.counts.iter().sum::<u64>();
    let subjects = top(state.path.icmp.iter(), count, ROWS);
    let rows = subjects.into_iter().map(|(key, subject)| Icmp {
        destination: key.destination.map_or("unknown".to_owned(), |destination| destination.to_string()),
        place: place(state, key.netns, subject.last),
        direction: if key.is_sent { "out" } else { "in" },
        meaning: subject.meaning,
        messages: count(subject),
        span: extent_of(state::Span { first: subject.first, last: subject.last }),
    });
    Ranking::new(rows.collect(), state.path.icmp.len())
}

/// The largest tables of rules.
pub(super) fn rulesets(state: &State) -> Ranking<Ruleset> {
    let tables = top(state.rulesets.iter(), |table| u64::from(table.most_entries), ROWS);
    let rows = tables.into_iter().map(|(key, table)| Ruleset {
        table: format!("{} {} ({})", key.family, key.table, key.backend.name()),
        place: place(state, key.netns, table.last),
        entries: table.entries,
        most_entries: table.most_entries,
        duplicates: table.duplicates,
    });
    Ranking::new(rows.collect(), state.rulesets.len())
}
