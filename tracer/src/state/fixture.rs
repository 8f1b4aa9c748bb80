//! Events for tests, each whole and each as a real node would send it.

pub(crate) mod hostile;
pub(crate) mod wire;

use tracer_common::{
    counters::KindCounters,
    hook::{HookId, Way},
    record::{
        ABSENT_COUNT, CONNTRACK_COUNTER_PLACES, ConntrackCountersRecord, IpvsCounts, RecordHeader,
        RecordKind, conntrack_counter,
    },
};

use super::State;
use crate::{
    event::{
        Body, Claim, ClaimOperation, Conntrack, ConntrackCounters, ConntrackEvent, Direction, Duplicate,
        Endpoint, Endpoints, Event, Failure, HardwareAddress, HookStatus, Icmp, Ipvs, IpvsChange,
        IpvsChangeKind, IpvsDecision, IpvsForward, IpvsService, ListedDestination, ListedWhy, Neighbour,
        NeighbourState, Netns, Owner, Process, Protocol, Quoted, Retransmit, RetransmitKind, Ruleset,
        RulesetBackend, RulesetChange, RulesetExactness, RulesetFamily, Stats, TcpState, Text, Timestamp,
        Undo, Verdict,
    },
    probe::table::{Family, find},
};

pub(crate) const NETNS: Netns = Netns::here(4_026_531_840);
const SECOND_NS: u64 = 1_000_000_000;

/// A time: milliseconds since boot, on a morning in 2026.
pub(crate) fn at(milliseconds: u64) -> Timestamp {
    const BOOTED_NS: i64 = 1_781_000_000 * 1_000_000_000;
    let boot_ns = milliseconds * 1_000_000;
    Timestamp { boot_ns, wall_ns: BOOTED_NS + i64::try_from(boot_ns).unwrap() }
}

pub(crate) fn event(milliseconds: u64, body: Body) -> Event {
    Event { time: at(milliseconds), netns: NETNS, cpu: 0, body }
}

pub(crate) fn endpoints(source: &str, destination: &str) -> Endpoints {
    Endpoints {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol: Protocol::TCP,
    }
}

pub(crate) fn mac(last: u8) -> HardwareAddress {
    HardwareAddress::new([0x02, 0x42, 0xac, 0x11, 0, last, 0, 0], 6)
}

pub(crate) fn retransmit(kind: RetransmitKind, source: &str, destination: &str) -> Retransmit {
    Retransmit {
        kind,
        flow: endpoints(source, destination),
        tcp_state: TcpState(if kind == RetransmitKind::Syn { 2 } else { 1 }),
        segments: 1,
        sequence: 1_000,
        end_sequence: 2_448,
        unacknowledged: 1_000,
        attempt: Some(1),
        rto_us: Some(1_000_000),
        srtt_us: None,
        congestion_window: Some(10),
        error: None,
        device: Some(Text::new("eth0")),
        process: None,
        cgroup_id: None,
        socket_inode: None,
    }
}

pub(crate) fn undo(source: &str, destination: &str) -> Body {
    Body::Undo(Undo {
        flow: endpoints(source, destination),
        tcp_state: TcpState(1),
        after_timeout: true,
        congestion_window: 5,
        socket_inode: None,
    })
}

pub(crate) fn owner(socket_inode: u64, id: u32, command: &str) -> Body {
    Body::Owner(Owner { socket_inode, process: Process { id, command: Text::new(command) } })
}

pub(crate) fn proposal(
    address: &str,
    verdict: Verdict,
    proposed: Option<HardwareAddress>,
    previous: Option<HardwareAddress>,
) -> Body {
    let state = |valid| NeighbourState(if valid { 0x02 } else { 0x20 });
    Body::Neighbour(Neighbour {
        address: address.parse().unwrap(),
        device: Text::new("eth0"),
        interface_index: 2,
        proposed,
        previous,
        verdict,
        old_state: state(previous.is_some()),
        new_state: state(verdict != Verdict::Failed),
        by_netlink: false,
    })
}

