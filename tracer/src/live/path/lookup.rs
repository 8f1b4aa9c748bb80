//! What the kernel answers when it is asked how it would send to a flow's peer: `ip route get`, and the next hop's
//! entry in the neighbour table.

use std::net::Ipv6Addr;

use tracer_common::record::{DEVICE_NAME_BYTES, Flow, RetransmitRecord, RouteLookupRecord};

use super::{
    parse,
    wire::{
        self, AF_INET, NETLINK_ROUTE, NeighbourHeader, RTM_F_LOOKUP_TABLE, RTM_GETNEIGH, RTM_GETROUTE,
        RTM_NEWNEIGH, RTM_NEWROUTE, RouteHeader,
    },
};
use crate::netlink::{ANSWER_SECONDS, Asking, Refusal, Request};

/// `RTN_*` of `include/uapi/linux/rtnetlink.h`.
pub(super) const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
const BLACKHOLE: u8 = 6;
const UNREACHABLE: u8 = 7;
const PROHIBIT: u8 = 8;

/// `RT_TABLE_MAIN`.
const MAIN_TABLE: u32 = 254;

/// Looks up how a retransmitting flow's peer is reached, in the calling thread's namespace, which must be the flow's.
/// `device` gives the name of a device. Fails only if the kernel cannot be asked.
pub(super) fn look_up(
    retransmit: &RetransmitRecord,
    device: impl Fn(u32) -> [u8; DEVICE_NAME_BYTES],
) -> Result<RouteLookupRecord, Refusal> {
    let mut asking = Asking::open(NETLINK_ROUTE, ANSWER_SECONDS)?;
    let mut found = RouteLookupRecord {
        flow: retransmit.flow,
        mark: retransmit.mark,
        bound_interface_index: retransmit.bound_interface_index,
        ..RouteLookupRecord::default()
    };
    let mut answer = ask_route(&mut asking, &mut found, Some(retransmit.flow.source), None);
    // A blackhole, or a source that is not this node's (a transparent proxy's socket): the kernel says EINVAL to both.
    if matches!(answer, Err(Refusal::Errno(libc::EINVAL))) && !is_own(&mut asking, retransmit.flow.source) {
        answer = ask_route(&mut asking, &mut found, None, None);
    }
    completed(asking, found, answer, device)
}

/// Looks up how a flow's packets go on that come in by a device, in the calling thread's namespace, which must be the
/// device's.
pub(super) fn look_up_onward(
    flow: Flow,
    came_in_by: u32,
    device: impl Fn(u32) -> [u8; DEVICE_NAME_BYTES],
) -> Result<RouteLookupRecord, Refusal> {
    let mut asking = Asking::open(NETLINK_ROUTE, ANSWER_SECONDS)?;
    let mut found = RouteLookupRecord { flow, ..RouteLookupRecord::default() };
    let mut answer = ask_route(&mut asking, &mut found, None, None);
    if answer.is_err() || found.route_type != UNICAST {
        // Rules may ask where a packet is from and came in. Only now, for what is asked as one that came in is checked as
        // such: a source that may not come in there is counted, and logged where `log_martians` is set
        // (`ip_handle_martian_source`).
        let mut as_forwarded = RouteLookupRecord { flow, ..RouteLookupRecord::default() };
        let again = ask_route(&mut asking, &mut as_forwarded, Some(flow.source), Some(came_in_by));
        if again.is_ok() && as_forwarded.route_type == UNICAST {
            (found, answer) = (as_forwarded, Ok(()));
        }
    }
    completed(asking, found, answer, device)
}

/// An answer, with the next hop's neighbour entry and what a refusal means.
fn completed(
    mut asking: Asking,
    mut found: RouteLookupRecord,
    answer: Result<(), Refusal>,
    device: impl Fn(u32) -> [u8; DEVICE_NAME_BYTES],
) -> Result<RouteLookupRecord, Refusal> {
    match answer {
        Ok(()) => {}
        Err(Refusal::Errno(errno)) => {
            found.error = errno.unsigned_abs();
            found.route_type = refusing_type(errno);
        }
        Err(Refusal::Said { errno, words }) => {
            log::debug!("no look-up of {}: {words}", Ipv6Addr::from(found.flow.destination).to_canonical());
            found.error = errno.unsigned_abs();
        }
        Err(error @ Refusal::Socket(_)) => return Err(error),
    }
    if found.interface_index != 0 {
        found.device = device(found.interface_index);
    }
    if found.error == 0 && found.route_type == UNICAST {
        let is_on_link = found.gateway == [0; 16];
        let next_hop = if is_on_link { found.flow.destination } else { found.gateway };
        ask_neighbour(&mut asking, &mut found, next_hop)?;
    }
    Ok(found)
}

