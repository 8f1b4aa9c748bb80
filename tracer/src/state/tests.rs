//! Scenarios: events in, state out.

use proptest::prelude::*;
use tracer_common::record::RecordKind;

use super::{
    Decisions, FlowKey, IcmpKey, Limits, NeighbourKey, RATE_SPANS_SECONDS, RealKey, ServiceKey, State,
    fixture::{
        NETNS, at, busy, claim, conntrack, conntrack_counters, duplicate, endpoints, event, icmp, ipvs,
        ipvs_change, listed, mac, owner, proposal, retransmit, stats, tcp_service, undo,
    },
};
use crate::event::{
    Body, ConntrackCounter, ConntrackEvent, Direction, Failure, IcmpClass, Ipvs, IpvsChangeKind,
    IpvsDecision, IpvsService, ListedWhy, Process, Protocol, RetransmitKind, Text, Verdict,
};

use crate::probe::table::Family;

const A: &str = "10.0.0.1:40000";
const B: &str = "10.0.0.2:80";

fn after(events: impl IntoIterator<Item = (u64, Body)>) -> State {
    let mut state = State::default();
    for (milliseconds, body) in events {
        state.apply(&event(milliseconds, body));
    }
    state
}

fn neighbour_key(address: &str) -> NeighbourKey {
    NeighbourKey { netns: NETNS, interface_index: 2, address: address.parse().unwrap() }
}

#[test]
fn a_flow_counts_its_attempts_and_keeps_the_last_facts() {
    let mut with_facts = retransmit(RetransmitKind::Timeout, A, B);
    (with_facts.segments, with_facts.srtt_us, with_facts.attempt) = (4, Some(900), Some(3));
    let mut without_facts = retransmit(RetransmitKind::Timeout, A, B);
    (without_facts.srtt_us, without_facts.device, without_facts.sequence) = (None, None, 5_000);
    let mut failed = retransmit(RetransmitKind::Timeout, A, B);
    (failed.error, failed.segments, failed.sequence) = (Some(Failure::Errno(101)), 1, 5_000);
    let state = after([
        (5_000, Body::Retransmit(retransmit(RetransmitKind::Syn, A, B))),
        (6_000, Body::Retransmit(with_facts)),
        (7_000, Body::Retransmit(without_facts)),
        (7_500, Body::Retransmit(failed)),
        (8_000, undo(A, B)),
        (8_000, Body::Retransmit(retransmit(RetransmitKind::Syn, B, A))),
    ]);
    let flow = state.flows.get(&FlowKey { netns: NETNS, endpoints: endpoints(A, B) }).unwrap();
    assert_eq!((flow.first, flow.last), (at(5_000), at(8_000)));
    assert_eq!((flow.of_kind(RetransmitKind::Syn), flow.of_kind(RetransmitKind::Timeout)), (1, 2));
    assert_eq!((flow.attempts(), flow.segments, flow.failed, flow.undone), (4, 6, 1, 1));
    assert_eq!((flow.error, flow.srtt_us, flow.longest_run), (Some(Failure::Errno(101)), Some(900), 3));
    assert_eq!(flow.device.as_deref(), Some(&Text::new("eth0")));
    assert_eq!((state.flows.len(), state.events()), (2, 6));
}

/// The sequence number and the kernel's count of each attempt.
type Attempts = &'static [(u32, Option<u32>)];

#[test]
fn a_run_is_of_one_segment_and_knows_what_the_kernel_counted() {
    let of_segment = |sequence, attempt| {
        let mut told = retransmit(RetransmitKind::Timeout, A, B);
        (told.sequence, told.attempt) = (sequence, attempt);
        told
    };
    // The last run and the longest come last.
    let table: [(&str, Attempts, (u32, u32)); 5] = [
        ("one segment", &[(7, None), (7, None), (7, None)], (3, 3)),
        ("another segment", &[(7, None), (7, None), (8, None)], (1, 2)),
        ("a probe of the tail, then timeouts", &[(9, None), (7, Some(1)), (7, Some(2))], (2, 2)),
        ("attempts before tracer looked", &[(7, Some(5)), (7, Some(6))], (6, 6)),
        ("a probe the kernel does not count", &[(7, None), (7, Some(1)), (7, Some(2))], (3, 3)),
    ];
    for (name, attempts, expected) in table {
        let state = after(
            attempts
                .iter()
                .map(|&(sequence, attempt)| (1_000, Body::Retransmit(of_segment(sequence, attempt)))),
        );
        let flow = state.flows.get(&FlowKey { netns: NETNS, endpoints: endpoints(A, B) }).unwrap();
        assert_eq!((flow.run, flow.longest_run), expected, "{name}");
    }
}

