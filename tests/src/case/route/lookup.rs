//! How the peers of retransmitting flows are reached.

use std::{fmt::Display, net::SocketAddr, os::fd::AsRawFd as _};

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

use crate::{
    case::Setting,
    expect::{Events, Selection},
    namespace::Namespace,
    topology::{FAR, FAR_DEVICE, Family, NEAR, NEAR_DEVICE, NOBODY, Pair, give, host_bits, lose},
    tracer::Tracer,
    traffic,
};

const FAMILIES: &str = "path,retransmit";

/// The look-ups told of a namespace for a peer.
fn lookups<'a>(events: &'a Events, namespace: &Namespace, peer: &dyn Display) -> Selection<'a> {
    events.of("route", namespace).with("peer", peer.to_string())
}

fn wait_for_lookup(tracer: &Tracer, namespace: &Namespace, peer: &dyn Display) -> Result<()> {
    tracer.wait_for("a look-up", |events| !lookups(events, namespace, peer).is_empty())
}

/// What a network manager does that takes an address for its own: the SYN comes in, the SYN-ACK never leaves.
pub(super) fn reply_to_own_address(setting: &Setting) -> Result<()> {
    const SERVER_PORT: u16 = 8_004;
    for family in Family::BOTH {
        let pair = Pair::new()?;
        let tracer = setting.trace(&["--only", FAMILIES])?;
        let listener = traffic::listen(&pair.far, family.at(FAR, SERVER_PORT))?;
        pair.lose_at_near("tcp flags & (syn | ack) == syn | ack")?;
        // Nor does the server's own stack refuse what was meant for another: the SYN-ACK goes on being repeated.
        lose(&pair.far, "lo", "tcp flags & syn == syn")?;
        let dialling = traffic::dial(&pair.near, family.at(NEAR, 0), family.at(FAR, SERVER_PORT))?;
        let client = family.host(NEAR);
        tracer.wait_for("a repeated SYN-ACK", |events| {
            !events.of("retransmit", &pair.far).with("kind", "syn-ack").is_empty()
        })?;
        wait_for_lookup(&tracer, &pair.far, &client)?;
        let bits = host_bits(family);
        give(&pair.far, "lo", client, bits)?;
        tracer.wait_for("the peer to be local", |events| {
            !lookups(events, &pair.far, &client).with("result", "local").is_empty()
        })?;
        drop((dialling, listener));
        let run = tracer.stop()?;
        let told = lookups(&run.events, &pair.far, &client);
        told.clone().with("result", "local").all_have("dev", "lo")?;
        let before = told.first()?;
        ensure!(before["result"] == "unicast" && before["dev"] == FAR_DEVICE, "before: {before}");
        // The cause stands between the two answers.
        let address = run.events.of("address", &pair.far).with("address", client.to_string());
        let cause = address.with("change", "added").exactly(1)?.first()?;
        let local = lookups(&run.events, &pair.far, &client).with("result", "local").first()?["time"].clone();
        let order = [&before["time"], &cause["time"], &local].map(Value::as_str);
        ensure!(order.is_sorted(), "{family}: {order:?}");
    }
    Ok(())
}

