//! Source ports that are used again while IPVS still has their old entry.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::service::{Service, finish};
use crate::{
    case::{Setting, note},
    counters::Counters,
    topology::Family,
    traffic,
};

pub(super) const CONNECTIONS: u16 = 100;

/// A service whose one server served all connections, and was then drained in favour of the other.
fn drained(family: Family) -> Result<Service> {
    let service = Service::new(family, false)?;
    serve_and_drain(&service)?;
    Ok(service)
}

/// Lets the first server serve all connections, and drains it in favour of the other.
pub(super) fn serve_and_drain(service: &Service) -> Result<()> {
    service.add_server(0, 1)?;
    let accepted = service.connect_and_close_all(CONNECTIONS)?;
    ensure!(accepted == [CONNECTIONS.into(), 0], "accepted {accepted:?}");
    service.add_server(1, 1)?;
    service.set_weight(0, 0)
}

/// The states of entries whose connection has ended: `CLOSE` where an end that was late, as on a busy machine, answered
/// the last segment with a reset. IPVS decides alike about both (`is_new_conn_expected`, v6.12).
fn ended() -> [Value; 2] {
    ["TIME_WAIT".into(), "CLOSE".into()]
}

/// `conn_reuse_mode` 0: every connection from a port used before reaches the drained server. Truth: the server that
/// accepts it, the weight given, and the connections `ipvsadm` counts: no new ones.
pub(super) fn reused(setting: &Setting, family: Family) -> Result<()> {
    let service = drained(family)?;
    service.set("conn_reuse_mode", 0)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let accepted = service.connect_and_close_all(CONNECTIONS)?;
    ensure!(accepted == [CONNECTIONS.into(), 0], "accepted {accepted:?}");
    tracer
        .wait_for("every reuse", |events| service.all_told(events, "reused").count() >= CONNECTIONS.into())?;
    let events = finish(tracer)?;
    for number in 0..CONNECTIONS {
        service.told(&events, number, "reused").exactly(1)?;
    }
    service
        .all(&events)
        .exactly(CONNECTIONS.into())?
        .all_have("decision", "reused")?
        .all_have("real", service.server(0).to_string())?
        .all_have("weight", 0)?
        .all_have("available", true)?
        .all_have("forward", "nat")?
        .all_have_one_of("conn_state", &ended())?
        .all_have("reuse_mode", 0)?
        .all_have("expire_nodest", 0)?;
    service.wait_for_count(0, CONNECTIONS.into())?;
    service.wait_for_count(1, 0)
}

/// A rollout: the first server is drained in favour of the other, yet gets every connection from a port used before, and
/// dies; with `conn_reuse_mode` 1 all reach the other. Truth: the servers that accept.
pub(in crate::case) fn drained_and_dialled(setting: &Setting) -> Result<()> {
    const DIALLED: u16 = 40;
    let service = Service::new(Family::V4, false)?;
    service.set("conn_reuse_mode", 0)?;
    service.add_server(0, 1)?;
    let tracer = setting.trace(&[])?;
    ensure!(service.connect_and_close_all(DIALLED)? == [DIALLED.into(), 0], "not all reached the one server");
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    ensure!(service.connect_and_close_all(DIALLED)? == [DIALLED.into(), 0], "IPVS has forgotten its entries");
    service.silence(0)?;
    // The last port: its entry waits for the server's answer from now on, and is none to be reused.
    let dialling = service.dial(DIALLED - 1)?;
    tracer.wait_for("SYNs nobody answers", |events| {
        events.of("retransmit", &service.cluster.client).with("kind", "syn").count() >= 2
    })?;
    let drained = service.server(0).to_string();
    tracer.wait_for_finding("ipvs-reuse-drained", &drained)?;
    drop(dialling);
    service.set("conn_reuse_mode", 1)?;
    let accepted = service.connect_and_close_all(DIALLED - 1)?;
    ensure!(accepted == [0, (DIALLED - 1).into()], "accepted {accepted:?} after the repair");
    tracer.wait_for_closed("ipvs-reuse-drained", &drained)?;
    let events = finish(tracer)?;
    events.only_findings(&[("ipvs-reuse-drained", &drained)])?;
    let onto_drained = service.all_told(&events, "reused").with("real", service.server(0).to_string());
    ensure!(onto_drained.count() > DIALLED.into(), "{} of {DIALLED} told", onto_drained.count());
    onto_drained.all_have("weight", 0)?;
    Ok(())
}

