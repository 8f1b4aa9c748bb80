//! What holds after what was told.

use bytes::Bytes;
use proptest::prelude::*;
use tracer_common::record::{
    AddressRecord, ClockRecord, GapRecord, HookStatusRecord, IpvsChangeRecord, IpvsDestinationRecord,
    IpvsServiceKey, IpvsServiceRecord, LinkRecord, MarkerRecord, NamespaceRecord, NeighbourEntryRecord,
    NeighbourRecord, NodeRecord, OwnerRecord, ReadyRecord, Record, RecordHeader, RecordKind,
    RetransmitRecord, RulesetRecord, StatsRecord, SysctlRecord, change, clock_why, ipvs_change_kind,
    ipvs_listed_why, ruleset_flag,
};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::Standing;
use crate::{
    block::Block,
    decode::{Decoder, records},
    event::{Body, Change, Event, ListedWhy, RulesetChange},
    output::tests::every_event,
    session::{Prologue, SessionWriter},
    state::State,
};

const NETNS: u32 = 7;

fn told_of<R: Record>(time_ns: u64, netns: u32, record: &R, text: &str) -> Block {
    let length = (size_of::<R>() + text.len()).next_multiple_of(8);
    let header = RecordHeader {
        time_ns,
        netns,
        kind: R::KIND as u16,
        length_bytes: u16::try_from(length).unwrap(),
        ..RecordHeader::default()
    };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(&record.as_bytes()[size_of::<RecordHeader>()..]);
    bytes.extend(text.as_bytes());
    bytes.resize(length, 0);
    Block(bytes.into())
}

fn told<R: Record>(time_ns: u64, record: &R, text: &str) -> Block {
    told_of(time_ns, NETNS, record, text)
}

fn standing(blocks: &[Block]) -> Standing {
    let mut standing = Standing::default();
    for block in blocks {
        standing.note(block);
    }
    standing
}

fn events(records: &[Bytes]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut decoder = Decoder::default();
    decoder.decode(&Block(records.concat().into()), |event| events.push(event));
    assert_eq!((decoder.counts().malformed, decoder.counts().unknown), (0, 0));
    events
}

fn held(blocks: &[Block]) -> Vec<(u64, Body)> {
    let standing = standing(blocks);
    events(&standing.records()).into_iter().map(|event| (event.time.boot_ns, event.body)).collect()
}

fn kinds(blocks: &[Block]) -> Vec<(u64, RecordKind)> {
    held(blocks).into_iter().map(|(time, body)| (time, body.kind())).collect()
}

fn address(change: u8, last: u8) -> AddressRecord {
    let mut address =
        AddressRecord { change, interface_index: 2, prefix_bits: 24, ..AddressRecord::default() };
    address.address[15] = last;
    address
}

#[test]
fn what_others_depend_on_comes_first_and_the_rest_in_the_order_of_time() {
    let status = HookStatusRecord { hook: 3, ..HookStatusRecord::default() };
    let blocks = [
        told(1, &status, "first"),
        told(2, &ReadyRecord::default(), ""),
        told(5, &address(change::PRESENT, 5), ""),
        told(4, &OwnerRecord { socket_inode: 9, ..OwnerRecord::default() }, ""),
        told(6, &StatsRecord { counted_kind: 1, seen: 1, ..StatsRecord::default() }, ""),
        told(6, &RetransmitRecord::default(), ""),
        told(7, &GapRecord::default(), ""),
        told(7, &status, "again"),
        told(8, &StatsRecord { counted_kind: 1, seen: 2, ..StatsRecord::default() }, ""),
        told(9, &NodeRecord::default(), "6.1\nhost"),
        told(3, &ClockRecord { why: clock_why::STEPPED, step_ns: 5, ..ClockRecord::default() }, ""),
    ];
    let expected = [
        (9, RecordKind::Node),
        (3, RecordKind::Clock),
        (7, RecordKind::HookStatus),
        (2, RecordKind::Ready),
        (4, RecordKind::Owner),
        (5, RecordKind::Address),
        (8, RecordKind::Stats),
    ];
    assert_eq!(kinds(&blocks), expected);
    let since = events(&standing(&blocks).records_since(7));
    let since: Vec<RecordKind> = since.iter().map(|event| event.body.kind()).collect();
    assert_eq!(since, [RecordKind::Node, RecordKind::HookStatus, RecordKind::Stats]);
    // A clock that was set once is told as it stands, and not as set again.
    let Body::Clock(clock) = &held(&blocks)[1].1 else { panic!() };
    assert_eq!((clock.step_ns, Body::Clock(*clock).is_snapshot()), (0, true));
}

