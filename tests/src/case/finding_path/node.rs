//! Replies that leave whoever serves and end at the node that forwards them, as a pod's do.

use std::net::SocketAddr;

use anyhow::Result;

use super::{PORT, closes, only_findings, opens, repeated};
use crate::{
    case::{Case, Setting},
    need::Need,
    topology::{Family, Routers, host_bits},
    traffic,
};

pub(in super::super) const CASES: &[Case] = &[
    Case {
        name: "finding-reply-misrouted-by-node",
        proves: "what a pod replies ends in a blackhole of its node: the node's route is told, not an outage",
        needs: &[],
        run: |setting| by_node(setting, Family::V4, "blackhole", "the route to"),
    },
    Case {
        name: "finding-reply-misrouted-by-node-v6",
        proves: "a peer that is local at the node by a route, whose stack refuses what a pod replies, is told",
        needs: &[Need::Nftables],
        run: |setting| by_node(setting, Family::V6, "local", "by the routes"),
    },
];

/// The far namespace serves behind the near one, which loses the way back to the client.
fn by_node(setting: &Setting, family: Family, kind: &str, says: &str) -> Result<()> {
    const DIALS: usize = 3;
    const ID: &str = "reply-misrouted";
    let routers = Routers::new()?;
    let Routers { client, near: node, far: pod } = &routers;
    routers.repair(family)?;
    let to: SocketAddr = (Routers::beyond(family), PORT).into();
    let listener = traffic::listen(pod, to)?;
    let peer = Routers::client_address(family);
    let bits = host_bits(family);
    let device = if kind == "local" { " dev lo" } else { "" };
    let tracer = setting.trace(&[])?;
    node.ip(&format!("route add {kind} {peer}/{bits}{device}"))?;
    let mut dials = Vec::new();
    for _ in 0..DIALS {
        dials.push(traffic::dial(client, (peer, 0).into(), to)?);
    }
    repeated(&tracer, client, "syn")?;
    let opened = opens(&tracer, ID, &peer.to_string())?;
    tracer.wait_for("the client's outage below it", |events| {
        !events.findings(ID).explaining("path-outage", &to.ip().to_string()).is_empty()
    })?;
    node.ip(&format!("route del {kind} {peer}/{bits}{device}"))?;
    for dial in dials {
        traffic::wait_connected(dial)?;
    }
    closes(setting, &tracer, ID, &peer.to_string(), opened)?;
    drop(listener);
    let run = tracer.stop()?;
    only_findings(&run, &[client, node, pod], &[(ID, &peer.to_string())])?;
    let told = run.events.findings(ID);
    told.says("evidence", &format!("ip route get {peer} in {}", node.name()))?;
    told.says("advice", &format!("in network namespace {}", node.name()))?;
    told.filter(&format!("that says {says}"), |line| {
        line["title"].as_str().is_some_and(|title| title.contains(says))
    })
    .at_least(1)?;
    Ok(())
}