#[test]
fn a_flow_tells_its_rates_and_outages() {
    // An attempt every 2 s for 100 s, of which the last 30 s are of what the peer acknowledged nothing of.
    let state = after((0..50).map(|index: u32| {
        let mut told = retransmit(RetransmitKind::Timeout, A, B);
        told.rto_us = Some(2_000_000);
        told.unacknowledged = index.min(35);
        (u64::from(index) * 2_000 + 500, Body::Retransmit(told))
    }));
    let flow = state.flows.get(&FlowKey { netns: NETNS, endpoints: endpoints(A, B) }).unwrap();
    for (now_ms, rates) in
        [(98_500, [0.0, 0.5, 0.5]), (99_500, [1.0, 0.5, 0.5]), (119_500, [0.0, 0.0, 20.0 / 60.0])]
    {
        let told = RATE_SPANS_SECONDS.map(|seconds| flow.per_second(at(now_ms), seconds));
        let is_near = told.iter().zip(rates).all(|(told, rate)| (told - rate).abs() < 1e-9);
        assert!(is_near, "{now_ms}: {told:?}");
    }
    let outage = flow.longest_outage().unwrap();
    assert_eq!((outage.began, outage.last, outage.attempts), (at(68_500), at(98_500), 15));
    assert_eq!(flow.outage_at(at(102_000)), Some(outage));
    assert_eq!(flow.outage_at(at(104_000)), None);
}

#[test]
fn owners_are_known_whether_they_are_found_before_or_after() {
    let of_socket = |inode, source| {
        let mut told = retransmit(RetransmitKind::Syn, source, B);
        told.socket_inode = Some(inode);
        Body::Retransmit(told)
    };
    let mut seen_by_hook = retransmit(RetransmitKind::Syn, "10.0.0.1:3", B);
    seen_by_hook.process = Some(Process { id: 30, command: Text::new("hook") });
    seen_by_hook.socket_inode = Some(300);
    let state = after([
        (1_000, owner(100, 10, "before")),
        (2_000, of_socket(100, "10.0.0.1:1")),
        (2_000, of_socket(200, "10.0.0.1:2")),
        (2_000, Body::Retransmit(seen_by_hook)),
        (3_000, owner(200, 20, "after")),
        (3_000, owner(300, 31, "inherited")),
        (3_000, of_socket(400, "10.0.0.1:4")),
    ]);
    let owners = [1, 2, 3, 4].map(|port| {
        let endpoints = endpoints(&format!("10.0.0.1:{port}"), B);
        let key = FlowKey { netns: NETNS, endpoints };
        let flow = state.flows.get(&key).unwrap();
        state.process_of(&key, flow).map(|process| process.command.as_str())
    });
    assert_eq!(owners, [Some("before"), Some("after"), Some("hook"), None]);
}

#[test]
fn a_neighbour_tells_who_was_kept_and_who_was_ignored() {
    let address = "10.0.0.9";
    let learned = (1_000, proposal(address, Verdict::Learned, Some(mac(1)), None));
    let ignored = (2_000, proposal(address, Verdict::Ignored, Some(mac(2)), Some(mac(1))));
    let changed = (3_000, proposal(address, Verdict::Changed, Some(mac(2)), Some(mac(1))));
    let confirmed = (4_000, proposal(address, Verdict::Confirmed, None, Some(mac(2))));
    let failed = (5_000, proposal(address, Verdict::Failed, None, Some(mac(2))));
    let claimed = (6_000, claim(address, mac(3), Direction::In));
    let own = (7_000, claim(address, mac(4), Direction::Out));
    let table = [
        ("second answerer", vec![learned.clone(), ignored.clone()], Some(mac(1)), vec![mac(2)]),
        ("takeover", vec![learned.clone(), changed.clone()], Some(mac(2)), vec![mac(1)]),
        ("known before we looked", vec![ignored.clone()], Some(mac(1)), vec![mac(2)]),
        ("confirmed without an address", vec![confirmed.clone()], Some(mac(2)), vec![]),
        ("silence", vec![confirmed, failed], None, vec![mac(2)]),
        ("a claim alone", vec![claimed.clone()], None, vec![mac(3)]),
        ("a claim beside the table", vec![learned.clone(), claimed], Some(mac(1)), vec![mac(3)]),
        ("a claim of this node", vec![learned, own], Some(mac(1)), vec![]),
    ];
    for (name, events, kept, others) in table {
        let state = after(events);
        let neighbour = state.neighbours.get(&neighbour_key(address)).unwrap();
        let seen: Vec<_> = neighbour.others().map(|other| other.hardware_address).collect();
        assert_eq!((neighbour.kept, seen), (kept, others), "{name}");
    }
}

