//! One packet that passes IPVS twice, the second time before it has left the first.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::service::{Director, PORT, Plan, finish};
use crate::{
    case::Setting,
    expect::{Events, Selection},
    topology::Cluster,
    traffic,
};

const CONNECTIONS: u16 = 40;

/// The director itself dials its service; the one real server is a director in turn, whose real server is at home. On
/// the way out the kernel hands the packet over to the other namespace before it returns to the first, all in the name
/// of the process that dials, which may be preempted in between. Then the ports are used again with `conn_reuse_mode` 0
/// in both. Truth: the connections accepted, by port.
pub(super) fn nested(setting: &Setting) -> Result<()> {
    let director = Plan::TCP.set_up(Cluster::new()?)?;
    director.set("conn_reuse_mode", 0)?;
    director.add_server(0, 1)?;
    let inner = &director.cluster.servers[0];
    let home = SocketAddr::new([10, 78, 1, 3].into(), PORT);
    inner.ip(&format!("address add {}/32 dev lo", home.ip()))?;
    let service = director.server(0);
    inner.run("ipvsadm", &format!("--add-service --tcp-service {service} --scheduler rr"))?;
    inner.run(
        "ipvsadm",
        &format!("--add-server --tcp-service {service} --real-server {home} --masquerading --weight 5"),
    )?;
    inner.sysctl("net/ipv4/vs/conn_reuse_mode", "0")?;
    let listener = traffic::listen(inner, home)?;

    let tracer = setting.trace(&["--only", "ipvs"])?;
    for _ in 0..2 {
        for number in 0..CONNECTIONS {
            let connection =
                traffic::connect(&director.cluster.director, client(number), director.address())?;
            let accepted = traffic::accept(&listener)?;
            ensure!(accepted.peer_addr()? == client(number), "accepted another connection");
            drop(accepted);
            traffic::wait_closed(connection)?;
            traffic::settle(inner)?;
            traffic::settle(&director.cluster.director)?;
        }
    }
    let events = finish(tracer)?;
    let outer = |decision| director.all_told(&events, decision);
    for (decision, outer, inner) in [
        ("scheduled", outer("scheduled"), inner_told(&events, &director, "scheduled")),
        ("reused", outer("reused"), inner_told(&events, &director, "reused")),
    ] {
        for number in 0..CONNECTIONS {
            let client = client(number).to_string();
            outer.clone().with("client", client.as_str()).exactly(1)?;
            inner.clone().with("client", client.as_str()).exactly(1)?;
        }
        ensure!(outer.count() == u64::from(CONNECTIONS), "{decision} {} times", outer.count());
        outer.all_have("weight", 1)?;
        inner.exactly(CONNECTIONS.into())?.all_have("weight", 5)?.all_have("real", home.to_string())?;
    }
    director.all(&events).exactly(2 * u64::from(CONNECTIONS))?;
    Ok(())
}

/// The director's own address towards the server, with the port of the connection of that number.
fn client(number: u16) -> SocketAddr {
    SocketAddr::new([10, 78, 1, 1].into(), 43_000 + number)
}

fn inner_told<'a>(events: &'a Events, director: &Director, decision: &str) -> Selection<'a> {
    events
        .of("ipvs", &director.cluster.servers[0])
        .with("virtual", director.server(0).to_string())
        .with("decision", decision)
}
