//! What is printed of each type of event. The records are laid out as the kernel side writes them.

pub(crate) mod finding;
pub(crate) mod names;
pub(crate) mod nodes;
pub(crate) mod path;
mod translation;

use std::io;

use bytes::Bytes;
use jiff::tz::TimeZone;
use tracer_common::{
    hook::{HookId, Way},
    record::{
        ClaimRecord, ClockRecord, ConntrackRecord, DuplicateRecord, Flow, GapRecord, HookStatusRecord,
        IcmpRecord, IpvsChangeRecord, IpvsCounts, IpvsDestinationRecord, IpvsRecord, IpvsServiceKey,
        IpvsServiceRecord, NeighbourRecord, NodeRecord, OwnerRecord, ReadyRecord, RecordHeader, RecordKind,
        RetransmitRecord, StatsRecord, UndoRecord, claim_direction, clock_synchronised, clock_why,
        conntrack_event, icmp_direction, icmp_part, ipvs_change_kind, ipvs_listed_why, ipvs_step,
    },
};
use zerocopy::{Immutable, IntoBytes};

use super::{Arrow, LineStyle, Printer};
use crate::{
    block::Block,
    decode::{DecodeCounts, Decoder},
    event::Event,
};

const SECOND_NS: u64 = 1_000_000_000;
/// 2026-03-14 09:26:53.589793238 UTC, less ten seconds since boot.
const WALL_MINUS_BOOT_NS: i64 = 1_773_480_403_589_793_238;

fn header(kind: RecordKind, length_bytes: usize) -> RecordHeader {
    let length_bytes = u16::try_from(length_bytes).unwrap();
    RecordHeader {
        time_ns: 10 * SECOND_NS,
        netns: 0xf000_0000,
        kind: kind as u16,
        length_bytes,
        ..RecordHeader::default()
    }
}

fn node_header(kind: RecordKind, length_bytes: usize) -> RecordHeader {
    RecordHeader { netns: 0, ..header(kind, length_bytes) }
}

fn mapped(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
}

