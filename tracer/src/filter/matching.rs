//! Whether an event meets an expression.

use std::net::IpAddr;

use tracer_common::record::RecordKind;

use super::{
    syntax::{Condition, Expression, Pattern, Side},
    words,
};
use crate::{
    event::{Body, Endpoint, Endpoints, Event, HardwareAddress, IpvsService, Route, Text},
    state::Ownership,
};

/// Whether an event tells of tracer or the node as a whole rather than of one flow, entry or decision.
pub(super) fn is_about_tracer(event: &Event) -> bool {
    matches!(
        event.body,
        Body::Stats(_)
            | Body::HookStatus(_)
            | Body::Owner(_)
            | Body::Container(_)
            | Body::Namespace(_)
            | Body::Node { .. }
            | Body::Ready
            | Body::Marker(_)
            | Body::Clock(_)
            | Body::Facts(_)
            | Body::Session(_)
            | Body::SessionBegin
            | Body::Gap(_)
    )
}

/// Whether an event meets an expression.
pub(super) fn evaluate(expression: &Expression, event: &Event, whose: &Ownership<'_>) -> bool {
    match expression {
        Expression::Any(parts) => parts.iter().any(|part| evaluate(part, event, whose)),
        Expression::All(parts) => parts.iter().all(|part| evaluate(part, event, whose)),
        Expression::Not(part) => !evaluate(part, event, whose),
        Expression::Condition(condition) => meets(condition, event, whose),
    }
}

fn meets(condition: &Condition, event: &Event, whose: &Ownership<'_>) -> bool {
    match (condition, &event.body) {
        (Condition::Host(side, network), body) => any_end(body, *side, |end| network.contains(end.address)),
        (Condition::Port(side, first, last), body) => {
            any_end(body, *side, |end| end.port.is_some_and(|port| (*first..=*last).contains(&port)))
        }
        (Condition::Kind(kind), Body::Retransmit(retransmit)) => retransmit.kind == *kind,
        (Condition::Family(family), body) => words::family_of(body.kind()) == Some(*family),
        // A look-up is told as what it is about.
        (Condition::Type(RecordKind::Route), Body::RouteLookup(_)) => true,
        (Condition::Type(kind), body) => body.kind() == *kind,
        (Condition::Netns(inode), _) => event.netns.inode == *inode,
        (Condition::NetnsName(name), _) => fits(name, whose.namespace.and_then(|told| told.name.as_ref())),
        (Condition::Node(name), _) => fits(name, whose.node),
        (Condition::Process(name), Body::Retransmit(retransmit)) => {
            let process = retransmit.process.as_ref().or(whose.process);
            process.is_some_and(|process| name.fits(process.command.as_str()))
        }
        (Condition::Container(name), _) => whose.container.is_some_and(|container| {
            name.fits(container.name.as_str()) || is_id_of(name, container.id.as_str())
        }),
        (Condition::Pod(name), _) => whose.pod.is_some_and(|pod| {
            name.fits(pod.name.as_str()) || name.fits(pod.uid.as_str()) || name.fits(&pod.to_string())
        }),
        (Condition::Device(name), body) => device(body) == Some(name),
        (Condition::Mac(address), body) => hardware_addresses(body).contains(&Some(*address)),
        (Condition::Verdict(verdict), Body::Neighbour(neighbour)) => neighbour.verdict == *verdict,
        (Condition::Decision(decision), Body::Ipvs(ipvs)) => ipvs.decision == *decision,
        (Condition::Event(event), Body::Conntrack(conntrack)) => conntrack.event == *event,
        (Condition::State(state), body) => is_in_state(body, state),
        (Condition::WeightIs(weight), Body::Ipvs(ipvs)) => ipvs.weight == Some(*weight),
        (Condition::WeightBelow(limit), Body::Ipvs(ipvs)) => {
            ipvs.weight.is_some_and(|weight| weight < *limit)
        }
        (Condition::WeightIs(weight), Body::IpvsChange(change)) => {
            change.from == Some(*weight) || change.to == Some(*weight)
        }
        (Condition::WeightBelow(limit), Body::IpvsChange(change)) => {
            change.from.is_some_and(|from| from < *limit) || change.to.is_some_and(|to| to < *limit)
        }
        (Condition::WeightIs(weight), Body::IpvsDestination(listed)) => listed.weight == *weight,
        (Condition::WeightBelow(limit), Body::IpvsDestination(listed)) => listed.weight < *limit,
        (Condition::Failed, Body::Retransmit(retransmit)) => !retransmit.succeeded(),
        (
            Condition::Kind(_)
            | Condition::Process(_)
            | Condition::Verdict(_)
            | Condition::Decision(_)
            | Condition::Event(_)
            | Condition::WeightIs(_)
            | Condition::WeightBelow(_)
            | Condition::Failed,
            _,
        ) => false,
    }
}

