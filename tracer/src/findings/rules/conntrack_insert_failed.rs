//! Conntrack drops new connections: their entry could not be inserted.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{MOST_OF_A_RULE, Rule, View, tables, tell_left_out};
use crate::{
    event::{Netns, Protocol},
    findings::{About, Affects, Finding, Severity},
    state::{ConntrackFailure, Failed, State, Subject},
    words::{counted, exact, owner::netns_column},
};

/// Conntrack drops new connections: their entry could not be inserted.
///
/// Two packets of different flows that are translated to the same tuple race, and the later one is dropped. Resolvers
/// that ask for A and AAAA at once from one socket do this to DNS behind a service. Races that are settled without a
/// loss do not count. A single lost race costs one client a timeout, so several are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConntrackInsertFailed {
    /// Packets dropped within 10 s from which on it is told.
    pub drops: u64,
    /// Packets dropped within 10 s from which on it is critical.
    pub critical_drops: u64,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for ConntrackInsertFailed {
    fn default() -> Self {
        Self { drops: 3, critical_drops: 50, quiet_seconds: 20 }
    }
}

impl Rule for ConntrackInsertFailed {
    const ID: &'static str = "conntrack-insert-failed";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let rows = view.state.conntrack.failures.iter().filter(|((_, failure), row)| {
            *failure == ConntrackFailure::InsertFailed && row.densest() >= self.drops
        });
        let mut failed: Vec<(Netns, &Failed, bool)> = rows
            .map(|((netns, _), row)| (*netns, row, view.is_within(row.last(), self.quiet_seconds)))
            .collect();
        failed.sort_by_key(|(netns, row, is_open)| (!is_open, Reverse(row.densest()), *netns));
        for &(netns, row, is_open) in failed.iter().take(MOST_OF_A_RULE) {
            found.push(self.finding(view.state, netns, row, is_open));
        }
        let open = failed.iter().filter(|(_, _, is_open)| *is_open).count();
        let words = ("namespaces", "conntrack drops new connections, their entries could not be inserted");
        tell_left_out(found, Self::ID, open, Severity::Warning, words);
    }
}

impl ConntrackInsertFailed {
    fn finding(&self, state: &State, netns: Netns, failed: &Failed, is_open: bool) -> Finding {
        let count = failed.spell().count;
        let server =
            failed.servers.most().first().map(|((protocol, server), _)| format!("{protocol} {server}"));
        let what = format!(
            "{} dropped: their entries could not be inserted{}",
            counted(count, "new connection"),
            server.map(|server| format!(", most often to {server}")).unwrap_or_default()
        );
        let is_critical = failed.densest() >= self.critical_drops;
        let mut evidence = tables::evidence(failed);
        evidence.extend((failed.chain_too_long > 0).then(|| {
            format!("of them {}: the chain of their bucket is too long", exact(failed.chain_too_long))
        }));
        evidence.extend(is_of_names(failed).then(|| {
            "DNS: resolvers ask for A and AAAA at once from one socket, and translation makes the two race".to_owned()
        }));
        evidence.extend(tables::place(state, netns));
        let subject = Subject::Namespace(netns);
        let severity = if is_critical { Severity::Critical } else { Severity::Warning };
        let who = format!("conntrack of {}", netns_column(state, netns, state.now()));
        Finding {
            subject: Some(subject),
            evidence,
            advice: advice(state, netns, failed),
            affects: Affects { connections: count, ..Affects::default() },
            span: Some(failed.spell().span),
            is_open,
            ..Finding::new(Self::ID, About::Subject(subject), severity, who, what)
        }
    }
}

/// Whether most of them are questions to a name server.
fn is_of_names(failed: &Failed) -> bool {
    const NAMES: u16 = 53;
    let most = failed.servers.most();
    most.first().is_some_and(|((protocol, server), _)| *protocol == Protocol::UDP && server.port() == NAMES)
}

fn advice(state: &State, netns: Netns, failed: &Failed) -> Vec<String> {
    const BUCKETS: &str = "net.netfilter.nf_conntrack_buckets";
    let mut lines = Vec::new();
    if is_of_names(failed) {
        lines.push(
            "let resolvers ask one after the other: options single-request-reopen, or use-vc, in resolv.conf (glibc)"
                .to_owned(),
        );
        lines.push("or answer names on the node, untracked: a DNS cache with NOTRACK rules".to_owned());
    } else {
        lines.push(
            "let source translation choose ports at random (iptables: --random-fully, nftables: fully-random)".to_owned(),
        );
    }
    if failed.chain_too_long > 0 {
        let buckets = tables::setting(state, netns, BUCKETS).unwrap_or_else(|| BUCKETS.to_owned());
        lines.push(format!("raise {buckets} in the node's own network namespace"));
    }
    lines.push("confirm: `conntrack -S` counts no more insert_failed".to_owned());
    lines
}
