//! IP headers, and the flow a packet belongs to.

use tracer_common::record::Flow;

use super::{bytes_of, mapped, packet::Bytes};

/// Version of the Internet protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4 = 4,
    V6 = 6,
}

/// What a header says besides the flow.
pub(crate) struct Header {
    /// TTL or hop limit.
    pub(crate) ttl: u8,
    /// IP id; the flow label of IPv6.
    pub(crate) identification: u32,
    /// The first 8 bytes behind the header, where they are there and not the middle of a fragmented packet.
    pub(crate) payload: Option<[u32; 2]>,
}

/// Reads the header at the start of `bytes` and fills in the flow: the ports of the protocols that have them, if they
/// are there. `None` without a whole header of that version.
#[inline(always)]
pub(crate) fn header(version: Version, bytes: &Bytes, flow: &mut Flow) -> Option<Header> {
    let header = match version {
        Version::V4 => header_v4(bytes, flow),
        Version::V6 => header_v6(bytes, flow),
    }?;
    if let Some([ports, _]) = header.payload
        && has_ports(flow.protocol)
    {
        flow.source_port = u16::from_be(ports as u16);
        flow.destination_port = u16::from_be((ports >> 16) as u16);
    }
    Some(header)
}

/// Whether a protocol begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
#[inline(always)]
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

#[inline(always)]
fn header_v4(bytes: &Bytes, flow: &mut Flow) -> Option<Header> {
    const WORDS_MINIMUM: u32 = 5;
    const FRAGMENT_OFFSET: u32 = 0x1fff;
    let [first, second, third, source, destination] = bytes.load::<[u32; 5]>(0)?.map(u32::from_be);
    let words = (first >> 24) & 15;
    if first >> 28 != Version::V4 as u32 || words < WORDS_MINIMUM {
        return None;
    }
    flow.source = mapped(source.to_be());
    flow.destination = mapped(destination.to_be());
    flow.protocol = (third >> 16) as u8;
    let is_first = second & FRAGMENT_OFFSET == 0;
    Some(Header {
        ttl: (third >> 24) as u8,
        identification: second >> 16,
        payload: if is_first { bytes.load::<[u32; 2]>(words * 4) } else { None },
    })
}

#[inline(always)]
fn header_v6(bytes: &Bytes, flow: &mut Flow) -> Option<Header> {
    const HEADER_BYTES: u32 = 40;
    const FLOW_LABEL: u32 = 0xf_ffff;
    let words = bytes.load::<[u64; 5]>(0)?;
    let [first, second] = [words[0] as u32, (words[0] >> 32) as u32].map(u32::from_be);
    if first >> 28 != Version::V6 as u32 {
        return None;
    }
    flow.source = bytes_of([words[1], words[2]]);
    flow.destination = bytes_of([words[3], words[4]]);
    let payload = behind_extensions(bytes, (second >> 8) as u8, HEADER_BYTES);
    flow.protocol = payload.protocol;
    Some(Header {
        ttl: second as u8,
        identification: first & FLOW_LABEL,
        payload: if payload.is_first { bytes.load::<[u32; 2]>(payload.distance) } else { None },
    })
}

/// Where a packet's payload begins.
struct Payload {
    protocol: u8,
    distance: u32,
    /// Whether this is the first or only fragment.
    is_first: bool,
}

/// Passes over the extension headers in front of the payload. After a few, or where one is cut off, what comes next is
/// taken for the payload's protocol.
#[inline(always)]
fn behind_extensions(bytes: &Bytes, protocol: u8, distance: u32) -> Payload {
    const EXTENSIONS: usize = 4;
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION_OPTIONS: u8 = 60;
    const FRAGMENT_OFFSET: u16 = 0xfff8;
    const UNIT_BYTES: u32 = 8;

    let mut payload = Payload { protocol, distance, is_first: true };
    for _ in 0..EXTENSIONS {
        if !matches!(payload.protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
            break;
        }
        let Some([next, length, high, low]) = bytes.load::<[u8; 4]>(payload.distance) else { break };
        if payload.protocol == FRAGMENT {
            payload.is_first &= u16::from_be_bytes([high, low]) & FRAGMENT_OFFSET == 0;
            payload.distance += UNIT_BYTES;
        } else {
            payload.distance += (u32::from(length) + 1) * UNIT_BYTES;
        }
        payload.protocol = next;
    }
    payload
}
