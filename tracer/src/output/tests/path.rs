//! Routes, look-ups, and what routing depends on.

use tracer_common::record::{
    AddressRecord, LinkRecord, NeighbourEntryRecord, NextHopRecord, RecordKind, RouteLookupRecord,
    RouteRecord, RuleRecord, SysctlRecord, change,
};
use zerocopy::IntoBytes as _;

use super::{Arrow, Block, Bytes, Printer, events, flow, header, mapped, name, push, style, v6};

const HARDWARE: [u8; 8] = [2, 0, 0, 0, 0, 7, 0, 0];

fn routes(bytes: &mut Vec<u8>) {
    let route = RouteRecord {
        header: header(RecordKind::Route, size_of::<RouteRecord>()),
        prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 244, 1, 0],
        prefix_bits: 24,
        gateway: mapped(3),
        table: 254,
        metric: 32,
        interface_index: 2,
        protocol: 12,
        route_type: 1,
        change: change::ADDED,
        device: name("eth0"),
        ..RouteRecord::default()
    };
    push(bytes, &route, "");
    push(bytes, &RouteRecord { change: change::REPLACED, source: mapped(1), protocol: 186, ..route }, "");
    push(bytes, &RouteRecord { change: change::REMOVED, is_found_later: 1, ..route }, "");
    let blackhole = RouteRecord {
        prefix: [0; 16],
        prefix_bits: 0,
        gateway: [0; 16],
        device: [0; 16],
        route_type: 6,
        table: 100,
        ..route
    };
    push(bytes, &blackhole, "");
    let mut several =
        RouteRecord { gateway: [0; 16], device: [0; 16], next_hops: 3, next_hop_id: 9, ..route };
    several.header = header(RecordKind::Route, size_of::<RouteRecord>() + 2 * size_of::<NextHopRecord>());
    push(bytes, &several, "");
    for (gateway, weight) in [(mapped(3), 2), (v6(4), 1)] {
        let next_hop = NextHopRecord { gateway, device: name("eth1"), weight, ..NextHopRecord::default() };
        bytes.extend_from_slice(next_hop.as_bytes());
    }
}

fn lookups(bytes: &mut Vec<u8>) {
    let lookup = RouteLookupRecord {
        header: header(RecordKind::RouteLookup, size_of::<RouteLookupRecord>()),
        flow: flow(),
        gateway: mapped(3),
        source: mapped(1),
        table: 254,
        interface_index: 2,
        route_type: 1,
        has_neighbour: 1,
        neighbour_state: 0x04,
        hardware_address_length: 6,
        hardware_address: HARDWARE,
        device: name("eth0"),
        ..RouteLookupRecord::default()
    };
    push(bytes, &lookup, "");
    let local = RouteLookupRecord { route_type: 2, table: 0, device: name("lo"), ..lookup };
    push(bytes, &RouteLookupRecord { gateway: [0; 16], has_neighbour: 0, ..local }, "");
    let refused = RouteLookupRecord {
        header: lookup.header,
        flow: flow(),
        mark: 0x2a,
        error: libc::EHOSTUNREACH.unsigned_abs(),
        route_type: 7,
        ..RouteLookupRecord::default()
    };
    push(bytes, &refused, "");
}

fn surroundings(bytes: &mut Vec<u8>) {
    let address = AddressRecord {
        header: header(RecordKind::Address, size_of::<AddressRecord>()),
        address: mapped(1),
        prefix_bits: 24,
        device: name("eth0"),
        change: change::PRESENT,
        ..AddressRecord::default()
    };
    push(bytes, &address, "");
    push(bytes, &AddressRecord { address: v6(1), flags: 0x48, change: change::ADDED, ..address }, "");
    let link = LinkRecord {
        header: header(RecordKind::Link, size_of::<LinkRecord>()),
        interface_index: 2,
        flags: 0x1,
        mtu_bytes: 1450,
        operational_state: 2,
        hardware_address_length: 6,
        hardware_address: HARDWARE,
        device: name("flannel.1"),
        link_type: name("vxlan"),
        change: change::PRESENT,
        ..LinkRecord::default()
    };
    push(bytes, &link, "");
    push(bytes, &LinkRecord { change: change::DOWN, ..link }, "");
    push(bytes, &LinkRecord { change: change::REPLACED, ..link }, "");
    let rule = RuleRecord {
        header: header(RecordKind::Rule, size_of::<RuleRecord>()),
        source: mapped(0),
        source_bits: 24,
        priority: 100,
        table: 200,
        mark: 1,
        mark_mask: 0xff,
        suppress_prefix_bits: -1,
        action: 1,
        protocol: 4,
        ip_version: 4,
        is_inverted: 1,
        change: change::ADDED,
        input_device: name("eth0"),
        ..RuleRecord::default()
    };
    push(bytes, &rule, "");
    let entry = NeighbourEntryRecord {
        header: header(RecordKind::NeighbourEntry, size_of::<NeighbourEntryRecord>()),
        address: mapped(7),
        state: 0x02,
        hardware_address_length: 6,
        hardware_address: HARDWARE,
        device: name("eth0"),
        ..NeighbourEntryRecord::default()
    };
    push(bytes, &entry, "");
    for (change, text) in
        [(change::PRESENT, "net.ipv4.ip_forward\n1"), (change::REPLACED, "net.ipv4.vs.conn_reuse_mode\n0\n1")]
    {
        let length = (size_of::<SysctlRecord>() + text.len()).next_multiple_of(8);
        let record =
            SysctlRecord { header: header(RecordKind::Sysctl, length), change, ..SysctlRecord::default() };
        push(bytes, &record, text);
    }
}

pub(crate) fn stream() -> Block {
    let mut bytes = Vec::new();
    routes(&mut bytes);
    lookups(&mut bytes);
    surroundings(&mut bytes);
    Block(Bytes::from(bytes))
}

fn printed(mut printer: Printer<Vec<u8>, Vec<u8>>) -> String {
    for event in events(&stream()) {
        printer.print(&event).unwrap();
    }
    String::from_utf8(printer.into_writers().0).unwrap()
}

#[test]
fn paths_as_json() {
    insta::assert_snapshot!(printed(Printer::json(Vec::new(), Vec::new())));
}

#[test]
fn paths_as_lines_leave_out_what_was_there() {
    let lines = printed(Printer::lines(Vec::new(), Vec::new(), style(Arrow::Unicode, false)));
    assert_eq!(
        lines.lines().count(),
        events(&stream()).iter().filter(|event| !event.body.is_snapshot()).count()
    );
    insta::assert_snapshot!(lines);
}