pub(crate) fn claim(address: &str, hardware_address: HardwareAddress, direction: Direction) -> Body {
    Body::Claim(Claim {
        address: address.parse().unwrap(),
        target: address.parse().unwrap(),
        hardware_address: Some(hardware_address),
        device: Text::new("eth0"),
        interface_index: 2,
        direction,
        operation: ClaimOperation::Reply,
    })
}

pub(crate) fn conntrack(event: ConntrackEvent, source: &str, destination: &str, server: &str) -> Body {
    Body::Conntrack(Conntrack {
        event,
        original: Some(endpoints(source, destination)),
        reply: Some(endpoints(server, source)),
        previous_reply: None,
        tcp_state: Some("TIME_WAIT"),
        status: 0,
        mark: 0,
        zone: 0,
    })
}

/// Counters of a kernel that does not count long chains, of which so many packets were dropped since the last.
pub(crate) fn conntrack_counters(entries: u64, limit: u64, dropped: u64, insert_failed: u64) -> Body {
    let mut totals = [0; CONNTRACK_COUNTER_PLACES];
    totals[conntrack_counter::CHAIN_TOO_LONG] = ABSENT_COUNT;
    totals[conntrack_counter::INSERT] = 40_000 + entries;
    totals[conntrack_counter::DROP] = 10 + dropped;
    totals[conntrack_counter::INSERT_FAILED] = insert_failed;
    let mut growth = [0; CONNTRACK_COUNTER_PLACES];
    growth[conntrack_counter::DROP] = dropped;
    growth[conntrack_counter::INSERT_FAILED] = insert_failed;
    let record = ConntrackCountersRecord { header: RecordHeader::default(), entries, limit, totals, growth };
    Body::ConntrackCounters(Box::new(ConntrackCounters::from(&record)))
}

pub(crate) fn ipvs(
    decision: IpvsDecision,
    client: &str,
    service: &str,
    real: Option<&str>,
    weight: i32,
) -> Body {
    let real: Option<Endpoint> = real.map(|real| real.parse().unwrap());
    Body::Ipvs(Ipvs {
        decision,
        client: client.parse().unwrap(),
        virtual_service: service.parse().unwrap(),
        real,
        protocol: Protocol::TCP,
        weight: real.map(|_| weight),
        available: real.is_some(),
        connection_state: (decision != IpvsDecision::Scheduled).then_some("TIME_WAIT"),
        reuse_mode: 0,
        expire_nodest: 0,
        firewall_mark: None,
        forward: None,
        persistent: false,
    })
}

pub(crate) fn icmp(
    direction: Direction,
    icmp_type: u8,
    icmp_code: u8,
    source: &str,
    destination: &str,
) -> Body {
    Body::Icmp(Icmp {
        direction,
        protocol: Protocol::ICMP,
        icmp_type,
        icmp_code,
        about: Some(Quoted {
            flow: endpoints(source, destination),
            has_ports: true,
            ttl: 1,
            ip_id: Some(4_711),
        }),
        sender: (direction == Direction::In).then(|| endpoints(source, destination).destination.ip()),
        mtu_bytes: None,
        device: Some(Text::new("eth0")),
        interface_index: 2,
    })
}

/// Of a loop of two routers.
pub(crate) fn duplicate(source: &str, destination: &str, times: u32, ttl: u8) -> Body {
    Body::Duplicate(Duplicate {
        flow: endpoints(source, destination),
        ttl,
        previous_ttl: ttl + 2,
        first_ttl: 63,
        times,
        ip_id: Some(4_711),
        device: Text::new("eth0"),
        interface_index: 2,
    })
}

pub(crate) fn ipvs_change(
    change: IpvsChangeKind,
    service: &str,
    real: Option<&str>,
    from: Option<i32>,
    to: Option<i32>,
) -> Body {
    Body::IpvsChange(IpvsChange {
        service: tcp_service(service),
        real: real.map(|real| real.parse().unwrap()),
        change,
        from,
        to,
        forwarding: real.map(|_| IpvsForward::Nat),
        scheduler: real.is_none().then(|| Text::new("rr")),
        namespace_ends: false,
        by_comparison: false,
    })
}

pub(crate) fn tcp_service(address: &str) -> IpvsService {
    IpvsService::Address { protocol: Protocol::TCP, address: address.parse().unwrap() }
}

