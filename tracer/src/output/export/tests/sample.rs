//! Records with every fact there can be, beside the samples of the other outputs.

use bytes::Bytes;
use tracer_common::record::{
    ClockRecord, ConntrackCountersRecord, ConntrackRecord, Flow, GapRecord, IpvsServiceKey,
    IpvsServiceRecord, LinkRecord, MarkerRecord, RecordHeader, RecordKind, RuleRecord, change,
    clock_synchronised, clock_why, conntrack_event,
};
use zerocopy::{Immutable, IntoBytes};

use crate::{
    block::Block,
    output::tests::{every_event, names, path},
};

/// Every type of event, and every fact of each.
pub(super) fn blocks() -> [Block; 4] {
    [every_event(), path::stream(), names::sample(), more()]
}

pub(super) fn header(kind: RecordKind, length_bytes: usize) -> RecordHeader {
    RecordHeader {
        time_ns: 20_000_000_000,
        netns: 0xf000_0000,
        kind: kind as u16,
        length_bytes: u16::try_from(length_bytes.next_multiple_of(8)).unwrap(),
        ..RecordHeader::default()
    }
}

fn push(bytes: &mut Vec<u8>, record: &(impl IntoBytes + Immutable), text: &str) {
    bytes.extend_from_slice(record.as_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

fn name<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

pub(super) fn mapped(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
}

fn more() -> Block {
    let mut bytes = Vec::new();
    let rule = RuleRecord {
        header: header(RecordKind::Rule, size_of::<RuleRecord>()),
        source: mapped(0),
        source_bits: 24,
        destination: mapped(0),
        destination_bits: 16,
        priority: 100,
        table: 200,
        goto_priority: 300,
        mark: 1,
        mark_mask: 0xff,
        suppress_prefix_bits: 8,
        action: 2,
        protocol: 4,
        ip_version: 4,
        change: change::ADDED,
        is_found_later: 1,
        input_device: name("eth0"),
        output_device: name("eth1"),
        ..RuleRecord::default()
    };
    push(&mut bytes, &rule, "");
    let link = LinkRecord {
        header: header(RecordKind::Link, size_of::<LinkRecord>()),
        interface_index: 2,
        master_index: 3,
        flags: 0x80,
        device: name("veth\"\\1"),
        change: change::PRESENT,
        ..LinkRecord::default()
    };
    push(&mut bytes, &link, "");
    conntrack(&mut bytes);
    let service = IpvsServiceKey { address: mapped(9), port: 80, protocol: 17, ..IpvsServiceKey::default() };
    let one_packet = IpvsServiceRecord {
        header: header(RecordKind::IpvsService, size_of::<IpvsServiceRecord>()),
        service,
        flags: 4,
        ..IpvsServiceRecord::default()
    };
    push(&mut bytes, &one_packet, "");
    let clock = ClockRecord {
        header: header(RecordKind::Clock, size_of::<ClockRecord>()),
        wall_minus_boot_ns: 1_000_000_000,
        step_ns: -5,
        suspended_ns: 7,
        largest_error_us: 9,
        why: clock_why::STEPPED,
        synchronised: clock_synchronised::YES,
        ..ClockRecord::default()
    };
    push(&mut bytes, &clock, "");
    let gap = GapRecord { header: header(RecordKind::Gap, size_of::<GapRecord>()), records: 3, since_ns: 4 };
    push(&mut bytes, &gap, "");
    let text = "it \"broke\" here\\";
    let marker = MarkerRecord { header: header(RecordKind::Marker, size_of::<MarkerRecord>() + text.len()) };
    push(&mut bytes, &marker, text);
    Block(Bytes::from(bytes))
}

fn conntrack(bytes: &mut Vec<u8>) {
    let flow = Flow {
        source: mapped(1),
        destination: mapped(2),
        source_port: 4242,
        destination_port: 80,
        protocol: 6,
        ..Flow::default()
    };
    let reopened = ConntrackRecord {
        header: header(RecordKind::Conntrack, size_of::<ConntrackRecord>()),
        original: flow,
        reply: Flow { source: mapped(3), ..flow },
        previous_reply: Flow { source: mapped(4), ..flow },
        event: conntrack_event::REOPENED,
        tcp_state: 7,
        ..ConntrackRecord::default()
    };
    push(bytes, &reopened, "");
    let counters = ConntrackCountersRecord {
        header: header(RecordKind::ConntrackCounters, size_of::<ConntrackCountersRecord>()),
        entries: 90,
        limit: 100,
        totals: std::array::from_fn(|place| 100 + place as u64),
        growth: std::array::from_fn(|place| 1 + place as u64),
    };
    push(bytes, &counters, "");
}
