//! The pcapng file and the packets in it. What tshark makes of it is a scenario's to say.

use std::{io::Cursor, time::Duration};

use bytes::Bytes;
use pcap_file::{
    DataLink,
    pcapng::{
        Block as Written, PcapNgReader,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
        },
    },
};
use proptest::prelude::*;
use tracer_common::record::{
    ClaimRecord, DuplicateRecord, Flow, IcmpRecord, RecordHeader, RecordKind, RetransmitRecord,
    claim_direction, claim_source, icmp_direction, icmp_part, retransmit_source,
};
use zerocopy::IntoBytes as _;

use super::{exported, json_lines, sample, told};
use crate::{
    event::{Direction, Timestamp},
    output::export::{
        ExportFormat, Row, event_frame,
        packet::{self, Packet},
        packets::Packets,
    },
};

/// Interfaces and packets of a file.
pub(super) fn read(
    file: &[u8],
) -> (Vec<InterfaceDescriptionBlock<'static>>, Vec<EnhancedPacketBlock<'static>>) {
    let mut reader = PcapNgReader::new(Cursor::new(file)).unwrap();
    let (mut interfaces, mut packets) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap().into_owned() {
            Written::InterfaceDescription(interface) => interfaces.push(interface),
            Written::EnhancedPacket(packet) => packets.push(packet),
            other => panic!("{other:?}"),
        }
    }
    (interfaces, packets)
}

fn name_of<'a>(interface: &'a InterfaceDescriptionBlock<'_>) -> &'a str {
    let names = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfName(name) => Some(&**name),
        _ => None,
    });
    names.unwrap()
}

#[test]
fn every_object_is_a_packet_or_an_event_with_its_json() {
    let told = told(&sample::blocks());
    let lines = json_lines(&told);
    let (interfaces, packets) = read(&exported(ExportFormat::Packets, &told));
    assert_eq!(packets.len(), lines.len());
    let mut cooked = 0;
    for (packet, line) in packets.iter().zip(&lines) {
        let time: jiff::Timestamp = super::parsed(line)["time"].as_str().unwrap().parse().unwrap();
        assert_eq!(packet.timestamp.as_nanos(), u128::try_from(time.as_nanosecond()).unwrap(), "{line}");
        assert!(packet.original_len as usize >= packet.data.len(), "{line}");
        let comments: Vec<&str> = packet
            .options
            .iter()
            .filter_map(|option| match option {
                EnhancedPacketOption::Comment(comment) => Some(&**comment),
                _ => None,
            })
            .collect();
        match interfaces[packet.interface_id as usize].linktype {
            DataLink::LINUX_SLL => {
                assert_eq!(comments, [line]);
                cooked += 1;
            }
            DataLink::WIRESHARK_UPPER_PDU => {
                assert!(packet.data.ends_with(line.as_bytes()) && comments.is_empty(), "{line}");
            }
            other => panic!("{other:?}: {line}"),
        }
    }
    assert!(cooked > 0 && cooked < packets.len());
    let names: Vec<&str> = interfaces.iter().map(name_of).collect();
    for expected in ["events", "4026531840/events", "4026531840/eth0", "4026531840/packets", "1/packets"] {
        assert!(names.contains(&expected), "{expected}: {names:?}");
    }
}

fn flow() -> Flow {
    Flow {
        source: sample::mapped(1),
        destination: sample::mapped(2),
        source_port: 4242,
        destination_port: 80,
        protocol: 6,
        ..Flow::default()
    }
}

fn v6_flow() -> Flow {
    let v6 = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    Flow { source: v6(1), destination: v6(2), ..flow() }
}

fn retransmit() -> RetransmitRecord {
    RetransmitRecord {
        header: sample::header(RecordKind::Retransmit, size_of::<RetransmitRecord>()),
        flow: flow(),
        sequence: 4_294_967_000,
        end_sequence: 704,
        tcp_flags: 0x18,
        tcp_state: 1,
        segments: 1,
        device: *b"eth0\0\0\0\0\0\0\0\0\0\0\0\0",
        ..RetransmitRecord::default()
    }
}

