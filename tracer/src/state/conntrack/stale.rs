//! New connections that keep the translation of an earlier one, and get no answer.

use std::net::IpAddr;

use super::ConntrackEntry;
use crate::{
    event::{Conntrack as ConntrackDecision, ConntrackEvent, Endpoint, Endpoints, Netns, Timestamp},
    state::{
        bounded::Bounded,
        spell::{Frequent, Spell},
    },
};

/// Servers that are kept at most.
const MOST_ROWS: usize = 4_096;

/// A SYN that comes again counts for the connection that met the entry no longer ago. Clients give up after about two
/// minutes (`net.ipv4.tcp_syn_retries` 6).
const DIALLING_NS: u64 = 130 * 1_000_000_000;

/// Repeats from which on a connection counts as unanswered: a single SYN may be lost.
const UNANSWERED_REPEATS: u32 = 2;

/// What tells one server that old translations lead to from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StaleKey {
    /// The network namespace that translates.
    pub netns: Netns,
    /// The address of the server.
    pub server: IpAddr,
}

/// Unanswered connections by old translations to one server, from one long pause to the next.
#[derive(Clone, Debug)]
pub struct Stale {
    /// SYNs that came again.
    pub spell: Spell,
    /// Connections that did not get an answer: their SYNs came again and again.
    pub unanswered: u64,
    /// The newest of them: who dials what.
    pub newest: Endpoints,
    /// The server it was sent to.
    pub server: Endpoint,
    /// When it met the entry.
    pub met: Timestamp,
    /// TCP state of the entry then.
    pub tcp_state: Option<&'static str>,
    /// What is dialled most often.
    pub dialled: Frequent<Endpoint>,
}

/// By namespace and server.
pub type AllStale = Bounded<StaleKey, Stale>;

pub(super) fn new() -> AllStale {
    Bounded::new(MOST_ROWS)
}

/// What an entry remembers of the last new connection that met it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    time: Timestamp,
    tcp_state: Option<&'static str>,
    repeats: u32,
}

/// Takes in what happened to an entry.
pub(super) fn decision(
    stale: &mut AllStale,
    entry: &mut ConntrackEntry,
    netns: Netns,
    time: Timestamp,
    decision: &ConntrackDecision,
) {
    match decision.event {
        ConntrackEvent::Reused => {
            let before = entry.met.replace(Met { time, tcp_state: decision.tcp_state, repeats: 0 });
            // An entry that still waits for its first answer: who dialled before gave up, and got none either.
            let is_waiting = decision.tcp_state == Some("SYN_SENT");
            if let Some(before) = before.filter(|before| is_waiting && before.repeats > 0) {
                unanswered(stale, entry, netns, (time, before), decision);
            }
        }
        ConntrackEvent::Reopened => entry.met = None,
        ConntrackEvent::SynRepeated => repeated(stale, entry, netns, time, decision),
        _ => {}
    }
}

fn repeated(
    stale: &mut AllStale,
    entry: &mut ConntrackEntry,
    netns: Netns,
    time: Timestamp,
    decision: &ConntrackDecision,
) {
    let Some(met) = &mut entry.met else { return };
    if time.boot_ns.saturating_sub(met.time.boot_ns) > DIALLING_NS {
        return;
    }
    met.repeats = met.repeats.saturating_add(1);
    let met = *met;
    unanswered(stale, entry, netns, (time, met), decision);
}

/// Takes in a SYN that shows that the connection which met the entry is not answered yet.
fn unanswered(
    stale: &mut AllStale,
    entry: &ConntrackEntry,
    netns: Netns,
    (time, met): (Timestamp, Met),
    decision: &ConntrackDecision,
) {
    let (Some(original), Some(reply)) = (decision.original, entry.reply) else { return };
    let server = reply.source;
    // Where nothing is translated the SYN goes where it is meant to go.
    if server == original.destination {
        return;
    }
    let key = StaleKey { netns, server: server.ip() };
    let new = || Stale {
        spell: Spell::new(time),
        unanswered: 0,
        newest: original,
        server,
        met: met.time,
        tcp_state: met.tcp_state,
        dialled: Frequent::default(),
    };
    let row = stale.touch(key, new);
    if row.spell.is_over_at(time) {
        *row = new();
    }
    row.spell.add(time, 1);
    // The second repeat counts it, or the first of those who gave up before.
    let counts_at = if decision.event == ConntrackEvent::Reused { 1 } else { UNANSWERED_REPEATS };
    if met.repeats == counts_at {
        row.unanswered += 1;
        row.dialled.add(original.destination);
        (row.newest, row.server) = (original, server);
        (row.met, row.tcp_state) = (met.time, met.tcp_state);
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        event::{Body, ConntrackEvent},
        state::fixture::{all, conntrack},
    };

    /// Its name, what happens at which seconds, the server, and what is counted.
    type Case = (&'static str, &'static [(u64, ConntrackEvent)], &'static str, Option<(u64, u64)>);

    #[test]
    fn a_connection_counts_once_it_is_not_answered_twice() {
        use ConntrackEvent::{Reopened, Reused, SynRepeated};
        let (client, dialled, server) = ("10.0.0.7:40000", "10.9.9.9:80", "10.2.1.2:8080");
        let cases: [Case; 9] = [
            ("answered", &[(1, Reused)], server, None),
            ("answered late", &[(1, Reused), (2, SynRepeated)], server, Some((0, 1))),
            ("not answered", &[(1, Reused), (2, SynRepeated), (4, SynRepeated)], server, Some((1, 2))),
            (
                "given up each time",
                &[(1, Reused), (2, SynRepeated), (3, Reused), (4, SynRepeated), (5, Reused)],
                server,
                Some((2, 4)),
            ),
            ("answered each time", &[(1, Reused), (3, Reused), (5, Reused)], server, None),
            ("never an entry of another", &[(2, SynRepeated), (4, SynRepeated)], server, None),
            ("not translated", &[(1, Reused), (2, SynRepeated), (4, SynRepeated)], dialled, None),
            (
                "a new mapping",
                &[(1, Reused), (2, Reopened), (3, SynRepeated), (5, SynRepeated)],
                server,
                None,
            ),
            ("much later", &[(1, Reused), (200, SynRepeated), (201, SynRepeated)], server, None),
        ];
        for (case, events, server, expected) in cases {
            let waiting = |event| {
                let mut body = conntrack(event, client, dialled, server);
                if let Body::Conntrack(decision) = &mut body {
                    decision.tcp_state = Some("SYN_SENT");
                }
                body
            };
            let state = all(events.iter().map(|&(second, event)| (second * 1_000, waiting(event))));
            let told = state.conntrack.stale.iter().next().map(|(_, row)| (row.unanswered, row.spell.count));
            assert_eq!(told, expected, "{case}");
        }
    }
}