#[test]
fn a_part_alone_tells_the_times_of_the_whole() {
    let node = |time_ns, wall_minus_boot_ns| {
        told(time_ns, &NodeRecord { wall_minus_boot_ns, ..NodeRecord::default() }, "6.1\nhost")
    };
    let clock = |time_ns, wall_minus_boot_ns| {
        told(time_ns, &ClockRecord { wall_minus_boot_ns, ..ClockRecord::default() }, "")
    };
    let marker = || told(50, &MarkerRecord::default(), "now");
    let wall_ns = |records: &[Bytes]| events(records).last().map(|event| event.time.wall_ns);
    // What was told of the wall clock before the part begins.
    for before in [
        vec![node(10, 1_000), clock(10, 1_005)],
        vec![node(10, 1_000), clock(10, 1_005), node(20, 1_001), node(30, 1_002)],
        // It was set.
        vec![node(10, 1_000), clock(10, 1_005), node(20, 1_001), clock(25, 9_000)],
        vec![node(10, 1_000), clock(10, 1_005), clock(25, 9_000), node(30, 9_003)],
        vec![clock(10, 1_005)],
    ] {
        let whole: Vec<Bytes> = before.iter().chain([&marker()]).map(|block| block.0.clone()).collect();
        let part: Vec<Bytes> = standing(&before).records().into_iter().chain([marker().0]).collect();
        assert_eq!(wall_ns(&part), wall_ns(&whole), "{before:?}");
    }
}

#[test]
fn nothing_stands_before_the_first_record() {
    assert!(Standing::default().is_empty() && Standing::default().records().is_empty());
    assert!(!standing(&[told(1, &RetransmitRecord::default(), "")]).is_empty());
}

#[test]
fn what_was_added_is_there_and_what_was_removed_is_not() {
    let link = |change, index| LinkRecord { change, interface_index: index, ..LinkRecord::default() };
    let sysctl = |change| SysctlRecord { change, ..SysctlRecord::default() };
    let blocks = [
        told(1, &address(change::PRESENT, 1), ""),
        told(1, &address(change::PRESENT, 2), ""),
        told(2, &address(change::ADDED, 3), ""),
        told(3, &address(change::REMOVED, 2), ""),
        // An older word that comes late overrules no newer one.
        told(2, &address(change::REPLACED, 2), ""),
        told(1, &link(change::PRESENT, 4), ""),
        told(4, &link(change::DOWN, 4), ""),
        told(5, &link(change::REMOVED, 5), ""),
        told(1, &sysctl(change::PRESENT), "net.a\n1"),
        told(6, &sysctl(change::REPLACED), "net.a\n2\n1"),
    ];
    let held = held(&blocks);
    let times: Vec<u64> = held.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [1, 2, 4, 6]);
    assert!(held.iter().all(|(_, body)| body.is_snapshot()), "{held:?}");
    let Body::Sysctl(setting) = &held[3].1 else { panic!("{held:?}") };
    assert_eq!((setting.value.as_str(), &setting.previous), ("2", &None));
}

#[test]
fn what_is_in_a_namespace_ends_with_it() {
    let namespace = |change| NamespaceRecord { change, ..NamespaceRecord::default() };
    let blocks = [
        told_of(1, 7, &namespace(change::ADDED), "web"),
        told_of(1, 8, &namespace(change::ADDED), "db"),
        told_of(2, 7, &address(change::ADDED, 1), ""),
        told_of(2, 8, &address(change::ADDED, 1), ""),
        told_of(3, 7, &namespace(change::REMOVED), "web"),
        // The number is another's now.
        told_of(4, 7, &namespace(change::ADDED), "new"),
    ];
    let standing = standing(&blocks);
    let told: Vec<(u32, u64)> =
        records(&standing.records().concat()).map(|(header, _)| (header.netns, header.time_ns)).collect();
    assert_eq!(told, [(8, 1), (8, 2), (7, 4)]);
    let names = events(&standing.records());
    let Body::Namespace(last) = &names[2].body else { panic!("{names:?}") };
    assert_eq!(
        (last.change, last.name.as_ref().map(crate::event::Text::as_str)),
        (Change::Present, Some("new"))
    );
}