pub(crate) fn listed(why: ListedWhy, service: &str, real: &str, weight: i32) -> Body {
    Body::IpvsDestination(Box::new(ListedDestination {
        service: tcp_service(service),
        real: real.parse().unwrap(),
        why,
        weight,
        forwarding: Some(IpvsForward::Nat),
        active_connections: 12,
        inactive_connections: 3_400,
        persistent_connections: 0,
        counts: IpvsCounts::default(),
    }))
}

pub(crate) fn stats(kind: RecordKind, seen: u64, suppressed: u64, lost: u64) -> Body {
    let delivered = seen - suppressed - lost;
    Body::Stats(Stats {
        counted: Some(kind),
        counters: KindCounters { seen, delivered, suppressed, lost },
        last_of_batch: false,
    })
}

pub(crate) fn ruleset(table: &str) -> Ruleset {
    Ruleset {
        backend: RulesetBackend::Legacy,
        family: RulesetFamily(2),
        table: Text::new(table),
        change: RulesetChange::Found,
        entries: 0,
        previous: None,
        examined: 0,
        duplicates: 0,
        chains: 3,
        largest: Vec::new(),
        repeated: None,
        changed_ms_ago: None,
        took_us: 500,
        exactness: RulesetExactness::Exact,
    }
}

pub(crate) fn hook_status(hook: HookId, attached: Option<Way>, reason: &str) -> Body {
    Body::HookStatus(HookStatus { hook: Some(hook), attached, is_needed: true, reason: Text::new(reason) })
}

/// What these amount to, and what stands out of it.
pub(crate) fn all(events: impl IntoIterator<Item = (u64, Body)>) -> State {
    let mut state = State::default();
    for (milliseconds, body) in events {
        state.apply(&event(milliseconds, body));
    }
    state.look();
    state
}

fn node() -> Body {
    Body::Node { kernel: Text::new("6.12.117+deb12-amd64"), host: Text::new("edge-node-3.example.org") }
}

/// Half of the hooks tried, nothing seen.
pub(crate) fn attaching() -> State {
    let tried = HookId::ALL[..9].iter().map(|&hook| (1_000, attach(hook)));
    all([(1_000, node())].into_iter().chain(tried))
}

fn attach(hook: HookId) -> Body {
    match hook {
        HookId::RetransmitFailed | HookId::RetransmitUndo => {
            hook_status(hook, None, "the kernel has neither fentry (CONFIG_FUNCTION_TRACER) nor kprobes")
        }
        HookId::PacketReceive => {
            let attached = Some(Way::TypedTracepoint);
            let reason = Text::new("attached while a flow is under suspicion");
            Body::HookStatus(HookStatus { hook: Some(hook), attached, is_needed: false, reason })
        }
        hook if find(hook).is_some_and(|row| row.family == Family::Ipvs) => {
            hook_status(hook, None, "module ip_vs is not loaded; tried again when it is")
        }
        HookId::RetransmitSegment
        | HookId::RetransmitSynAck
        | HookId::SocketState
        | HookId::NeighbourUpdate
        | HookId::NeighbourTimer => hook_status(hook, Some(Way::TypedTracepoint), ""),
        _ => hook_status(hook, Some(Way::Trampoline), ""),
    }
}

fn attached() -> impl Iterator<Item = (u64, Body)> {
    let hooks = HookId::ALL.into_iter().map(|hook| (1_000, attach(hook)));
    [(1_000, node())].into_iter().chain(hooks).chain([(1_100, Body::Ready)])
}

/// Everything attached that can be, nothing seen.
pub(crate) fn quiet() -> State {
    let sampled = RecordKind::KERNEL.map(|kind| (63_000, stats(kind, 0, 0, 0)));
    all(attached().chain(sampled))
}

/// A node in trouble: every family, IPv6, names from hell, thousands of flows, suppression and losses.
pub(crate) fn busy() -> State {
    all(busy_bodies())
}

/// What happens on such a node.
pub(crate) fn busy_events() -> Vec<Event> {
    busy_bodies().into_iter().map(|(milliseconds, body)| event(milliseconds, body)).collect()
}