/// Which type of route makes the kernel refuse so (`fib_props` of `net/ipv4/fib_semantics.c`, `fib6_prop` of
/// `net/ipv6/route.c`, the same from 5.10 to 6.18); 0 if no route does.
fn refusing_type(errno: i32) -> u8 {
    match errno {
        libc::EINVAL => BLACKHOLE,
        libc::EHOSTUNREACH => UNREACHABLE,
        libc::EACCES => PROHIBIT,
        _ => 0,
    }
}

fn ask_route(
    asking: &mut Asking,
    found: &mut RouteLookupRecord,
    source: Option<[u8; 16]>,
    came_in_by: Option<u32>,
) -> Result<(), Refusal> {
    let (family, destination) = parse::unmapped(found.flow.destination);
    let bits = |address: &[u8]| u8::try_from(address.len() * 8).unwrap_or_default();
    let source = source.map(|source| parse::unmapped(source).1);
    let header = RouteHeader {
        family,
        destination_bits: bits(&destination),
        source_bits: source.as_deref().map_or(0, bits),
        // IPv6 tells the table unasked, and refuses the flag where it checks strictly.
        flags: if family == AF_INET { RTM_F_LOOKUP_TABLE } else { 0 },
        ..RouteHeader::default()
    };
    let mut request = Request::new(RTM_GETROUTE, &header).with(wire::route::DESTINATION, &destination);
    if found.flow.protocol != 0 {
        // Ports choose among next hops, and rules may ask for them.
        request = request
            .with(wire::route::IP_PROTOCOL, &[found.flow.protocol])
            .with(wire::route::SOURCE_PORT, &found.flow.source_port.to_be_bytes())
            .with(wire::route::DESTINATION_PORT, &found.flow.destination_port.to_be_bytes());
    }
    if let Some(source) = source {
        request = request.with(wire::route::SOURCE, &source);
    }
    if let Some(came_in_by) = came_in_by {
        request = request.with(wire::route::INPUT_DEVICE, &came_in_by.to_ne_bytes());
    }
    if found.mark != 0 {
        request = request.with(wire::route::MARK, &found.mark.to_ne_bytes());
    }
    if found.bound_interface_index != 0 {
        request = request.with(wire::route::OUTPUT_DEVICE, &found.bound_interface_index.to_ne_bytes());
    }
    asking.ask(&request, |message| {
        if message.kind == RTM_NEWROUTE
            && let Some(route) = parse::answer(message)
        {
            found.gateway = route.gateway;
            found.source = route.source;
            // Until rules are made, the local table lies within the main one and answers by its name
            // (`fib_trie_table` of `net/ipv4/fib_trie.c`).
            let is_vague = route.route_type == LOCAL && route.table == MAIN_TABLE;
            found.table = if is_vague { 0 } else { route.table };
            found.interface_index = route.interface_index;
            found.route_type = route.route_type;
        }
    })
}

/// Whether an address is this namespace's own. The kernel is asked, for an address may be local without being on a
/// device.
fn is_own(asking: &mut Asking, address: [u8; 16]) -> bool {
    let flow = Flow { destination: address, ..Flow::default() };
    let mut found = RouteLookupRecord { flow, ..RouteLookupRecord::default() };
    ask_route(asking, &mut found, None, None).is_ok() && found.route_type == LOCAL
}

/// What the neighbour table has of the next hop. Asking makes no entry.
fn ask_neighbour(
    asking: &mut Asking,
    found: &mut RouteLookupRecord,
    next_hop: [u8; 16],
) -> Result<(), Refusal> {
    let (family, address) = parse::unmapped(next_hop);
    let interface_index = found.interface_index;
    let header = NeighbourHeader { family, interface_index, ..NeighbourHeader::default() };
    let request = Request::new(RTM_GETNEIGH, &header).with(wire::neighbour::DESTINATION, &address);
    let asked = asking.ask(&request, |message| {
        if message.kind == RTM_NEWNEIGH
            && let Some(entry) = parse::neighbour(message)
        {
            found.has_neighbour = 1;
            found.neighbour_state = entry.state;
            found.hardware_address_length = entry.hardware_address_length;
            found.hardware_address = entry.hardware_address;
        }
    });
    match asked {
        // It has none (ENOENT), or the device needs none.
        Ok(()) | Err(Refusal::Errno(_) | Refusal::Said { .. }) => Ok(()),
        Err(error @ Refusal::Socket(_)) => Err(error),
    }
}

/// How an address prints in a message about a look-up.
pub(super) fn peer(retransmit: &RetransmitRecord) -> impl std::fmt::Display + use<> {
    Ipv6Addr::from(retransmit.flow.destination).to_canonical()
}
