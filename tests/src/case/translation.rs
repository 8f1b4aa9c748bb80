//! What conntrack answers about flows that retransmit: the virtual address is joined with the real server where no hook
//! told it. Truth: the rule that translates.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::{Case, Setting};
use crate::{
    expect::{Events, Selection},
    namespace::Namespace,
    need::Need,
    topology::{Cluster, FAR, Family, NEAR, Pair},
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "translation-dialled",
        proves: "a client whose SYNs are lost behind its own node's DNAT: the real server is told, and no address twice",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| dialled(setting, family)),
    },
    Case {
        name: "translation-answered",
        proves: "a server whose SYN-ACKs are lost: the virtual address its client dialled is told",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| answered(setting, family)),
    },
    Case {
        name: "translation-none",
        proves: "flows that conntrack tracks and does not translate have nothing told",
        needs: NEEDS,
        run: untranslated,
    },
];

const NEEDS: &[Need] = &[Need::Nftables, Need::Conntrack, Need::ConntrackNetlink];

const FAMILIES: &str = "conntrack,retransmit";
const SERVICE_PORT: u16 = 80;
const SERVER_PORT: u16 = 8_080;

fn service(family: Family) -> SocketAddr {
    SocketAddr::new(Cluster::virtual_address(family), SERVICE_PORT)
}

/// Sends what is dialled as the service to a server, at a hook of the namespace.
fn translate(namespace: &Namespace, hook: &str, family: Family, server: SocketAddr) -> Result<()> {
    let (ip, priority) = (if family == Family::V4 { "ip" } else { "ip6" }, -100);
    let service = service(family);
    namespace.nft(&format!(
        "table {ip} service {{ chain translate {{ type nat hook {hook} priority {priority}; \
         {ip} daddr {} tcp dport {} dnat to {server}; }}; }}",
        service.ip(),
        service.port()
    ))
}

fn told<'a>(events: &'a Events, namespace: &Namespace) -> Selection<'a> {
    events.of("translation", namespace)
}

/// Fails unless the tuple of an event goes between these ends.
fn goes(event: &serde_json::Value, tuple: &str, source: SocketAddr, destination: SocketAddr) -> Result<()> {
    let ends = &event[tuple];
    ensure!(
        ends["src"] == source.ip().to_string()
            && ends["sport"] == source.port()
            && ends["dst"] == destination.ip().to_string()
            && ends["dport"] == destination.port(),
        "{tuple} is not {source} → {destination}: {event}"
    );
    Ok(())
}

fn repeats(events: &Events, namespace: &Namespace, kind: &str) -> usize {
    events.of("retransmit", namespace).with("kind", kind).events().len()
}

/// The client's own namespace translates, as a node does that dials a service of its cluster.
fn dialled(setting: &Setting, family: Family) -> Result<()> {
    const CLIENT_PORT: u16 = 41_000;
    let pair = Pair::new()?;
    let (client, server) = (family.at(NEAR, CLIENT_PORT), family.at(FAR, SERVER_PORT));
    translate(&pair.near, "output", family, server)?;
    pair.near.ip(&format!("route add {} via {}", service(family).ip(), family.host(FAR)))?;
    pair.lose_at_far("tcp flags & syn == syn")?;
    let tracer = setting.trace(&["--only", FAMILIES])?;
    let dialling = traffic::dial(&pair.near, client, service(family))?;
    tracer.wait_for("a translation", |events| !told(events, &pair.near).is_empty())?;
    // Asked again two seconds later, it has not changed.
    tracer.wait_for("three repeats", |events| repeats(events, &pair.near, "syn") >= 3)?;
    drop(dialling);
    let events = tracer.stop()?.events;
    let told = told(&events, &pair.near);
    told.exactly(1)?
        .all_have("translated", "dnat")?
        .all_have("flow", "original")?
        .all_have("tcp_state", "SYN_SENT")?
        .all_have("answered", false)?;
    goes(told.first()?, "original", client, service(family))?;
    goes(told.first()?, "reply", server, client)?;
    events.accounting("translation")?.balances()
}

/// The server's own namespace translates, as a node does whose pod answers for a service.
fn answered(setting: &Setting, family: Family) -> Result<()> {
    const CLIENT_PORT: u16 = 41_001;
    let pair = Pair::new()?;
    let (client, server) = (family.at(NEAR, CLIENT_PORT), family.at(FAR, SERVER_PORT));
    translate(&pair.far, "prerouting", family, server)?;
    pair.near.ip(&format!("route add {} via {}", service(family).ip(), family.host(FAR)))?;
    let listener = traffic::listen(&pair.far, server)?;
    pair.lose_at_near("tcp flags & (syn | ack) == syn | ack")?;
    let tracer = setting.trace(&["--only", FAMILIES])?;
    let dialling = traffic::dial(&pair.near, client, service(family))?;
    tracer.wait_for("a translation", |events| !told(events, &pair.far).is_empty())?;
    drop((dialling, listener));
    let events = tracer.stop()?.events;
    let told = told(&events, &pair.far);
    told.all_have("translated", "dnat")?.all_have("flow", "reply")?.all_have("tcp_state", "SYN_RECV")?;
    goes(told.first()?, "original", client, service(family))?;
    goes(told.first()?, "reply", server, client)?;
    Ok(())
}

/// A rule tracks connections and nothing translates them.
fn untranslated(setting: &Setting) -> Result<()> {
    const FAMILY: Family = Family::V4;
    let pair = Pair::new()?;
    pair.near.nft(
        "table inet track { chain out { type filter hook output priority 0; ct state new counter; }; }",
    )?;
    pair.lose_at_far("tcp flags & syn == syn")?;
    let tracer = setting.trace(&["--only", FAMILIES])?;
    let dialling = traffic::dial(&pair.near, FAMILY.at(NEAR, 0), FAMILY.at(FAR, SERVICE_PORT))?;
    // The second look-up is due by the third repeat.
    tracer.wait_for("three repeats", |events| repeats(events, &pair.near, "syn") >= 3)?;
    drop(dialling);
    let events = tracer.stop()?.events;
    told(&events, &pair.near).exactly(0)?;
    Ok(())
}
