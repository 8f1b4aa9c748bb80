//! A drained real server that is still dialled, on the screens.

use anyhow::{Result, ensure};

use super::{
    reuse::{CONNECTIONS, serve_and_drain},
    service::Service,
};
use crate::{
    case::Setting,
    screen::{SMALL, Screen, WIDE},
    topology::Family,
};

/// The IPVS screen beside the run's own recording. Truth: the server that accepts every connection.
pub(super) fn drained_but_dialled(setting: &Setting) -> Result<()> {
    const SERVER: &str = "service, real server";
    let service = Service::new(Family::V4, false)?;
    service.set("conn_reuse_mode", 0)?;
    let mut screen = Screen::live(&setting.program, WIDE, &["--netns", service.cluster.director.name()])?;
    screen.see_live()?;
    serve_and_drain(&service)?;
    screen.show(4, "IPVS")?;
    let accepted = service.connect_and_close_all(CONNECTIONS)?;
    ensure!(accepted == [CONNECTIONS.into(), 0], "accepted {accepted:?}");
    let (drained, other) = (service.server(0).to_string(), service.server(1).to_string());
    screen.see("every connection onto the drained server", |picture| {
        let table = picture.table(&[SERVER, "weight", "onto 0", "reused"])?;
        let row = table.row_about(SERVER, &drained)?;
        row.counts("weight", 0)?
            .counts("onto 0", CONNECTIONS.into())?
            .counts("reused", CONNECTIONS.into())?;
        table.row_about(SERVER, &other)?.counts("weight", 1)?.counts("onto 0", 0)?.counts("reused", 0)?;
        Ok(())
    })?;
    screen.resize(SMALL)?;
    screen.see("why, without any manual", |picture| {
        let table = picture.table(&[SERVER, "what stands out"])?;
        table.row_about(SERVER, &drained)?.begins("what stands out", "still dialled, drained")?;
        picture.has("Drained, but dialled")?;
        picture.has(&format!("{drained} of tcp"))?;
        Ok(())
    })?;
    screen.resize(WIDE)?;
    screen.show(1, "Overview")?;
    screen.see("the drained server on the Overview", |picture| {
        let line = picture.has(&drained)?;
        ensure!(line.contains(&CONNECTIONS.to_string()), "not how many: {line}");
        Ok(())
    })?;
    screen.press("q")?;
    screen.left()?.is_clean()?;
    let events = screen.recorded()?;
    service.all_told(&events, "reused").exactly(CONNECTIONS.into())?.all_have("real", drained)?;
    Ok(())
}

/// A client that dials the service from a port it used before, when the server it reached then is drained and dead: its
/// SYNs are repeated in its own network namespace, and decided about in the director's. Truth: the server chosen, which
/// is the one that hears nothing.
pub(super) fn one_connection(setting: &Setting) -> Result<()> {
    let service = Service::new(Family::V4, false)?;
    service.set("conn_reuse_mode", 0)?;
    let (client, dialled) = (service.client(0).to_string(), service.address().to_string());
    let (drained, other) = (service.server(0).to_string(), service.server(1).to_string());
    let mut screen = Screen::live(&setting.program, WIDE, &[])?;
    screen.see_live()?;
    serve_and_drain(&service)?;
    service.silence(0)?;
    screen.show(2, "Retransmits")?;
    let dialling = service.dial(0)?;
    screen.see("the client's flow", |picture| {
        picture.table(&["from", "to"])?.row(&[("from", &client), ("to", &dialled)]).map(drop)
    })?;
    screen.press("Enter")?;
    screen.see("where the connection goes", |picture| {
        picture.has(&format!("{client} → {dialled}"))?;
        picture.has(&drained)?;
        picture.has("reused")?;
        picture.lacks(&other)
    })?;
    drop(dialling);
    screen.press("q")?;
    screen.left()?.is_clean()?;
    let events = screen.recorded()?;
    service.told(&events, 0, "reused").at_least(1)?.all_have("real", drained)?.all_have("weight", 0)?;
    Ok(())
}
