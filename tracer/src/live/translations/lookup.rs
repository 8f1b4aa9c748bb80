//! One question to ctnetlink and its answer. Numbers by `include/uapi/linux/netfilter/nfnetlink_conntrack.h`.

use std::net::{IpAddr, Ipv6Addr};

use netlink_sys::protocols::NETLINK_NETFILTER;
use tracer_common::record::Flow;

use crate::netlink::{ANSWER_SECONDS, Asking, Refusal, Request, append_attribute, attributes, number};

/// ctnetlink among the subsystems of netfilter, in the upper byte of a message's kind.
const CONNTRACK: u16 = 1 << 8;
const NEW: u16 = CONNTRACK;
const GET: u16 = CONNTRACK | 1;

/// Bytes of `struct nfgenmsg`: family, version, and a number that is not used.
const FIXED_BYTES: usize = 4;

/// Attributes lie within.
const NESTED: u16 = 1 << 15;

/// Attributes of an entry.
mod entry {
    pub(super) const ORIGINAL: u16 = 1;
    pub(super) const REPLY: u16 = 2;
    pub(super) const STATUS: u16 = 3;
    pub(super) const OF_PROTOCOL: u16 = 4;
    pub(super) const TIMEOUT: u16 = 7;
    pub(super) const MARK: u16 = 8;
    pub(super) const ZONE: u16 = 18;
    /// Within `OF_PROTOCOL`, and within that.
    pub(super) const OF_TCP: u16 = 1;
    pub(super) const TCP_STATE: u16 = 1;
}

/// Attributes of a tuple, and those within.
mod tuple {
    pub(super) const ADDRESSES: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const IPV4_SOURCE: u16 = 1;
    pub(super) const IPV4_DESTINATION: u16 = 2;
    pub(super) const IPV6_SOURCE: u16 = 3;
    pub(super) const IPV6_DESTINATION: u16 = 4;
    pub(super) const PROTOCOL_NUMBER: u16 = 1;
    pub(super) const SOURCE_PORT: u16 = 2;
    pub(super) const DESTINATION_PORT: u16 = 3;
}

/// A conntrack entry, found by one of its tuples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) original: Flow,
    pub(super) reply: Flow,
    pub(super) status: u32,
    pub(super) mark: u32,
    pub(super) expires_seconds: u32,
    pub(super) zone: u16,
    pub(super) tcp_state: u8,
    /// Whether it was found by the tuple of replies.
    pub(super) is_of_replies: bool,
}

impl Found {
    /// Whether packets do not go on as they came.
    pub(super) fn is_translated(&self) -> bool {
        self.reply != reversed(&self.original)
    }

    /// The flow as it is beyond this entry.
    pub(super) fn beyond(&self) -> Flow {
        reversed(if self.is_of_replies { &self.original } else { &self.reply })
    }
}

fn reversed(flow: &Flow) -> Flow {
    Flow {
        source: flow.destination,
        destination: flow.source,
        source_port: flow.destination_port,
        destination_port: flow.source_port,
        ..*flow
    }
}

