//! Routes, how peers are reached, and what routing depends on. What there was at the start has no lines.

use super::{Arrow, Columns, Facts, Weight};
use crate::event::{Address, Change, Link, Route, RouteLookup, RouteType, Rule, Sysctl, Text};

pub(super) fn route(body: &Route) -> Columns {
    let mut facts = Facts::default();
    if body.kind != RouteType::UNICAST {
        facts.add(format_args!("{}", body.kind.name()));
    }
    if let Some(gateway) = body.gateway {
        facts.add(format_args!("via {gateway}"));
    }
    for hop in &body.next_hops {
        let device = hop.device.as_ref().map_or("", Text::as_str);
        match hop.gateway {
            Some(gateway) => facts.add(format_args!("via {gateway} dev {device} weight {}", hop.weight)),
            None => facts.add(format_args!("dev {device} weight {}", hop.weight)),
        }
    }
    if body.next_hops_left_out != 0 {
        facts.add(format_args!("{} more next hops", body.next_hops_left_out));
    }
    if let Some(source) = body.source {
        facts.add(format_args!("src {source}"));
    }
    facts.add(format_args!("table {}", body.table));
    facts.add(format_args!("by {}", body.protocol));
    if body.metric != 0 {
        facts.add(format_args!("metric {}", body.metric));
    }
    found_later(&mut facts, body.is_found_later);
    Columns {
        kind: body.change.name(),
        weight: weight_of(body.change),
        subject: body.prefix.to_string(),
        facts: facts.0,
        place: place(body.device.as_ref()),
    }
}

pub(super) fn lookup(body: &RouteLookup, arrow: Arrow) -> Columns {
    let mut facts = Facts::default();
    if let Some(error) = body.result.error() {
        facts.add(format_args!("{error}"));
    }
    if let Some(gateway) = body.gateway {
        facts.add(format_args!("via {gateway}"));
    }
    if let Some(source) = body.source {
        facts.add(format_args!("src {source}"));
    }
    if let Some(table) = body.table {
        facts.add(format_args!("table {table}"));
    }
    match (body.neighbour_state, body.neighbour) {
        (Some(state), Some(hardware)) => facts.add(format_args!("next hop {state} at {hardware}")),
        (Some(state), None) => facts.add(format_args!("next hop {state}")),
        (None, _) => {}
    }
    if body.mark != 0 {
        facts.add(format_args!("mark {:#x}", body.mark));
    }
    Columns {
        kind: body.result.name(),
        weight: if body.result.is_astray() { Weight::Notable } else { Weight::Usual },
        subject: super::ends(&body.flow, arrow),
        facts: facts.0,
        place: place(body.device.as_ref()),
    }
}

pub(super) fn address(body: &Address) -> Columns {
    let mut facts = Facts::default();
    if let Some(peer) = body.peer {
        facts.add(format_args!("peer {peer}"));
    }
    for flag in body.flag_names() {
        facts.add(format_args!("{flag}"));
    }
    found_later(&mut facts, body.is_found_later);
    Columns {
        kind: body.change.name_of_state(),
        weight: weight_of(body.change),
        subject: format!("{}/{}", body.address, body.prefix_bits),
        facts: facts.0,
        place: place(body.device.as_ref()),
    }
}

pub(super) fn link(body: &Link) -> Columns {
    let mut facts = Facts::default();
    if let Some(link_type) = &body.link_type {
        facts.add(format_args!("{link_type}"));
    }
    facts.add(format_args!("{}", body.state_name()));
    if !body.is_up() {
        facts.add(format_args!("switched off"));
    }
    if let Some(hardware) = body.hardware_address {
        facts.add(format_args!("at {hardware}"));
    }
    facts.add(format_args!("mtu {}", body.mtu_bytes));
    found_later(&mut facts, body.is_found_later);
    Columns {
        kind: body.change.name_of_state(),
        weight: weight_of(body.change),
        subject: body.device.to_string(),
        facts: facts.0,
        ..Columns::default()
    }
}

pub(super) fn rule(body: &Rule) -> Columns {
    let mut facts = Facts::default();
    if body.is_inverted {
        facts.add(format_args!("not"));
    }
    if let Some(source) = body.source {
        facts.add(format_args!("from {source}"));
    }
    if let Some(destination) = body.destination {
        facts.add(format_args!("to {destination}"));
    }
    if let Some((mark, mask)) = body.mark {
        facts.add(format_args!("fwmark {mark:#x}/{mask:#x}"));
    }
    if let Some(device) = &body.input_device {
        facts.add(format_args!("iif {device}"));
    }
    if let Some(device) = &body.output_device {
        facts.add(format_args!("oif {device}"));
    }
    match (body.table, body.goto_priority) {
        (_, Some(priority)) => facts.add(format_args!("goto {priority}")),
        (Some(table), None) => facts.add(format_args!("{} {table}", body.action)),
        (None, None) => facts.add(format_args!("{}", body.action)),
    }
    found_later(&mut facts, body.is_found_later);
    Columns {
        kind: body.change.name(),
        weight: weight_of(body.change),
        subject: format!("{} of IPv{}", body.priority, body.ip_version),
        facts: facts.0,
        ..Columns::default()
    }
}

pub(super) fn sysctl(body: &Sysctl) -> Columns {
    let facts = match &body.previous {
        Some(previous) => format!("now {}, was {previous}", body.value),
        None => format!("is {}", body.value),
    };
    Columns {
        kind: body.change.name_of_state(),
        weight: weight_of(body.change),
        subject: body.name.to_string(),
        facts,
        ..Columns::default()
    }
}

fn found_later(facts: &mut Facts, is_found_later: bool) {
    if is_found_later {
        facts.add(format_args!("found by comparing"));
    }
}

fn place(device: Option<&Text>) -> String {
    device.map_or_else(String::new, |device| format!(" dev {device}"))
}

fn weight_of(change: Change) -> Weight {
    match change {
        Change::Removed | Change::Down => Weight::Notable,
        Change::Present | Change::Added | Change::Replaced | Change::Up => Weight::Usual,
    }
}
