//! Entries of connection tracking and what became of them.

use std::net::SocketAddr;

use anyhow::Result;

use crate::{
    case::{Setting, conntrack},
    screen::{Screen, WIDE},
    topology::{Cluster, Family},
};

/// A client dials again from the same port when the service has moved to the other server. Truth: the second server
/// accepted; the run's recording.
pub(super) fn reopened(setting: &Setting) -> Result<()> {
    const FAMILY: Family = Family::V4;
    let cluster = Cluster::new()?;
    let mut screen = Screen::live(&setting.program, WIDE, &["--netns", cluster.director.name()])?;
    screen.see_live()?;
    screen.show(5, "Conntrack")?;
    for number in [0, 1] {
        conntrack::converse(&cluster, FAMILY, number)?;
    }
    let [client, service, server] =
        [conntrack::client(FAMILY), conntrack::virtual_service(FAMILY), conntrack::server(FAMILY, 1)]
            .map(|address: SocketAddr| address.to_string());
    screen.see("the reopened entry", |picture| {
        let table = picture.table(&["from", "to", "answered by", "decisions", "tcp state"])?;
        let row = table.row(&[("from", &client), ("to", &service)])?;
        row.says("answered by", &server)?.says("decisions", "reopened 1")?.says("tcp state", "TIME_WAIT")?;
        Ok(())
    })?;
    screen.press("q")?;
    screen.left()?.is_clean()?;
    let events = screen.recorded()?;
    let told = events.of("conntrack", &cluster.director).with("event", "reopened");
    told.exactly(1)?.all_have("tcp_state", "TIME_WAIT")?;
    conntrack::answered_by(&told, "reply", conntrack::server(FAMILY, 1))
}