/// Looks for the entry of a flow in the calling thread's namespace, which finds an entry by either of its tuples
/// (`ctnetlink_get_conntrack`), in zone 0. `None` if there is none. ctnetlink must be there already.
pub(super) fn look_up(flow: &Flow) -> Result<Option<Found>, Refusal> {
    let mut asking = Asking::open(NETLINK_NETFILTER, ANSWER_SECONDS)?;
    let mut found = None;
    let asked = asking.ask(&request(flow), |message| {
        if message.kind == NEW
            && let Some(attributes) = message.payload.get(FIXED_BYTES..)
        {
            found = parsed(attributes, flow);
        }
    });
    match asked {
        Ok(()) => Ok(found),
        Err(Refusal::Errno(libc::ENOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn request(flow: &Flow) -> Request {
    let (family, addresses) = match [flow.source, flow.destination].map(canonical) {
        [IpAddr::V4(source), IpAddr::V4(destination)] => (
            libc::AF_INET,
            nested(&[
                (tuple::IPV4_SOURCE, &source.octets()),
                (tuple::IPV4_DESTINATION, &destination.octets()),
            ]),
        ),
        _ => (
            libc::AF_INET6,
            nested(&[(tuple::IPV6_SOURCE, &flow.source), (tuple::IPV6_DESTINATION, &flow.destination)]),
        ),
    };
    let protocol = nested(&[
        (tuple::PROTOCOL_NUMBER, &[flow.protocol]),
        (tuple::SOURCE_PORT, &flow.source_port.to_be_bytes()),
        (tuple::DESTINATION_PORT, &flow.destination_port.to_be_bytes()),
    ]);
    let whole =
        nested(&[(tuple::ADDRESSES | NESTED, &addresses[..]), (tuple::PROTOCOL | NESTED, &protocol[..])]);
    let family = u8::try_from(family).unwrap_or_default();
    Request::new(GET, &[family, 0, 0, 0]).with(entry::ORIGINAL | NESTED, &whole)
}

fn nested(parts: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in parts {
        append_attribute(&mut bytes, *kind, value);
    }
    bytes
}

fn canonical(address: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(address).to_canonical()
}

/// The entry that an answer tells, found by that flow's tuple; `None` if it does not tell both tuples, or neither is the
/// flow's.
fn parsed(of_entry: &[u8], flow: &Flow) -> Option<Found> {
    let mut found = Found::default();
    let (mut original, mut reply) = (None, None);
    for (kind, value) in attributes(of_entry) {
        match kind {
            entry::ORIGINAL => original = parsed_tuple(value),
            entry::REPLY => reply = parsed_tuple(value),
            entry::STATUS => found.status = big_endian(value)?,
            entry::TIMEOUT => found.expires_seconds = big_endian(value)?,
            entry::MARK => found.mark = big_endian(value)?,
            entry::ZONE => found.zone = u16::from_be(number(value)?),
            entry::OF_PROTOCOL => found.tcp_state = tcp_state(value).unwrap_or_default(),
            _ => {}
        }
    }
    (found.original, found.reply) = (original?, reply?);
    found.is_of_replies = found.reply == *flow;
    (found.is_of_replies || found.original == *flow).then_some(found)
}

fn big_endian(value: &[u8]) -> Option<u32> {
    number::<u32>(value).map(u32::from_be)
}

fn tcp_state(of_protocol: &[u8]) -> Option<u8> {
    let (_, of_tcp) = attributes(of_protocol).find(|(kind, _)| *kind == entry::OF_TCP)?;
    let (_, state) = attributes(of_tcp).find(|(kind, _)| *kind == entry::TCP_STATE)?;
    number(state)
}

/// A tuple with ports; `None` where something of it is missing.
fn parsed_tuple(of_tuple: &[u8]) -> Option<Flow> {
    let (mut source, mut destination, mut protocol) = (None, None, None);
    let (mut source_port, mut destination_port) = (None, None);
    for (kind, value) in attributes(of_tuple) {
        for (part, value) in attributes(value) {
            match (kind, part) {
                (tuple::ADDRESSES, tuple::IPV4_SOURCE) => source = mapped(value),
                (tuple::ADDRESSES, tuple::IPV4_DESTINATION) => destination = mapped(value),
                (tuple::ADDRESSES, tuple::IPV6_SOURCE) => source = number::<[u8; 16]>(value),
                (tuple::ADDRESSES, tuple::IPV6_DESTINATION) => destination = number::<[u8; 16]>(value),
                (tuple::PROTOCOL, tuple::PROTOCOL_NUMBER) => protocol = number::<u8>(value),
                (tuple::PROTOCOL, tuple::SOURCE_PORT) => source_port = number::<u16>(value),
                (tuple::PROTOCOL, tuple::DESTINATION_PORT) => destination_port = number::<u16>(value),
                _ => {}
            }
        }
    }
    Some(Flow {
        source: source?,
        destination: destination?,
        source_port: u16::from_be(source_port?),
        destination_port: u16::from_be(destination_port?),
        protocol: protocol?,
        ..Flow::default()
    })
}

fn mapped(value: &[u8]) -> Option<[u8; 16]> {
    let address = std::net::Ipv4Addr::from(number::<[u8; 4]>(value)?);
    Some(address.to_ipv6_mapped().octets())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracer_common::record::Flow;

    use super::{Found, NESTED, entry, nested, parsed, parsed_tuple, request, reversed};
    use crate::netlink::attributes;

    fn flow(source: &str, destination: &str) -> Flow {
        let ends = [source, destination].map(|end| {
            let end: crate::event::Endpoint = end.parse().unwrap();
            let address = match end.ip() {
                std::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
                std::net::IpAddr::V6(address) => address,
            };
            (address.octets(), end.port())
        });
        let [(source, source_port), (destination, destination_port)] = ends;
        Flow { source, destination, source_port, destination_port, protocol: 6, ..Flow::default() }
    }

    /// The tuple a question for that flow carries.
    fn tuple_of(flow: &Flow) -> Vec<u8> {
        let body = request(flow).body().to_vec();
        let (_, tuple) = attributes(&body[super::FIXED_BYTES..]).next().unwrap();
        tuple.to_vec()
    }

    fn answer(original: &Flow, reply: &Flow) -> Vec<u8> {
        let state = nested(&[(entry::TCP_STATE, &[1])]);
        let of_tcp = nested(&[(entry::OF_TCP | NESTED, &state)]);
        nested(&[
            (entry::ORIGINAL | NESTED, &tuple_of(original)),
            (entry::REPLY | NESTED, &tuple_of(reply)),
            (entry::STATUS, &0x1a8_u32.to_be_bytes()),
            (entry::OF_PROTOCOL | NESTED, &of_tcp),
            (entry::TIMEOUT, &117_u32.to_be_bytes()),
            (entry::MARK, &0x2a_u32.to_be_bytes()),
            (entry::ZONE, &7_u16.to_be_bytes()),
            (99, &[1, 2, 3]),
        ])
    }

    #[test]
    fn questions_carry_the_flow_in_its_own_family() {
        for (source, destination) in [("10.0.0.1:40000", "10.96.0.9:80"), ("[fd00::1]:40000", "[fd96::9]:80")]
        {
            let flow = flow(source, destination);
            assert_eq!(parsed_tuple(&tuple_of(&flow)), Some(flow), "{source}");
        }
    }

    #[test]
    fn an_entry_is_found_by_either_tuple_and_leads_beyond_it() {
        let dialled = flow("10.0.0.1:40000", "10.96.0.9:80");
        let answers = flow("10.244.1.2:8080", "10.0.0.1:40000");
        let bytes = answer(&dialled, &answers);
        let expected = Found {
            original: dialled,
            reply: answers,
            status: 0x1a8,
            mark: 0x2a,
            expires_seconds: 117,
            zone: 7,
            tcp_state: 1,
            is_of_replies: false,
        };
        let found = parsed(&bytes, &dialled).unwrap();
        assert_eq!(found, expected);
        assert!(found.is_translated());
        assert_eq!(found.beyond(), reversed(&answers), "from the client it goes to the server");
        let found = parsed(&bytes, &answers).unwrap();
        assert_eq!(found, Found { is_of_replies: true, ..expected });
        assert_eq!(found.beyond(), reversed(&dialled), "from the server it comes from what was dialled");
        assert_eq!(parsed(&bytes, &flow("10.0.0.1:40001", "10.96.0.9:80")), None, "of another flow");
        let plain = parsed(&answer(&dialled, &reversed(&dialled)), &dialled).unwrap();
        assert!(!plain.is_translated());
    }

    #[test]
    fn an_answer_without_both_tuples_is_none() {
        let dialled = flow("10.0.0.1:40000", "10.96.0.9:80");
        let bytes = answer(&dialled, &reversed(&dialled));
        for length in 0..tuple_of(&dialled).len() * 2 {
            assert_eq!(parsed(&bytes[..length], &dialled), None, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parsed(&bytes, &Flow::default());
            let _ = parsed_tuple(&bytes);
        }
    }
}
