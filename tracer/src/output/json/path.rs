//! Routes, how peers are reached, and what routing depends on.

use std::net::IpAddr;

use serde::Serialize;

use super::AsText;
use crate::event::{
    Address, Change, HardwareAddress, Link, NeighbourEntry, NeighbourState, NextHop, Prefix, Protocol, Route,
    RouteLookup, RouteProtocol, RouteTable, Rule, Sysctl, Text,
};

fn family_of(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize)]
pub(super) struct RouteObject<'a> {
    change: &'static str,
    prefix: AsText<Prefix>,
    family: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<AsText<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nexthops: Vec<NextHopObject<'a>>,
    #[serde(skip_serializing_if = "super::is_zero")]
    nexthops_left_out: u32,
    #[serde(rename = "route_type")]
    kind: &'static str,
    table: AsText<RouteTable>,
    protocol: AsText<RouteProtocol>,
    #[serde(skip_serializing_if = "super::is_zero")]
    metric: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefsrc: Option<AsText<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nhid: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    found_later: bool,
}

#[derive(Serialize)]
struct NextHopObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<AsText<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<&'a str>,
    weight: u16,
}

impl<'a> From<&'a NextHop> for NextHopObject<'a> {
    fn from(hop: &'a NextHop) -> Self {
        Self { via: hop.gateway.map(AsText), dev: hop.device.as_ref().map(Text::as_str), weight: hop.weight }
    }
}

impl<'a> From<&'a Route> for RouteObject<'a> {
    fn from(body: &'a Route) -> Self {
        Self {
            change: body.change.name(),
            prefix: AsText(body.prefix),
            family: family_of(body.prefix.address),
            via: body.gateway.map(AsText),
            dev: body.device.as_ref().map(Text::as_str),
            nexthops: body.next_hops.iter().map(NextHopObject::from).collect(),
            nexthops_left_out: body.next_hops_left_out.into(),
            kind: body.kind.name(),
            table: AsText(body.table),
            protocol: AsText(body.protocol),
            metric: body.metric,
            prefsrc: body.source.map(AsText),
            nhid: body.next_hop_id,
            found_later: body.is_found_later,
        }
    }
}

#[derive(Serialize)]
pub(super) struct RouteLookupObject<'a> {
    peer: AsText<IpAddr>,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<AsText<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<AsText<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<AsText<RouteTable>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    neighbour_state: Option<AsText<NeighbourState>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    neighbour_mac: Option<AsText<HardwareAddress>>,
    #[serde(skip_serializing_if = "super::is_zero")]
    mark: u32,
    from: AsText<IpAddr>,
    sport: u16,
    dport: u16,
    protocol: AsText<Protocol>,
}

impl<'a> From<&'a RouteLookup> for RouteLookupObject<'a> {
    fn from(body: &'a RouteLookup) -> Self {
        Self {
            peer: AsText(body.flow.destination.ip()),
            result: body.result.name(),
            error: body.result.error(),
            via: body.gateway.map(AsText),
            dev: body.device.as_ref().map(Text::as_str),
            source: body.source.map(AsText),
            table: body.table.map(AsText),
            neighbour_state: body.neighbour_state.map(AsText),
            neighbour_mac: body.neighbour.map(AsText),
            mark: body.mark,
            from: AsText(body.flow.source.ip()),
            sport: body.flow.source.port(),
            dport: body.flow.destination.port(),
            protocol: AsText(body.flow.protocol),
        }
    }
}

#[derive(Serialize)]
pub(super) struct AddressObject<'a> {
    change: &'static str,
    address: AsText<IpAddr>,
    prefix_length: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<AsText<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    found_later: bool,
}

impl<'a> From<&'a Address> for AddressObject<'a> {
    fn from(body: &'a Address) -> Self {
        Self {
            change: body.change.name_of_state(),
            address: AsText(body.address),
            prefix_length: body.prefix_bits,
            peer: body.peer.map(AsText),
            dev: body.device.as_ref().map(Text::as_str),
            scope: body.scope_name(),
            flags: body.flag_names().collect(),
            found_later: body.is_found_later,
        }
    }
}

#[derive(Serialize)]
pub(super) struct LinkObject<'a> {
    change: &'static str,
    dev: &'a str,
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<AsText<HardwareAddress>>,
    mtu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    master_index: Option<u32>,
    up: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    noarp: bool,
    #[serde(skip_serializing_if = "is_false")]
    found_later: bool,
}

impl<'a> From<&'a Link> for LinkObject<'a> {
    fn from(body: &'a Link) -> Self {
        Self {
            change: body.change.name_of_state(),
            dev: body.device.as_str(),
            index: body.interface_index,
            link_type: body.link_type.as_ref().map(Text::as_str),
            mac: body.hardware_address.map(AsText),
            mtu: body.mtu_bytes,
            master_index: body.master_index,
            up: body.is_up(),
            state: body.state_name(),
            noarp: body.is_without_arp(),
            found_later: body.is_found_later,
        }
    }
}

#[derive(Serialize)]
pub(super) struct RuleObject<'a> {
    change: &'static str,
    family: &'static str,
    priority: u32,
    action: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    not: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<AsText<Prefix>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<AsText<Prefix>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark_mask: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iif: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oif: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<AsText<RouteTable>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goto: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppress_prefix_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<AsText<RouteProtocol>>,
    #[serde(skip_serializing_if = "is_false")]
    found_later: bool,
}

impl<'a> From<&'a Rule> for RuleObject<'a> {
    fn from(body: &'a Rule) -> Self {
        Self {
            change: body.change.name(),
            family: if body.ip_version == 6 { "ipv6" } else { "ipv4" },
            priority: body.priority,
            action: body.action,
            not: body.is_inverted,
            from: body.source.map(AsText),
            to: body.destination.map(AsText),
            mark: body.mark.map(|(mark, _)| mark),
            // A mask of all bits is the usual one.
            mark_mask: body.mark.map(|(_, mask)| mask).filter(|mask| *mask != u32::MAX),
            iif: body.input_device.as_ref().map(Text::as_str),
            oif: body.output_device.as_ref().map(Text::as_str),
            table: body.table.map(AsText),
            goto: body.goto_priority,
            suppress_prefix_length: body.suppress_prefix_bits,
            protocol: body.protocol.map(AsText),
            found_later: body.is_found_later,
        }
    }
}

#[derive(Serialize)]
pub(super) struct NeighbourEntryObject<'a> {
    address: AsText<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<AsText<HardwareAddress>>,
    state: AsText<NeighbourState>,
}

impl<'a> From<&'a NeighbourEntry> for NeighbourEntryObject<'a> {
    fn from(body: &'a NeighbourEntry) -> Self {
        Self {
            address: AsText(body.address),
            dev: body.device.as_ref().map(Text::as_str),
            mac: body.hardware_address.map(AsText),
            state: AsText(body.state),
        }
    }
}

#[derive(Serialize)]
pub(super) struct SysctlObject<'a> {
    change: &'static str,
    name: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
}

impl<'a> From<&'a Sysctl> for SysctlObject<'a> {
    fn from(body: &'a Sysctl) -> Self {
        let is_change = body.change != Change::Present;
        Self {
            change: body.change.name_of_state(),
            name: body.name.as_str(),
            value: body.value.as_str(),
            previous: body.previous.as_ref().filter(|_| is_change).map(Text::as_str),
        }
    }
}
