//! What a record does to the facts that hold.

use bytes::{BufMut as _, Bytes, BytesMut};
use tracer_common::record::{
    AddressRecord, ClockRecord, ConntrackCountersRecord, ContainerRecord, FactsRecord, HookStatusRecord,
    IpvsChangeRecord, IpvsDestinationRecord, IpvsServiceKey, IpvsServiceRecord, LinkRecord, NamespaceRecord,
    NeighbourEntryRecord, NeighbourRecord, NodeRecord, OwnerRecord, Record, RecordHeader, RecordKind,
    RuleRecord, RulesetRecord, StatsRecord, SysctlRecord, TranslationRecord, change, clock_why,
    ipvs_change_kind, ipvs_listed_why, ruleset_flag,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::identity::Identity;
use crate::event::{Neighbour, Verdict};

/// What becomes of a fact.
#[derive(Debug)]
pub(super) enum Fate {
    /// The record tells none that is kept.
    Nothing,
    /// It holds from now on, and this is how it would be told to who asks now.
    Holds(RecordKind, Identity, Bytes),
    /// It holds no more.
    Ended(RecordKind, Identity),
    /// The header's network namespace is gone, and what is in it.
    NamespaceEnded,
}

/// What a whole record does. `known` gives the record of a fact that holds.
pub(super) fn fate(
    header: RecordHeader,
    record: &[u8],
    known: impl Fn(RecordKind, &Identity) -> Option<Bytes>,
) -> Fate {
    // A record that is too short for its kind tells nothing.
    let Some(kind) = RecordKind::from_number(header.kind) else { return Fate::Nothing };
    let fate = match kind {
        RecordKind::Node | RecordKind::Ready => Some(holds(header, record, &[])),
        RecordKind::Clock => clock(header, record),
        RecordKind::Facts => facts(header, record),
        RecordKind::HookStatus => read::<HookStatusRecord>(record)
            .map(|(status, _)| holds(header, record, &[status.hook.as_bytes()])),
        RecordKind::Stats => read::<StatsRecord>(record)
            .map(|(stats, _)| holds(header, record, &[stats.counted_kind.as_bytes()])),
        RecordKind::Owner => read::<OwnerRecord>(record)
            .map(|(owner, _)| holds(header, record, &[owner.socket_inode.as_bytes()])),
        RecordKind::Container => read::<ContainerRecord>(record).map(|(container, _)| {
            holds(header, record, &[container.cgroup_id.as_bytes(), container.process_id.as_bytes()])
        }),
        RecordKind::Namespace => namespace(header, record),
        RecordKind::Address => address(header, record),
        RecordKind::Link => link(header, record),
        RecordKind::Rule => rule(header, record),
        RecordKind::Sysctl => sysctl(header, record),
        RecordKind::NeighbourEntry => read::<NeighbourEntryRecord>(record).map(|(entry, _)| {
            let identity = neighbour_identity(header, entry.interface_index, &entry.address);
            Fate::Holds(kind, identity, Bytes::copy_from_slice(record))
        }),
        RecordKind::Neighbour => neighbour(header, record),
        RecordKind::IpvsService => ipvs_service(header, record),
        RecordKind::IpvsDestination => ipvs_destination(header, record),
        RecordKind::IpvsChange => ipvs_change(header, record, known),
        RecordKind::Ruleset => ruleset(header, record),
        RecordKind::ConntrackCounters => counters(header, record),
        RecordKind::Translation => read::<TranslationRecord>(record).map(|(found, _)| {
            let name: [&[u8]; 3] =
                [found.original.as_bytes(), found.flow_netns.as_bytes(), found.zone.as_bytes()];
            let identity = Identity::within(header, &name);
            Fate::Holds(kind, identity, Bytes::copy_from_slice(record))
        }),
        _ => None,
    };
    fate.unwrap_or(Fate::Nothing)
}

/// A fact of the node, told as it was.
fn holds(header: RecordHeader, record: &[u8], name: &[&[u8]]) -> Fate {
    let Some(kind) = RecordKind::from_number(header.kind) else { return Fate::Nothing };
    Fate::Holds(kind, Identity::of_node(header, name), Bytes::copy_from_slice(record))
}

fn clock(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut clock, _) = read::<ClockRecord>(record)?;
    (clock.why, clock.step_ns, clock.suspended_ns) = (clock_why::START, 0, 0);
    Some(Fate::Holds(RecordKind::Clock, Identity::of_node(header, &[]), with(header, &clock, &[])))
}