#[test]
fn a_neighbour_is_told_as_the_table_holds_it() {
    const REACHABLE: u8 = 2;
    const FAILED: u8 = 0x20;
    let mac = |last| [2, 0, 0, 0, 0, last, 0, 0];
    let proposal = |proposed: Option<u8>, current: Option<u8>, new_state: u8, update_flags| NeighbourRecord {
        interface_index: 3,
        proposed: proposed.map(mac).unwrap_or_default(),
        has_proposed: u8::from(proposed.is_some()),
        current: current.map(mac).unwrap_or_default(),
        old_state: if current.is_some() { REACHABLE } else { 1 },
        new_state,
        update_flags,
        hardware_address_length: 6,
        ..NeighbourRecord::default()
    };
    let listed = NeighbourEntryRecord {
        interface_index: 3,
        state: REACHABLE,
        hardware_address: mac(9),
        hardware_address_length: 6,
        ..NeighbourEntryRecord::default()
    };
    for (name, blocks, expected) in [
        ("listed", vec![told(1, &listed, "")], Some(mac(9))),
        ("learned", vec![told(1, &proposal(Some(1), None, REACHABLE, 0), "")], Some(mac(1))),
        (
            "a second answer is ignored",
            vec![told(1, &listed, ""), told(2, &proposal(Some(2), Some(9), REACHABLE, 0), "")],
            Some(mac(9)),
        ),
        (
            "changed",
            vec![told(1, &listed, ""), told(2, &proposal(Some(2), Some(9), REACHABLE, 1), "")],
            Some(mac(2)),
        ),
        ("confirmed", vec![told(2, &proposal(None, Some(9), REACHABLE, 0), "")], Some(mac(9))),
        ("failed", vec![told(1, &listed, ""), told(2, &proposal(None, Some(9), FAILED, 0), "")], None),
    ] {
        let standing = standing(&blocks);
        let [record] = &standing.records()[..] else { panic!("{name}") };
        let (entry, _) = NeighbourEntryRecord::read_from_prefix(record).unwrap();
        let found = (entry.hardware_address_length != 0).then_some(entry.hardware_address);
        assert_eq!((found, entry.interface_index), (expected, 3), "{name}");
    }
}

#[test]
fn ipvs_is_told_as_a_listing_would_tell_it() {
    let service = IpvsServiceKey { port: 80, protocol: 6, ..IpvsServiceKey::default() };
    let listed = |why, weight| IpvsDestinationRecord {
        service,
        real_port: 8080,
        why,
        weight,
        active_connections: 5,
        ..IpvsDestinationRecord::default()
    };
    let changed = |change, has_real, to| IpvsChangeRecord {
        service,
        real_port: 8080,
        has_real,
        change,
        to,
        connection_flags: 0x103,
        ..IpvsChangeRecord::default()
    };
    let (added, removed) = (ipvs_change_kind::ADDED, ipvs_change_kind::REMOVED);
    let news = told(1, &listed(ipvs_listed_why::NEWS, 1), "");
    for (name, blocks, expected) in [
        ("counts", vec![told(2, &listed(ipvs_listed_why::COUNTS, 1), "")], Some((1, 5))),
        ("drained", vec![news.clone(), told(2, &changed(ipvs_change_kind::WEIGHT, 1, 0), "")], Some((0, 5))),
        ("added", vec![told(2, &changed(added, 1, 3), "")], Some((3, 0))),
        ("removed", vec![news.clone(), told(2, &changed(removed, 1, 0), "")], None),
        ("gone", vec![news.clone(), told(2, &listed(ipvs_listed_why::GONE, 1), "")], None),
        (
            "a listing from before the change",
            vec![news.clone(), told(3, &changed(removed, 1, 0), ""), told(2, &listed(0, 1), "")],
            None,
        ),
    ] {
        let held = held(&blocks);
        let found = held.iter().find_map(|(_, body)| match body {
            Body::IpvsDestination(real) if real.why == ListedWhy::News => {
                Some((real.weight, real.active_connections))
            }
            _ => None,
        });
        assert_eq!((found, held.len()), (expected, usize::from(expected.is_some())), "{name}");
    }
    let whole =
        IpvsServiceRecord { service, flags: 1, persistence_timeout_s: 300, ..IpvsServiceRecord::default() };
    let blocks = [told(1, &whole, ""), told(2, &changed(added, 0, 0), "")];
    let [(2, Body::IpvsService(listed))] = &held(&blocks)[..] else { panic!("{:?}", held(&blocks)) };
    assert_eq!(listed.persistence_s.map(std::num::NonZero::get), Some(300));
    assert!(held(&[told(1, &whole, ""), told(2, &changed(removed, 0, 0), "")]).is_empty());
}

