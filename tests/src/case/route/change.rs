//! Changes of routes, devices, rules and addresses.

use std::{fmt::Write as _, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    case::{Setting, note},
    command,
    expect::{Events, Selection},
    namespace::Namespace,
    topology::{FAR, Family, NEAR_DEVICE, Pair},
};

/// The changes of routes told of a namespace, without look-ups.
fn changes<'a>(events: &'a Events, namespace: &Namespace) -> Selection<'a> {
    events.of("route", namespace).filter("a change", |event| event.get("change").is_some())
}

/// A network that no device of a case is in.
fn elsewhere(family: Family) -> &'static str {
    match family {
        Family::V4 => "10.50.0.0/16",
        Family::V6 => "fd50::/64",
    }
}

pub(super) fn each_kind(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let tracer = setting.trace(&["--only", "path"])?;
    for family in Family::BOTH {
        let (prefix, gateway) = (elsewhere(family), family.host(FAR));
        let other = family.host(77);
        for step in [
            format!("route add {prefix} via {gateway}"),
            format!("route replace {prefix} via {other}"),
            format!("route del {prefix}"),
            format!("route add {prefix} via {gateway} metric 50 proto bird"),
            format!("route add blackhole {prefix} table 100"),
            format!("route add default nexthop via {gateway} weight 2 nexthop via {other}"),
        ] {
            let flag = if family == Family::V6 { "-6" } else { "-4" };
            pair.near.ip(&format!("{flag} {step}"))?;
        }
        tracer.wait_for("the last route", |events| {
            let last = changes(events, &pair.near).with("prefix", "default").with("family", name(family));
            !last.is_empty()
        })?;
    }
    let run = tracer.stop()?;
    for family in Family::BOTH {
        check_each_kind(&run.events, &pair.near, family).with_context(|| format!("over {family}"))?;
    }
    run.events.accounting("route")?.balances()
}

fn name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

fn check_each_kind(events: &Events, near: &Namespace, family: Family) -> Result<()> {
    let (gateway, other) = (family.host(FAR).to_string(), family.host(77).to_string());
    let told = changes(events, near).with("prefix", elsewhere(family));
    let words: Vec<_> = told.events().iter().map(|event| event["change"].as_str().unwrap_or("?")).collect();
    ensure!(words == ["added", "replaced", "removed", "added", "added"], "{words:?}");
    let times: Vec<_> =
        told.events().iter().map(|event| event["time"].as_str().unwrap_or_default()).collect();
    ensure!(times.is_sorted(), "not in order: {times:?}");
    let [added, replaced, removed, restored, blackhole] = told.events() else { unreachable!() };
    for (event, via) in [(added, &gateway), (replaced, &other), (removed, &other), (restored, &gateway)] {
        ensure!(event["via"] == **via, "expected via {via}: {event}");
        ensure!(event["dev"] == NEAR_DEVICE && event["table"] == "main", "{event}");
        ensure!(event["route_type"] == "unicast", "{event}");
    }
    ensure!(restored["protocol"] == "bird" && restored["metric"] == 50, "{restored}");
    ensure!(added["protocol"] == "boot", "{added}");
    ensure!(blackhole["route_type"] == "blackhole" && blackhole["table"] == "100", "{blackhole}");
    let default = changes(events, near).with("prefix", "default").with("family", name(family));
    let default = default.exactly(1)?.first()?;
    let next_hops = default["nexthops"].as_array().context("no list of next hops")?;
    let vias: Vec<_> = next_hops.iter().map(|hop| (hop["via"].clone(), hop["weight"].clone())).collect();
    let mut expected = vec![(Value::from(gateway), Value::from(2)), (Value::from(other), Value::from(1))];
    let mut found = vias.clone();
    for list in [&mut expected, &mut found] {
        list.sort_by_key(|(via, _)| via.to_string());
    }
    ensure!(found == expected, "next hops {vias:?}");
    Ok(())
}

pub(super) fn silent_removal(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let gateway = Family::V4.host(FAR);
    pair.near.ip(&format!("route add 10.50.0.0/16 via {gateway}"))?;
    let tracer = setting.trace(&["--only", "path"])?;
    pair.near.ip(&format!("link set {NEAR_DEVICE} down"))?;
    tracer.wait_for("the routes that went with the device", |events| {
        changes(events, &pair.near).with("prefix", "10.50.0.0/16").with("change", "removed").count() == 1
    })?;
    // The kernel tells the wire's other end a little later, and nothing at all if it is over by then.
    tracer.wait_for("the wire's other end to go down", |events| {
        !events.of("link", &pair.far).with("change", "down").is_empty()
    })?;
    pair.near.ip(&format!("link set {NEAR_DEVICE} up"))?;
    tracer.wait_for("the device to work again", |events| {
        events.of("link", &pair.near).with("dev", NEAR_DEVICE).with("change", "up").count() == 1
    })?;
    let run = tracer.stop()?;
    let lost = changes(&run.events, &pair.near).with("change", "removed").with("family", "ipv4");
    lost.clone()
        .with("prefix", "10.50.0.0/16")
        .all_have("found_later", true)?
        .all_have("via", gateway.to_string())?;
    lost.with("prefix", "10.77.0.0/24").exactly(1)?;
    run.events.of("link", &pair.near).with("dev", NEAR_DEVICE).with("change", "down").exactly(1)?;
    run.events.of("link", &pair.far).with("change", "down").exactly(1)?;
    Ok(())
}