pub(super) fn as_ip_route_get(setting: &Setting) -> Result<()> {
    for family in Family::BOTH {
        let pair = Pair::new()?;
        // A peer on the link whose neighbour entry is fixed, and one behind that neighbour.
        let (nobody, gateway) = (family.host(NOBODY), family.host(NOBODY));
        let behind = if family == Family::V4 { "10.50.0.7" } else { "fd50::7" };
        pair.near.ip(&format!("route add {behind} via {gateway}"))?;
        let tracer = setting.trace(&["--only", FAMILIES])?;
        let mut dialling = Vec::new();
        for peer in [nobody, behind.parse()?] {
            let to = SocketAddr::new(peer, 80);
            dialling.push(traffic::dial(&pair.near, family.at(NEAR, 0), to)?);
            wait_for_lookup(&tracer, &pair.near, &peer)?;
        }
        let run = tracer.stop()?;
        for peer in [nobody.to_string(), behind.to_owned()] {
            let answer = pair.near.ip(&format!("-json route get {peer} from {}", family.host(NEAR)))?;
            let truth: Value = serde_json::from_str(&answer).context("parse `ip route get`")?;
            let found = lookups(&run.events, &pair.near, &peer);
            let found = found.first()?;
            ensure!(found["result"] == "unicast" && found["dev"] == truth[0]["dev"], "{found}, ip: {truth}");
            ensure!(found.get("via") == truth[0].get("gateway"), "{found}, ip: {truth}");
            ensure!(found["dev"] == NEAR_DEVICE && found["table"] == "main", "{found}");
            ensure!(
                found["neighbour_state"] == "PERMANENT" && found["neighbour_mac"] == "02:00:00:00:00:99",
                "{found}"
            );
        }
    }
    Ok(())
}

pub(super) fn refusals(setting: &Setting) -> Result<()> {
    for family in Family::BOTH {
        let pair = Pair::new()?;
        let peers: Vec<String> = (1..=4)
            .map(|host| match family {
                Family::V4 => format!("10.50.0.{host}"),
                Family::V6 => format!("fd50::{host}"),
            })
            .collect();
        let prefix = if family == Family::V4 { "10.50.0.0/16" } else { "fd50::/64" };
        pair.near.ip(&format!("route add {prefix} via {}", family.host(NOBODY)))?;
        let tracer = setting.trace(&["--only", FAMILIES])?;
        let mut dialling = Vec::new();
        for peer in &peers {
            let to = SocketAddr::new(peer.parse()?, 80);
            dialling.push(traffic::dial(&pair.near, family.at(NEAR, 0), to)?);
        }
        let expected = ["blackhole", "unreachable", "prohibit", "no-route"];
        for (peer, kind) in peers.iter().zip(expected).take(3) {
            pair.near.ip(&format!("route add {kind} {peer}"))?;
        }
        for (peer, kind) in peers.iter().zip(expected) {
            if kind == "no-route" {
                pair.near.ip(&format!("route del {prefix}"))?;
            }
            tracer.wait_for(&format!("{peer} to be told as {kind}"), |events| {
                !lookups(events, &pair.near, &peer).with("result", kind).is_empty()
            })?;
        }
        let run = tracer.stop()?;
        for (peer, kind) in peers.iter().zip(expected) {
            let told = lookups(&run.events, &pair.near, &peer).with("result", kind).without("via");
            let told = told.first()?;
            ensure!(told["error"].is_string(), "no reason: {told}");
        }
    }
    Ok(())
}

/// As a proxy or a mesh routes by mark.
pub(super) fn by_mark(setting: &Setting) -> Result<()> {
    const MARK: u32 = 0x2a;
    let pair = Pair::new()?;
    let family = Family::V4;
    let peer: SocketAddr = "10.50.0.9:80".parse()?;
    pair.near.ip("rule add fwmark 0x2a table 100")?;
    pair.near.ip(&format!("route add {} via {} table 100", peer.ip(), family.host(NOBODY)))?;
    pair.near.ip(&format!("route add blackhole {}", peer.ip()))?;
    let tracer = setting.trace(&["--only", FAMILIES])?;
    let marked = pair.near.enter(|| traffic::prepare_here(family.at(NEAR, 0)))?;
    setsockopt(&marked, sockopt::Mark, &MARK).context("set SO_MARK")?;
    traffic::connect_prepared(marked.as_raw_fd(), peer)?;
    wait_for_lookup(&tracer, &pair.near, &peer.ip())?;
    drop(marked);
    let run = tracer.stop()?;
    lookups(&run.events, &pair.near, &peer.ip())
        .all_have("result", "unicast")?
        .all_have("table", "100")?
        .all_have("mark", MARK)?
        .all_have("via", family.host(NOBODY).to_string())?;
    Ok(())
}