fn made_of(record: &[u8]) -> Packet {
    packet::of_record(record).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A sum over bytes that hold their own checksum is zero.
fn sum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)])));
    let sum: u32 = words.sum();
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

#[test]
fn a_retransmit_is_the_header_of_its_segment() {
    let packet = made_of(retransmit().as_bytes());
    let expected = concat!(
        "0004fffe000000000000000000000800",
        "4500041000000000400662e60a0000010a000002",
        "10920050fffffed8000000005018ffff00000000",
    );
    assert_eq!(sum(&packet.bytes[16..36]), 0);
    assert_eq!(hex(&packet.bytes), expected);
    // 1,000 bytes across the end of the sequence numbers.
    assert_eq!(packet.original_bytes, 16 + 20 + 20 + 1_000);
    assert_eq!((packet.direction, packet.device.as_str()), (Direction::Out, "eth0"));
}

#[test]
fn lengths_are_those_of_the_data() {
    let bare = RetransmitRecord { sequence: 100, ..retransmit() };
    for (name, end_sequence, tcp_flags, data) in [
        ("SYN", 101, 0x02, 0),
        ("SYN-ACK", 101, 0x12, 0),
        ("SYN with data", 111, 0x02, 10),
        ("FIN with data", 111, 0x11, 10),
        ("no end known", 0, 0x10, 0),
        ("end before begin", 99, 0x10, 0),
        ("more than a packet holds", 70_000, 0x10, 0),
        ("nearly more than a packet holds", 65_600, 0x10, 65_495),
    ] {
        let record = RetransmitRecord { end_sequence, tcp_flags, ..bare };
        let packet = made_of(record.as_bytes());
        assert_eq!(packet.original_bytes, 16 + 20 + 20 + data, "{name}");
        let total = u16::from_be_bytes([packet.bytes[18], packet.bytes[19]]);
        assert_eq!(u32::from(total), 40 + data, "{name}");
    }
    let six = made_of(RetransmitRecord { flow: v6_flow(), ..retransmit() }.as_bytes());
    assert_eq!((six.bytes.len(), six.original_bytes), (16 + 40 + 20, 16 + 40 + 20 + 1_000));
    assert_eq!(&six.bytes[14..24], [0x86, 0xdd, 0x60, 0, 0, 0, 0x03, 0xfc, 6, 64]);
}

#[test]
fn what_sent_nothing_is_an_event() {
    let failed = [
        RetransmitRecord { error: -113, ..retransmit() },
        RetransmitRecord { error: 1, ..retransmit() },
        RetransmitRecord { error: -105, source: retransmit_source::FAILED_CALL, ..retransmit() },
    ];
    for record in failed {
        assert_eq!(packet::of_record(record.as_bytes()), None, "{}", record.error);
    }
}

fn claim() -> ClaimRecord {
    ClaimRecord {
        header: sample::header(RecordKind::Claim, size_of::<ClaimRecord>()),
        address: sample::mapped(9),
        target: sample::mapped(1),
        hardware_address: [2, 0, 0, 0, 0, 2, 0, 0],
        operation: 2,
        ..ClaimRecord::default()
    }
}

