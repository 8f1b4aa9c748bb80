//! Services that bind a client to one server, and services known by a firewall mark.

use anyhow::{Result, ensure};

use super::service::{Plan, Service, finish, mark_packets};
use crate::{case::Setting, topology::Family};

/// A persistent service: all connections of the client go to one server, also once that one is drained. Each is told once
/// and the template never. Truth: the server that accepts them, the weight given, and the entries `ipvsadm` lists.
pub(super) fn persistent(setting: &Setting) -> Result<()> {
    const CONNECTIONS: u16 = 6;
    let service = Service::like(Plan { options: "--persistent 300", ..Plan::TCP })?;
    service.add_server(0, 1)?;
    service.add_server(1, 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    service.connect_and_close(0)?;
    tracer.wait_for("the first connection", |events| !service.told(events, 0, "scheduled").is_empty())?;
    let first = tracer.ask(|events| service.all(events).first().map(|event| event["real"].clone()))?;
    let chosen = u8::from(first == service.server(1).to_string());
    service.set_weight(chosen, 0)?;
    for number in 1..CONNECTIONS {
        service.connect_and_close(number)?;
    }
    service.wait_for_count(chosen, CONNECTIONS.into())?;
    let listed = service.ipvsadm("--list --connection --numeric")?;
    let template = format!("{}:0 ", service.client(0).ip());
    ensure!(listed.contains(&template), "there is no template: {listed}");
    let events = finish(tracer)?;
    service.told(&events, 0, "scheduled").exactly(1)?.all_have("weight", 1)?;
    for number in 1..CONNECTIONS {
        service.told(&events, number, "scheduled").exactly(1)?.all_have("weight", 0)?;
    }
    service
        .all(&events)
        .exactly(CONNECTIONS.into())?
        .all_have("persistent", true)?
        .all_have("real", service.server(chosen).to_string())?;
    Ok(())
}

/// A service known by a firewall mark: what was dialled is told, and the mark. Truth: what was dialled, the mark given,
/// and the server that accepts.
pub(super) fn marked_service(setting: &Setting) -> Result<()> {
    const MARK: u32 = 7;
    let service = Service::like(Plan { mark: Some(MARK), ..Plan::TCP })?;
    service.add_server(0, 2)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let accepted = service.connect_and_close_all(3)?;
    ensure!(accepted == [3, 0], "accepted {accepted:?}");
    let events = finish(tracer)?;
    service
        .all(&events)
        .exactly(3)?
        .all_have("decision", "scheduled")?
        .all_have("fwmark", MARK)?
        .all_have("weight", 2)?
        .all_have("real", service.server(0).to_string())?;
    Ok(())
}

/// Packets that bear a mark for another purpose, to a service known by its address: no mark is told.
pub(super) fn marked_packets(setting: &Setting) -> Result<()> {
    let service = Service::new(Family::V4, false)?;
    mark_packets(&service.cluster, 0x4000)?;
    service.add_server(0, 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let accepted = service.connect_and_close_all(3)?;
    ensure!(accepted == [3, 0], "accepted {accepted:?}");
    let events = finish(tracer)?;
    service.all_told(&events, "scheduled").exactly(3)?;
    service.all(&events).without("fwmark").exactly(3)?;
    Ok(())
}
