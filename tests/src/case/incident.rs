//! The incidents tracer exists for, each small and whole: the fault, what it does to connections, and its repair. Their
//! sessions are kept in `tests/sessions` for everybody to replay. Truth: who answers, and the connections that fail
//! and succeed.

use std::{fmt::Write as _, net::Ipv4Addr};

use anyhow::{Context, Result, ensure};

use super::{Case, Setting, ipvs};
use crate::{
    namespace::Namespace,
    need::Need,
    topology::{
        FAR, FAR_DEVICE, Family, NEAR, Pair, Routers, Segment, hardware_address, lose, take_from_anywhere,
    },
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "incident-duplicate-address",
        proves: "two hosts answer for one address, SYNs go to the wrong one; the second answer is told",
        needs: &[Need::Nftables],
        run: duplicate_address,
    },
    Case {
        name: "incident-rule-leak",
        proves: "a table grows by the same rules over and over, until somebody empties it",
        needs: &[Need::LegacyTables],
        run: rule_leak,
    },
    Case {
        name: "incident-drained-dialled",
        proves: "a drained real server gets new connections from ports used before, until conn_reuse_mode is set",
        needs: ipvs::NEEDS,
        run: ipvs::drained_and_dialled,
    },
    Case {
        name: "incident-reply-misrouted",
        proves: "a client's address is made local at the server: its replies stay there until it is taken away",
        needs: &[Need::Nftables],
        run: reply_misrouted,
    },
    Case {
        name: "incident-transient-loop",
        proves: "two routers send each other a connection's packets, until one has the route",
        needs: &[Need::Nftables],
        run: transient_loop,
    },
];

const PORT: u16 = 8_443;
const FAMILY: Family = Family::V4;

/// S0. Whose answer the client keeps is the impostor, and does not serve; in the end it gives the address up.
fn duplicate_address(setting: &Setting) -> Result<()> {
    const KNOCKED: u16 = 9;
    let segment = Segment::new(&[NEAR, FAR, FAR])?;
    let (client, owners) = segment.hosts.split_first().context("three hosts were asked for")?;
    let address = FAMILY.host(FAR);
    let tracer = setting.trace(&[])?;
    traffic::knock(client, FAMILY.at(NEAR, 0), FAMILY.at(FAR, KNOCKED))?;
    tracer.wait_for("the second answer", |events| {
        !events
            .of("neighbour", client)
            .with("verdict", "ignored")
            .with("address", address.to_string())
            .is_empty()
    })?;
    let table = client.ip(&format!("neigh show {address}"))?;
    let mut macs = Vec::new();
    for owner in owners {
        macs.push(hardware_address(owner, Segment::DEVICE)?);
    }
    let kept = macs.iter().position(|mac| table.contains(mac)).context("neither owner was kept")?;
    let (impostor, owner) = (&owners[kept], &owners[1 - kept]);
    lose(impostor, Segment::DEVICE, &format!("tcp dport {PORT}"))?;
    let listener = traffic::listen(owner, FAMILY.at(FAR, PORT))?;

    let dialling = traffic::dial(client, FAMILY.at(NEAR, 0), FAMILY.at(FAR, PORT))?;
    tracer.wait_for("SYNs that are repeated", |events| {
        events.of("retransmit", client).with("kind", "syn").count() >= 2
    })?;
    tracer.wait_for_finding("duplicate-address", &address.to_string())?;
    drop(dialling);
    impostor.ip(&format!("address del {address}/24 dev {}", Segment::DEVICE))?;
    client.ip(&format!("neigh del {address} dev {}", Segment::DEVICE))?;
    let connection = traffic::connect(client, FAMILY.at(NEAR, 0), FAMILY.at(FAR, PORT))?;
    drop((connection, listener));
    tracer.wait_for_closed("duplicate-address", &address.to_string())?;
    let run = tracer.stop()?;
    run.only_findings(&[("duplicate-address", &address.to_string())])?;
    run.events
        .of("neighbour", client)
        .with("verdict", "ignored")
        .with("address", address.to_string())
        .all_have("mac", macs[1 - kept].as_str())?
        .all_have("previous", macs[kept].as_str())?;
    Ok(())
}