#[test]
fn who_probes_for_an_address_claims_none() {
    assert!(after([(1_000, claim("0.0.0.0", mac(1), Direction::In))]).neighbours.is_empty());
}

#[test]
fn one_neighbour_keeps_a_bounded_history() {
    let state = after((0..500u16).map(|index| {
        let proposed = mac(u8::try_from(index % 100).unwrap());
        (1_000, proposal("10.0.0.9", Verdict::Changed, Some(proposed), None))
    }));
    let neighbour = state.neighbours.get(&neighbour_key("10.0.0.9")).unwrap();
    assert_eq!((neighbour.history.len(), neighbour.answerers.len()), (32, 8));
    let placed: u32 = neighbour.answerers.iter().map(|answerer| answerer.taken).sum();
    assert_eq!(placed + neighbour.answerers_left_out, 500);
}

#[test]
fn connections_onto_weight_0_are_told_from_others() {
    let service = "10.96.0.1:80";
    let real = "10.42.0.7:8080";
    let table = [
        ("weight 1", IpvsDecision::Reused, 1, 0),
        ("reused", IpvsDecision::Reused, 0, 1),
        ("scheduled", IpvsDecision::Scheduled, 0, 1),
        ("dropped on the way", IpvsDecision::Dropped, 0, 0),
        ("delayed", IpvsDecision::Delayed, 0, 0),
    ];
    for (name, decision, weight, expected) in table {
        let state = after([
            (1_000, ipvs(IpvsDecision::Scheduled, A, service, Some(real), 5)),
            (2_000, ipvs(decision, A, service, Some(real), weight)),
        ]);
        let service = ServiceKey {
            netns: NETNS,
            service: IpvsService::Address { protocol: Protocol::TCP, address: service.parse().unwrap() },
        };
        let key = RealKey { service, address: Some(real.parse().unwrap()) };
        let real = state.ipvs.reals.get(&key).unwrap();
        let of_service = state.ipvs.services.get(&service).unwrap().decisions;
        assert_eq!((real.decisions.onto_drained, of_service.onto_drained), (expected, expected), "{name}");
        assert_eq!((real.weight, real.weight_changed), (Some(weight), Some((at(2_000), 5))), "{name}");
        assert_eq!(of_service.total(), 2);
    }
}

#[test]
fn a_syn_that_comes_again_is_no_new_connection() {
    let dial = |decision| ipvs(decision, "10.0.0.1:40000", "10.9.9.9:80", Some("10.1.0.2:80"), 0);
    let again = || {
        let Body::Ipvs(decided) = dial(IpvsDecision::Reused) else { unreachable!() };
        Body::Ipvs(Ipvs { connection_state: Some("SYN_RECV"), ..decided })
    };
    let state = after([
        (1_000, dial(IpvsDecision::Reused)),
        (2_000, again()),
        (4_000, again()),
        (9_000, dial(IpvsDecision::Refused)),
    ]);
    let Decisions { onto_drained, repeated, .. } = state.ipvs.total;
    assert_eq!((onto_drained, repeated, state.ipvs.total.of(IpvsDecision::Reused)), (1, 2, 3));
    assert_eq!((state.ipvs.total.accepted(), state.ipvs.total.turned_away()), (1, 1));
}

