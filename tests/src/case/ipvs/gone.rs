//! Services whose servers are gone.

use anyhow::{Result, ensure};

use super::service::{Service, finish};
use crate::{case::Setting, counters::Counters, topology::Family, traffic, wait};

/// The server of an old entry is removed; with `conn_reuse_mode` 0 and `expire_nodest_conn` 0 every SYN from that
/// port is dropped in silence, though another server is there. Truth: the client sent one SYN and `TCPSynRetrans` more.
pub(super) fn dropped(setting: &Setting) -> Result<()> {
    const REPEATS: u64 = 2;
    let service = Service::new(Family::V4, false)?;
    service.add_server(0, 1)?;
    service.connect_and_close(0)?;
    service.add_server(1, 1)?;
    service.remove_server(0)?;
    service.set("conn_reuse_mode", 0)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let before = Counters::tcp(&service.cluster.client)?;
    let repeated = || Counters::tcp(&service.cluster.client)?.growth(&before, "TcpExtTCPSynRetrans");
    let dialling = service.dial(0)?;
    wait::until("repeated SYNs", || Ok((repeated()? >= REPEATS).then_some(())))?;
    drop(dialling);
    let syns = 1 + repeated()?;
    let events = finish(tracer)?;
    service
        .told(&events, 0, "dropped")
        .exactly(syns)?
        .all_have("real", service.server(0).to_string())?
        .all_have("expire_nodest", 0)?;
    service.all_told(&events, "scheduled").exactly(0)?;
    Ok(())
}

/// The same with `expire_nodest_conn` 1, and no conntrack entry in the way: the old entry gives way, and the connection
/// reaches the other server. Truth: the server that accepts it.
pub(super) fn replaced(setting: &Setting) -> Result<()> {
    let service = Service::new(Family::V4, false)?;
    service.add_server(0, 1)?;
    service.connect_and_close(0)?;
    service.add_server(1, 1)?;
    service.remove_server(0)?;
    service.set("conn_reuse_mode", 0)?;
    // Only now: set before, the removal would have taken the entry along.
    service.set("expire_nodest_conn", 1)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let accepted = service.connect_and_close_all(1)?;
    ensure!(accepted == [0, 1], "accepted {accepted:?}");
    let events = finish(tracer)?;
    service
        .told(&events, 0, "rescheduled")
        .exactly(1)?
        .all_have("real", service.server(1).to_string())?
        .all_have("expire_nodest", 1)?;
    service.all(&events).exactly(1)?;
    Ok(())
}

/// A service without servers: the SYN is refused, and the client told. Truth: the client's error.
pub(super) fn refused(setting: &Setting) -> Result<()> {
    let service = Service::new(Family::V4, false)?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let dialling = service.dial(0)?;
    let error = traffic::wait_refused(&dialling)?;
    ensure!(error.kind() == std::io::ErrorKind::ConnectionRefused, "refused by {error}");
    drop(dialling);
    let events = finish(tracer)?;
    service.told(&events, 0, "refused").exactly(1)?;
    service.told(&events, 0, "refused").without("real").exactly(1)?;
    service.all_told(&events, "scheduled").exactly(0)?;
    Ok(())
}
