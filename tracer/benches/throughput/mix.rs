//! Records of a busy node, made up, and the same in every run.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use tracer::block::Block;
use tracer_common::record::{
    ClaimRecord, ConntrackRecord, Flow, IpvsRecord, NeighbourRecord, Record, RecordHeader, RecordKind,
    RetransmitRecord, StatsRecord, conntrack_event, ipvs_step,
};
use zerocopy::IntoBytes as _;

/// Bytes of a block, about what the program takes from the ring at once.
const BLOCK_BYTES: usize = 1 << 16;

const RECORDS_A_SECOND: u32 = 50_000;

const NETNS: u32 = 4_026_531_840;

/// Blocks with those records, by their number, of that many flows: of a thousand records 940 retransmits, 20 proposals of
/// neighbours, 10 claims, 20 decisions of conntrack and 10 of IPVS; and once a second a sample of the accounting, which
/// has findings looked for. Flows come in no order that a cache could follow.
pub(crate) fn run(flows: u32, records: Range<u32>) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut buffer = BytesMut::with_capacity(2 * BLOCK_BYTES);
    for index in records {
        if index.is_multiple_of(RECORDS_A_SECOND) {
            buffer.extend_from_slice(stats(index).as_bytes());
        }
        append(&mut buffer, index, scattered(index) % flows);
        if buffer.len() >= BLOCK_BYTES {
            blocks.push(Block(whole(&mut buffer)));
        }
    }
    blocks.push(Block(whole(&mut buffer)));
    blocks
}

/// The number's bits well mixed.
fn scattered(number: u32) -> u32 {
    let mixed = (number ^ (number >> 16)).wrapping_mul(0x21f0_aaad);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x735a_2d97);
    mixed ^ (mixed >> 15)
}

fn whole(buffer: &mut BytesMut) -> Bytes {
    Bytes::copy_from_slice(&buffer.split())
}

fn append(buffer: &mut BytesMut, index: u32, flow: u32) {
    match index % 100 {
        0 | 50 => buffer.extend_from_slice(neighbour(index, flow).as_bytes()),
        25 => buffer.extend_from_slice(claim(index, flow).as_bytes()),
        10 | 60 => buffer.extend_from_slice(conntrack(index, flow).as_bytes()),
        75 => buffer.extend_from_slice(ipvs(index, flow).as_bytes()),
        _ => buffer.extend_from_slice(retransmit(index, flow).as_bytes()),
    }
}

fn header<R: Record>(index: u32) -> RecordHeader {
    const SECOND_NS: u64 = 1_000_000_000;
    RecordHeader {
        time_ns: 1_000 * SECOND_NS + u64::from(index) * SECOND_NS / u64::from(RECORDS_A_SECOND),
        netns: NETNS,
        kind: R::KIND as u16,
        length_bytes: u16::try_from(size_of::<R>()).unwrap_or_default(),
        cpu: u16::from(index.is_multiple_of(2)),
        ..RecordHeader::default()
    }
}

fn name(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (kept, &byte) in bytes.iter_mut().take(15).zip(text.as_bytes()) {
        *kept = byte;
    }
    bytes
}

/// An IPv4 address in 10.0.0.0/8, mapped.
fn address(host: u32) -> [u8; 16] {
    let [_, second, third, fourth] = host.to_be_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, second, third, fourth]
}

fn ends(flow: u32) -> Flow {
    Flow {
        source: address(0x02_00_00 + flow % 250),
        destination: address(0x60_00_00 + flow / 50_000),
        source_port: u16::try_from(10_000 + flow % 50_000).unwrap_or_default(),
        destination_port: 443,
        protocol: 6,
        ..Flow::default()
    }
}

/// A third each of SYNs, timeouts and fast retransmits, the flow deciding.
fn retransmit(index: u32, flow: u32) -> RetransmitRecord {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let kind = flow % 3;
    RetransmitRecord {
        header: header::<RetransmitRecord>(index),
        flow: ends(flow),
        socket_inode: u64::from(flow) + 1,
        cgroup_id: 4_000 + u64::from(flow % 40),
        sequence: index,
        end_sequence: index.wrapping_add(1_448),
        unacknowledged: index,
        send_window_bytes: 65_536,
        rto_jiffies: 50,
        srtt_eighth_us: if kind == 0 { 0 } else { 8_000 },
        congestion_window: 10,
        segments: 1,
        process_id: 1_000 + flow % 400,
        interface_index: 2,
        tcp_state: if kind == 0 { 2 } else { 1 },
        congestion_state: if kind == 2 { 3 } else { 4 },
        pending_timer: u8::from(kind != 2),
        tcp_flags: if kind == 0 { SYN } else { ACK },
        retransmits: u8::try_from(1 + index % 5).unwrap_or_default(),
        sacked: if kind == 2 { 4 } else { 0 },
        command: name("nginx-worker"),
        device: name("veth12ab34cd"),
        ..RetransmitRecord::default()
    }
}

fn neighbour(index: u32, flow: u32) -> NeighbourRecord {
    const REACHABLE: u8 = 2;
    const HARDWARE_ADDRESS: [u8; 8] = [2, 0x42, 10, 0, 0, 1, 0, 0];
    NeighbourRecord {
        header: header::<NeighbourRecord>(index),
        address: address(flow % 2_000),
        proposed: HARDWARE_ADDRESS,
        current: HARDWARE_ADDRESS,
        device: name("veth12ab34cd"),
        interface_index: 2,
        old_state: REACHABLE,
        new_state: REACHABLE,
        has_proposed: 1,
        hardware_address_length: 6,
        ..NeighbourRecord::default()
    }
}

fn claim(index: u32, flow: u32) -> ClaimRecord {
    const REPLY: u16 = 2;
    ClaimRecord {
        header: header::<ClaimRecord>(index),
        address: address(flow % 2_000),
        target: address(1),
        hardware_address: [2, 0x42, 10, 0, 0, 1, 0, 0],
        device: name("veth12ab34cd"),
        interface_index: 2,
        operation: REPLY,
        ..ClaimRecord::default()
    }
}

fn conntrack(index: u32, flow: u32) -> ConntrackRecord {
    const TIME_WAIT: u8 = 7;
    ConntrackRecord {
        header: header::<ConntrackRecord>(index),
        original: ends(flow),
        reply: ends(flow),
        sequence: index,
        event: conntrack_event::REOPENED,
        tcp_state: TIME_WAIT,
        ..ConntrackRecord::default()
    }
}

fn ipvs(index: u32, flow: u32) -> IpvsRecord {
    let ends = ends(flow);
    IpvsRecord {
        header: header::<IpvsRecord>(index),
        client: ends.source,
        virtual_address: ends.destination,
        real: address(0x03_00_00 + flow % 100),
        client_port: ends.source_port,
        virtual_port: ends.destination_port,
        real_port: 8_443,
        protocol: ends.protocol,
        weight: 100,
        has_destination: 1,
        available: 1,
        steps: ipvs_step::SCHEDULE_ASKED | ipvs_step::SCHEDULED,
        verdict: 2,
        ..IpvsRecord::default()
    }
}

fn stats(index: u32) -> StatsRecord {
    StatsRecord {
        header: header::<StatsRecord>(index),
        seen: u64::from(index),
        delivered: u64::from(index),
        counted_kind: RecordKind::Retransmit as u16,
        last_of_batch: 1,
        ..StatsRecord::default()
    }
}