#[test]
fn conntrack_counts_what_it_has_no_tuple_of() {
    let mut full = conntrack(ConntrackEvent::TableFull, A, B, B);
    if let Body::Conntrack(decision) = &mut full {
        decision.original = None;
    }
    let state = after([
        (1_000, full),
        (2_000, conntrack(ConntrackEvent::Reused, A, B, "10.42.0.7:80")),
        (3_000, conntrack(ConntrackEvent::InsertFailed, A, B, "10.42.0.8:80")),
    ]);
    assert_eq!(state.conntrack.count(ConntrackEvent::TableFull), 1);
    let key = FlowKey { netns: NETNS, endpoints: endpoints(A, B) };
    let entry = state.conntrack.entries.get(&key).unwrap();
    assert_eq!((entry.decisions(), entry.failures(), entry.event), (2, 1, ConntrackEvent::InsertFailed));
    assert_eq!(entry.reply.unwrap().source, "10.42.0.8:80".parse().unwrap());
}

#[test]
fn conntrack_tables_keep_what_was_counted_last_and_what_grew() {
    let state = after([
        (1_000, conntrack_counters(90, 100, 0, 0)),
        (2_000, conntrack_counters(100, 100, 3, 1)),
        (3_000, conntrack_counters(99, 100, 4, 0)),
    ]);
    let table = state.conntrack.tables.get(&NETNS).unwrap();
    assert_eq!((table.fill_permille(), table.counters.limit), (Some(990), Some(100)));
    assert_eq!((table.growth(ConntrackCounter::Drop), table.growth(ConntrackCounter::InsertFailed)), (7, 1));
    assert_eq!((table.failures(), table.counters.count(ConntrackCounter::ChainTooLong)), (8, None));
    assert_eq!(state.conntrack.growth(ConntrackCounter::Drop), 7);
    // Only what failed is told in the timeline.
    assert_eq!(state.timeline.events().len(), 2);
}

#[test]
fn a_table_without_a_limit_is_never_full() {
    let state = after([(1_000, conntrack_counters(90, 0, 0, 0))]);
    assert_eq!(state.conntrack.tables.get(&NETNS).unwrap().fill_permille(), None);
}

#[test]
fn the_newest_accounting_counts() {
    let state = after([
        (1_000, stats(RecordKind::Retransmit, 10, 0, 0)),
        (2_000, stats(RecordKind::Retransmit, 100, 7, 3)),
        (2_000, stats(RecordKind::Ipvs, 5, 0, 1)),
    ]);
    let total = state.accounting.total();
    assert_eq!((total.seen, total.delivered, total.suppressed, total.lost), (105, 94, 7, 4));
}

#[test]
fn time_is_that_of_the_newest_event_and_never_goes_back() {
    let state = after([(5_000, Body::Ready), (9_000, Body::Ready), (7_000, Body::Ready)]);
    assert_eq!((state.began(), state.now()), (at(5_000), at(9_000)));
}

#[test]
fn weights_are_those_of_the_newest_word() {
    const SERVICE: &str = "10.96.0.1:80";
    const REAL: &str = "10.42.0.7:8080";
    let weight = |from, to| ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(REAL), Some(from), Some(to));
    let removed = |from| ipvs_change(IpvsChangeKind::Removed, SERVICE, Some(REAL), Some(from), None);
    let added = |to| ipvs_change(IpvsChangeKind::Added, SERVICE, Some(REAL), None, Some(to));
    let news = |weight| listed(ListedWhy::News, SERVICE, REAL, weight);
    let gone = |weight| listed(ListedWhy::Gone, SERVICE, REAL, weight);
    let decided = |weight| ipvs(IpvsDecision::Scheduled, A, SERVICE, Some(REAL), weight);
    // What happened in which second; the weight, when it changed from which, whether the server is there.
    let table = [
        ("listed", vec![(1, news(5))], 5, None, true),
        ("drained", vec![(1, news(5)), (2, weight(5, 0))], 0, Some((2, 5)), true),
        ("known by its change", vec![(2, weight(5, 0))], 0, Some((2, 5)), true),
        ("an older listing", vec![(3, weight(5, 0)), (2, news(5))], 0, Some((3, 5)), true),
        ("a newer listing", vec![(2, weight(5, 0)), (3, news(7))], 7, Some((3, 0)), true),
        ("removed", vec![(1, news(5)), (2, removed(5))], 5, None, false),
        ("come back", vec![(1, news(5)), (2, removed(5)), (3, added(1))], 1, Some((3, 5)), true),
        ("gone from the list", vec![(1, news(5)), (2, gone(5))], 5, None, false),
        ("decided before", vec![(3, weight(5, 0)), (2, decided(5))], 0, Some((3, 5)), true),
    ];
    for (name, events, expected, changed, available) in table {
        let state = after(events.into_iter().map(|(seconds, body)| (seconds * 1_000, body)));
        let service = ServiceKey { netns: NETNS, service: tcp_service(SERVICE) };
        let key = RealKey { service, address: Some(REAL.parse().unwrap()) };
        let real = state.ipvs.reals.get(&key).unwrap();
        let changed = changed.map(|(seconds, from)| (at(seconds * 1_000), from));
        assert_eq!((real.weight, real.weight_changed), (Some(expected), changed), "{name}");
        assert_eq!((real.available, real.removed.is_none()), (available, available), "{name}");
    }
}

