//! Trouble of connection tracking, named; and busy translation about which nothing is said. Truth: the kernel's own
//! counters, and connections that succeed once what is advised has been done.

use anyhow::{Context, Result, ensure};

use super::{
    Case, Setting,
    conntrack::{TRACK, TableLimit, client, server, translate_to, until_repeated, virtual_service},
    ipvs::finding::{closed, opened},
    note,
};
use crate::{
    counters::Counters,
    need::Need,
    topology::{Cluster, FAR, Family, NEAR, Pair, lose},
    traffic,
};

const FULL: &str = "conntrack-table-full";
const STALE: &str = "conntrack-stale-mapping";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "finding-conntrack-full",
        proves: "a table of conntrack that is full is named, until it has room",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: full,
    },
    Case {
        name: "finding-conntrack-full-counted",
        proves: "the same where no function can be hooked, by the counters alone",
        needs: &[Need::Nftables, Need::Conntrack],
        run: full_counted,
    },
    Case {
        name: "finding-conntrack-stale",
        proves: "a new connection that keeps the translation to a dead server is named, and what is advised mends it",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack, Need::ConntrackNetlink],
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| stale(setting, family)),
    },
    Case {
        name: "finding-conntrack-none",
        proves: "of many short translated connections from ports used again, nothing is said",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: busy,
    },
];

fn full(setting: &Setting) -> Result<()> {
    fill(setting, &[])
}

fn full_counted(setting: &Setting) -> Result<()> {
    fill(setting, &["--avoid", "fentry,kprobe"])
}

/// Many flows meet a full table. Its counters say that it drops.
fn fill(setting: &Setting, arguments: &[&str]) -> Result<()> {
    const SPARE_ENTRIES: u64 = 200;
    const FLOWS: u16 = 1_000;
    const PORT: u16 = 80;
    const FAMILY: Family = Family::V4;
    let pair = Pair::new()?;
    pair.far.nft(TRACK)?;
    let receiver = traffic::udp(&pair.far, FAMILY.at(FAR, PORT))?;
    let tracer = setting.trace(arguments)?;
    // What the counters grew by is known from the second look on.
    tracer.wait_for("the first look at the counters", |events| {
        !events.of("conntrack-counters", &pair.far).is_empty()
    })?;
    let before = Counters::conntrack(&pair.far)?;
    let limit = TableLimit::leave(SPARE_ENTRIES)?;
    traffic::knock_from(&pair.near, FAMILY.host(NEAR), 20_000..20_000 + FLOWS, FAMILY.at(FAR, PORT))?;
    let dropped = Counters::conntrack(&pair.far)?.growth(&before, "drop")?;
    ensure!(dropped > 0, "the kernel dropped nothing: the table was never full");
    let line = opened(&tracer, FULL, "conntrack table of")?;
    ensure!(line["netns"] == pair.far.inode(), "of another namespace: {line}");
    // It may have been looked at before it was quite full.
    tracer.wait_for("the finding to be critical", |events| {
        !events.of("finding", &pair.far).with("id", FULL).with("severity", "critical").is_empty()
    })?;
    drop(limit);
    closed(&tracer, FULL, "conntrack table of")?;
    drop(receiver);
    tracer.stop()?.events.only_findings(&[(FULL, "conntrack table of")])
}

/// As `conntrack-reused`: the rules name another server, yet the connection is sent to the dead one.
fn stale(setting: &Setting, family: Family) -> Result<()> {
    let cluster = Cluster::new()?;
    translate_to(&cluster.director, server(family, 0))?;
    lose(&cluster.servers[0], "member0", "meta l4proto tcp")?;
    let listener = traffic::listen(&cluster.servers[1], server(family, 1))?;
    let tracer = setting.trace(&[])?;
    let before = Counters::tcp(&cluster.client)?;
    let first = traffic::dial(&cluster.client, client(family), virtual_service(family))?;
    until_repeated(&cluster.client, &before, 2)?;
    drop(first);
    translate_to(&cluster.director, server(family, 1))?;
    let dialling = traffic::dial(&cluster.client, client(family), virtual_service(family))?;
    let pair = format!("{} → {}", virtual_service(family), server(family, 0));
    let line = opened(&tracer, STALE, &pair)?;
    let advice = line["advice"][0].as_str().context("no advice")?;
    let command = advice.split('`').nth(1).unwrap_or_default();
    let arguments = command.strip_prefix("conntrack ").with_context(|| format!("no command: {advice}"))?;
    cluster.director.run("conntrack", arguments)?;
    drop(traffic::wait_connected(dialling)?);
    drop(traffic::accept(&listener)?);
    closed(&tracer, STALE, &pair)?;
    let outage = virtual_service(family).ip().to_string();
    tracer.stop()?.events.only_findings(&[(STALE, &pair), ("path-outage", &outage)])
}

/// Short connections through translation, from few ports, each of which meets its finished entry again.
fn busy(setting: &Setting) -> Result<()> {
    const ROUNDS: u16 = 10;
    const PORTS: u16 = 100;
    const FIRST_PORT: u16 = 43_000;
    const FAMILY: Family = Family::V4;
    let cluster = Cluster::new()?;
    translate_to(&cluster.director, server(FAMILY, 0))?;
    let listener = traffic::listen(&cluster.servers[0], server(FAMILY, 0))?;
    let tracer = setting.trace(&[])?;
    let from = |port| (client(FAMILY).ip(), FIRST_PORT + port).into();
    for _ in 0..ROUNDS {
        let dialled = (0..PORTS)
            .map(|port| traffic::dial(&cluster.client, from(port), virtual_service(FAMILY)))
            .collect::<Result<Vec<_>>>()?;
        let connections = dialled.into_iter().map(traffic::wait_connected).collect::<Result<Vec<_>>>()?;
        for _ in &connections {
            drop(traffic::accept(&listener)?);
        }
        connections.into_iter().try_for_each(traffic::wait_closed)?;
        traffic::settle(&cluster.client)?;
        traffic::settle(&cluster.servers[0])?;
    }
    let reopened = u64::from(ROUNDS - 1) * u64::from(PORTS);
    tracer.wait_for("the entries used again", |events| {
        let told = events.of("conntrack", &cluster.director);
        told.with("event", "reopened").count() >= reopened / 2
    })?;
    let events = tracer.stop()?.events;
    let told = |event| events.of("conntrack", &cluster.director).with("event", event).count();
    note(&format!("{} reopened, {} reused", told("reopened"), told("reused")));
    events.only_findings(&[])
}
