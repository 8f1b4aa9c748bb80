//! Events that are no packets, as Wireshark shows them: JSON, under the addresses the event is about.
//!
//! The format is Wireshark's for data it exports from within a packet (`LINKTYPE_WIRESHARK_UPPER_PDU`): tags that name a
//! dissector, a protocol and the ends, then the data. So `ip.addr`, `json.key` and `json.value.string` filter them.

use std::net::{IpAddr, SocketAddr};

use tracer_common::record::{
    AddressRecord, ConntrackRecord, Flow, IpvsRecord, NeighbourEntryRecord, NeighbourRecord, RecordHeader,
    RecordKind, RetransmitRecord, RouteLookupRecord, TranslationRecord, UndoRecord,
};
use zerocopy::FromBytes;

use crate::{
    event::{Protocol, address},
    findings::{About, Finding},
    state::{FlowKey, Subject},
};

/// The bytes of an event; `of` is its type, `json` its object.
pub(super) fn of_event(record: &[u8], of: &str, json: &str) -> Vec<u8> {
    frame(of, Ends::of_record(record), json)
}

/// The bytes of what became of a finding, whose object that is.
pub(super) fn of_finding(finding: &Finding, json: &str) -> Vec<u8> {
    frame("finding", Ends::of_finding(finding), json)
}

fn frame(of: &str, ends: Option<Ends>, json: &str) -> Vec<u8> {
    const DISSECTOR: u16 = 12;
    const PROTOCOL_COLUMN: u16 = 33;
    const END: u16 = 0;

    let mut bytes = Vec::with_capacity(json.len() + 128);
    push_tag(&mut bytes, DISSECTOR, b"json");
    push_tag(&mut bytes, PROTOCOL_COLUMN, format!("tracer {of}\0").as_bytes());
    if let Some(ends) = ends {
        ends.push(&mut bytes);
    }
    push_tag(&mut bytes, END, b"");
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

fn push_tag(bytes: &mut Vec<u8>, tag: u16, value: &[u8]) {
    let length = value.len().next_multiple_of(4);
    bytes.extend(tag.to_be_bytes());
    bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len() + length - value.len(), 0);
}

/// Whom an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// An address.
    One(IpAddr),
    /// A flow.
    Two { source: SocketAddr, destination: SocketAddr, protocol: Protocol },
}

impl Ends {
    fn of_record(record: &[u8]) -> Option<Self> {
        let (header, _) = RecordHeader::read_from_prefix(record).ok()?;
        match RecordKind::from_number(header.kind)? {
            RecordKind::Retransmit => Self::of_flow(&read::<RetransmitRecord>(record)?.flow),
            RecordKind::Undo => Self::of_flow(&read::<UndoRecord>(record)?.flow),
            RecordKind::Conntrack => Self::of_flow(&read::<ConntrackRecord>(record)?.original),
            RecordKind::Translation => Self::of_flow(&read::<TranslationRecord>(record)?.original),
            RecordKind::RouteLookup => Self::of_flow(&read::<RouteLookupRecord>(record)?.flow),
            RecordKind::Ipvs => {
                let IpvsRecord { client, client_port, virtual_address, virtual_port, protocol, .. } =
                    read(record)?;
                Self::of_flow(&Flow {
                    source: client,
                    source_port: client_port,
                    destination: virtual_address,
                    destination_port: virtual_port,
                    protocol,
                    ..Flow::EMPTY
                })
            }
            RecordKind::Neighbour => Some(Self::One(address(read::<NeighbourRecord>(record)?.address))),
            RecordKind::NeighbourEntry => {
                Some(Self::One(address(read::<NeighbourEntryRecord>(record)?.address)))
            }
            RecordKind::Address => Some(Self::One(address(read::<AddressRecord>(record)?.address))),
            _ => None,
        }
    }

    /// The flow or the address a finding is about, if it is about one.
    fn of_finding(finding: &Finding) -> Option<Self> {
        let About::Subject(subject) = finding.about else { return None };
        match subject {
            Subject::Flow(FlowKey { endpoints, .. }) => Some(Self::Two {
                source: SocketAddr::new(endpoints.source.ip(), endpoints.source.port()),
                destination: SocketAddr::new(endpoints.destination.ip(), endpoints.destination.port()),
                protocol: endpoints.protocol,
            }),
            Subject::Neighbour(key) => Some(Self::One(key.address)),
            Subject::Network(key) => key.prefix.is_host().then_some(Self::One(key.prefix.address)),
            Subject::Service(key) => key.service.address().map(|address| Self::One(address.ip())),
            Subject::Real(key) => key.address.map(|address| Self::One(address.ip())),
            Subject::Namespace(_) | Subject::Hook(_) => None,
        }
    }

    /// The ends of a flow, if it has any.
    fn of_flow(flow: &Flow) -> Option<Self> {
        (*flow != Flow::EMPTY).then(|| Self::Two {
            source: SocketAddr::new(address(flow.source), flow.source_port),
            destination: SocketAddr::new(address(flow.destination), flow.destination_port),
            protocol: Protocol(flow.protocol),
        })
    }

    fn push(self, bytes: &mut Vec<u8>) {
        const IPV4_SOURCE: u16 = 20;
        const IPV4_DESTINATION: u16 = 21;
        const IPV6_SOURCE: u16 = 22;
        const IPV6_DESTINATION: u16 = 23;
        const PORT_TYPE: u16 = 24;
        const SOURCE_PORT: u16 = 25;
        const DESTINATION_PORT: u16 = 26;

        let mut push_address = |address, tags: [u16; 2]| match address {
            IpAddr::V4(address) => push_tag(bytes, tags[0], &address.octets()),
            IpAddr::V6(address) => push_tag(bytes, tags[1], &address.octets()),
        };
        match self {
            Self::One(address) => push_address(address, [IPV4_SOURCE, IPV6_SOURCE]),
            Self::Two { source, destination, protocol } => {
                push_address(source.ip(), [IPV4_SOURCE, IPV6_SOURCE]);
                push_address(destination.ip(), [IPV4_DESTINATION, IPV6_DESTINATION]);
                let port_type: u32 = match protocol {
                    Protocol::SCTP => 1,
                    Protocol::TCP => 2,
                    Protocol::UDP => 3,
                    _ => return,
                };
                push_tag(bytes, PORT_TYPE, &port_type.to_be_bytes());
                push_tag(bytes, SOURCE_PORT, &u32::from(source.port()).to_be_bytes());
                push_tag(bytes, DESTINATION_PORT, &u32::from(destination.port()).to_be_bytes());
            }
        }
    }
}

fn read<T: FromBytes>(record: &[u8]) -> Option<T> {
    T::read_from_prefix(record).ok().map(|(record, _)| record)
}