/// `conn_reuse_mode` 1: the same connections are scheduled anew. Truth: the server that accepts them, and the
/// connections `ipvsadm` counts for it.
pub(super) fn rescheduled(setting: &Setting) -> Result<()> {
    let service = drained(Family::V4)?;
    service.set("conn_reuse_mode", 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let accepted = service.connect_and_close_all(CONNECTIONS)?;
    ensure!(accepted == [0, CONNECTIONS.into()], "accepted {accepted:?}");
    tracer.wait_for("every rescheduling", |events| {
        service.all_told(events, "rescheduled").count() >= CONNECTIONS.into()
    })?;
    let events = finish(tracer)?;
    for number in 0..CONNECTIONS {
        service.told(&events, number, "rescheduled").exactly(1)?;
    }
    service
        .all(&events)
        .exactly(CONNECTIONS.into())?
        .all_have("decision", "rescheduled")?
        .all_have("real", service.server(1).to_string())?
        .all_have("weight", 1)?
        .all_have_one_of("conn_state", &ended())?
        .all_have("reuse_mode", 1)?;
    service.wait_for_count(0, CONNECTIONS.into())?;
    service.wait_for_count(1, CONNECTIONS.into())
}

/// A server dies before it answers, and is drained: with `expire_nodest_conn` 1 and a confirmed conntrack entry the
/// next SYN only removes the old entry and is dropped; the one after it is scheduled, and the client connects. Truth:
/// the connection that succeeds at the other server, and the SYNs the client counts: each is told once. From the drop to
/// the next SYN the client waits for its timeout, which is about a second at least.
pub(super) fn delayed(setting: &Setting) -> Result<()> {
    let service = Service::new(Family::V4, true)?;
    service.add_server(0, 1)?;
    service.silence(0)?;
    service.set("expire_nodest_conn", 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let before = Counters::tcp(&service.cluster.client)?;
    let dialling = service.dial(0)?;
    tracer.wait_for("the first SYN", |events| !service.told(events, 0, "scheduled").is_empty())?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    let connection = traffic::wait_connected(dialling)?;
    service.close(connection)?;
    let syns = 1 + Counters::tcp(&service.cluster.client)?.growth(&before, "TcpExtTCPSynRetrans")?;
    tracer.wait_for("the second scheduling", |events| service.told(events, 0, "scheduled").count() >= 2)?;
    let events = finish(tracer)?;
    service
        .told(&events, 0, "delayed")
        .exactly(1)?
        .all_have("real", service.server(0).to_string())?
        .all_have("weight", 0)?
        .all_have("expire_nodest", 1)?;
    let scheduled = service.told(&events, 0, "scheduled");
    scheduled.exactly(2)?;
    let reals: Vec<_> = scheduled.events().iter().map(|event| event["real"].as_str()).collect();
    let (first, second) = (service.server(0).to_string(), service.server(1).to_string());
    ensure!(reals == [Some(first.as_str()), Some(second.as_str())], "scheduled to {reals:?}");
    // SYNs repeated before the server was drained met the first entry.
    let reused = service.told(&events, 0, "reused").count();
    service.all(&events).exactly(syns)?.exactly(3 + reused)?;
    let delayed = service.told(&events, 0, "delayed");
    let waited = seconds(scheduled.events()[1])? - seconds(delayed.first()?)?;
    ensure!(waited >= SYN_TIMEOUT_SECONDS, "the client waited {waited} s only");
    note(&format!("delayed: the client's next SYN came {waited:.3} s after the one that was dropped"));
    Ok(())
}

/// Half the shortest time after which a client repeats a SYN (`TCP_TIMEOUT_INIT`): either packet may be late.
const SYN_TIMEOUT_SECONDS: f64 = 0.5;

/// The time of day of an event, in seconds. A case does not go on past midnight twice.
fn seconds(event: &Value) -> Result<f64> {
    let time =
        event["time"].as_str().and_then(|time| time.split('T').nth(1)).context("an event has a time")?;
    let [hours, minutes, seconds] = time
        .trim_end_matches(|last: char| !last.is_ascii_digit())
        .split(':')
        .map(|part| part.parse::<f64>().with_context(|| format!("the time {time}")))
        .collect::<Result<Vec<_>>>()?[..]
    else {
        bail!("the time {time}");
    };
    Ok(hours * 3600.0 + minutes * 60.0 + seconds)
}