#[test]
fn what_was_never_known_is_not_missed() {
    let gone = listed(ListedWhy::Gone, "10.96.0.1:80", "10.42.0.7:8080", 1);
    let state = after([(1_000, gone)]);
    assert!(state.ipvs.reals.is_empty() && state.ipvs.services.is_empty());
}

fn any_body() -> impl Strategy<Value = Body> {
    let port = 1u16..60;
    let kind = proptest::sample::select(&RetransmitKind::ALL[..]);
    let verdict = proptest::sample::select(&Verdict::ALL[..]);
    let decision = proptest::sample::select(&IpvsDecision::ALL[..]);
    prop_oneof![
        (kind, port.clone())
            .prop_map(|(kind, port)| { Body::Retransmit(retransmit(kind, &format!("10.0.0.1:{port}"), B)) }),
        port.clone().prop_map(|port| undo(&format!("10.0.0.1:{port}"), B)),
        (verdict, 1u8..60, 1u8..60).prop_map(|(verdict, host, last)| {
            proposal(&format!("10.0.0.{host}"), verdict, Some(mac(last)), None)
        }),
        (1u8..60).prop_map(|host| claim(&format!("10.0.0.{host}"), mac(host), Direction::In)),
        (decision, port.clone(), 0i32..2).prop_map(|(decision, port, weight)| {
            ipvs(decision, A, &format!("10.96.0.1:{port}"), Some(B), weight)
        }),
        port.clone().prop_map(|port| conntrack(ConntrackEvent::Reused, &format!("10.0.0.1:{port}"), B, B)),
        (1u8..60).prop_map(|host| icmp(Direction::Out, 11, 0, A, &format!("10.0.0.{host}:80"))),
        port.prop_map(|port| duplicate(&format!("10.0.0.1:{port}"), B, 2, 60)),
    ]
}

#[test]
fn icmp_errors_are_gathered_by_direction_and_destination() {
    let state = after([
        (100, icmp(Direction::Out, 11, 0, A, B)),
        (200, icmp(Direction::Out, 11, 0, "10.0.0.7:1", B)),
        (300, icmp(Direction::Out, 3, 1, A, B)),
        (400, icmp(Direction::In, 11, 0, A, B)),
    ]);
    let key = |is_sent| IcmpKey { netns: NETNS, is_sent, destination: Some("10.0.0.2".parse().unwrap()) };
    let (sent, received) =
        (state.path.icmp.get(&key(true)).unwrap(), state.path.icmp.get(&key(false)).unwrap());
    assert_eq!((sent.counts, sent.meaning, sent.sender), ([2, 1, 0, 0], "host-unreachable", None));
    assert_eq!((sent.first, sent.last), (at(100), at(300)));
    assert_eq!((received.counts[0], received.sender), (1, Some("10.0.0.2".parse().unwrap())));
    assert_eq!(state.path.icmp.len(), 2);
    assert_eq!(IcmpClass::ALL.map(|class| state.path.count(class)), [3, 1, 0, 0]);
    assert_eq!((state.timeline.events().len(), state.events()), (4, 4));
}