fn v6(last: u8) -> [u8; 16] {
    [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

fn name<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

fn flow() -> Flow {
    Flow {
        source: mapped(1),
        destination: mapped(2),
        source_port: 4242,
        destination_port: 80,
        protocol: 6,
        ..Flow::default()
    }
}

fn v6_flow() -> Flow {
    Flow { source: v6(1), destination: v6(2), ..flow() }
}

fn push(bytes: &mut Vec<u8>, record: &(impl IntoBytes + Immutable), text: &str) {
    bytes.extend_from_slice(record.as_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

fn hook_status(hook: HookId, attached: Option<Way>, reason: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length_bytes = (size_of::<HookStatusRecord>() + reason.len()).next_multiple_of(8);
    let record = HookStatusRecord {
        header: node_header(RecordKind::HookStatus, length_bytes),
        hook: hook as u16,
        way: attached.map_or(0, |way| way as u16),
        attached: u8::from(attached.is_some()),
        ..HookStatusRecord::default()
    };
    push(&mut bytes, &record, reason);
    bytes
}

fn retransmits(bytes: &mut Vec<u8>) {
    let header = header(RecordKind::Retransmit, size_of::<RetransmitRecord>());
    let bare = RetransmitRecord {
        header,
        flow: flow(),
        tcp_state: 1,
        tcp_flags: 0x10,
        sequence: 4_000_000_000,
        segments: 1,
        congestion_window: 10,
        ..RetransmitRecord::default()
    };
    let full = RetransmitRecord {
        flow: v6_flow(),
        socket_inode: 77,
        cgroup_id: 4_242,
        unacknowledged: 4_000_000_000,
        send_window_bytes: 65_535,
        congestion_state: 4,
        retransmits: 3,
        rto_jiffies: 51,
        srtt_eighth_us: 8_008,
        segments: 2,
        device: name("eth0"),
        ..bare
    };
    push(bytes, &bare, "");
    push(bytes, &full, "");
    let syn = RetransmitRecord {
        tcp_state: 2,
        tcp_flags: 2,
        retransmits: 1,
        error: -113,
        process_id: 55,
        command: name("curl\x1b[2J"),
        ..bare
    };
    push(bytes, &syn, "");
    push(bytes, &RetransmitRecord { error: 1, ..syn }, "");
    let length_bytes = size_of::<UndoRecord>();
    let undo = UndoRecord {
        header: RecordHeader { kind: RecordKind::Undo as u16, length_bytes: 80, ..header },
        flow: flow(),
        congestion_window: 5,
        congestion_state: 4,
        tcp_state: 1,
        ..UndoRecord::default()
    };
    assert_eq!(length_bytes, 80);
    push(bytes, &undo, "");
}

fn neighbours(bytes: &mut Vec<u8>) {
    let changed = NeighbourRecord {
        header: header(RecordKind::Neighbour, size_of::<NeighbourRecord>()),
        address: mapped(9),
        proposed: [2, 0, 0, 0, 0, 2, 0, 0],
        current: [2, 0, 0, 0, 0, 1, 0, 0],
        device: name("eth0"),
        update_flags: 1,
        old_state: 2,
        new_state: 4,
        has_proposed: 1,
        hardware_address_length: 6,
        ..NeighbourRecord::default()
    };
    push(bytes, &changed, "");
    push(bytes, &NeighbourRecord { update_flags: 0, ..changed }, "");
    push(
        bytes,
        &NeighbourRecord { source: 1, old_state: 1, new_state: 0x20, has_proposed: 0, ..changed },
        "",
    );
    let claim = ClaimRecord {
        header: header(RecordKind::Claim, size_of::<ClaimRecord>()),
        address: mapped(9),
        target: mapped(1),
        hardware_address: [2, 0, 0, 0, 0, 2, 0, 0],
        device: name("eth0"),
        operation: 2,
        ..ClaimRecord::default()
    };
    push(bytes, &claim, "");
    push(bytes, &ClaimRecord { direction: claim_direction::OUT, hardware_address: [0; 8], ..claim }, "");
}

fn translations(bytes: &mut Vec<u8>) {
    let reused = ConntrackRecord {
        header: header(RecordKind::Conntrack, size_of::<ConntrackRecord>()),
        original: flow(),
        reply: Flow {
            source: mapped(3),
            destination: mapped(1),
            source_port: 8080,
            destination_port: 4242,
            ..flow()
        },
        event: conntrack_event::SYN_ON_ENTRY,
        tcp_state: 7,
        mark: 0x10,
        zone: 4,
        sequence: 5,
        ..ConntrackRecord::default()
    };
    push(bytes, &reused, "");
    push(bytes, &ConntrackRecord { tcp_state: 1, last_end: 6, ..reused }, "");
    let full = ConntrackRecord {
        header: reused.header,
        event: conntrack_event::TABLE_FULL,
        ..ConntrackRecord::default()
    };
    push(bytes, &full, "");
    let ipvs = IpvsRecord {
        header: header(RecordKind::Ipvs, size_of::<IpvsRecord>()),
        client: mapped(1),
        virtual_address: mapped(9),
        real: v6(3),
        client_port: 4242,
        virtual_port: 80,
        real_port: 8080,
        protocol: 6,
        steps: ipvs_step::FOUND,
        verdict: 2,
        connection_state: 5,
        connection_flags: 3,
        firewall_mark: 7,
        has_destination: 1,
        available: 1,
        persistent: 1,
        ..IpvsRecord::default()
    };
    push(bytes, &ipvs, "");
    let without_server = IpvsRecord {
        steps: ipvs_step::SCHEDULE_ASKED,
        real: [0; 16],
        has_destination: 0,
        verdict: 0,
        ..ipvs
    };
    push(bytes, &without_server, "");
    administration(bytes);
}

fn administration(bytes: &mut Vec<u8>) {
    let service = IpvsServiceKey { address: mapped(9), port: 80, protocol: 6, ..IpvsServiceKey::default() };
    let by_mark = IpvsServiceKey { firewall_mark: 7, is_ipv6: 1, ..IpvsServiceKey::default() };
    let added = IpvsChangeRecord {
        header: RecordHeader {
            hook: HookId::IpvsAddService as u16,
            ..header(RecordKind::IpvsChange, size_of::<IpvsChangeRecord>())
        },
        service,
        change: ipvs_change_kind::ADDED,
        scheduler: name("rr"),
        ..IpvsChangeRecord::default()
    };
    push(bytes, &added, "");
    let drained = IpvsChangeRecord {
        real: v6(3),
        real_port: 8080,
        has_real: 1,
        change: ipvs_change_kind::WEIGHT,
        connection_flags: 0x103,
        from: 5,
        scheduler: name(""),
        ..added
    };
    push(bytes, &drained, "");
    let removed = IpvsChangeRecord {
        header: header(RecordKind::IpvsChange, size_of::<IpvsChangeRecord>()),
        service: by_mark,
        change: ipvs_change_kind::REMOVED,
        namespace_ends: 1,
        ..drained
    };
    push(bytes, &removed, "");
    let counts =
        IpvsCounts { connections: 3, packets_in: 30, packets_out: 20, bytes_in: 3_000, bytes_out: 2_000 };
    let listed = IpvsServiceRecord {
        header: header(RecordKind::IpvsService, size_of::<IpvsServiceRecord>()),
        service,
        scheduler: name("wlc"),
        flags: 1,
        persistence_timeout_s: 600,
        counts,
        ..IpvsServiceRecord::default()
    };
    push(bytes, &listed, "");
    let server = IpvsDestinationRecord {
        header: header(RecordKind::IpvsDestination, size_of::<IpvsDestinationRecord>()),
        service: by_mark,
        real: v6(3),
        real_port: 8080,
        weight: 100,
        active_connections: 2,
        inactive_connections: 1,
        counts,
        ..IpvsDestinationRecord::default()
    };
    push(bytes, &server, "");
    push(bytes, &IpvsDestinationRecord { why: ipvs_listed_why::GONE, ..server }, "");
    // Counts alone are no news.
    push(bytes, &IpvsDestinationRecord { why: ipvs_listed_why::COUNTS, ..server }, "");
}

fn path(bytes: &mut Vec<u8>) {
    let udp = Flow { protocol: 17, ..flow() };
    let died = IcmpRecord {
        header: header(RecordKind::Icmp, size_of::<IcmpRecord>()),
        flow: udp,
        device: name("eth0"),
        icmp_type: 11,
        version: 4,
        direction: icmp_direction::OUT,
        ttl: 1,
        parts: icmp_part::HEADER | icmp_part::PORTS,
        ip_id: 77,
        ..IcmpRecord::default()
    };
    push(bytes, &died, "");
    let too_big = IcmpRecord {
        flow: Flow { source: v6(1), destination: v6(2), ..udp },
        sender: v6(9),
        mtu_bytes: 1_300,
        icmp_type: 2,
        version: 6,
        direction: icmp_direction::IN,
        ttl: 63,
        ..died
    };
    push(bytes, &too_big, "");
    push(
        bytes,
        &IcmpRecord {
            parts: icmp_part::HEADER,
            icmp_type: 3,
            icmp_code: 1,
            direction: 0,
            sender: mapped(9),
            ..died
        },
        "",
    );
    push(bytes, &IcmpRecord { parts: 0, icmp_type: 12, device: [0; 16], ..died }, "");
    let again = DuplicateRecord {
        header: header(RecordKind::Duplicate, size_of::<DuplicateRecord>()),
        flow: udp,
        device: name("eth0"),
        times: 3,
        ip_id: 77,
        ttl: 60,
        previous_ttl: 62,
        first_ttl: 64,
        ..DuplicateRecord::default()
    };
    push(bytes, &again, "");
    push(bytes, &DuplicateRecord { flow: v6_flow(), ip_id: 0, ..again }, "");
}

fn stats(counted: RecordKind, seen: u64, lost: u64, last_of_batch: u16) -> StatsRecord {
    StatsRecord {
        header: node_header(RecordKind::Stats, size_of::<StatsRecord>()),
        seen,
        delivered: seen - lost,
        suppressed: 0,
        lost,
        counted_kind: counted as u16,
        last_of_batch,
        ..StatsRecord::default()
    }
}

/// A stream with every type of event, in the order a run writes them.
pub(crate) fn every_event() -> Block {
    let mut bytes = Vec::new();
    let names = "6.12.0-test\nnode-a";
    let length_bytes = (size_of::<NodeRecord>() + names.len()).next_multiple_of(8);
    let node = NodeRecord {
        header: node_header(RecordKind::Node, length_bytes),
        wall_minus_boot_ns: WALL_MINUS_BOOT_NS,
        tick_ns: 4_100_500,
    };
    push(&mut bytes, &node, names);
    bytes.extend(hook_status(HookId::RetransmitSegment, Some(Way::TypedTracepoint), ""));
    bytes.extend(hook_status(HookId::IpvsSchedule, None, "module ip_vs is not loaded"));
    push(&mut bytes, &ReadyRecord { header: node_header(RecordKind::Ready, 24) }, "");
    let owner = OwnerRecord {
        header: node_header(RecordKind::Owner, size_of::<OwnerRecord>()),
        socket_inode: 77,
        process_id: 321,
        command: name("nginx"),
        ..OwnerRecord::default()
    };
    push(&mut bytes, &owner, "");
    retransmits(&mut bytes);
    neighbours(&mut bytes);
    translations(&mut bytes);
    path(&mut bytes);
    translation::lookups(&mut bytes);
    bytes.extend(hook_status(HookId::IpvsSchedule, Some(Way::Kprobe), ""));
    clocks_and_gaps(&mut bytes);
    for (counted, seen, lost, last) in [
        (RecordKind::Retransmit, 4, 0, 0),
        (RecordKind::Neighbour, 5, 2, 1),
        (RecordKind::Neighbour, 5, 2, 1),
    ] {
        push(&mut bytes, &stats(counted, seen, lost, last), "");
    }
    Block(Bytes::from(bytes))
}

/// The wall clock was set by somebody, and the node slept; a disk was slow.
fn clocks_and_gaps(bytes: &mut Vec<u8>) {
    let stepped = ClockRecord {
        header: node_header(RecordKind::Clock, size_of::<ClockRecord>()),
        wall_minus_boot_ns: WALL_MINUS_BOOT_NS,
        step_ns: -1_500_000_000,
        largest_error_us: 1_250,
        why: clock_why::STEPPED,
        synchronised: clock_synchronised::YES,
        ..ClockRecord::default()
    };
    let resumed = ClockRecord {
        boot_minus_monotonic_ns: 3_000_000_000,
        step_ns: 0,
        suspended_ns: 3_000_000_000,
        why: clock_why::RESUMED,
        synchronised: clock_synchronised::UNKNOWN,
        ..stepped
    };
    push(bytes, &stepped, "");
    push(bytes, &resumed, "");
    for (records, duration_ns) in [(1, 0), (1_234, 2_005_000_000)] {
        let header = node_header(RecordKind::Gap, size_of::<GapRecord>());
        push(bytes, &GapRecord { header, records, since_ns: header.time_ns - duration_ns }, "");
    }
}

pub(crate) fn events(block: &Block) -> Vec<Event> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    decoder.decode(block, |event| events.push(event));
    assert_eq!((decoder.counts().unknown, decoder.counts().malformed), (0, 0));
    events
}

/// What goes to the writer of events, and to the writer of notes.
fn printed(mut printer: Printer<Vec<u8>, Vec<u8>>) -> [String; 2] {
    printer.note_unread(DecodeCounts { decoded: 20, unknown: 1, malformed: 2 });
    for event in events(&every_event()) {
        printer.print(&event).unwrap();
    }
    printer.finish().unwrap();
    let (lines, notes) = printer.into_writers();
    [lines, notes].map(|bytes| String::from_utf8(bytes).unwrap())
}

fn json() -> [String; 2] {
    printed(Printer::json(Vec::new(), Vec::new()))
}

fn lines(arrow: Arrow, use_colour: bool) -> [String; 2] {
    printed(Printer::lines(Vec::new(), Vec::new(), style(arrow, use_colour)))
}

fn style(arrow: Arrow, use_colour: bool) -> LineStyle {
    LineStyle { arrow, use_colour, time_zone: TimeZone::UTC }
}

#[test]
fn every_event_as_json() {
    let [text, notes] = json();
    assert_eq!(notes, "");
    for line in text.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(!line.contains("null"), "{line}");
        assert_eq!(object["time"], "2026-03-14T09:26:53.589793238Z");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_event_as_lines() {
    let [lines, notes] = lines(Arrow::Unicode, false);
    assert!(lines.lines().all(|line| !line.starts_with('#')));
    assert!(notes.lines().all(|line| line.starts_with('#')));
    insta::assert_snapshot!(format!("{lines}\n{notes}"));
}

#[test]
fn lines_without_colour_are_ascii_where_the_locale_is_not_utf8() {
    let [ascii, unicode] = [Arrow::Ascii, Arrow::Unicode].map(|arrow| lines(arrow, false).concat());
    assert!(!ascii.contains('→') && !ascii.contains('\x1b'));
    assert_eq!(ascii.split_whitespace().count(), unicode.split_whitespace().count());
}

#[test]
fn colour_adds_nothing_but_colour() {
    let [plain, mut coloured] = [false, true].map(|use_colour| lines(Arrow::Unicode, use_colour).concat());
    assert!(coloured.contains("\x1b[31m"));
    for code in ["\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[0m"] {
        coloured = coloured.replace(code, "");
    }
    assert_eq!(coloured, plain);
}

#[test]
fn the_style_follows_the_terminal_and_the_environment() {
    type Variables = &'static [(&'static str, &'static str)];
    let table: [(&str, bool, Variables, Arrow, bool); 7] = [
        ("a terminal", true, &[("LANG", "en_GB.UTF-8")], Arrow::Unicode, true),
        ("a pipe", false, &[("LANG", "en_GB.utf8")], Arrow::Unicode, false),
        ("no locale", true, &[], Arrow::Ascii, true),
        ("LC_ALL wins", true, &[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")], Arrow::Ascii, true),
        (
            "an empty LC_ALL counts for nothing",
            true,
            &[("LANG", "C.UTF-8"), ("LC_ALL", "")],
            Arrow::Unicode,
            true,
        ),
        ("NO_COLOR", true, &[("NO_COLOR", "1")], Arrow::Ascii, false),
        (
            "an empty NO_COLOR, on a dumb terminal",
            true,
            &[("NO_COLOR", ""), ("TERM", "dumb")],
            Arrow::Ascii,
            false,
        ),
    ];
    for (name, is_terminal, variables, arrow, use_colour) in table {
        let variable = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        let style = LineStyle::fit(is_terminal, variable);
        assert_eq!((style.arrow, style.use_colour), (arrow, use_colour), "{name}");
    }
}

#[test]
fn a_writers_error_reaches_the_caller() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let block = every_event();
    let failures: Vec<_> = {
        let mut printer = Printer::json(Closed, io::sink());
        events(&block).iter().filter_map(|event| printer.print(event).err()).collect()
    };
    assert!(!failures.is_empty());
    assert!(failures.iter().all(|error| error.kind() == io::ErrorKind::BrokenPipe));
}

/// Not a test of speed but a way to measure it: `cargo test --release -- --ignored --nocapture lines_a_second`.
#[test]
#[ignore = "measures"]
fn lines_a_second() {
    const ROUNDS: u32 = 20_000;
    let events = events(&every_event());
    let mut formats = [
        ("json", Printer::json(io::BufWriter::new(io::sink()), io::sink())),
        ("lines", Printer::lines(io::BufWriter::new(io::sink()), io::sink(), style(Arrow::Unicode, true))),
    ];
    for (name, printer) in &mut formats {
        let started = std::time::Instant::now();
        let mut printed = 0_u32;
        for _ in 0..ROUNDS {
            for event in events.iter().filter(|event| super::is_shown(event) && event.netns.inode != 0) {
                printer.print(event).unwrap();
                printed += 1;
            }
        }
        println!("{name}: {:.0} lines/s", f64::from(printed) / started.elapsed().as_secs_f64());
    }
}
