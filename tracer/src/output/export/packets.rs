//! The pcapng file: what is a packet as one, everything else as an event, each with its network namespace and device.

use std::{
    borrow::Cow,
    io::{self, Write},
    time::Duration,
};

use pcap_file::{
    DataLink, Endianness, PcapError,
    pcapng::{
        PcapNgBlock, PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};
use rustc_hash::FxHashMap;

use super::{Row, event_frame, packet, rows::each_field};
use crate::event::{Direction, Netns, Text};

/// Interfaces that are kept apart; what comes by others shares one. Devices of pods come and go.
const INTERFACES: usize = 4_096;
/// Bytes of a comment or a name: their length is told in 16 bits.
const TEXT_BYTES: usize = 65_000;
/// Times are told in units of ten to the power of minus nine seconds.
const NANOSECONDS: u8 = 9;

/// Where packets come by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Interface {
    node: u16,
    netns: u32,
    /// The device, empty where unknown; `None` for events that are no packets.
    device: Option<Text>,
    /// Whether it stands for all that are too many.
    is_shared: bool,
}

/// A pcapng file being written.
pub(super) struct Packets<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: FxHashMap<Interface, u32>,
}

impl<W: Write> Packets<W> {
    /// Begins the file.
    pub(super) fn new(writer: W) -> io::Result<Self> {
        let application = format!("tracer {}", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            endianness: Endianness::Little,
            options: vec![SectionHeaderOption::UserApplication(Cow::Owned(application))],
            ..SectionHeaderBlock::default()
        };
        let writer = PcapNgWriter::with_section_header(writer, section).map_err(io_error)?;
        Ok(Self { writer, interfaces: FxHashMap::default() })
    }

    /// Adds an event.
    pub(super) fn add(&mut self, row: &Row<'_>) -> io::Result<()> {
        let packet = packet::of_record(row.record);
        let device = packet.as_ref().map(|packet| packet.device.clone());
        let interface_id = self.interface_id(row, device)?;
        let timestamp = Duration::from_nanos(u64::try_from(row.time.wall_ns).unwrap_or(0));
        let block = if let Some(packet) = packet {
            EnhancedPacketBlock {
                interface_id,
                timestamp,
                original_len: packet.original_bytes,
                data: Cow::Owned(packet.bytes),
                options: vec![
                    EnhancedPacketOption::Comment(Cow::Borrowed(clip(row.json))),
                    EnhancedPacketOption::Flags(direction_flag(packet.direction)),
                ],
            }
        } else {
            let data = match row.finding {
                Some(finding) => event_frame::of_finding(finding, row.json),
                None => event_frame::of_event(row.record, row.type_name(), row.json),
            };
            let original_len = u32::try_from(data.len()).unwrap_or(u32::MAX);
            EnhancedPacketBlock {
                interface_id,
                timestamp,
                original_len,
                data: Cow::Owned(data),
                // What is wrong stands out in the list of packets, and is found by frame.comment.
                options: row.finding.map(|finding| comment(&finding.named())).into_iter().collect(),
            }
        };
        self.write(block)
    }

    /// The writer.
    pub(super) fn finish(self) -> W {
        self.writer.into_inner()
    }

    fn interface_id(&mut self, row: &Row<'_>, device: Option<Text>) -> io::Result<u32> {
        let Netns { node, inode } = row.netns();
        let mut interface = Interface { node, netns: inode, device, is_shared: false };
        if let Some(&id) = self.interfaces.get(&interface) {
            return Ok(id);
        }
        if self.interfaces.len() >= INTERFACES {
            let device = interface.device.map(|_| Text::default());
            interface = Interface { device, is_shared: true, ..Interface::default() };
            if let Some(&id) = self.interfaces.get(&interface) {
                return Ok(id);
            }
        }
        let id = u32::try_from(self.interfaces.len()).map_err(io::Error::other)?;
        self.write(interface.description(row)?)?;
        self.interfaces.insert(interface, id);
        Ok(id)
    }

    fn write<'a>(&mut self, block: impl PcapNgBlock<'a>) -> io::Result<()> {
        self.writer.write_pcapng_block(block).map(drop).map_err(io_error)
    }
}

impl Interface {
    /// The block that describes it, with the names that the first event by it tells.
    fn description(&self, row: &Row<'_>) -> io::Result<InterfaceDescriptionBlock<'static>> {
        let (mut node, mut netns_name) = (None, None);
        each_field(row.json, |field, value| {
            match field {
                "node" => node = serde_json::from_str::<String>(value).ok(),
                "netns_name" => netns_name = serde_json::from_str::<String>(value).ok(),
                _ => {}
            }
            Ok(())
        })?;
        let what = match &self.device {
            None => "events",
            Some(device) if self.is_shared || device.is_empty() => "packets",
            Some(device) => device.as_str(),
        };
        let netns = (self.netns != 0).then(|| self.netns.to_string());
        let place = if self.is_shared { [Some("others".to_owned()), None] } else { [node, netns] };
        let name = place.into_iter().flatten().chain([what.to_owned()]).collect::<Vec<_>>().join("/");
        let mut options = vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(clip(&name).to_owned())),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ];
        if let Some(netns_name) = netns_name.filter(|_| !self.is_shared) {
            let description = format!("{what} of the network namespace {netns_name}");
            options
                .push(InterfaceDescriptionOption::IfDescription(Cow::Owned(clip(&description).to_owned())));
        }
        let linktype =
            if self.device.is_some() { DataLink::LINUX_SLL } else { DataLink::WIRESHARK_UPPER_PDU };
        Ok(InterfaceDescriptionBlock { linktype, snaplen: 0, options })
    }
}

fn comment(text: &str) -> EnhancedPacketOption<'static> {
    EnhancedPacketOption::Comment(Cow::Owned(clip(text).to_owned()))
}

/// The direction bits of a packet's flags: 1 in, 2 out.
fn direction_flag(direction: Direction) -> u32 {
    match direction {
        Direction::In => 1,
        Direction::Out => 2,
    }
}

/// As much of a text as fits.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

/// The writer's own error if it is one: the caller looks for a broken pipe.
fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}
