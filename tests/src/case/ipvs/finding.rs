//! What goes wrong at rollouts behind IPVS, named; and rollouts that go well, about which nothing is said. Truth: the
//! servers that accept, the clients' own errors, and the settings and weights given.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::service::{Plan, Service};
use crate::{
    case::{Case, Setting, note},
    counters::Counters,
    expect::Events,
    need::Need,
    topology::Family,
    tracer::Tracer,
    traffic, wait,
};

const NEEDS: &[Need] = super::NEEDS;

pub(in crate::case) const CASES: &[Case] = &[
    Case {
        name: "finding-ipvs-rollout",
        proves: "of a rollout with conn_reuse_mode=0, the drained and the removed server are named, until each is mended",
        needs: NEEDS,
        run: |setting| Family::BOTH.into_iter().try_for_each(|family| rollout(setting, family)),
    },
    Case {
        name: "finding-ipvs-persistent",
        proves: "new connections that persistence sends to a drained server are named with its setting",
        needs: NEEDS,
        run: persistent,
    },
    Case {
        name: "finding-ipvs-delayed",
        proves: "SYNs that are dropped to get rid of old entries are named",
        needs: NEEDS,
        run: delayed,
    },
    Case {
        name: "finding-ipvs-refused",
        proves: "a service whose servers are all drained is named, until one is back",
        needs: NEEDS,
        run: refused,
    },
    Case {
        name: "finding-ipvs-none",
        proves: "of rolling updates that go well, with ports used again, nothing is said",
        needs: NEEDS,
        run: goes_well,
    },
];

pub(super) const DRAINED: &str = "ipvs-reuse-drained";
const GONE: &str = "ipvs-destination-gone";
const DELAYED: &str = "ipvs-syn-delayed";
pub(super) const REFUSED: &str = "ipvs-no-destination";

/// Waits for a finding, and notes how long it took.
pub(in crate::case) fn opened(tracer: &Tracer, id: &str, subject: &str) -> Result<serde_json::Value> {
    let begun = Instant::now();
    let line = tracer.wait_for_finding(id, subject)?;
    note(&format!("{id}: opened {:.1} s after the first symptom", begun.elapsed().as_secs_f64()));
    Ok(line)
}

/// Waits for its end, and notes how long that took.
pub(in crate::case) fn closed(tracer: &Tracer, id: &str, subject: &str) -> Result<()> {
    let begun = Instant::now();
    tracer.wait_for_closed(id, subject)?;
    note(&format!("{id}: closed {:.1} s after the repair", begun.elapsed().as_secs_f64()));
    Ok(())
}

/// Fails unless the title or a line of advice of a finding has these words in it.
pub(super) fn says(line: &serde_json::Value, words: &str) -> Result<()> {
    ensure!(line.to_string().contains(words), "not a word of {words:?} in {line}");
    Ok(())
}

/// A server is replaced as by a rollout: another is added, the first one drained and then removed, under clients with few
/// ports. The settings are those under which that goes wrong, and are mended one after the other.
fn rollout(setting: &Setting, family: Family) -> Result<()> {
    const PORTS: u16 = 12;
    let service = Service::new(family, false)?;
    service.set("conn_reuse_mode", 0)?;
    service.add_server(0, 1)?;
    let pair = format!("{} → {}", service.address(), service.server(0));
    let tracer = setting.trace(&[])?;
    service.connect_and_close_all(PORTS)?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    let accepted = service.connect_and_close_all(PORTS)?;
    ensure!(accepted == [PORTS.into(), 0], "accepted {accepted:?}");
    let line = opened(&tracer, DRAINED, &pair)?;
    says(&line, "net.ipv4.vs.conn_reuse_mode=0")?;
    says(&line, "weight 1 → 0")?;
    // Only the mode is mended: of the ports of before, half come back.
    service.set("conn_reuse_mode", 1)?;
    let accepted = service.connect_and_close_all(PORTS / 2)?;
    ensure!(accepted == [0, u64::from(PORTS / 2)], "accepted {accepted:?} after the repair");
    closed(&tracer, DRAINED, &pair)?;

    service.set("conn_reuse_mode", 0)?;
    service.remove_server(0)?;
    let before = Counters::tcp(&service.cluster.client)?;
    let dialling = service.dial(PORTS - 1)?;
    wait::until("a SYN that is repeated", || {
        let repeated = Counters::tcp(&service.cluster.client)?.growth(&before, "TcpExtTCPSynRetrans")?;
        Ok((repeated >= 1).then_some(()))
    })?;
    let line = opened(&tracer, GONE, &pair)?;
    says(&line, "sysctl -w net.ipv4.vs.expire_nodest_conn=1")?;
    service.set("expire_nodest_conn", 1)?;
    let connection = traffic::wait_connected(dialling)?;
    service.close(connection)?;
    closed(&tracer, GONE, &pair)?;
    finish(tracer, &[(DRAINED, &pair), (GONE, &pair)])
}