#[test]
fn a_table_of_rules_is_told_as_found() {
    let table =
        |flags, entries, previous| RulesetRecord { flags, entries, previous, ..RulesetRecord::default() };
    let grown = told(2, &table(ruleset_flag::HAS_PREVIOUS, 9, 4), "nat\n");
    let found = held(&[told(1, &table(0, 4, 0), "nat\n"), grown, told(1, &table(0, 1, 0), "raw\n")]);
    let [(1, Body::Ruleset(raw)), (2, Body::Ruleset(nat))] = &found[..] else { panic!("{found:?}") };
    assert_eq!((raw.entries, nat.entries, nat.change), (1, 9, RulesetChange::Found));
    let removed = told(3, &table(ruleset_flag::REMOVED, 0, 0), "nat\n");
    assert!(held(&[told(1, &table(0, 4, 0), "nat\n"), removed]).is_empty());
}

#[test]
fn a_flood_is_bounded_and_counted() {
    let mut standing = Standing::default();
    for inode in 0..4_100 {
        let namespace = NamespaceRecord { change: change::ADDED, ..NamespaceRecord::default() };
        standing.note(&told_of(u64::from(inode), inode + 1, &namespace, "x"));
    }
    assert_eq!((standing.records().len(), standing.evicted()), (4_096, 4));
}

/// A session that begins in the middle, read into a state.
fn replayed(prologue: &Prologue, rest: &[Block]) -> State {
    let mut writer = SessionWriter::new(Vec::new()).unwrap();
    writer.append_timeless(&prologue.block()).unwrap();
    for block in rest {
        writer.append(block).unwrap();
    }
    let file = writer.finish().unwrap();
    let mut state = State::default();
    let mut decoder = Decoder::default();
    for block in crate::session::SessionReader::new(&file[..], std::path::Path::new("x")).unwrap() {
        decoder.decode(&block.unwrap(), |event| state.apply(&event));
    }
    state
}

proptest! {
    /// Wherever the recording begins: what holds of the whole stream holds of prologue and rest.
    #[test]
    fn a_prologue_and_what_follows_hold_what_the_whole_holds(cut in 0_usize..80) {
        let whole = every_event().0;
        let all: Vec<Bytes> = records(&whole).map(|(_, record)| Bytes::copy_from_slice(record)).collect();
        let cut = cut.min(all.len());
        let (before, after) = (Block(all[..cut].concat().into()), Block(all[cut..].concat().into()));
        let of_before = standing(std::slice::from_ref(&before));
        let mut again = standing(&[Block(of_before.records().concat().into())]);
        prop_assert_eq!(again.records(), of_before.records(), "a prologue of a prologue is itself");
        again.note(&after);
        prop_assert_eq!(again.records(), standing(&[before, after.clone()]).records());

        let last_ns = records(&whole).map(|(header, _)| header.time_ns).max().unwrap_or_default();
        let id = crate::event::SessionId([1; 16]);
        let began_ns = last_ns;
        let prologue =
            Prologue { id, part: 2, is_under_way: true, began_ns, records: of_before.records() };
        let state = replayed(&prologue, std::slice::from_ref(&after));
        let mut alone = State::default();
        Decoder::default().decode(&after, |event| alone.apply(&event));
        prop_assert_eq!(state.events(), alone.events(), "the prologue is no event");
        prop_assert_eq!(state.node.is_some(), cut > 0 || alone.node.is_some());
    }
}
