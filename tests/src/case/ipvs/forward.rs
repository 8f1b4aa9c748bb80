//! Ways other than NAT to the real server: in a tunnel, or by a frame that is addressed to it.

use anyhow::{Context, Result};

use super::service::{Plan, finish};
use crate::{case::Setting, namespace::Namespace, topology::Cluster, traffic, wait};

const SOCKETS: u16 = 5;

/// Tunnelled: the server gets each datagram in an outer packet. Truth: a counter of those at the server's door, and the
/// connections `ipvsadm` counts.
pub(super) fn tunnel(setting: &Setting) -> Result<()> {
    // 4: IP in IP.
    forwarded(setting, "tunnel", "--ipip", |address| format!("ip protocol 4 ip daddr {}", address.server))
}

/// Routed directly: the server gets each datagram as it was sent. Truth: a counter of datagrams to the virtual address
/// at the server's door, and the connections `ipvsadm` counts.
pub(super) fn direct(setting: &Setting) -> Result<()> {
    forwarded(setting, "direct", "--gatewaying", |address| {
        format!("ip protocol udp ip daddr {}", address.service)
    })
}

/// What arrives may be addressed to.
struct Addresses {
    server: String,
    service: String,
}

fn forwarded(
    setting: &Setting,
    name: &str,
    forward: &'static str,
    arrives: impl Fn(&Addresses) -> String,
) -> Result<()> {
    let director = Plan { forward, ..Plan::UDP }.set_up(Cluster::new()?)?;
    director.add_server(0, 3)?;
    let door = &director.cluster.servers[0];
    let rule = arrives(&Addresses {
        server: director.server(0).ip().to_string(),
        service: director.address().ip().to_string(),
    });
    // Counted and dropped: nobody listens behind it.
    door.nft(&format!(
        "table netdev door {{ chain ingress {{ type filter hook ingress device member0 priority 0; \
         {rule} counter drop; }}; }}"
    ))?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    for number in 0..SOCKETS {
        traffic::knock(&director.cluster.client, director.client(number), director.address())?;
    }
    wait::until("datagrams at the server's door", || {
        Ok((arrived(door)? == u64::from(SOCKETS)).then_some(()))
    })?;
    director.wait_for_count(0, SOCKETS.into())?;
    let events = finish(tracer)?;
    for number in 0..SOCKETS {
        director.told(&events, number, "scheduled").exactly(1)?;
    }
    director
        .all(&events)
        .exactly(SOCKETS.into())?
        .all_have("forward", name)?
        .all_have("real", director.server(0).to_string())?
        .all_have("weight", 3)?;
    Ok(())
}

/// What the one counter at a server's door counted.
fn arrived(door: &Namespace) -> Result<u64> {
    let table = door.run("nft", "list table netdev door")?;
    let mut words = table.split_whitespace().skip_while(|&word| word != "packets");
    words.nth(1).and_then(|count| count.parse().ok()).with_context(|| format!("no counter: {table}"))
}