/// S1. The same lot of rules is added again and again.
fn rule_leak(setting: &Setting) -> Result<()> {
    const LOTS: u64 = 8;
    const LOT: u64 = 250;
    let node = Namespace::new("leak")?;
    let mut lot = String::new();
    for number in 0..LOT {
        writeln!(lot, "-A INPUT -s 10.42.0.{number}/32 -j ACCEPT")?;
    }
    let restore = |lots: usize| {
        let rules = format!("*filter\n{}COMMIT\n", lot.repeat(lots));
        node.feed(&["iptables-legacy-restore", "--noflush"], &rules)
    };
    restore(1)?;
    let tracer = setting.trace(&[])?;
    for (lots, duplicates) in [(3, 3 * LOT), (4, (LOTS - 1) * LOT)] {
        restore(lots)?;
        tracer.wait_for("the growth", |events| {
            !events.of("ruleset", &node).with("duplicates", duplicates).is_empty()
        })?;
    }
    tracer.wait_for_finding("ruleset-bloat", "filter")?;
    node.run("iptables-legacy", "--flush INPUT")?;
    tracer.wait_for("the emptied table", |events| {
        !events.of("ruleset", &node).with("change", "shrunk").is_empty()
    })?;
    tracer.wait_for_closed("ruleset-bloat", "filter")?;
    let run = tracer.stop()?;
    run.only_findings(&[("ruleset-bloat", "filter")])?;
    let told = run.events.of("ruleset", &node).with("duplicates", (LOTS - 1) * LOT);
    told.all_have("backend", "legacy")?.all_have("table", "filter")?.all_have("growth", 4 * LOT)?;
    ensure!(!told.is_empty(), "the leak was not told: {}", run.events.summary());
    Ok(())
}

/// S3. The client's address becomes the server's own, and its SYN-ACKs never leave.
fn reply_misrouted(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let Pair { near: client, far: server } = &pair;
    let address = FAMILY.host(NEAR);
    let listener = traffic::listen(server, FAMILY.at(FAR, PORT))?;
    // Nor does the server's own stack refuse what was meant for another: the SYN-ACK goes on being repeated.
    lose(server, "lo", "tcp flags & syn == syn")?;
    // Who answers comes from outside, and so does what it answers to.
    for scope in ["all", FAR_DEVICE] {
        server.sysctl(&format!("net/ipv4/conf/{scope}/accept_local"), "1")?;
    }
    take_from_anywhere(server, FAR_DEVICE)?;
    let tracer = setting.trace(&[])?;
    server.ip(&format!("address add {address}/32 dev lo"))?;
    let dialling = traffic::dial(client, FAMILY.at(NEAR, 0), FAMILY.at(FAR, PORT))?;
    tracer.wait_for("SYNs and SYN-ACKs that are repeated, and where the reply goes", |events| {
        !events.of("retransmit", client).with("kind", "syn").is_empty()
            && !events.of("retransmit", server).with("kind", "syn-ack").is_empty()
            && !events
                .of("route", server)
                .with("peer", address.to_string())
                .with("result", "local")
                .is_empty()
    })?;
    tracer.wait_for_finding("reply-misrouted", &address.to_string())?;
    server.ip(&format!("address del {address}/32 dev lo"))?;
    let connection = traffic::wait_connected(dialling)?;
    drop((connection, listener));
    tracer.wait_for_closed("reply-misrouted", &address.to_string())?;
    let run = tracer.stop()?;
    run.only_findings(&[("reply-misrouted", &address.to_string())])?;
    let local = run.events.of("route", server).with("peer", address.to_string()).with("result", "local");
    local.all_have("dev", "lo")?;
    Ok(())
}

/// S4. One connection that is dialled while the loop is there, and gets through after it.
fn transient_loop(setting: &Setting) -> Result<()> {
    let routers = Routers::new()?;
    let Routers { client, near, far } = &routers;
    // The client goes on dialling, as it does where the error is filtered.
    lose(client, "client0", "icmp type time-exceeded")?;
    let tracer = setting.trace(&[])?;
    let (from, to) = (Routers::client_address(FAMILY), Routers::beyond(FAMILY));
    let dialling = traffic::dial(client, (from, 0).into(), (to, PORT).into())?;
    tracer.wait_for("packets that go round in both routers", |events| {
        [near, far].iter().all(|router| !events.of("duplicate", router).with("times", 17).is_empty())
    })?;
    tracer.wait_for_finding("routing-loop", &to.to_string())?;
    // Before the address is there: whoever dials it then is served, never refused.
    let listener = traffic::listen(far, (Ipv4Addr::UNSPECIFIED, PORT).into())?;
    routers.repair(FAMILY)?;
    let connection = traffic::wait_connected(dialling)?;
    drop((connection, listener));
    tracer.wait_for_closed("routing-loop", &to.to_string())?;
    let run = tracer.stop()?;
    run.only_findings(&[("routing-loop", &to.to_string())])?;
    ensure!(!run.events.of("retransmit", client).with("kind", "syn").is_empty(), "no SYN was repeated");
    ensure!(!run.events.of("icmp", far).with("direction", "out").is_empty(), "no packet died");
    Ok(())
}