/// A clock's record with the wall clock as a node's record has it.
pub(super) fn clock_by_node(clock: &[u8], node: &[u8]) -> Option<Bytes> {
    let ((clock, _), (node, _)) = (read::<ClockRecord>(clock)?, read::<NodeRecord>(node)?);
    let clock = ClockRecord { wall_minus_boot_ns: node.wall_minus_boot_ns, ..clock };
    Some(with(clock.header, &clock, &[]))
}

/// Known by their first: a record takes the place of the one that told the same before.
fn facts(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (_, text) = read::<FactsRecord>(record)?;
    let first = text.split(|&byte| byte == b'\t').next().unwrap_or_default();
    Some(holds(header, record, &[first]))
}

fn namespace(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut namespace, names) = read::<NamespaceRecord>(record)?;
    if namespace.change == change::REMOVED {
        return Some(Fate::NamespaceEnded);
    }
    namespace.change = change::PRESENT;
    let identity = Identity::within(header, &[]);
    Some(Fate::Holds(RecordKind::Namespace, identity, with(header, &namespace, names)))
}

fn address(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut address, rest) = read::<AddressRecord>(record)?;
    let name: [&[u8]; 3] =
        [address.interface_index.as_bytes(), &address.address, address.prefix_bits.as_bytes()];
    let identity = Identity::within(header, &name);
    let became = std::mem::replace(&mut address.change, change::PRESENT);
    address.is_found_later = 0;
    Some(present(RecordKind::Address, identity, became, || with(header, &address, rest)))
}

fn link(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut link, rest) = read::<LinkRecord>(record)?;
    let identity = Identity::within(header, &[link.interface_index.as_bytes()]);
    let became = std::mem::replace(&mut link.change, change::PRESENT);
    link.is_found_later = 0;
    Some(present(RecordKind::Link, identity, became, || with(header, &link, rest)))
}

/// A rule is known by all it says.
fn rule(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut rule, rest) = read::<RuleRecord>(record)?;
    let became = std::mem::replace(&mut rule.change, change::PRESENT);
    (rule.is_found_later, rule.header) = (0, RecordHeader::default());
    let identity = Identity::within(header, &[rule.as_bytes()]);
    Some(present(RecordKind::Rule, identity, became, || with(header, &rule, rest)))
}

fn sysctl(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut sysctl, text) = read::<SysctlRecord>(record)?;
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    let mut lines = text[..end].splitn(3, |&byte| byte == b'\n');
    let (name, value) = (lines.next()?, lines.next().unwrap_or_default());
    let identity = Identity::within(header, &[name]);
    let became = std::mem::replace(&mut sysctl.change, change::PRESENT);
    // Without the value before.
    let text = [name, value].join(&b'\n');
    Some(present(RecordKind::Sysctl, identity, became, || with(header, &sysctl, &text)))
}

fn present(kind: RecordKind, identity: Identity, became: u8, record: impl FnOnce() -> Bytes) -> Fate {
    if became == change::REMOVED {
        Fate::Ended(kind, identity)
    } else {
        Fate::Holds(kind, identity, record())
    }
}

fn neighbour_identity(header: RecordHeader, interface_index: u32, address: &[u8; 16]) -> Identity {
    Identity::within(header, &[interface_index.as_bytes(), address])
}

/// What the table holds after a proposal, as a look at it would find it.
fn neighbour(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (proposal, _) = read::<NeighbourRecord>(record)?;
    let Neighbour { verdict, new_state, old_state, .. } = Neighbour::from(&proposal);
    let (hardware_address, state) = match verdict {
        Verdict::Learned | Verdict::Changed => (Some(proposal.proposed), new_state),
        Verdict::Confirmed if proposal.has_proposed != 0 => (Some(proposal.proposed), new_state),
        Verdict::Confirmed => (Some(proposal.current), new_state),
        // Of an entry that held nothing there is nothing to tell.
        Verdict::Ignored => (old_state.is_valid().then_some(proposal.current), old_state),
        Verdict::Failed => (None, new_state),
    };
    let entry = NeighbourEntryRecord {
        address: proposal.address,
        interface_index: proposal.interface_index,
        state: state.0,
        hardware_address_length: if hardware_address.is_some() {
            proposal.hardware_address_length
        } else {
            0
        },
        hardware_address: hardware_address.unwrap_or_default(),
        device: proposal.device,
        ..NeighbourEntryRecord::default()
    };
    let identity = neighbour_identity(header, proposal.interface_index, &proposal.address);
    Some(Fate::Holds(RecordKind::NeighbourEntry, identity, with(header, &entry, &[])))
}

