//! A storm as the scenario of that name makes it: every socket of a client repeats its SYN once a second.

use bytes::Bytes;
use tracer::block::Block;
use tracer_common::record::{Flow, Record as _, RecordHeader, RetransmitRecord};
use zerocopy::IntoBytes as _;

const SOCKETS: u32 = 10_000;

/// Records of a block, about what the program takes from the ring at once.
const BLOCK_RECORDS: u32 = 400;

/// That many retransmits of [`SOCKETS`] sockets in their order, with the jitter of real timers.
pub(crate) fn blocks(records: u32) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut begin = 0;
    while begin < records {
        let end = records.min(begin + BLOCK_RECORDS);
        let block: Vec<u8> = (begin..end).flat_map(|index| retransmit(index).as_bytes().to_vec()).collect();
        blocks.push(Block(Bytes::from(block)));
        begin = end;
    }
    blocks
}

/// Bits that follow no order, the same for the same number.
fn scattered(number: u32) -> u32 {
    let mixed = (number ^ (number >> 16)).wrapping_mul(0x21f0_aaad);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x735a_2d97);
    mixed ^ (mixed >> 15)
}

fn retransmit(index: u32) -> RetransmitRecord {
    const INTERVAL_NS: u64 = 100_000;
    const SYN: u8 = 2;
    const SYN_SENT: u8 = 2;
    const TIMER: u8 = 1;
    let (socket, round) = (index % SOCKETS, index / SOCKETS);
    let sequence = scattered(socket ^ 0x5eed_0000);
    let jitter_ns = u64::from(scattered(index) % 40_000);
    let mut command = [0; 16];
    command[..6].copy_from_slice(b"client");
    let mut device = [0; 16];
    device[..4].copy_from_slice(b"eth0");
    RetransmitRecord {
        header: RecordHeader {
            time_ns: 1_000_000_000_000 + u64::from(index) * INTERVAL_NS + jitter_ns,
            netns: 4_026_532_300,
            kind: RetransmitRecord::KIND as u16,
            length_bytes: u16::try_from(size_of::<RetransmitRecord>()).unwrap_or_default(),
            cpu: u16::from(scattered(index) % 2 == 0),
            hook: 1,
            ..RecordHeader::default()
        },
        flow: Flow {
            source: address(1),
            destination: address(200),
            source_port: u16::try_from(10_000 + scattered(socket) % 50_000).unwrap_or_default(),
            destination_port: 80,
            protocol: 6,
            ..Flow::default()
        },
        socket_inode: 5_000_000 + u64::from(socket),
        cgroup_id: 4_100,
        sequence,
        end_sequence: sequence.wrapping_add(1),
        unacknowledged: sequence,
        rto_jiffies: 250,
        congestion_window: 1,
        segments: 1,
        process_id: 4_711,
        interface_index: 2,
        tcp_state: SYN_SENT,
        congestion_state: 4,
        pending_timer: TIMER,
        tcp_flags: SYN,
        retransmits: u8::try_from(1 + round).unwrap_or(u8::MAX),
        command,
        device,
        ..RetransmitRecord::default()
    }
}

fn address(host: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 0, host]
}
