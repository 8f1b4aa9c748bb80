//! Connections that conntrack dropped, and tables that are nearly full.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use super::{MOST_OF_A_RULE, Notable, Severity};
use crate::{
    event::{ConntrackCounter, ConntrackEvent, Netns},
    state::{ConntrackTable, FlowKey, State},
    tui::{model::Subject, owner_text::netns_column, rows, text::exact},
};

/// Thousandths of a table from which on it is nearly full.
const NEARLY_FULL_PERMILLE: u64 = 900;

/// One fact a way to fail, and one a table.
pub(super) fn collect(state: &State, facts: &mut Vec<Notable>) {
    let failures = ConntrackEvent::ALL.into_iter().filter(|event| event.is_failure());
    facts.extend(failures.filter_map(|event| failed_fact(state, event)));
    let troubled = state.conntrack.tables.iter().filter(|(_, table)| is_troubled(table));
    let worst = rows::top(troubled, |table| table.fill_permille().unwrap_or_default(), MOST_OF_A_RULE);
    facts.extend(worst.into_iter().map(|(&netns, table)| table_fact(state, netns, table)));
}

fn failed_fact(state: &State, event: ConntrackEvent) -> Option<Notable> {
    let count = state.conntrack.count(event);
    let span = state.conntrack.span(event)?;
    let (server, subject) = most_failed(state, event);
    let mut what = vec![format!("{} new dropped", exact(count))];
    what.extend(server.map(|server| format!("most to {server}")));
    Some(Notable {
        severity: Severity::Critical,
        subject: subject.map(Subject::Flow),
        who: format!("conntrack {event}"),
        what: what.join(" · "),
        span: Some(span),
    })
}

/// The server most connections failed at, and one of them.
fn most_failed(state: &State, event: ConntrackEvent) -> (Option<SocketAddr>, Option<FlowKey>) {
    let mut servers: FxHashMap<SocketAddr, (u64, FlowKey)> = FxHashMap::default();
    for (key, entry) in state.conntrack.entries.iter() {
        let count = u64::from(entry.counts[event as usize]);
        if count > 0 {
            let (sum, first) = servers.entry(key.endpoints.destination).or_insert((0, *key));
            *sum += count;
            *first = (*first).min(*key);
        }
    }
    let most = servers.into_iter().max_by_key(|&(server, (sum, _))| (sum, std::cmp::Reverse(server)));
    most.map_or((None, None), |(server, (_, key))| (Some(server), Some(key)))
}

fn is_troubled(table: &ConntrackTable) -> bool {
    table.failures() > 0 || table.fill_permille().is_some_and(|permille| permille >= NEARLY_FULL_PERMILLE)
}

fn table_fact(state: &State, netns: Netns, table: &ConntrackTable) -> Notable {
    const FULL_PERMILLE: u64 = 1_000;
    let permille = table.fill_permille();
    let mut what = Vec::new();
    if let (Some(permille), Some(limit)) = (permille, table.counters.limit) {
        let entries = exact(table.counters.entries);
        what.push(format!("{}% full, {entries} of {}", permille / 10, exact(limit)));
    }
    what.extend(
        ConntrackCounter::ALL
            .into_iter()
            .filter(|&counter| counter.is_failure() && table.growth(counter) > 0)
            .map(|counter| format!("{counter} +{}", exact(table.growth(counter)))),
    );
    let is_full = permille.is_some_and(|permille| permille >= FULL_PERMILLE);
    Notable {
        severity: if is_full { Severity::Critical } else { Severity::Warning },
        subject: Some(Subject::Namespace(netns)),
        who: format!("conntrack table of {}", netns_column(state, netns, table.last)),
        what: what.join(" · "),
        span: None,
    }
}
