//! A drained real server that is still dialled, on the screens.

use anyhow::{Result, ensure};

use super::reuse::{CONNECTIONS, drained};
use crate::{
    case::Setting,
    screen::{Screen, WIDE},
    topology::Family,
};

/// The IPVS screen beside the run's own recording. Truth: the server that accepts every connection.
pub(super) fn drained_but_dialled(setting: &Setting) -> Result<()> {
    const SERVER: &str = "service, real server";
    let service = drained(Family::V4)?;
    service.set("conn_reuse_mode", 0)?;
    let mut screen = Screen::live(&setting.program, WIDE, &["--netns", service.cluster.director.name()])?;
    screen.see_live()?;
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