fn busy_bodies() -> Vec<(u64, Body)> {
    let mut events: Vec<(u64, Body)> = attached().collect();
    events.extend(busy_flows());
    events.extend(busy_neighbours());
    events.extend(busy_decisions());
    events.extend(busy_path());
    events.push((60_000, Body::Marker(Text::new("rollout of web begins"))));
    events.sort_by_key(|&(milliseconds, _)| milliseconds);
    let samples = [
        stats(RecordKind::Retransmit, 1_234_567, 1_000, 42),
        stats(RecordKind::Undo, 3, 0, 0),
        stats(RecordKind::Neighbour, 321, 0, 0),
        stats(RecordKind::Claim, 45, 0, 0),
        stats(RecordKind::Conntrack, 37, 0, 0),
        stats(RecordKind::Ipvs, 66, 0, 0),
    ];
    events.extend(samples.map(|sample| (125 * SECOND_NS / 1_000_000, sample)));
    events
}

fn busy_flows() -> Vec<(u64, Body)> {
    let mut events = Vec::new();
    // A rollout whose connections to one address are not answered.
    for index in 0..3_000u64 {
        let source = format!("10.42.{}.{}:{}", index % 7, index % 250, 30_000 + index);
        let mut syn = retransmit(RetransmitKind::Syn, &source, "10.96.0.10:443");
        syn.attempt = Some(1 + u32::try_from(index % 5).unwrap());
        syn.socket_inode = Some(index + 1);
        events.push((20_000 + index * 35, Body::Retransmit(syn)));
        if index % 100 == 0 {
            events.push((
                20_000 + index * 35,
                owner(index + 1, 4_000 + u32::try_from(index).unwrap(), "日本語-client"),
            ));
        }
    }
    // One connection that keeps timing out, with everything known.
    let (source, destination) = ("192.168.100.200:58204", "203.0.113.250:5432");
    for index in 0..400u64 {
        let kind = [RetransmitKind::Timeout, RetransmitKind::Fast, RetransmitKind::TailLossProbe]
            [usize::try_from(index % 3).unwrap()];
        let mut told = retransmit(kind, source, destination);
        told.segments = 3;
        told.srtt_us = Some(12_345);
        told.rto_us = Some(204_000);
        told.process = Some(Process { id: 1_234_567, command: Text::new("post\x1b[31mgres🦀") });
        told.cgroup_id = Some(98_765);
        told.socket_inode = Some(7_654_321);
        events.push((30_000 + index * 230, Body::Retransmit(told)));
    }
    events.push((90_000, undo(source, destination)));
    // The longest addresses there are.
    for index in 0..250u64 {
        let mut told = retransmit(
            RetransmitKind::SynAck,
            "[2001:db8:85a3:1234:5678:8a2e:370:7334]:65535",
            "[fd00:1234:5678:9abc:def0:1234:5678:9abc]:44321",
        );
        told.tcp_state = TcpState(12);
        told.congestion_window = None;
        told.error = (index % 50 == 0).then_some(Failure::Errno(113));
        told.device = Some(Text::new("vethbd1f2a93@if3"));
        events.push((60_000 + index * 250, Body::Retransmit(told)));
    }
    events
}

fn busy_neighbours() -> Vec<(u64, Body)> {
    let mut events = vec![(40_000, proposal("192.168.100.1", Verdict::Learned, Some(mac(1)), None))];
    for index in 0..12u64 {
        let time = 41_000 + index * 6_500;
        events.push((time, proposal("192.168.100.1", Verdict::Confirmed, Some(mac(1)), Some(mac(1)))));
        events.push((time + 1, proposal("192.168.100.1", Verdict::Ignored, Some(mac(0x66)), Some(mac(1)))));
        events.push((time + 1, claim("192.168.100.1", mac(0x66), Direction::In)));
    }
    events.push((70_000, proposal("192.168.100.1", Verdict::Ignored, Some(mac(0x77)), Some(mac(1)))));
    events.push((72_000, proposal("192.168.100.40", Verdict::Changed, Some(mac(0x41)), Some(mac(0x40)))));
    events.push((80_000, proposal("192.168.100.99", Verdict::Failed, None, None)));
    events.push((81_000, claim("10.96.0.10", mac(9), Direction::Out)));
    let long = "fd00:1234:5678:9abc:def0:1234:5678:9abc";
    events.push((82_000, proposal(long, Verdict::Learned, Some(mac(0x33)), None)));
    for index in 0..200u64 {
        let address = format!("10.42.3.{index}");
        let held = mac(u8::try_from(index).unwrap());
        events.push((22_000 + index * 510, proposal(&address, Verdict::Confirmed, Some(held), Some(held))));
    }
    events
}

