//! Packets made from records: retransmitted segments, ARP and ND messages, ICMP errors, packets that go round.
//!
//! A record holds a few facts of a packet. What nobody recorded is not made up where it can be left out: a packet ends
//! where its known bytes end, and its length on the wire is told beside it. What stands between known bytes has a fixed
//! value from which a reader draws no conclusion ([`UNKNOWN_TTL`], [`UNKNOWN_WINDOW`], else zero).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracer_common::record::{
    ClaimRecord, DuplicateRecord, Flow, IcmpRecord, RecordHeader, RecordKind, RetransmitRecord,
    claim_direction, claim_source, icmp_direction, icmp_part,
};
use zerocopy::FromBytes;

use crate::event::{Direction, Protocol, Text, address};

/// In place of a TTL nobody recorded: Linux's default.
pub(super) const UNKNOWN_TTL: u8 = 64;
/// In place of a receive window nobody recorded; zero would mean that it is closed.
pub(super) const UNKNOWN_WINDOW: u16 = u16::MAX;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Bytes of an Ethernet address.
const ETHERNET_BYTES: usize = 6;
/// Bytes of an IPv4 header without options.
const IPV4_HEADER_BYTES: u16 = 20;
const TCP_HEADER_BYTES: u16 = 20;
/// What an ICMP error quotes of a packet behind its IP header, at least (RFC 792; RFC 4443 quotes more).
const QUOTED_BYTES: u16 = 8;
const PORT_BYTES: u16 = 4;

/// A packet as Linux's cooked captures have it (`LINKTYPE_LINUX_SLL`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// Its first bytes, from the cooked header on, as far as they are known.
    pub(super) bytes: Vec<u8>,
    /// How long it is, at least.
    pub(super) original_bytes: u32,
    /// Which way it goes.
    pub(super) direction: Direction,
    /// The device, empty where unknown.
    pub(super) device: Text,
}

/// The packet a record tells of; `None` if it tells of none. An attempt that failed sent no packet.
pub(super) fn of_record(record: &[u8]) -> Option<Packet> {
    let (header, _) = RecordHeader::read_from_prefix(record).ok()?;
    match RecordKind::from_number(header.kind)? {
        RecordKind::Retransmit => of_retransmit(&read(record)?),
        RecordKind::Claim => of_claim(&read(record)?),
        RecordKind::Icmp => Some(of_icmp(&read(record)?)),
        RecordKind::Duplicate => Some(of_duplicate(&read(record)?)),
        _ => None,
    }
}

fn read<T: FromBytes>(record: &[u8]) -> Option<T> {
    T::read_from_prefix(record).ok().map(|(record, _)| record)
}

