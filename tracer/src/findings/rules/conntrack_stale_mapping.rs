//! A new connection keeps the translation of an old one.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{MOST_OF_A_RULE, Rule, View, tables, tell_left_out};
use crate::{
    event::{Endpoints, IpvsService, RulesetBackend, Timestamp},
    findings::{About, Affects, Certainty, Finding, Severity, sums::recent_flows},
    state::{FlowKey, NetworkKey, ServiceKey, Stale, StaleKey, State, Subject},
    words::{counted, time_of_day, time_of_day_milliseconds},
};

/// A new connection keeps the translation of an old one.
///
/// A SYN from a port used before meets the old entry. Unless that is finished, conntrack keeps it, and with it the server
/// that was chosen then: rules that say otherwise by now are not asked. That is wrong only where the server does not
/// answer any more, and the rules have changed: a server that is merely down is no matter of conntrack. Connections of
/// IPVS are its own matter, whose decisions are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConntrackStaleMapping {
    /// Connections by old translations to one server that get no answer, from which on it is told.
    pub connections: u64,
    /// How long before the last SYN the rules may have changed, in seconds, so that the translation is likely an old one.
    pub rules_changed_seconds: u32,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for ConntrackStaleMapping {
    fn default() -> Self {
        Self { connections: 1, rules_changed_seconds: 600, quiet_seconds: 20 }
    }
}

impl Rule for ConntrackStaleMapping {
    const ID: &'static str = "conntrack-stale-mapping";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let rows =
            view.state.conntrack.stale.iter().filter(|(key, row)| {
                row.unanswered >= self.connections && !is_of_service(view.state, key, row)
            });
        let mut told: Vec<_> = rows
            .map(|(key, row)| {
                let changed = self.changed(view.state, key, row);
                (key, row, changed, view.is_within(row.spell.span.last, self.quiet_seconds))
            })
            .collect();
        told.sort_by_key(|(key, row, changed, is_open)| {
            (!is_open, changed.is_none(), Reverse(row.unanswered), **key)
        });
        for (key, row, changed, is_open) in told.iter().take(MOST_OF_A_RULE) {
            found.push(finding(view.state, key, row, *changed, *is_open));
        }
        let open = told.iter().filter(|(_, _, _, is_open)| *is_open).count();
        let words = ("servers", "new connections keep old translations to them");
        tell_left_out(found, Self::ID, open, Severity::Critical, words);
    }
}

impl ConntrackStaleMapping {
    /// When the rules changed before the last SYN, as far as that was noticed.
    fn changed(&self, state: &State, key: &StaleKey, row: &Stale) -> Option<Timestamp> {
        // Rules of iptables translate in one table only.
        let translating = state.rulesets.iter().filter(|(table, _)| {
            table.netns == key.netns
                && (table.backend != RulesetBackend::Legacy || table.table.as_str() == "nat")
        });
        let newest = translating.filter_map(|(_, table)| table.changed).max();
        let last = row.spell.span.last;
        let is_recent = |changed: &Timestamp| {
            let since_ns = last.boot_ns.saturating_sub(changed.boot_ns);
            *changed <= last && since_ns <= u64::from(self.rules_changed_seconds) * 1_000_000_000
        };
        newest.filter(is_recent)
    }
}

/// Whether the connections are of IPVS.
fn is_of_service(state: &State, key: &StaleKey, row: &Stale) -> bool {
    let service = IpvsService::of(row.newest.protocol, row.newest.destination, None);
    state.ipvs.services.get(&ServiceKey { netns: key.netns, service }).is_some()
}

fn about(key: &StaleKey) -> About {
    About::Subject(Subject::Network(NetworkKey::host(key.netns, key.server)))
}

fn finding(state: &State, key: &StaleKey, row: &Stale, changed: Option<Timestamp>, is_open: bool) -> Finding {
    let dialled = row.dialled.most().first().map_or(row.newest.destination, |(dialled, _)| *dialled);
    let entry = row.tcp_state.map(|state| format!(" in {state}")).unwrap_or_default();
    let what = format!(
        "{} kept the translation of an old entry{entry} and {} no answer",
        counted(row.unanswered, "new connection"),
        if row.unanswered == 1 { "gets" } else { "get" }
    );
    let mut evidence = vec![
        format!(
            "{} came again, the last one at {} UTC",
            counted(row.spell.count, "SYN"),
            at(row.spell.span.last)
        ),
        format!(
            "{} dialled {} at {} UTC and met an entry{entry} that is translated to {}",
            row.newest.source,
            row.newest.destination,
            at(row.met),
            row.server
        ),
    ];
    let (severity, certainty) = if let Some(time) = changed {
        evidence.push(format!("the rules changed at {} UTC", time_of_day(time)));
        (Severity::Critical, Certainty::Likely)
    } else {
        evidence.push("whether the rules name another server by now is not known".to_owned());
        (Severity::Warning, Certainty::Possible)
    };
    evidence.extend(tables::place(state, key.netns));
    let dials = |ends: &Endpoints| ends.destination == dialled || ends.destination == row.server;
    let flows = recent_flows(state).filter(|(flow, _)| is_open && dials(&flow.endpoints));
    Finding {
        certainty,
        subject: Some(Subject::Flow(FlowKey { netns: key.netns, endpoints: row.newest })),
        evidence,
        advice: advice(state, key, row),
        affects: Affects { connections: row.unanswered, ..Affects::of_flows(state, flows) },
        span: Some(row.spell.span),
        is_open,
        ..Finding::new(
            ConntrackStaleMapping::ID,
            about(key),
            severity,
            format!("{dialled} → {}", row.server),
            what,
        )
    }
}

fn at(time: Timestamp) -> String {
    time_of_day_milliseconds(time)
}

fn advice(state: &State, key: &StaleKey, row: &Stale) -> Vec<String> {
    const TIMEOUT: &str = "net.netfilter.nf_conntrack_tcp_timeout_syn_sent";
    let (dialled, server) = (row.newest.destination, row.server);
    let family = if dialled.is_ipv6() { " -f ipv6" } else { "" };
    let mut lines = vec![format!(
        "`conntrack -D{family} -p tcp --orig-dst {} --orig-port-dst {} --reply-src {}`: the next SYN is translated by the rules of now",
        dialled.ip(),
        dialled.port(),
        server.ip()
    )];
    let timeout = tables::setting(state, key.netns, TIMEOUT);
    lines.extend(
        timeout
            .filter(|_| row.tcp_state == Some("SYN_SENT"))
            .map(|timeout| format!("or wait: an entry in SYN_SENT is gone after so many seconds: {timeout}")),
    );
    lines.push(
        "let whoever removes a server also remove its entries (kube-proxy does so for UDP only)".to_owned(),
    );
    lines.push(format!(
        "confirm: `conntrack -L{family} -p tcp --orig-dst {} --reply-src {}` lists none",
        dialled.ip(),
        server.ip()
    ));
    lines
}
