//! What there was at the start.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    case::Setting,
    expect::Events,
    namespace::Namespace,
    topology::{FAR, Family, NEAR_DEVICE, Pair, hardware_address},
};

/// What `ip -json` shows.
fn shown(namespace: &Namespace, arguments: &str) -> Result<Vec<Value>> {
    let text = namespace.ip(&format!("-json {arguments}"))?;
    serde_json::from_str(&text).with_context(|| format!("parse what ip says to {arguments}"))
}

/// Some fields of each event, as text.
fn facts(events: &Events, kind: &str, namespace: &Namespace, fields: &[&str]) -> BTreeSet<String> {
    let told = events
        .of(kind, namespace)
        .filter("of the start", |event| event.get("change").is_none_or(|change| change == "present"));
    told.events().iter().map(|event| pick(event, fields)).collect()
}

fn pick(value: &Value, fields: &[&str]) -> String {
    let picked: Vec<String> = fields.iter().map(|field| value[field].to_string()).collect();
    picked.join(" ")
}

pub(super) fn equals_truth(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let near = &pair.near;
    for family in Family::BOTH {
        near.ip(&format!(
            "neigh replace {} lladdr {} nud stale dev {NEAR_DEVICE}",
            family.host(FAR),
            hardware_address(&pair.far, crate::topology::FAR_DEVICE)?
        ))?;
    }
    near.sysctl(&format!("net/ipv4/conf/{NEAR_DEVICE}/arp_ignore"), "1")?;
    near.sysctl("net/ipv4/tcp_retries2", "9")?;
    let run = setting.trace(&[])?.stop()?;
    addresses(&run.events, near)?;
    links(&run.events, near)?;
    neighbours(&run.events, near)?;
    settings(&run.events, near)
}

fn addresses(events: &Events, near: &Namespace) -> Result<()> {
    let mut truth = BTreeSet::new();
    for device in shown(near, "address")? {
        for address in device["addr_info"].as_array().context("no addresses")? {
            truth.insert(format!(
                "{} {} {} {}",
                address["local"], address["prefixlen"], device["ifname"], address["scope"]
            ));
        }
    }
    let told = facts(events, "address", near, &["address", "prefix_length", "dev", "scope"]);
    ensure!(told == truth && truth.len() >= 4, "addresses told {told:?}, shown {truth:?}");
    Ok(())
}

fn links(events: &Events, near: &Namespace) -> Result<()> {
    let truth: BTreeSet<String> = shown(near, "link")?
        .iter()
        .map(|link| pick(link, &["ifname", "ifindex", "address", "mtu", "operstate"]))
        .collect();
    let told = facts(events, "link", near, &["dev", "index", "mac", "mtu", "state"]);
    ensure!(told == truth && truth.len() >= 2, "devices told {told:?}, shown {truth:?}");
    Ok(())
}

fn neighbours(events: &Events, near: &Namespace) -> Result<()> {
    // `ip` leaves out those that need no hardware address unless asked for.
    let mut truth = BTreeSet::new();
    for arguments in ["neigh show", "neigh show nud noarp"] {
        truth.extend(shown(near, arguments)?.iter().map(|entry| {
            format!("{} {} {} {}", entry["dst"], entry["dev"], entry["lladdr"], entry["state"][0])
        }));
    }
    let told = facts(events, "neighbour-entry", near, &["address", "dev", "mac", "state"]);
    ensure!(told == truth && truth.len() >= 4, "neighbours told {told:?}, shown {truth:?}");
    Ok(())
}

fn settings(events: &Events, near: &Namespace) -> Result<()> {
    let told = events.of("sysctl", near);
    told.at_least(20)?;
    near.enter(|| {
        for event in told.events() {
            let name = event["name"].as_str().context("a setting without a name")?;
            let path: String = name
                .chars()
                .map(|character| match character {
                    '.' => '/',
                    '/' => '.',
                    other => other,
                })
                .collect();
            let text =
                fs::read_to_string(format!("/proc/sys/{path}")).with_context(|| format!("read {path}"))?;
            let truth: Vec<&str> = text.split_whitespace().collect();
            ensure!(event["value"] == truth.join(" "), "{event}, but {truth:?}");
        }
        Ok(())
    })?;
    for (name, value) in
        [(format!("net.ipv4.conf.{NEAR_DEVICE}.arp_ignore"), "1"), ("net.ipv4.tcp_retries2".to_owned(), "9")]
    {
        events.of("sysctl", near).with("name", name).exactly(1)?.all_have("value", value)?;
    }
    Ok(())
}

pub(super) fn changed_setting(setting: &Setting) -> Result<()> {
    const NAME: &str = "net.ipv4.conf.all.rp_filter";
    let pair = Pair::new()?;
    pair.near.sysctl("net/ipv4/conf/all/rp_filter", "0")?;
    let tracer = setting.trace(&["--only", "path"])?;
    pair.near.sysctl("net/ipv4/conf/all/rp_filter", "1")?;
    tracer.wait_for("the setting's change", |events| {
        !events.of("sysctl", &pair.near).with("name", NAME).with("change", "changed").is_empty()
    })?;
    let run = tracer.stop()?;
    let told = run.events.of("sysctl", &pair.near).with("name", NAME);
    told.clone().with("change", "changed").exactly(1)?.all_have("value", "1")?.all_have("previous", "0")?;
    told.with("change", "present").exactly(1)?.all_have("value", "0")?;
    Ok(())
}