fn ipvs_service(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut listed, rest) = read::<IpvsServiceRecord>(record)?;
    let identity = Identity::within(header, &[listed.service.as_bytes()]);
    if listed.why == ipvs_listed_why::GONE {
        return Some(Fate::Ended(RecordKind::IpvsService, identity));
    }
    listed.why = ipvs_listed_why::NEWS;
    Some(Fate::Holds(RecordKind::IpvsService, identity, with(header, &listed, rest)))
}

fn real_identity(header: RecordHeader, service: &IpvsServiceKey, real: &[u8; 16], port: u16) -> Identity {
    Identity::within(header, &[service.as_bytes(), real, port.as_bytes()])
}

fn ipvs_destination(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut listed, rest) = read::<IpvsDestinationRecord>(record)?;
    let identity = real_identity(header, &listed.service, &listed.real, listed.real_port);
    if listed.why == ipvs_listed_why::GONE {
        return Some(Fate::Ended(RecordKind::IpvsDestination, identity));
    }
    listed.why = ipvs_listed_why::NEWS;
    Some(Fate::Holds(RecordKind::IpvsDestination, identity, with(header, &listed, rest)))
}

/// A change of a service or a real server, as a listing after it would tell them.
fn ipvs_change(
    header: RecordHeader,
    record: &[u8],
    known: impl Fn(RecordKind, &Identity) -> Option<Bytes>,
) -> Option<Fate> {
    const FORWARDING_MASK: u32 = 0x7;
    let (told, _) = read::<IpvsChangeRecord>(record)?;
    let (kind, identity) = if told.has_real == 0 {
        (RecordKind::IpvsService, Identity::within(header, &[told.service.as_bytes()]))
    } else {
        let identity = real_identity(header, &told.service, &told.real, told.real_port);
        (RecordKind::IpvsDestination, identity)
    };
    if told.change == ipvs_change_kind::REMOVED {
        return Some(Fate::Ended(kind, identity));
    }
    let before = known(kind, &identity);
    let record = if kind == RecordKind::IpvsService {
        let before = before.and_then(|record| Some(read::<IpvsServiceRecord>(&record)?.0));
        let listed = IpvsServiceRecord {
            service: told.service,
            scheduler: told.scheduler,
            ..before.unwrap_or_default()
        };
        with(header, &listed, &[])
    } else {
        let before = before.and_then(|record| Some(read::<IpvsDestinationRecord>(&record)?.0));
        let listed = IpvsDestinationRecord {
            service: told.service,
            real: told.real,
            real_port: told.real_port,
            weight: told.to,
            forwarding: told.connection_flags & FORWARDING_MASK,
            ..before.unwrap_or_default()
        };
        with(header, &listed, &[])
    };
    Some(Fate::Holds(kind, identity, record))
}

fn ruleset(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut counted, names) = read::<RulesetRecord>(record)?;
    let table = names.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let identity = Identity::within(header, &[&[counted.family, counted.backend], table]);
    if counted.flags & ruleset_flag::REMOVED != 0 {
        return Some(Fate::Ended(RecordKind::Ruleset, identity));
    }
    counted.flags &= !ruleset_flag::HAS_PREVIOUS;
    (counted.previous, counted.changed_ms_ago) = (0, 0);
    Some(Fate::Holds(RecordKind::Ruleset, identity, with(header, &counted, names)))
}

/// The totals; what came to them since the record before was told then.
fn counters(header: RecordHeader, record: &[u8]) -> Option<Fate> {
    let (mut counted, rest) = read::<ConntrackCountersRecord>(record)?;
    counted.growth = Default::default();
    let identity = Identity::within(header, &[]);
    Some(Fate::Holds(RecordKind::ConntrackCounters, identity, with(header, &counted, rest)))
}

/// The fixed part of a record and the bytes behind it.
fn read<R: FromBytes>(record: &[u8]) -> Option<(R, &[u8])> {
    R::read_from_prefix(record).ok()
}

/// A record told at a header's time, with what stands behind it.
fn with<R: Record + IntoBytes + Immutable>(header: RecordHeader, record: &R, rest: &[u8]) -> Bytes {
    const ALIGNMENT: usize = 8;
    let length = (size_of::<R>() + rest.len()).next_multiple_of(ALIGNMENT);
    let header = RecordHeader {
        kind: R::KIND as u16,
        // No longer than the record it is made of, or one of the fixed ones.
        length_bytes: u16::try_from(length).unwrap_or(u16::MAX),
        hook: 0,
        ..header
    };
    let mut bytes = BytesMut::with_capacity(length);
    bytes.put_slice(header.as_bytes());
    bytes.put_slice(&record.as_bytes()[size_of::<RecordHeader>()..]);
    bytes.put_slice(rest);
    bytes.put_bytes(0, length - bytes.len());
    bytes.freeze()
}