/// Whether something has a name that fits.
fn fits(pattern: &Pattern, name: Option<&Text>) -> bool {
    name.is_some_and(|name| pattern.fits(name.as_str()))
}

/// Whether a container may be meant by its id: the whole, or as many of its first digits as people use.
fn is_id_of(name: &Pattern, id: &str) -> bool {
    const SHORT_ID: usize = 12;
    name.0.len() >= SHORT_ID && id.starts_with(&name.0)
}

/// One end an event is about.
struct End {
    address: IpAddr,
    port: Option<u16>,
}

impl From<Endpoint> for End {
    fn from(socket: Endpoint) -> Self {
        Self { address: socket.ip(), port: Some(socket.port()) }
    }
}

impl From<IpAddr> for End {
    fn from(address: IpAddr) -> Self {
        Self { address, port: None }
    }
}

/// Whether any end of the wanted side meets a test. Of translated flows the source is who dials, and the destination
/// both the address dialled and the one that answers. A neighbour has no side.
fn any_end(body: &Body, side: Side, test: impl Fn(End) -> bool) -> bool {
    let (mut source, mut destination) = (false, false);
    match body {
        Body::Retransmit(retransmit) => (source, destination) = both(&retransmit.flow, &test),
        Body::Undo(undo) => (source, destination) = both(&undo.flow, &test),
        Body::Neighbour(neighbour) => return side == Side::Either && test(neighbour.address.into()),
        Body::Claim(claim) => (source, destination) = (test(claim.address.into()), test(claim.target.into())),
        Body::Conntrack(conntrack) => {
            let replies = [&conntrack.reply, &conntrack.previous_reply].into_iter().flatten();
            (source, destination) = translated(conntrack.original.as_ref(), replies, &test);
        }
        Body::Translation(found) => {
            (source, destination) = translated(Some(&found.original), [&found.reply], &test);
        }
        Body::Ipvs(ipvs) => {
            source = test(ipvs.client.into());
            destination =
                test(ipvs.virtual_service.into()) || ipvs.real.is_some_and(|real| test(real.into()));
        }
        Body::Route(route) => {
            destination = test(route.prefix.address.into());
            if side == Side::Either {
                return destination || path_addresses(route).any(|address| test(address.into()));
            }
        }
        Body::RouteLookup(lookup) => {
            (source, destination) = both(&lookup.flow, &test);
            if side == Side::Either && lookup.gateway.is_some_and(|gateway| test(gateway.into())) {
                return true;
            }
        }
        Body::Address(found) => return side == Side::Either && test(found.address.into()),
        Body::NeighbourEntry(entry) => return side == Side::Either && test(entry.address.into()),
        Body::Rule(rule) => {
            source = rule.source.is_some_and(|prefix| test(prefix.address.into()));
            destination = rule.destination.is_some_and(|prefix| test(prefix.address.into()));
        }
        Body::Icmp(icmp) => {
            let about = icmp.about.as_ref();
            (source, destination) = about.map_or((false, false), |about| both(&about.flow, &test));
            source |= icmp.sender.is_some_and(|sender| test(sender.into()));
        }
        Body::Duplicate(duplicate) => (source, destination) = both(&duplicate.flow, &test),
        Body::IpvsChange(change) => destination = any_of_service(change.service, change.real, &test),
        Body::IpvsService(listed) => destination = any_of_service(listed.service, None, &test),
        Body::IpvsDestination(listed) => {
            destination = any_of_service(listed.service, Some(listed.real), &test);
        }
        Body::ConntrackCounters(_)
        | Body::Link(_)
        | Body::Sysctl(_)
        | Body::Ruleset(_)
        | Body::Stats(_)
        | Body::HookStatus(_)
        | Body::Owner(_)
        | Body::Container(_)
        | Body::Namespace(_)
        | Body::Node { .. }
        | Body::Ready
        | Body::Marker(_)
        | Body::Clock(_)
        | Body::Facts(_)
        | Body::Session(_)
        | Body::SessionBegin
        | Body::Gap(_) => {}
    }
    match side {
        Side::Either => source || destination,
        Side::Source => source,
        Side::Destination => destination,
    }
}