fn of_retransmit(record: &RetransmitRecord) -> Option<Packet> {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const WORDS_OF_HEADER: u8 = 5;

    if record.error != 0 {
        return None;
    }
    // SYN and FIN take a sequence number each.
    let flags = u32::from(record.tcp_flags & SYN != 0) + u32::from(record.tcp_flags & FIN != 0);
    let sequences = record.end_sequence.wrapping_sub(record.sequence);
    let data = u16::try_from(sequences.saturating_sub(flags)).unwrap_or(0);
    let data = data.min(u16::MAX - IPV4_HEADER_BYTES - TCP_HEADER_BYTES);
    let ip = Ip { payload_bytes: TCP_HEADER_BYTES + data, ..Ip::of_flow(&record.flow) };
    let mut bytes = ip.begin(Direction::Out);
    push_ports(&mut bytes, &record.flow);
    bytes.extend(record.sequence.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([WORDS_OF_HEADER << 4, record.tcp_flags]);
    bytes.extend(UNKNOWN_WINDOW.to_be_bytes());
    bytes.extend([0; 4]);
    Some(finish(bytes, data, Direction::Out, &record.device))
}

fn of_claim(record: &ClaimRecord) -> Option<Packet> {
    let direction = if record.direction == claim_direction::OUT { Direction::Out } else { Direction::In };
    let mut hardware = [0; ETHERNET_BYTES];
    hardware.copy_from_slice(&record.hardware_address[..ETHERNET_BYTES]);
    let hardware = Some(hardware).filter(|hardware| *hardware != [0; ETHERNET_BYTES]);
    let bytes = match (record.source, address(record.address), address(record.target)) {
        (claim_source::ADVERTISEMENT, claimed, target) => {
            advertisement(record, direction, hardware, claimed, target)
        }
        (_, IpAddr::V4(claimed), IpAddr::V4(target)) => {
            let mut bytes = cooked(direction, hardware, ETHERTYPE_ARP);
            // Ethernet, IPv4, and the lengths of their addresses.
            bytes.extend([0, 1, 8, 0, 6, 4]);
            bytes.extend(record.operation.to_be_bytes());
            bytes.extend(hardware.unwrap_or_default());
            bytes.extend(claimed.octets());
            bytes.extend([0; ETHERNET_BYTES]);
            bytes.extend(target.octets());
            bytes
        }
        _ => return None,
    };
    Some(finish(bytes, 0, direction, &record.device))
}

/// A neighbour advertisement (RFC 4861 §4.4). Its sender's address is not recorded.
fn advertisement(
    record: &ClaimRecord,
    direction: Direction,
    hardware: Option<[u8; ETHERNET_BYTES]>,
    claimed: IpAddr,
    target: IpAddr,
) -> Vec<u8> {
    const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    const TARGET_HARDWARE_ADDRESS: u8 = 2;
    // The kernel takes no other (`ndisc_rcv`).
    const HOP_LIMIT: u8 = 255;

    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0];
    message.extend([record.operation.to_le_bytes()[0], 0, 0, 0]);
    message.extend(in_six(claimed).octets());
    if let Some(hardware) = hardware {
        message.extend([TARGET_HARDWARE_ADDRESS, 1]);
        message.extend(hardware);
    }
    let ip = Ip {
        source: Ipv6Addr::UNSPECIFIED.into(),
        destination: target,
        protocol: Protocol::ICMPV6,
        ttl: HOP_LIMIT,
        id: 0,
        payload_bytes: u16::try_from(message.len()).unwrap_or(u16::MAX),
    };
    let mut bytes = ip.begin(direction);
    ip.push_icmp(&mut bytes, message);
    bytes
}

fn of_icmp(record: &IcmpRecord) -> Packet {
    const VERSION_6: u8 = 6;
    const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
    const PACKET_TOO_BIG: u8 = 2;

    let is_v6 = record.version == VERSION_6;
    let direction = if record.direction == icmp_direction::OUT { Direction::Out } else { Direction::In };
    let mut message = vec![record.icmp_type, record.icmp_code, 0, 0];
    message.extend(
        match (is_v6, record.icmp_type, record.icmp_code) {
            (true, PACKET_TOO_BIG, _) => record.mtu_bytes,
            (false, kind, code) if (kind, code) == FRAGMENTATION_NEEDED => {
                record.mtu_bytes.min(u16::MAX.into())
            }
            _ => 0,
        }
        .to_be_bytes(),
    );
    let mut unknown_bytes = 0;
    if record.parts & icmp_part::HEADER != 0 {
        let ip = Ip {
            ttl: record.ttl,
            id: record.ip_id,
            payload_bytes: QUOTED_BYTES,
            ..Ip::of_flow(&record.flow)
        };
        ip.push(&mut message);
        unknown_bytes = QUOTED_BYTES;
        if record.parts & icmp_part::PORTS != 0 && ip.protocol.has_ports() {
            push_ports(&mut message, &record.flow);
            unknown_bytes -= PORT_BYTES;
        }
    }
    let nobody: IpAddr = if is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let known = |address: IpAddr| if address.is_unspecified() { nobody } else { address };
    let ip = Ip {
        source: known(address(record.sender)),
        // Errors go to whom the packet came from.
        destination: known(address(record.flow.source)),
        protocol: if is_v6 { Protocol::ICMPV6 } else { Protocol::ICMP },
        ttl: UNKNOWN_TTL,
        id: 0,
        payload_bytes: u16::try_from(message.len()).unwrap_or(u16::MAX - unknown_bytes) + unknown_bytes,
    };
    let mut bytes = ip.begin(direction);
    ip.push_icmp(&mut bytes, message);
    finish(bytes, unknown_bytes, direction, &record.device)
}