#[test]
fn claims_are_arp_and_advertisements() {
    let reply = made_of(claim().as_bytes());
    let expected = concat!(
        "000000010006020000000002",
        "00000806",
        "0001080006040002",
        "0200000000020a000009",
        "0000000000000a000001",
    );
    assert_eq!((hex(&reply.bytes), reply.direction), (expected.to_owned(), Direction::In));
    let request =
        ClaimRecord { operation: 1, direction: claim_direction::OUT, hardware_address: [0; 8], ..claim() };
    let request = made_of(request.as_bytes());
    assert_eq!(&hex(&request.bytes)[..32], "0004fffe000000000000000000000806");
    assert_eq!((request.bytes[23], request.direction), (1, Direction::Out));
    // ARP is of IPv4.
    let mixed = ClaimRecord { address: v6_flow().source, ..claim() };
    assert_eq!(packet::of_record(mixed.as_bytes()), None);

    let advertisement = ClaimRecord {
        address: v6_flow().source,
        target: v6_flow().destination,
        operation: 0x60,
        source: claim_source::ADVERTISEMENT,
        ..claim()
    };
    let packet = made_of(advertisement.as_bytes());
    assert_eq!(packet.bytes.len(), 16 + 40 + 32);
    assert_eq!(packet.original_bytes as usize, packet.bytes.len());
    assert_eq!(&packet.bytes[56..64], [&[136, 0], &packet.bytes[58..60], &[0x60, 0, 0, 0]].concat());
    let pseudo = [&packet.bytes[24..56], &[0, 0, 0, 32, 0, 0, 0, 58], &packet.bytes[56..]].concat();
    assert_eq!(sum(&pseudo), 0);
    let silent = ClaimRecord { hardware_address: [0; 8], ..advertisement };
    assert_eq!(made_of(silent.as_bytes()).bytes.len(), 16 + 40 + 24);
}

#[test]
fn icmp_errors_quote_what_is_known() {
    let died = IcmpRecord {
        header: sample::header(RecordKind::Icmp, size_of::<IcmpRecord>()),
        flow: Flow { protocol: 17, ..flow() },
        sender: sample::mapped(9),
        icmp_type: 11,
        version: 4,
        direction: icmp_direction::IN,
        ttl: 1,
        parts: icmp_part::HEADER | icmp_part::PORTS,
        ip_id: 77,
        ..IcmpRecord::default()
    };
    let whole = made_of(died.as_bytes());
    assert_eq!((whole.bytes.len(), whole.original_bytes), (16 + 20 + 8 + 20 + 4, 16 + 20 + 8 + 20 + 8));
    assert_eq!(&whole.bytes[28..36], [10, 0, 0, 9, 10, 0, 0, 1]);
    assert_eq!(hex(&whole.bytes[44..68]), "4500001c004d00000111a5820a0000010a00000210920050");
    let without_ports = made_of(IcmpRecord { parts: icmp_part::HEADER, ..died }.as_bytes());
    assert_eq!((without_ports.bytes.len(), without_ports.original_bytes), (64, 72));
    // Nothing is known but type and code: nothing is left out, so the checksum holds.
    let bare =
        IcmpRecord { parts: 0, flow: Flow::EMPTY, sender: [0; 16], direction: icmp_direction::OUT, ..died };
    let bare = made_of(bare.as_bytes());
    assert_eq!((bare.bytes.len(), bare.original_bytes, bare.direction), (44, 44, Direction::Out));
    assert_eq!((&bare.bytes[28..36], sum(&bare.bytes[36..])), (&[0; 8][..], 0));
    let too_big = IcmpRecord { icmp_type: 3, icmp_code: 4, mtu_bytes: 1_300, ..died };
    assert_eq!(&made_of(too_big.as_bytes()).bytes[40..44], [0, 0, 5, 20]);
    let too_big = IcmpRecord { icmp_type: 2, version: 6, flow: v6_flow(), mtu_bytes: 70_000, ..died };
    assert_eq!(&made_of(too_big.as_bytes()).bytes[56 + 4..56 + 8], [0, 1, 17, 112]);
}

#[test]
fn a_packet_that_goes_round_has_its_ttl_and_id() {
    let again = DuplicateRecord {
        header: sample::header(RecordKind::Duplicate, size_of::<DuplicateRecord>()),
        flow: flow(),
        ip_id: 77,
        ttl: 60,
        ..DuplicateRecord::default()
    };
    let packet = made_of(again.as_bytes());
    assert_eq!((packet.bytes.len(), packet.original_bytes), (16 + 20 + 4, 16 + 20 + 20));
    assert_eq!((&packet.bytes[20..22], packet.bytes[24]), (&[0, 77][..], 60));
    let ping = made_of(DuplicateRecord { flow: Flow { protocol: 1, ..flow() }, ..again }.as_bytes());
    assert_eq!((ping.bytes.len(), ping.original_bytes), (16 + 20, 16 + 20 + 8));
}