#[test]
fn a_loop_is_told_by_its_packets_and_their_last_ttl() {
    let rounds = [(2, 61), (3, 59), (5, 55)];
    let state = after(
        [100, 1_100]
            .into_iter()
            .flat_map(|time| rounds.map(|(times, ttl)| (time, duplicate(A, B, times, ttl)))),
    );
    let key = FlowKey { netns: NETNS, endpoints: endpoints(A, B) };
    let found = state.path.loops.get(&key).unwrap();
    assert_eq!((found.packets, found.most_times, found.step, found.lowest_ttl), (2, 5, 2, 55));
    assert_eq!((found.first, found.last, found.device.as_str()), (at(100), at(1_100), "eth0"));
    assert_eq!(state.rates.of(Family::Path).unwrap().at(0), 3);
}

proptest! {
    #[test]
    fn tables_stay_within_their_limits_and_totals_are_exact(bodies in proptest::collection::vec(any_body(), 0..400)) {
        let limit = 10;
        let limits = Limits {
            flows: limit, owners: limit, neighbours: limit, conntrack_entries: limit, services: limit, reals: limit,
            conntrack_tables: limit, tables: limit, icmp_subjects: limit, loops: limit, peers: limit,
            surroundings: limit, translations: limit, timeline: limit, containers: limit, namespaces: limit,
            chronicle: limit,
        };
        let mut bounded = State::new(limits);
        let mut whole = State::default();
        for (index, body) in bodies.iter().enumerate() {
            let event = event(index as u64 * 10, body.clone());
            bounded.apply(&event);
            whole.apply(&event);
        }
        let sizes = [
            bounded.flows.len(), bounded.neighbours.len(), bounded.conntrack.entries.len(),
            bounded.ipvs.services.len(), bounded.ipvs.reals.len(), bounded.timeline.events().len(),
            bounded.path.icmp.len(), bounded.path.loops.len(), bounded.translations.len(),
        ];
        prop_assert!(sizes.iter().all(|&size| size <= limit), "{sizes:?}");
        // The whole state forgets nothing: what its rows count is what was applied.
        prop_assert_eq!(whole.evicted(), 0);
        let counted = |is: fn(&Body) -> bool| bodies.iter().filter(|&body| is(body)).count() as u64;
        let retransmits: u64 = whole.flows.iter().map(|(_, flow)| flow.attempts()).sum();
        prop_assert_eq!(retransmits, counted(|body| matches!(body, Body::Retransmit(_))));
        let undone: u64 = whole.flows.iter().map(|(_, flow)| u64::from(flow.undone)).sum();
        prop_assert_eq!(undone, counted(|body| matches!(body, Body::Undo(_))));
        let proposals: u64 = whole.neighbours.iter().flat_map(|(_, row)| row.verdicts).map(u64::from).sum();
        prop_assert_eq!(proposals, counted(|body| matches!(body, Body::Neighbour(_))));
        let decisions: u64 = whole.ipvs.reals.iter().map(|(_, real)| real.decisions.total()).sum();
        prop_assert_eq!(decisions, counted(|body| matches!(body, Body::Ipvs(_))));
        let packets: u64 = whole.path.loops.iter().map(|(_, row)| row.packets).sum();
        prop_assert_eq!(packets, counted(|body| matches!(body, Body::Duplicate(_))));
        // Totals do not depend on the limits.
        prop_assert_eq!(
            bounded.path.count(IcmpClass::TimeExceeded),
            counted(|body| matches!(body, Body::Icmp(_)))
        );
        prop_assert_eq!(bounded.ipvs.total, whole.ipvs.total);
        prop_assert_eq!(
            bounded.conntrack.count(ConntrackEvent::Reused),
            counted(|body| matches!(body, Body::Conntrack(_)))
        );
        prop_assert_eq!(bounded.events(), bodies.len() as u64);
    }
}

#[test]
fn the_busy_fixture_holds_what_the_screens_are_to_show() {
    let state = busy();
    assert_eq!((state.flows.len(), state.evicted()), (3_002, 0));
    assert!(state.ipvs.total.onto_drained > 0);
    assert!(state.neighbours.iter().any(|(_, neighbour)| neighbour.is_contested()));
}