fn of_duplicate(record: &DuplicateRecord) -> Packet {
    let ip = Ip { ttl: record.ttl, id: record.ip_id, ..Ip::of_flow(&record.flow) };
    let least = if ip.protocol == Protocol::TCP { TCP_HEADER_BYTES } else { QUOTED_BYTES };
    let ip = Ip { payload_bytes: least, ..ip };
    let mut bytes = ip.begin(Direction::In);
    let mut unknown_bytes = least;
    if ip.protocol.has_ports() {
        push_ports(&mut bytes, &record.flow);
        unknown_bytes -= PORT_BYTES;
    }
    finish(bytes, unknown_bytes, Direction::In, &record.device)
}

fn finish(bytes: Vec<u8>, unknown_bytes: u16, direction: Direction, device: &[u8]) -> Packet {
    let known_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let original_bytes = known_bytes.saturating_add(unknown_bytes.into());
    Packet { bytes, original_bytes, direction, device: Text::from_bytes(device) }
}

fn push_ports(bytes: &mut Vec<u8>, flow: &Flow) {
    bytes.extend(flow.source_port.to_be_bytes());
    bytes.extend(flow.destination_port.to_be_bytes());
}

/// The header of a cooked capture: which way, whose hardware address, what follows.
fn cooked(direction: Direction, hardware: Option<[u8; ETHERNET_BYTES]>, ethertype: u16) -> Vec<u8> {
    const RECEIVED: u16 = 0;
    const SENT: u16 = 4;
    /// Devices without or with unknown hardware addresses (`ARPHRD_NONE`).
    const NO_HARDWARE: u16 = 0xfffe;
    const ETHERNET: u16 = 1;

    let sent = if direction == Direction::Out { SENT } else { RECEIVED };
    let (device, length) = if hardware.is_some() { (ETHERNET, 6_u16) } else { (NO_HARDWARE, 0) };
    let mut bytes = Vec::with_capacity(128);
    bytes.extend(sent.to_be_bytes());
    bytes.extend(device.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(hardware.unwrap_or_default());
    bytes.extend([0; 2]);
    bytes.extend(ethertype.to_be_bytes());
    bytes
}

/// What is known of an IP header.
#[derive(Clone, Copy)]
struct Ip {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    ttl: u8,
    id: u16,
    /// What follows the header.
    payload_bytes: u16,
}

impl Ip {
    fn of_flow(flow: &Flow) -> Self {
        Self {
            source: address(flow.source),
            destination: address(flow.destination),
            protocol: Protocol(flow.protocol),
            ttl: UNKNOWN_TTL,
            id: 0,
            payload_bytes: 0,
        }
    }

    /// A packet up to the end of this header.
    fn begin(&self, direction: Direction) -> Vec<u8> {
        let is_v4 = self.source.is_ipv4() && self.destination.is_ipv4();
        let mut bytes = cooked(direction, None, if is_v4 { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 });
        self.push(&mut bytes);
        bytes
    }

    fn push(&self, bytes: &mut Vec<u8>) {
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source, self.destination) {
            let begin = bytes.len();
            let length = self.payload_bytes.saturating_add(IPV4_HEADER_BYTES);
            bytes.extend([0x45, 0]);
            bytes.extend(length.to_be_bytes());
            bytes.extend(self.id.to_be_bytes());
            bytes.extend([0, 0, self.ttl, self.protocol.0, 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            let sum = checksum(&bytes[begin..]);
            bytes[begin + 10..begin + 12].copy_from_slice(&sum.to_be_bytes());
        } else {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(self.payload_bytes.to_be_bytes());
            bytes.extend([self.protocol.0, self.ttl]);
            bytes.extend(in_six(self.source).octets());
            bytes.extend(in_six(self.destination).octets());
        }
    }

    /// Appends an ICMP message with its checksum, which is right if nothing of the message is left out.
    fn push_icmp(&self, bytes: &mut Vec<u8>, mut message: Vec<u8>) {
        let sum = if self.protocol == Protocol::ICMPV6 {
            // RFC 8200 §8.1.
            let mut summed = in_six(self.source).octets().to_vec();
            summed.extend(in_six(self.destination).octets());
            summed.extend(u32::from(self.payload_bytes).to_be_bytes());
            summed.extend([0, 0, 0, self.protocol.0]);
            summed.extend(&message);
            checksum(&summed)
        } else {
            checksum(&message)
        };
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(message);
    }
}

fn in_six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The Internet checksum (RFC 1071) of bytes that hold zero where it belongs.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > u32::from(u16::MAX) {
        sum = (sum & u32::from(u16::MAX)) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