fn busy_path() -> Vec<(u64, Body)> {
    let (source, destination) = ("10.42.1.17:41000", "10.42.9.4:8080");
    let mut events = Vec::new();
    for packet in 0..6u64 {
        let time = 112_000 + packet * 1_000;
        for (times, ttl) in [(2, 61), (3, 59), (5, 55), (9, 47), (17, 31)] {
            events.push((time, duplicate(source, destination, times, ttl)));
        }
        events.push((time, icmp(Direction::Out, 11, 0, source, destination)));
    }
    events.push((118_500, icmp(Direction::In, 3, 3, "10.42.1.99:53000", "10.42.0.2:53")));
    events
}

fn busy_decisions() -> Vec<(u64, Body)> {
    let (service, drained, healthy) = ("10.96.0.10:443", "10.42.2.17:8443", "10.42.5.3:8443");
    let idle = "10.42.8.8:8443";
    let mut events = vec![
        (1_100, listed(ListedWhy::News, service, drained, 100)),
        (1_100, listed(ListedWhy::News, service, healthy, 100)),
        (1_100, listed(ListedWhy::News, service, idle, 100)),
        (76_900, ipvs_change(IpvsChangeKind::Weight, service, Some(drained), Some(100), Some(0))),
        (119_000, ipvs_change(IpvsChangeKind::Removed, service, Some(idle), Some(100), None)),
        (119_500, ipvs_change(IpvsChangeKind::Added, "10.96.8.8:80", None, None, None)),
    ];
    for index in 0..40u64 {
        let client = format!("10.42.1.{}:{}", 10 + index, 40_000 + index);
        let weight = if index < 15 { 100 } else { 0 };
        let (decision, real) = match index % 4 {
            0 if index < 15 => (IpvsDecision::Scheduled, drained),
            0 => (IpvsDecision::Reused, drained),
            _ => (IpvsDecision::Scheduled, healthy),
        };
        let weight = if real == drained { weight } else { 100 };
        events.push((50_000 + index * 1_800, ipvs(decision, &client, service, Some(real), weight)));
        if decision == IpvsDecision::Reused {
            events
                .push((50_000 + index * 1_800, conntrack(ConntrackEvent::Reused, &client, service, drained)));
        }
    }
    for index in 0..6u64 {
        let client = format!("10.42.1.99:{}", 50_000 + index);
        events.push((100_000 + index, ipvs(IpvsDecision::Refused, &client, "10.96.7.7:80", None, 0)));
        events.push((
            110_000 + index * 100,
            conntrack(ConntrackEvent::InsertFailed, &client, "10.96.0.53:53", "10.42.0.2:53"),
        ));
    }
    let long = "[fd00:1234:5678:9abc:def0:1234:5678:9abc]:8080";
    let client = "[2001:db8:85a3:1234:5678:8a2e:370:7334]:65535";
    events.push((120_000, ipvs(IpvsDecision::Scheduled, client, "[fd00:10:96::1:2:3]:80", Some(long), 1)));
    events.push((120_500, conntrack(ConntrackEvent::ClashResolved, client, long, long)));
    events.push((2_000, conntrack_counters(12_000, 262_144, 0, 0)));
    events.push((121_000, conntrack_counters(262_144, 262_144, 7, 6)));
    let event = ConntrackEvent::TableFull;
    let full = Conntrack {
        event,
        original: None,
        reply: None,
        previous_reply: None,
        tcp_state: None,
        status: 0,
        mark: 0,
        zone: 0,
    };
    events.push((121_000, Body::Conntrack(full)));
    events
}
