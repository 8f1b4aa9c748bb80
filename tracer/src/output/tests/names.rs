//! Names of namespaces, containers and pods in what is printed, and in what filters pick.

use bytes::Bytes;
use tracer_common::record::{
    ContainerRecord, NamespaceRecord, NeighbourRecord, NodeRecord, RecordHeader, RecordKind,
    RetransmitRecord, change, container_runtime,
};

use super::{WALL_MINUS_BOOT_NS, events, flow, header, name, node_header, push, style};
use crate::{
    block::Block,
    filter::{Sieve, parse},
    output::{Arrow, Printer},
};

const ID: &str = "4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2";
const POD: &str = "shop\nweb-6d4b75cb6d-w4b72\n3fa0c1d2-7b1e-4c55-9a0e-0d6c5b4a3f21";

/// The header of a record with that text behind it, in a network namespace.
fn with_text(kind: RecordKind, fixed_bytes: usize, text: &str, netns: u32) -> RecordHeader {
    RecordHeader { netns, ..header(kind, (fixed_bytes + text.len()).next_multiple_of(8)) }
}

fn namespace(bytes: &mut Vec<u8>, netns: u32, change: u8, text: &str) {
    let record = NamespaceRecord {
        header: with_text(RecordKind::Namespace, size_of::<NamespaceRecord>(), text, netns),
        process_id: 4_100,
        change,
        command: name("pause"),
        ..NamespaceRecord::default()
    };
    push(bytes, &record, text);
}

fn container(bytes: &mut Vec<u8>, cgroup_id: u64, process_id: u32, text: &str) {
    let record = ContainerRecord {
        header: with_text(RecordKind::Container, size_of::<ContainerRecord>(), text, 0),
        cgroup_id,
        process_id,
        runtime: container_runtime::CONTAINERD,
        ..ContainerRecord::default()
    };
    push(bytes, &record, text);
}

fn retransmit(bytes: &mut Vec<u8>, netns: u32, cgroup_id: u64, process_id: u32) {
    let record = RetransmitRecord {
        header: RecordHeader { netns, ..header(RecordKind::Retransmit, size_of::<RetransmitRecord>()) },
        flow: flow(),
        tcp_state: 1,
        segments: 1,
        congestion_window: 10,
        cgroup_id,
        process_id,
        command: if process_id == 0 { name("") } else { name("curl") },
        ..RetransmitRecord::default()
    };
    push(bytes, &record, "");
}

fn neighbour(bytes: &mut Vec<u8>, netns: u32) {
    let record = NeighbourRecord {
        header: RecordHeader { netns, ..header(RecordKind::Neighbour, size_of::<NeighbourRecord>()) },
        address: super::mapped(9),
        device: name("eth0"),
        ..NeighbourRecord::default()
    };
    push(bytes, &record, "");
}

/// Namespace 1 has a name, 2 is a pod's, 3 was one; cgroup 11 is a named container's, 12 one of a pod whose name nobody
/// told; process 100 is in a container that no cgroup tells.
pub(crate) fn sample() -> Block {
    let mut bytes = Vec::new();
    let node = NodeRecord {
        header: node_header(RecordKind::Node, size_of::<NodeRecord>()),
        wall_minus_boot_ns: WALL_MINUS_BOOT_NS,
        tick_ns: 4_000_000,
    };
    push(&mut bytes, &node, "");
    namespace(&mut bytes, 1, change::PRESENT, "blue");
    namespace(&mut bytes, 2, change::PRESENT, &format!("cni-5f2a\n{POD}"));
    namespace(&mut bytes, 3, change::PRESENT, &format!("cni-1234\n{POD}"));
    namespace(&mut bytes, 3, change::REMOVED, &format!("cni-1234\n{POD}"));
    container(&mut bytes, 11, 0, &format!("{ID}\nnginx\n{POD}"));
    container(&mut bytes, 12, 0, &format!("{ID}\n\n\n\n0d6c5b4a-7b1e-4c55-9a0e-3fa0c1d2a3f2"));
    container(&mut bytes, 0, 100, &format!("{ID}\nsidecar\x1b[2J\n{POD}"));
    retransmit(&mut bytes, 1, 0, 0);
    retransmit(&mut bytes, 1, 11, 0);
    retransmit(&mut bytes, 4, 12, 0);
    retransmit(&mut bytes, 4, 13, 100);
    neighbour(&mut bytes, 2);
    neighbour(&mut bytes, 4);
    Block(Bytes::from(bytes))
}

fn printed(mut printer: Printer<Vec<u8>, Vec<u8>>) -> String {
    for event in events(&sample()) {
        printer.print(&event).unwrap();
    }
    String::from_utf8(printer.into_writers().0).unwrap()
}

#[test]
fn names_are_printed_where_they_are_known() {
    let json = printed(Printer::json(Vec::new(), Vec::new()));
    let lines = printed(Printer::lines(Vec::new(), Vec::new(), style(Arrow::Unicode, false)));
    insta::assert_snapshot!(format!("{json}\n{lines}"));
}

/// Places of the events that pass: 0 a retransmit in `blue`, 1 one there of nginx, 2 of a pod without a name, 3 of the
/// sidecar, 4 a neighbour in the pod's namespace, 5 one elsewhere.
#[test]
fn filters_pick_by_name() {
    let table: [(&str, &[usize]); 17] = [
        ("netns blue", &[0, 1]),
        ("netns 1", &[0, 1]),
        ("netns \"1\"", &[]),
        ("netns bl*", &[0, 1]),
        ("netns cni-*", &[4]),
        ("pod web-6d4b75cb6d-w4b72", &[1, 3, 4]),
        ("pod web-*", &[1, 3, 4]),
        ("pod shop/web-*", &[1, 3, 4]),
        ("pod shop/*", &[1, 3, 4]),
        ("pod web", &[]),
        ("pod *", &[1, 2, 3, 4]),
        ("pod 0d6c5b4a-7b1e-4c55-9a0e-3fa0c1d2a3f2", &[2]),
        ("container nginx", &[1]),
        ("container 4b5e57f6eb2f", &[1, 2, 3]),
        ("container 4b5e", &[]),
        ("not container *", &[0, 4, 5]),
        ("process c*l", &[3]),
    ];
    for (text, expected) in table {
        let mut sieve = Sieve::new(Some(parse(text).unwrap()));
        let all = events(&sample());
        let passed: Vec<bool> = all.iter().map(|event| sieve.passes(event)).collect();
        let shown = all.iter().zip(passed).filter(|(event, _)| crate::output::is_shown(event));
        let places: Vec<usize> =
            shown.enumerate().filter(|(_, (_, passes))| *passes).map(|(place, _)| place).collect();
        assert_eq!(places, expected, "{text}");
    }
}