fn any_of_service(service: IpvsService, real: Option<Endpoint>, test: impl Fn(End) -> bool) -> bool {
    service.address().into_iter().chain(real).any(|address| test(address.into()))
}

fn both(flow: &Endpoints, test: impl Fn(End) -> bool) -> (bool, bool) {
    (test(flow.source.into()), test(flow.destination.into()))
}

/// The same of a flow and what answers it. With source translation the answer goes to another address than the one that
/// dials.
fn translated<'a>(
    original: Option<&Endpoints>,
    replies: impl IntoIterator<Item = &'a Endpoints>,
    test: impl Fn(End) -> bool,
) -> (bool, bool) {
    let (mut source, mut destination) = original.map_or((false, false), |original| both(original, &test));
    for reply in replies {
        let (answering, answered) = both(reply, &test);
        (source, destination) = (source || answered, destination || answering);
    }
    (source, destination)
}

/// The next hops of a route, and the source it prefers.
fn path_addresses(route: &Route) -> impl Iterator<Item = IpAddr> {
    let next_hops = route.next_hops.iter().filter_map(|next_hop| next_hop.gateway);
    route.gateway.into_iter().chain(route.source).chain(next_hops)
}

fn device(body: &Body) -> Option<&str> {
    match body {
        Body::Retransmit(retransmit) => retransmit.device.as_ref().map(Text::as_str),
        Body::Neighbour(neighbour) => Some(neighbour.device.as_str()),
        Body::Claim(claim) => Some(claim.device.as_str()),
        Body::Route(route) => route.device.as_ref().map(Text::as_str),
        Body::RouteLookup(lookup) => lookup.device.as_ref().map(Text::as_str),
        Body::Address(address) => address.device.as_ref().map(Text::as_str),
        Body::Link(link) => Some(link.device.as_str()),
        Body::NeighbourEntry(entry) => entry.device.as_ref().map(Text::as_str),
        Body::Icmp(icmp) => icmp.device.as_ref().map(Text::as_str),
        Body::Duplicate(duplicate) => Some(duplicate.device.as_str()),
        _ => None,
    }
}

fn hardware_addresses(body: &Body) -> [Option<HardwareAddress>; 2] {
    match body {
        Body::Neighbour(neighbour) => [neighbour.proposed, neighbour.previous],
        Body::Claim(claim) => [claim.hardware_address, None],
        Body::RouteLookup(lookup) => [lookup.neighbour, None],
        Body::Link(link) => [link.hardware_address, None],
        Body::NeighbourEntry(entry) => [entry.hardware_address, None],
        _ => [None, None],
    }
}

/// Whether an event's state, or for a neighbour the old or the new one, has this name.
fn is_in_state(body: &Body, name: &str) -> bool {
    match body {
        Body::Retransmit(retransmit) => retransmit.tcp_state.to_string() == name,
        Body::Undo(undo) => undo.tcp_state.to_string() == name,
        Body::Neighbour(neighbour) => {
            neighbour.old_state.to_string() == name || neighbour.new_state.to_string() == name
        }
        Body::Conntrack(conntrack) => conntrack.tcp_state == Some(name),
        Body::Translation(found) => found.tcp_state == Some(name),
        Body::Ipvs(ipvs) => ipvs.connection_state == Some(name),
        Body::RouteLookup(lookup) => lookup.neighbour_state.is_some_and(|state| state.to_string() == name),
        Body::NeighbourEntry(entry) => entry.state.to_string() == name,
        _ => false,
    }
}
