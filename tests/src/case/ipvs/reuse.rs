//! Source ports that are used again while IPVS still has their old entry.

use anyhow::{Result, ensure};

use super::service::{Service, finish};
use crate::{case::Setting, topology::Family, traffic};

const CONNECTIONS: u16 = 6;

/// A service whose one server served all connections, and was then drained in favour of the other.
fn drained() -> Result<Service> {
    let service = Service::new(Family::V4, false)?;
    service.add_server(0, 1)?;
    for number in 0..CONNECTIONS {
        service.connect_and_close(number)?;
    }
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    Ok(service)
}

/// `conn_reuse_mode` 0: every connection from a port used before reaches the drained server. Truth: the server that
/// accepts it, and the weight given.
pub(super) fn reused(setting: &Setting) -> Result<()> {
    let service = drained()?;
    service.set("conn_reuse_mode", 0)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    for number in 0..CONNECTIONS {
        service.connect_and_close(number)?;
    }
    tracer
        .wait_for("every reuse", |events| service.all_told(events, "reused").count() >= CONNECTIONS.into())?;
    let events = finish(tracer)?;
    for number in 0..CONNECTIONS {
        service
            .told(&events, number, "reused")
            .exactly(1)?
            .all_have("real", service.server(0).to_string())?
            .all_have("weight", 0)?
            .all_have("conn_state", "TIME_WAIT")?
            .all_have("reuse_mode", 0)?
            .all_have("expire_nodest", 0)?;
    }
    service.all_told(&events, "scheduled").exactly(0)?;
    service.all_told(&events, "rescheduled").exactly(0)?;
    Ok(())
}

/// `conn_reuse_mode` 1: the same connections are scheduled anew. Truth: the weights leave only the other server.
pub(super) fn rescheduled(setting: &Setting) -> Result<()> {
    let service = drained()?;
    service.set("conn_reuse_mode", 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    for number in 0..CONNECTIONS {
        service.connect_and_close(number)?;
    }
    tracer.wait_for("every rescheduling", |events| {
        service.all_told(events, "rescheduled").count() >= CONNECTIONS.into()
    })?;
    let events = finish(tracer)?;
    for number in 0..CONNECTIONS {
        service
            .told(&events, number, "rescheduled")
            .exactly(1)?
            .all_have("real", service.server(1).to_string())?
            .all_have("weight", 1)?
            .all_have("reuse_mode", 1)?;
    }
    service.all_told(&events, "reused").exactly(0)?;
    Ok(())
}

/// A server dies before it answers, and is drained: with `expire_nodest_conn` 1 and a confirmed conntrack entry the
/// next SYN only removes the old entry and is dropped; the one after it is scheduled, and the client connects. Truth:
/// the connection that succeeds at the other server after repeated SYNs.
pub(super) fn delayed(setting: &Setting) -> Result<()> {
    let service = Service::new(Family::V4, true)?;
    service.add_server(0, 1)?;
    service.silence(0)?;
    service.set("expire_nodest_conn", 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let dialling = service.dial(0)?;
    tracer.wait_for("the first SYN", |events| !service.told(events, 0, "scheduled").is_empty())?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    let connection = traffic::wait_connected(dialling)?;
    service.close(connection)?;
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
    Ok(())
}
