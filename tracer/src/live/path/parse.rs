//! From rtnetlink messages to records. Names of devices are filled in by who knows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracer_common::record::{
    AddressRecord, DEVICE_NAME_BYTES, HARDWARE_ADDRESS_BYTES, LINK_TYPE_BYTES, LinkRecord,
    NeighbourEntryRecord, NextHopRecord, RouteRecord, RuleRecord,
};
use zerocopy::FromBytes as _;

use super::wire::{
    self, AF_INET, AF_INET6, AF_UNSPEC, AddressHeader, LinkHeader, NTF_PROXY, NeighbourHeader, NextHopHeader,
    RTM_F_CLONED, RouteHeader, RuleHeader,
};
use crate::netlink::{Message, attributes, number, text};

/// A route, and its next hops where there are several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) record: RouteRecord,
    pub(super) next_hops: Box<[NextHopRecord]>,
}

/// An address as records have it, from its bytes; a prefix may be told by fewer. `None` for other families.
pub(super) fn mapped(family: u8, value: &[u8]) -> Option<[u8; 16]> {
    match family {
        AF_INET => {
            let mut bytes = [0; 4];
            bytes[..value.len().min(4)].copy_from_slice(&value[..value.len().min(4)]);
            Some(Ipv4Addr::from(bytes).to_ipv6_mapped().octets())
        }
        AF_INET6 => {
            let mut bytes = [0; 16];
            bytes[..value.len().min(16)].copy_from_slice(&value[..value.len().min(16)]);
            Some(Ipv6Addr::from(bytes).octets())
        }
        _ => None,
    }
}

/// The bytes of an address as netlink has them, and its family.
pub(super) fn unmapped(address: [u8; 16]) -> (u8, Vec<u8>) {
    match Ipv6Addr::from(address).to_canonical() {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    }
}

/// The next hop of `RTA_VIA`, which may be of another family than the route.
fn via(value: &[u8]) -> Option<[u8; 16]> {
    let (family, address) = u16::read_from_prefix(value).ok()?;
    mapped(u8::try_from(family).ok()?, address)
}

/// A route of a table; `None` for what is no IP route of one.
pub(super) fn route(message: &Message<'_>) -> Option<Route> {
    let (header, _) = message.split::<RouteHeader>()?;
    if header.flags & RTM_F_CLONED != 0 { None } else { any_route(message) }
}

/// The route by which the kernel would send, from its answer.
pub(super) fn answer(message: &Message<'_>) -> Option<RouteRecord> {
    any_route(message).map(|route| route.record)
}

fn any_route(message: &Message<'_>) -> Option<Route> {
    let (header, rest) = message.split::<RouteHeader>()?;
    let mut record = RouteRecord {
        prefix: mapped(header.family, &[])?,
        table: header.table.into(),
        netlink_port: message.port,
        prefix_bits: header.destination_bits,
        protocol: header.protocol,
        route_type: header.route_type,
        scope: header.scope,
        type_of_service: header.type_of_service,
        ..RouteRecord::default()
    };
    let mut next_hops = Vec::new();
    for (kind, value) in attributes(rest.0) {
        let as_number = || number::<u32>(value).unwrap_or_default();
        let as_address = || mapped(header.family, value).unwrap_or_default();
        match kind {
            wire::route::DESTINATION => record.prefix = as_address(),
            wire::route::GATEWAY => record.gateway = as_address(),
            wire::route::VIA => record.gateway = via(value).unwrap_or_default(),
            wire::route::PREFERRED_SOURCE => record.source = as_address(),
            wire::route::OUTPUT_DEVICE => record.interface_index = as_number(),
            wire::route::PRIORITY => record.metric = as_number(),
            wire::route::TABLE => record.table = as_number(),
            wire::route::NEXT_HOP_ID => record.next_hop_id = as_number(),
            wire::route::MULTIPATH => next_hops = multipath(header.family, value),
            _ => {}
        }
    }
    record.next_hops = u16::try_from(next_hops.len()).unwrap_or(u16::MAX);
    Some(Route { record, next_hops: next_hops.into() })
}

