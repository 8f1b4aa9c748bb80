//! Connections that conntrack dropped, and tables that are nearly full.

use rustc_hash::FxHashMap;

use super::{About, Finding, MOST_OF_A_RULE, Severity};
use crate::{
    event::{ConntrackCounter, ConntrackEvent, Endpoint, Netns},
    state::{ConntrackTable, FlowKey, State, Subject, top},
    words::{exact, owner::netns_column},
};

/// Thousandths of a table from which on it is nearly full.
const NEARLY_FULL_PERMILLE: u64 = 900;

/// The ways to fail, a rule each.
const FAILURES: [(ConntrackEvent, &str); 3] = [
    (ConntrackEvent::ReopenFailed, "conntrack-reopen-failed"),
    (ConntrackEvent::InsertFailed, "conntrack-insert-failed"),
    (ConntrackEvent::TableFull, "conntrack-table-full"),
];

/// One fact a way to fail, and one a table.
pub(super) fn collect(state: &State, facts: &mut Vec<Finding>) {
    facts.extend(FAILURES.into_iter().filter_map(|(event, id)| failed_fact(state, event, id)));
    let troubled = state.conntrack.tables.iter().filter(|(_, table)| is_troubled(table));
    let worst = top(troubled, |table| table.fill_permille().unwrap_or_default(), MOST_OF_A_RULE);
    facts.extend(worst.into_iter().map(|(&netns, table)| table_fact(state, netns, table)));
}

fn failed_fact(state: &State, event: ConntrackEvent, id: &'static str) -> Option<Finding> {
    let count = state.conntrack.count(event);
    let span = state.conntrack.span(event)?;
    let (server, subject) = most_failed(state, event);
    let mut what = vec![format!("{} new dropped", exact(count))];
    what.extend(server.map(|server| format!("most to {server}")));
    Some(Finding {
        id,
        about: About::Node,
        severity: Severity::Critical,
        subject: subject.map(Subject::Flow),
        who: format!("conntrack {event}"),
        what: what.join(" · "),
        span: Some(span),
    })
}

/// The server most connections failed at, and one of them.
fn most_failed(state: &State, event: ConntrackEvent) -> (Option<Endpoint>, Option<FlowKey>) {
    let mut servers: FxHashMap<Endpoint, (u64, FlowKey)> = FxHashMap::default();
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

fn table_fact(state: &State, netns: Netns, table: &ConntrackTable) -> Finding {
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
    Finding {
        id: "conntrack-table-trouble",
        about: About::Subject(Subject::Namespace(netns)),
        severity: if is_full { Severity::Critical } else { Severity::Warning },
        subject: Some(Subject::Namespace(netns)),
        who: format!("conntrack table of {}", netns_column(state, netns, table.last)),
        what: what.join(" · "),
        span: None,
    }
}