/// Ends the run; fails if anything else was found.
pub(super) fn finish(tracer: Tracer, expected: &[(&str, &str)]) -> Result<()> {
    let events: Events = tracer.stop()?.events;
    events.only_findings(expected)
}

/// The client stays with its server while that is drained.
fn persistent(setting: &Setting) -> Result<()> {
    const CONNECTIONS: u16 = 4;
    let service = Service::like(Plan { options: "--persistent 300", ..Plan::TCP })?;
    service.set("expire_quiescent_template", 0)?;
    service.add_server(0, 1)?;
    let tracer = setting.trace(&[])?;
    service.connect_and_close(0)?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    for number in 1..CONNECTIONS {
        service.connect_and_close(number)?;
    }
    let pair = format!("{} → {}", service.address(), service.server(0));
    let line = opened(&tracer, DRAINED, &pair)?;
    says(&line, "sysctl -w net.ipv4.vs.expire_quiescent_template=1")?;
    service.set("expire_quiescent_template", 1)?;
    service.connect_and_close(CONNECTIONS)?;
    closed(&tracer, DRAINED, &pair)?;
    finish(tracer, &[(DRAINED, &pair)])
}

/// A server dies under several handshakes and is drained: each client's next SYN only makes its entry give way.
fn delayed(setting: &Setting) -> Result<()> {
    const CLIENTS: u16 = 4;
    let service = Service::new(Family::V4, true)?;
    service.add_server(0, 1)?;
    service.silence(0)?;
    service.set("expire_nodest_conn", 1)?;
    let tracer = setting.trace(&[])?;
    let dialling = (0..CLIENTS).map(|number| service.dial(number)).collect::<Result<Vec<_>>>()?;
    tracer.wait_for("the first SYNs", |events| {
        service.all_told(events, "scheduled").count() >= CLIENTS.into()
    })?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    let subject = service.address().to_string();
    opened(&tracer, DELAYED, &subject)?;
    let connections = dialling.into_iter().map(traffic::wait_connected).collect::<Result<Vec<_>>>()?;
    drop(connections);
    closed(&tracer, DELAYED, &subject)?;
    // That nobody answered for a while is true as well.
    finish(tracer, &[(DELAYED, &subject), ("path-outage", &service.address().ip().to_string())])
}

/// All servers of a service are drained.
fn refused(setting: &Setting) -> Result<()> {
    const CLIENTS: u16 = 4;
    let service = Service::new(Family::V4, false)?;
    service.add_server(0, 1)?;
    let tracer = setting.trace(&[])?;
    service.connect_and_close(0)?;
    service.set_weight(0, 0)?;
    for number in 1..=CLIENTS {
        traffic::wait_refused(&service.dial(number)?)?;
    }
    let subject = service.address().to_string();
    let line = opened(&tracer, REFUSED, &subject)?;
    says(&line, "all real servers are drained")?;
    service.set_weight(0, 1)?;
    service.connect_and_close(CLIENTS + 1)?;
    closed(&tracer, REFUSED, &subject)?;
    finish(tracer, &[(REFUSED, &subject)])
}

/// Servers are added, drained and removed under clients with few ports, with settings under which that goes well.
fn goes_well(setting: &Setting) -> Result<()> {
    const PORTS: u16 = 40;
    const ROUNDS: u8 = 6;
    let service = Service::new(Family::V4, false)?;
    service.add_server(0, 1)?;
    let tracer = setting.trace(&[])?;
    let mut connections = u64::from(PORTS);
    service.connect_and_close_all(PORTS)?;
    for round in 0..ROUNDS {
        let (old, new) = (round % 2, 1 - round % 2);
        service.add_server(new, 1)?;
        service.set_weight(old, 0)?;
        let accepted = service.connect_and_close_all(PORTS)?;
        ensure!(accepted[usize::from(old)] == 0, "accepted {accepted:?}");
        service.remove_server(old)?;
        service.connect_and_close_all(PORTS)?;
        connections += 2 * u64::from(PORTS);
    }
    tracer.wait_for("every connection", |events| service.all(events).count() >= connections)?;
    note(&format!("{connections} connections through {ROUNDS} rolling updates"));
    finish(tracer, &[])
}