fn multipath(family: u8, mut rest: &[u8]) -> Vec<NextHopRecord> {
    let mut next_hops = Vec::new();
    while let Ok((header, _)) = NextHopHeader::read_from_prefix(rest) {
        let length = usize::from(header.length_bytes);
        let Some(inner) = rest.get(size_of::<NextHopHeader>()..length) else { break };
        let mut next_hop = NextHopRecord {
            interface_index: header.interface_index,
            weight: u16::from(header.hops) + 1,
            flags: header.flags,
            ..NextHopRecord::default()
        };
        for (kind, value) in attributes(inner) {
            match kind {
                wire::route::GATEWAY => next_hop.gateway = mapped(family, value).unwrap_or_default(),
                wire::route::VIA => next_hop.gateway = via(value).unwrap_or_default(),
                _ => {}
            }
        }
        next_hops.push(next_hop);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    next_hops
}

/// An address of a device; `None` for what is no IP address.
pub(super) fn address(message: &Message<'_>) -> Option<AddressRecord> {
    let (header, rest) = message.split::<AddressHeader>()?;
    let mut record = AddressRecord {
        interface_index: header.interface_index,
        flags: header.flags.into(),
        prefix_bits: header.prefix_bits,
        scope: header.scope,
        ..AddressRecord::default()
    };
    let (mut address, mut local) = (None, None);
    for (kind, value) in attributes(rest.0) {
        match kind {
            wire::address::ADDRESS => address = mapped(header.family, value),
            wire::address::LOCAL => local = mapped(header.family, value),
            // The header has room for 8 flags only.
            wire::address::FLAGS => record.flags = number(value).unwrap_or(record.flags),
            _ => {}
        }
    }
    // Where both are told, the local one is this node's and the other the peer's, or the same.
    record.address = local.or(address)?;
    record.peer = address.filter(|peer| *peer != record.address).unwrap_or_default();
    Some(record)
}

/// A device; `None` for messages about its part in a bridge or its IPv6 settings.
pub(super) fn link(message: &Message<'_>) -> Option<LinkRecord> {
    let (header, rest) = message.split::<LinkHeader>()?;
    if header.family != AF_UNSPEC {
        return None;
    }
    let mut record =
        LinkRecord { interface_index: header.interface_index, flags: header.flags, ..LinkRecord::default() };
    for (kind, value) in attributes(rest.0) {
        match kind {
            wire::link::NAME => record.device = name::<DEVICE_NAME_BYTES>(value),
            wire::link::MTU => record.mtu_bytes = number(value).unwrap_or_default(),
            wire::link::MASTER => record.master_index = number(value).unwrap_or_default(),
            wire::link::OPERATIONAL_STATE => record.operational_state = number(value).unwrap_or_default(),
            wire::link::HARDWARE_ADDRESS => {
                (record.hardware_address, record.hardware_address_length) = hardware_address(value);
            }
            wire::link::INFO => {
                record.link_type = attributes(value)
                    .find(|(kind, _)| *kind == wire::link::INFO_TYPE)
                    .map_or([0; LINK_TYPE_BYTES], |(_, value)| name(value));
            }
            _ => {}
        }
    }
    Some(record)
}

/// An entry of a neighbour table; `None` for other families and for addresses this node answers for.
pub(super) fn neighbour(message: &Message<'_>) -> Option<NeighbourEntryRecord> {
    let (header, rest) = message.split::<NeighbourHeader>()?;
    if header.flags & NTF_PROXY != 0 {
        return None;
    }
    let mut record = NeighbourEntryRecord {
        interface_index: header.interface_index,
        state: u8::try_from(header.state).ok()?,
        flags: header.flags,
        ..NeighbourEntryRecord::default()
    };
    let mut address = None;
    for (kind, value) in attributes(rest.0) {
        match kind {
            wire::neighbour::DESTINATION => address = mapped(header.family, value),
            wire::neighbour::HARDWARE_ADDRESS => {
                (record.hardware_address, record.hardware_address_length) = hardware_address(value);
            }
            _ => {}
        }
    }
    record.address = address?;
    Some(record)
}

/// A rule; `None` for other families.
pub(super) fn rule(message: &Message<'_>) -> Option<RuleRecord> {
    let (header, rest) = message.split::<RuleHeader>()?;
    let any = mapped(header.family, &[])?;
    let mut record = RuleRecord {
        source: any,
        destination: any,
        table: header.table.into(),
        suppress_prefix_bits: -1,
        source_bits: header.source_bits,
        destination_bits: header.destination_bits,
        action: header.action,
        ip_version: if header.family == AF_INET { 4 } else { 6 },
        is_inverted: u8::from(header.flags & wire::FIB_RULE_INVERT != 0),
        ..RuleRecord::default()
    };
    for (kind, value) in attributes(rest.0) {
        let as_number = || number::<u32>(value).unwrap_or_default();
        match kind {
            wire::rule::DESTINATION => record.destination = mapped(header.family, value).unwrap_or(any),
            wire::rule::SOURCE => record.source = mapped(header.family, value).unwrap_or(any),
            wire::rule::INPUT_DEVICE => record.input_device = name(value),
            wire::rule::OUTPUT_DEVICE => record.output_device = name(value),
            wire::rule::GOTO => record.goto_priority = as_number(),
            wire::rule::PRIORITY => record.priority = as_number(),
            wire::rule::MARK => record.mark = as_number(),
            wire::rule::MARK_MASK => record.mark_mask = as_number(),
            wire::rule::TABLE => record.table = as_number(),
            wire::rule::SUPPRESS_PREFIX_BITS => record.suppress_prefix_bits = number(value).unwrap_or(-1),
            wire::rule::PROTOCOL => record.protocol = number(value).unwrap_or_default(),
            _ => {}
        }
    }
    Some(record)
}

/// A name with its closing zero, cut if it is longer than the kernel allows.
fn name<const LENGTH: usize>(value: &[u8]) -> [u8; LENGTH] {
    let mut name = [0; LENGTH];
    for (kept, &byte) in name.iter_mut().take(LENGTH - 1).zip(text(value)) {
        *kept = byte;
    }
    name
}

fn hardware_address(value: &[u8]) -> ([u8; HARDWARE_ADDRESS_BYTES], u8) {
    let mut bytes = [0; HARDWARE_ADDRESS_BYTES];
    for (kept, &byte) in bytes.iter_mut().zip(value) {
        *kept = byte;
    }
    (bytes, u8::try_from(value.len()).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{address, link, neighbour, route, rule};
    use crate::netlink::Message;

    proptest! {
        #[test]
        fn no_payload_makes_a_parser_fail(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let message = Message { kind: 24, flags: 0, sequence: 0, port: 0, payload: &payload };
            if let Some(found) = route(&message) {
                prop_assert_eq!(usize::from(found.record.next_hops), found.next_hops.len());
            }
            let _ = (address(&message), link(&message), neighbour(&message), rule(&message));
        }

        #[test]
        fn next_hops_are_told_as_far_as_they_are_whole(cut in 0_usize..56, gateways in prop::collection::vec(any::<[u8; 4]>(), 1..4)) {
            let mut next_hops = Vec::new();
            for gateway in &gateways {
                next_hops.extend_from_slice(&16_u16.to_ne_bytes());
                next_hops.extend_from_slice(&[0, 1, 2, 0, 0, 0, 8, 0, 5, 0]);
                next_hops.extend_from_slice(gateway);
            }
            let kept = next_hops.len().saturating_sub(cut);
            let mut payload = vec![2, 24, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
            payload.extend_from_slice(&u16::try_from(kept + 4).unwrap().to_ne_bytes());
            payload.extend_from_slice(&9_u16.to_ne_bytes());
            payload.extend_from_slice(&next_hops[..kept]);
            let message = Message { kind: 24, flags: 0, sequence: 0, port: 0, payload: &payload };
            let found = route(&message).unwrap();
            prop_assert_eq!(found.next_hops.len(), kept / 16);
            for (next_hop, gateway) in found.next_hops.iter().zip(&gateways) {
                prop_assert_eq!(&next_hop.gateway[12..], gateway);
                prop_assert_eq!((next_hop.weight, next_hop.interface_index), (2, 2));
            }
        }
    }
}