pub(super) fn rules_and_addresses(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let tracer = setting.trace(&["--only", "path"])?;
    for verb in ["add", "del"] {
        pair.near.ip(&format!(
            "rule {verb} fwmark 0x10/0xff iif {NEAR_DEVICE} to 10.50.0.0/16 table 100 priority 90"
        ))?;
        pair.near.ip(&format!("-6 rule {verb} from fd50::/64 blackhole priority 91"))?;
        pair.near.ip(&format!("address {verb} 10.60.0.1/24 dev {NEAR_DEVICE}"))?;
        pair.near.ip(&format!("address {verb} fd60::1/64 dev {NEAR_DEVICE}"))?;
    }
    tracer.wait_for("the last address to go", |events| {
        events.of("address", &pair.near).with("address", "fd60::1").with("change", "removed").count() == 1
    })?;
    let run = tracer.stop()?;
    let rules = run.events.of("rule", &pair.near);
    rules.clone().exactly(4)?;
    for change in ["added", "removed"] {
        rules
            .clone()
            .with("change", change)
            .with("family", "ipv4")
            .exactly(1)?
            .all_have("priority", 90)?
            .all_have("mark", 16)?
            .all_have("mark_mask", 255)?
            .all_have("iif", NEAR_DEVICE)?
            .all_have("to", "10.50.0.0/16")?
            .all_have("action", "lookup")?
            .all_have("table", "100")?;
        rules
            .clone()
            .with("change", change)
            .with("family", "ipv6")
            .exactly(1)?
            .all_have("from", "fd50::/64")?
            .all_have("action", "blackhole")?;
        for (address, length) in [("10.60.0.1", 24), ("fd60::1", 64)] {
            run.events
                .of("address", &pair.near)
                .with("address", address)
                .with("change", change)
                .exactly(1)?
                .all_have("dev", NEAR_DEVICE)?
                .all_have("prefix_length", length)?;
        }
    }
    Ok(())
}

/// As a router that loads its tables anew. Each route is one message, and `ip` waits for none of tracer's.
pub(super) fn flood(setting: &Setting) -> Result<()> {
    const ROUTES: u64 = 20_000;
    let pair = Pair::new()?;
    let tracer = setting.trace(&["--only", "path"])?;
    let before = tracer.ask(|events| changes(events, &pair.near).count());
    let gateway = Family::V4.host(FAR);
    let mut batch = String::new();
    for route in 0..ROUTES {
        let (third, fourth) = (route / 256, route % 256);
        writeln!(batch, "route add 10.{}.{}.{fourth}/32 via {gateway}", 100 + third / 256, third % 256)?;
    }
    pair.near.enter(|| command::output_with_input(Command::new("ip").args(["-batch", "-"]), &batch))?;
    pair.near.ip(&format!("route add 10.50.0.0/16 via {gateway}"))?;
    tracer.wait_for("the accounting of all routes", |events| {
        events.accounting("route").is_ok_and(|routes| routes.seen > before + ROUTES)
    })?;
    // What was lost is found by comparing; the rest of the flood is over by then.
    pair.near.ip("route del 10.50.0.0/16")?;
    tracer.wait_for("a change after the flood", |events| {
        let last = changes(events, &pair.near).with("prefix", "10.50.0.0/16");
        last.with("change", "removed").count() == 1
    })?;
    let run = tracer.stop()?;
    let counted = run.events.accounting("route")?;
    counted.balances()?;
    let told = changes(&run.events, &pair.near).without("found_later").count() - before;
    note(&format!(
        "{ROUTES} routes: {} told, {} suppressed, {} lost",
        counted.delivered, counted.suppressed, counted.lost
    ));
    let found =
        changes(&run.events, &pair.near).filter("found", |event| event["found_later"] == true).count();
    let elsewhere = run.events.all().iter().filter(|event| event["type"] == "route").count() as u64;
    ensure!(elsewhere == counted.delivered, "{elsewhere} lines of {} delivered", counted.delivered);
    if counted.lost == 0 {
        // Two more: the route after the flood, added and removed.
        let seen_here = told + counted.suppressed;
        ensure!(found == 0 && seen_here == ROUTES + 2, "{told} told and {} suppressed", counted.suppressed);
    }
    Ok(())
}
