//! Conntrack's counters, which need no hook.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Case, Setting,
    conntrack::{TRACK, grown},
};
use crate::{
    counters::Counters,
    expect::Events,
    namespace::Namespace,
    need::Need,
    topology::{FAR, Family, NEAR, Pair},
    traffic,
};

pub(super) const CASES: &[Case] = &[Case {
    name: "conntrack-counters",
    proves: "the counters of every namespace are told at first sight and as they grow, equal to the kernel's",
    needs: &[Need::Nftables, Need::Conntrack],
    run: counters,
}];

/// Names in events, and in the kernel's own table.
const NAMES: [(&str, &str); 9] = [
    ("found", "found"),
    ("invalid", "invalid"),
    ("insert", "insert"),
    ("insert_failed", "insert_failed"),
    ("drop", "drop"),
    ("early_drop", "early_drop"),
    ("error", "icmp_error"),
    ("search_restart", "search_restart"),
    ("clash_resolve", "clashres"),
];

/// Flows fill the table of one namespace, and the other gets ICMP errors about a flow it did not track, which it counts
/// as such. Truth: the kernel's own tables.
fn counters(setting: &Setting) -> Result<()> {
    const FLOWS: u16 = 200;
    const FIRST_PORT: u16 = 20_000;
    const PORT: u16 = 80;
    const CLOSED_PORT: u16 = 9;
    const FAMILY: Family = Family::V4;
    let pair = Pair::new()?;
    pair.near.nft(TRACK)?;
    pair.near.nft(&format!(
        "table inet blind {{ chain out {{ type filter hook output priority -300; \
         udp dport {CLOSED_PORT} notrack; }}; }}"
    ))?;
    pair.far.nft(TRACK)?;
    let receiver = traffic::udp(&pair.far, FAMILY.at(FAR, PORT))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    tracer.wait_for("the first sight of both", |events| {
        [&pair.near, &pair.far].iter().all(|namespace| last_told(events, namespace)["count"] == 0)
    })?;
    let before = Counters::conntrack(&pair.near)?;
    let ports = FIRST_PORT..FIRST_PORT + FLOWS;
    traffic::knock_from(&pair.near, FAMILY.host(NEAR), ports, FAMILY.at(FAR, PORT))?;
    traffic::knock(&pair.near, FAMILY.at(NEAR, FIRST_PORT), FAMILY.at(FAR, CLOSED_PORT))?;
    let errors = Counters::conntrack(&pair.near)?.growth(&before, "icmp_error")?;
    ensure!(errors > 0, "the kernel counted no ICMP error");
    let entries = number(&pair.far, "nf_conntrack_count")?;
    ensure!(entries >= u64::from(FLOWS), "not every flow got an entry: {entries}");
    tracer.wait_for("the growth", |events| {
        grown(events, &pair.near, "error") == errors && last_told(events, &pair.far)["count"] == entries
    })?;
    let events = tracer.stop()?.events;
    drop(receiver);
    for namespace in [&pair.near, &pair.far] {
        let (last, kernel) = (last_told(&events, namespace), Counters::conntrack(namespace)?);
        for (name, column) in NAMES {
            let kernel = kernel.value(column)?;
            ensure!(last[name] == kernel, "{name} is {kernel}, and told is {last}");
        }
        ensure!(last.get("chaintoolong").is_some() == kernel.value("chainlength").is_ok(), "{last}");
        let limit = number(namespace, "nf_conntrack_max")?;
        ensure!(last["max"] == limit, "not of {limit} at most: {last}");
        // One at first sight, and no more than the burst took seconds.
        let told = events.of("conntrack-counters", namespace).count();
        super::note(&format!("{told} events of {}", namespace.name()));
    }
    Ok(())
}

fn number(namespace: &Namespace, name: &str) -> Result<u64> {
    let path = format!("/proc/sys/net/netfilter/{name}");
    let text = namespace.enter(|| fs::read_to_string(&path).with_context(|| format!("read {path}")))?;
    text.trim().parse().with_context(|| format!("{path}: {text}"))
}

/// The last event about a namespace; null if there is none.
fn last_told(events: &Events, namespace: &Namespace) -> Value {
    events.of("conntrack-counters", namespace).events().last().copied().cloned().unwrap_or_default()
}
