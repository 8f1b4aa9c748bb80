//! Conntrack's counters, which need no hook.

use anyhow::{Result, ensure};

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

/// Flows begin in one namespace, and none in another. Truth: the kernel's own table.
fn counters(setting: &Setting) -> Result<()> {
    const FLOWS: u16 = 200;
    const FIRST_PORT: u16 = 20_000;
    const PORT: u16 = 80;
    const FAMILY: Family = Family::V4;
    let pair = Pair::new()?;
    pair.far.nft(TRACK)?;
    let receiver = traffic::udp(&pair.far, FAMILY.at(FAR, PORT))?;
    let tracer = setting.trace(&["--only", "conntrack"])?;
    // At first sight, before the node is ready.
    let first = tracer.ask(|events| first_told(events, &pair.far))?;
    ensure!(first == 0, "entries before any flow: {first}");
    let before = Counters::conntrack(&pair.far)?;
    traffic::knock_from(&pair.near, FAMILY.host(NEAR), FIRST_PORT..FIRST_PORT + FLOWS, FAMILY.at(FAR, PORT))?;
    let after = Counters::conntrack(&pair.far)?;
    drop(receiver);
    ensure!(after.growth(&before, "insert")? == u64::from(FLOWS), "not every flow got an entry");
    tracer.wait_for("the growth", |events| grown(events, &pair.far, "insert") == u64::from(FLOWS))?;
    let events = tracer.stop()?.events;
    let told = events.of("conntrack-counters", &pair.far);
    ensure!(told.count() <= 1 + 3, "{} events of one burst", told.count());
    let last = told.events()[told.events().len() - 1];
    for (name, column) in NAMES {
        let kernel = after.value(column)?;
        ensure!(last[name].as_u64() == Some(kernel), "{name} is {kernel}, and told is {last}");
    }
    ensure!(last.get("chaintoolong").is_some() == after.value("chainlength").is_ok(), "{last}");
    let limit: u64 = pair
        .far
        .enter(|| Ok(std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max")?))?
        .trim()
        .parse()?;
    ensure!(last["count"] == u64::from(FLOWS) && last["max"] == limit, "not {FLOWS} of {limit}: {last}");
    // Nothing happened there, so there is no more than the first sight of it.
    events.of("conntrack-counters", &pair.near).exactly(1)?.all_have("insert", 0)?;
    Ok(())
}

fn first_told(events: &Events, namespace: &Namespace) -> Result<u64> {
    let told = events.of("conntrack-counters", namespace);
    Ok(told.first()?["count"].as_u64().unwrap_or(u64::MAX))
}
