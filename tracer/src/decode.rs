//! From blocks to events.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tracer_common::record::{
    AddressRecord, ClaimRecord, ClockRecord, ConntrackCountersRecord, ConntrackRecord, ContainerRecord,
    DuplicateRecord, FactsRecord, GapRecord, HookStatusRecord, IcmpRecord, IpvsChangeRecord,
    IpvsDestinationRecord, IpvsRecord, IpvsServiceRecord, LinkRecord, MarkerRecord, NamespaceRecord,
    NeighbourEntryRecord, NeighbourRecord, NodeRecord, OwnerRecord, RecordHeader, RecordKind,
    RetransmitRecord, RouteLookupRecord, RouteRecord, RuleRecord, RulesetRecord, SessionBeginRecord,
    SessionRecord, StatsRecord, SysctlRecord, TranslationRecord, UndoRecord,
};
use zerocopy::FromBytes;

use crate::{
    block::Block,
    event::{
        Body, Clock, Container, Event, Facts, HookStatus, IpvsChange, ListedDestination, ListedService,
        Namespace, Netns, Retransmit, Route, Ruleset, Sysctl, Text, Timestamp,
    },
};

/// Records that could not be read, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Records turned into events.
    pub decoded: u64,
    /// Records of a kind this version does not know, skipped by their length.
    pub unknown: u64,
    /// Records shorter than their kind needs, and blocks that end within a record.
    pub malformed: u64,
}

/// What the records of a node need to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NodeClock {
    wall_minus_boot_ns: i64,
    tick_ns: u64,
}

impl Default for NodeClock {
    fn default() -> Self {
        /// A tick of Debian's and most other kernels (`CONFIG_HZ=250`), until a record tells.
        const USUAL_TICK_NS: u64 = 4_000_000;
        Self { wall_minus_boot_ns: 0, tick_ns: USUAL_TICK_NS }
    }
}

/// Reads blocks in their order, of one node or of several. It keeps what the [`NodeRecord`]s say, which gives later
/// records of the same node their meaning, and counts what it cannot read; no input makes it fail.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// By the node's number.
    clocks: Vec<NodeClock>,
    counts: DecodeCounts,
}

impl Decoder {
    /// What could and could not be read so far.
    pub fn counts(&self) -> DecodeCounts {
        self.counts
    }

    /// Calls `apply` with every event of a block, in their order.
    pub fn decode(&mut self, block: &Block, mut apply: impl FnMut(Event)) {
        self.decode_counting(block, |event, _| apply(event));
    }

    /// The same, with what could and could not be read up to the event, which does not depend on where blocks end.
    pub fn decode_counting(&mut self, block: &Block, mut apply: impl FnMut(Event, DecodeCounts)) {
        let mut rest: &[u8] = &block.0;
        while !rest.is_empty() {
            let Some((header, record, after)) = split_record(rest) else {
                self.counts.malformed += 1;
                return;
            };
            rest = after;
            match RecordKind::from_number(header.kind) {
                None => self.counts.unknown += 1,
                Some(kind) => match self.body(kind, header.node, record) {
                    None => self.counts.malformed += 1,
                    Some(body) => {
                        self.counts.decoded += 1;
                        let time = self.timestamp(header);
                        apply(
                            Event {
                                time,
                                netns: Netns { node: header.node, inode: header.netns },
                                cpu: header.cpu,
                                body,
                            },
                            self.counts,
                        );
                    }
                },
            }
        }
    }

    fn timestamp(&self, header: RecordHeader) -> Timestamp {
        let boot_ns = header.time_ns;
        let wall_minus_boot_ns = self.clock(header.node).wall_minus_boot_ns;
        Timestamp { boot_ns, wall_ns: wall_minus_boot_ns.saturating_add_unsigned(boot_ns) }
    }

    fn clock(&self, node: u16) -> NodeClock {
        self.clocks.get(usize::from(node)).copied().unwrap_or_default()
    }

    fn clock_mut(&mut self, node: u16) -> Option<&mut NodeClock> {
        let place = usize::from(node);
        if place >= self.clocks.len() {
            self.clocks.resize(place + 1, NodeClock::default());
        }
        self.clocks.get_mut(place)
    }

    fn node(&mut self, of_node: u16, record: &[u8]) -> Option<Body> {
        let (node, names) = read::<NodeRecord>(record)?;
        if let Some(clock) = self.clock_mut(of_node) {
            clock.wall_minus_boot_ns = node.wall_minus_boot_ns;
            clock.tick_ns = node.tick_ns;
        }
        let mut names = names.splitn(2, |&byte| byte == b'\n');
        let mut name = || Text::from_bytes(names.next().unwrap_or_default());
        Some(Body::Node { kernel: name(), host: name() })
    }

    /// The meaning of a whole record of a known kind; `None` if it is too short for its kind.
    #[inline]
    fn body(&mut self, kind: RecordKind, of_node: u16, record: &[u8]) -> Option<Body> {
        // Nearly all records of a storm. Here and not among the others, it is made where it is wanted.
        if kind == RecordKind::Retransmit {
            return self.retransmit(of_node, record);
        }
        self.other_body(kind, of_node, record)
    }

    #[inline]
    fn retransmit(&self, of_node: u16, record: &[u8]) -> Option<Body> {
        let tick_ns = self.clock(of_node).tick_ns;
        // Where it is; a copy, if a block begins at an odd address.
        let copied;
        let record = if let Ok((record, _)) = RetransmitRecord::ref_from_prefix(record) {
            record
        } else {
            copied = read::<RetransmitRecord>(record)?.0;
            &copied
        };
        Some(Body::Retransmit(Retransmit::from_record(record, tick_ns)))
    }