#[test]
fn events_begin_with_tags_of_whole_words() {
    let record = RetransmitRecord { error: 1, ..retransmit() };
    let frame = event_frame::of_event(record.as_bytes(), "retransmit", "{}");
    let expected = concat!(
        "000c00046a736f6e",
        "0021001474726163657220",
        "72657472616e736d6974",
        "000000",
        "001400040a000001",
        "001500040a000002",
        "0018000400000002",
        "0019000400001092",
        "001a000400000050",
        "00000000",
        "7b7d",
    );
    assert_eq!(hex(&frame), expected);
}

#[test]
fn too_many_interfaces_share_one() {
    let mut packets = Packets::new(Vec::new()).unwrap();
    for netns in 1..=5_000 {
        let header = RecordHeader { netns, ..retransmit().header };
        let record = RetransmitRecord { header, ..retransmit() };
        let json = r#"{"type":"retransmit","netns_name":"blue"}"#;
        packets
            .add(&Row { time: Timestamp::default(), record: record.as_bytes(), json, finding: None })
            .unwrap();
    }
    let (interfaces, packets) = read(&packets.finish());
    assert_eq!((interfaces.len(), packets.len()), (4_097, 5_000));
    assert_eq!(name_of(&interfaces[0]), "1/eth0");
    assert!(
        interfaces[0].options.contains(&InterfaceDescriptionOption::IfDescription(
            "eth0 of the network namespace blue".into()
        ))
    );
    assert_eq!((name_of(&interfaces[4_096]), packets[4_999].interface_id), ("others/packets", 4_096));
}

#[test]
fn interfaces_of_several_nodes_are_told_apart() {
    let mut packets = Packets::new(Vec::new()).unwrap();
    for (node, json) in [
        (0, r#"{"type":"retransmit","node":"node-a"}"#),
        (1, r#"{"type":"retransmit","node":"node-b"}"#),
        (1, r#"{"type":"marker","node":"node-b"}"#),
        (0, r#"{"type":"retransmit","node":"node-a"}"#),
    ] {
        let header = RecordHeader { node, ..retransmit().header };
        let error = i32::from(json.contains("marker"));
        let record = RetransmitRecord { header, error, ..retransmit() };
        packets
            .add(&Row { time: Timestamp::default(), record: record.as_bytes(), json, finding: None })
            .unwrap();
    }
    let (interfaces, packets) = read(&packets.finish());
    let names: Vec<&str> = interfaces.iter().map(name_of).collect();
    assert_eq!(names, ["node-a/4026531840/eth0", "node-b/4026531840/eth0", "node-b/4026531840/events"]);
    let ids: Vec<u32> = packets.iter().map(|packet| packet.interface_id).collect();
    assert_eq!(ids, [0, 1, 2, 0]);
}

#[test]
fn times_before_1970_and_long_comments_do_no_harm() {
    let mut packets = Packets::new(Vec::new()).unwrap();
    let json = format!(r#"{{"type":"retransmit","netns_name":"{}"}}"#, "é".repeat(40_000));
    let time = Timestamp { boot_ns: 0, wall_ns: -1 };
    packets.add(&Row { time, record: retransmit().as_bytes(), json: &json, finding: None }).unwrap();
    let (_, packets) = read(&packets.finish());
    assert_eq!(packets[0].timestamp, Duration::ZERO);
    assert!(
        matches!(&packets[0].options[0], EnhancedPacketOption::Comment(text) if json.starts_with(&**text))
    );
}

proptest! {
    #[test]
    fn no_record_makes_it_fail(kind in 0_u16..90, body in prop::collection::vec(any::<u8>(), 0..320)) {
        let header = RecordHeader { kind, ..RecordHeader::default() };
        let record = Bytes::from([header.as_bytes(), &body].concat());
        if let Some(packet) = packet::of_record(&record) {
            prop_assert!(packet.original_bytes as usize >= packet.bytes.len());
        }
        let frame = event_frame::of_event(&record, "x", "[]");
        prop_assert!(frame.ends_with(b"[]"));
    }
}
