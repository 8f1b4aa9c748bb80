//! What changed on the node when something began: the routes, devices and addresses packets to somebody depend on.

use std::net::IpAddr;

use crate::{
    event::{Address, Body, Change, Event, Link, Netns, Prefix, Route, RouteType, Text, Timestamp},
    state::State,
    words::duration,
};

/// Changes that are told.
const MOST_TOLD: usize = 3;

/// Nanoseconds before and after the begin of something within which a change counts as beside it. What is sent again
/// was sent a round trip before the change at most, and after it by any time.
const BEFORE_NS: u64 = 10_000_000_000;
const AFTER_NS: u64 = 2_000_000_000;

/// What packets depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    /// The network namespace they leave.
    pub(super) netns: Netns,
    /// Where they go.
    pub(super) peer: IpAddr,
    /// Their next hop, where that is another.
    pub(super) gateway: Option<IpAddr>,
    /// The device they leave by.
    pub(super) device: Option<&'a Text>,
}

/// The last changes beside a moment that may have to do with it, oldest first.
pub(super) fn changes(state: &State, way: Way<'_>, began: Timestamp) -> Vec<String> {
    let (first_ns, last_ns) = (began.boot_ns.saturating_sub(BEFORE_NS), began.boot_ns + AFTER_NS);
    let is_beside = |event: &&Event| (first_ns..=last_ns).contains(&event.time.boot_ns);
    let told = state.chronicle.of_routing().rev().filter(is_beside).filter_map(|event| {
        let text = text(event, way)?;
        let when = match event.time.boot_ns.checked_sub(began.boot_ns) {
            Some(after_ns) => format!("{} after", duration(after_ns)),
            None => format!("{} before", duration(began.boot_ns - event.time.boot_ns)),
        };
        Some(format!("{text}, {when}"))
    });
    let mut told: Vec<String> = told.take(MOST_TOLD).collect();
    told.reverse();
    told
}

/// The last time before or at a moment that the next hop went to another hardware address.
pub(super) fn neighbour_move(state: &State, way: Way<'_>, began: Timestamp) -> Option<String> {
    let (first_ns, last_ns) = (began.boot_ns.saturating_sub(BEFORE_NS), began.boot_ns + AFTER_NS);
    let next_hop = way.gateway.unwrap_or(way.peer);
    let of_next_hop = state
        .neighbours
        .iter()
        .filter(|(key, _)| (key.netns, key.address) == (way.netns, next_hop))
        .flat_map(|(_, neighbour)| &neighbour.contest.moves);
    let moved = of_next_hop
        .filter(|moved| (first_ns..=last_ns).contains(&moved.time.boot_ns))
        .max_by_key(|moved| moved.time)?;
    let when = match moved.time.boot_ns.checked_sub(began.boot_ns) {
        Some(after_ns) => format!("{} after", duration(after_ns)),
        None => format!("{} before", duration(began.boot_ns - moved.time.boot_ns)),
    };
    Some(format!("{next_hop} went from {} to {}, {when}", moved.from, moved.to))
}

/// What a change says, if packets on that way depend on it.
fn text(event: &Event, way: Way<'_>) -> Option<String> {
    let is_own = event.netns == way.netns;
    match &event.body {
        // Another namespace of the node may be a router on the way; its default route tells of nobody in particular.
        Body::Route(route) => {
            let is_meant = event.netns.node == way.netns.node
                && route.prefix.contains(way.peer)
                && (is_own || route.prefix.bits != 0);
            is_meant.then(|| route_text(route))
        }
        Body::Link(link) => {
            let is_meant = is_own && Some(&link.device) == way.device && link.change != Change::Present;
            is_meant.then(|| link_text(link))
        }
        Body::Address(address) => {
            let is_meant = address.address == way.peer || Some(address.address) == way.gateway;
            (is_meant && event.netns.node == way.netns.node).then(|| address_text(address))
        }
        _ => None,
    }
}

/// `route 10.2.0.0/16 via 10.0.0.1 dev eth0 removed (bird)`.
pub(super) fn route_text(route: &Route) -> String {
    let kind = if route.kind == RouteType::UNICAST { "" } else { route.kind.name() };
    let space = if kind.is_empty() { "" } else { " " };
    let via = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let device = route.device.as_ref().map(|device| format!(" dev {device}")).unwrap_or_default();
    format!(
        "route {kind}{space}{}{via}{device} {} (by {})",
        route.prefix,
        route.change.name(),
        route.protocol
    )
}

fn link_text(link: &Link) -> String {
    format!("device {} {}", link.device, link.change.name_of_state())
}

fn address_text(address: &Address) -> String {
    let device = address.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
    format!("address {}/{}{device} {}", address.address, address.prefix_bits, address.change.name_of_state())
}

/// The network that addresses beside it are thought to be of.
pub(super) fn network(address: IpAddr) -> Prefix {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Prefix { address: [a, b, c, 0].into(), bits: 24 }
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Prefix { address: [a, b, c, d, 0, 0, 0, 0].into(), bits: 64 }
        }
    }
}