    #[inline(never)]
    fn other_body(&mut self, kind: RecordKind, of_node: u16, record: &[u8]) -> Option<Body> {
        Some(match kind {
            RecordKind::Retransmit => self.retransmit(of_node, record)?,
            RecordKind::Undo => Body::Undo((&read::<UndoRecord>(record)?.0).into()),
            RecordKind::Neighbour => Body::Neighbour((&read::<NeighbourRecord>(record)?.0).into()),
            RecordKind::Claim => Body::Claim((&read::<ClaimRecord>(record)?.0).into()),
            RecordKind::Conntrack => Body::Conntrack((&read::<ConntrackRecord>(record)?.0).into()),
            RecordKind::ConntrackCounters => {
                let (record, _) = read::<ConntrackCountersRecord>(record)?;
                Body::ConntrackCounters(Box::new((&record).into()))
            }
            RecordKind::Ipvs => Body::Ipvs((&read::<IpvsRecord>(record)?.0).into()),
            RecordKind::Icmp => Body::Icmp((&read::<IcmpRecord>(record)?.0).into()),
            RecordKind::Duplicate => Body::Duplicate((&read::<DuplicateRecord>(record)?.0).into()),
            RecordKind::IpvsChange => {
                Body::IpvsChange(IpvsChange::from_record(&read::<IpvsChangeRecord>(record)?.0)?)
            }
            RecordKind::IpvsService => Body::IpvsService(Box::new(ListedService::from_record(
                &read::<IpvsServiceRecord>(record)?.0,
            )?)),
            RecordKind::IpvsDestination => Body::IpvsDestination(Box::new(ListedDestination::from_record(
                &read::<IpvsDestinationRecord>(record)?.0,
            )?)),
            RecordKind::Stats => Body::Stats((&read::<StatsRecord>(record)?.0).into()),
            RecordKind::Owner => Body::Owner((&read::<OwnerRecord>(record)?.0).into()),
            RecordKind::Container => Body::Container(Arc::new(container(record)?)),
            RecordKind::Namespace => Body::Namespace(Arc::new(namespace(record)?)),
            RecordKind::HookStatus => {
                let (status, reason) = read::<HookStatusRecord>(record)?;
                Body::HookStatus(HookStatus::from_record(&status, reason))
            }
            RecordKind::Node => self.node(of_node, record)?,
            RecordKind::Ready => Body::Ready,
            RecordKind::Route => {
                let (route, next_hops) = read::<RouteRecord>(record)?;
                Body::Route(Route::from_record(&route, next_hops))
            }
            RecordKind::RouteLookup => Body::RouteLookup((&read::<RouteLookupRecord>(record)?.0).into()),
            RecordKind::Address => Body::Address((&read::<AddressRecord>(record)?.0).into()),
            RecordKind::Link => Body::Link((&read::<LinkRecord>(record)?.0).into()),
            RecordKind::Rule => Body::Rule((&read::<RuleRecord>(record)?.0).into()),
            RecordKind::NeighbourEntry => {
                Body::NeighbourEntry((&read::<NeighbourEntryRecord>(record)?.0).into())
            }
            RecordKind::Sysctl => {
                let (setting, text) = read::<SysctlRecord>(record)?;
                Body::Sysctl(Sysctl::from_record(&setting, text))
            }
            RecordKind::Ruleset => {
                let (ruleset, names) = read::<RulesetRecord>(record)?;
                Body::Ruleset(Ruleset::from_record(&ruleset, names))
            }
            RecordKind::Translation => {
                Body::Translation(Box::new((&read::<TranslationRecord>(record)?.0).into()))
            }
            RecordKind::Marker => Body::Marker(Text::from_bytes(read::<MarkerRecord>(record)?.1)),
            RecordKind::Clock => {
                let clock = Clock::from(&read::<ClockRecord>(record)?.0);
                if let Some(kept) = self.clock_mut(of_node) {
                    kept.wall_minus_boot_ns = clock.wall_minus_boot_ns;
                }
                Body::Clock(clock)
            }
            RecordKind::Facts => Body::Facts(Arc::new(Facts::from_text(read::<FactsRecord>(record)?.1))),
            RecordKind::Session => Body::Session((&read::<SessionRecord>(record)?.0).into()),
            RecordKind::Gap => Body::Gap((&read::<GapRecord>(record)?.0).into()),
            RecordKind::SessionBegin => {
                read::<SessionBeginRecord>(record)?;
                Body::SessionBegin
            }
        })
    }
}

fn container(record: &[u8]) -> Option<Container> {
    let (container, names) = read::<ContainerRecord>(record)?;
    Some(Container::from_record(&container, names))
}

fn namespace(record: &[u8]) -> Option<Namespace> {
    let (namespace, names) = read::<NamespaceRecord>(record)?;
    Some(Namespace::from_record(&namespace, names))
}

/// The whole records of a run, each with its header, up to the first that is cut.
pub(crate) fn records(mut run: &[u8]) -> impl Iterator<Item = (RecordHeader, &[u8])> {
    std::iter::from_fn(move || {
        let (header, record, after) = split_record(run)?;
        run = after;
        Some((header, record))
    })
}

/// The first record's header, that whole record, and what follows it; `None` if no whole record is there.
pub(crate) fn split_record(bytes: &[u8]) -> Option<(RecordHeader, &[u8], &[u8])> {
    let (header, _) = RecordHeader::read_from_prefix(bytes).ok()?;
    let length = usize::from(header.length_bytes);
    if length < size_of::<RecordHeader>() {
        return None;
    }
    let (record, after) = bytes.split_at_checked(length)?;
    Some((header, record, after))
}

/// The fixed part of a record and the bytes behind it.
fn read<T: FromBytes>(record: &[u8]) -> Option<(T, &[u8])> {
    T::read_from_prefix(record).ok()
}
