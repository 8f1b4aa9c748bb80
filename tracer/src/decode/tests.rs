//! Records of several nodes in one stream.

use tracer_common::record::{NodeRecord, Record as _, RecordHeader, RetransmitRecord};
use zerocopy::IntoBytes as _;

use super::Decoder;
use crate::{
    block::Block,
    event::{Body, Netns},
};

fn header(node: u16, kind: u16, length_bytes: usize) -> RecordHeader {
    let length_bytes = u16::try_from(length_bytes).unwrap();
    RecordHeader { time_ns: 1_000, netns: 7, kind, length_bytes, node, ..RecordHeader::default() }
}

#[test]
fn every_node_has_its_own_clock_and_tick() {
    let mut bytes = Vec::new();
    for (node, wall_minus_boot_ns, tick_ns) in [(1, 50_000, 1_000_000), (0, 20_000, 4_000_000)] {
        let header = header(node, NodeRecord::KIND as u16, size_of::<NodeRecord>());
        bytes.extend_from_slice(NodeRecord { header, wall_minus_boot_ns, tick_ns }.as_bytes());
    }
    for node in [0, 1, 2] {
        let header = header(node, RetransmitRecord::KIND as u16, size_of::<RetransmitRecord>());
        let record = RetransmitRecord { header, rto_jiffies: 50, ..RetransmitRecord::default() };
        bytes.extend_from_slice(record.as_bytes());
    }
    let mut told = Vec::new();
    Decoder::default().decode(&Block(bytes.into()), |event| {
        if let Body::Retransmit(retransmit) = &event.body {
            told.push((event.netns, event.time.wall_ns, retransmit.rto_us));
        }
    });
    let netns = |node| Netns { node, inode: 7 };
    let expected = [
        (netns(0), 21_000, Some(200_000)),
        (netns(1), 51_000, Some(50_000)),
        // Of a node that has not said, nothing is known but the usual.
        (netns(2), 1_000, Some(200_000)),
    ];
    assert_eq!(told, expected);
}
