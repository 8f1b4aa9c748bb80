//! Nodes on which nothing is wrong though much happens: pods come and go, addresses move, clients hang up.

use std::sync::Arc;

use crate::{
    event::{
        Body, Change, ClaimOperation, Direction, LookupResult, Namespace, Netns, RetransmitKind, TcpState,
        Text, Verdict,
    },
    findings::played::{Happening, Played, address, answer, ended, lookup, resent, stuck, together},
    state::fixture::{
        mac,
        wire::{WIRE, address as on_wire, claimed, device, failed, found, looking, proposed},
    },
};

/// A namespace that begins.
fn begun(name: &str) -> Body {
    Body::Namespace(Arc::new(Namespace {
        change: Change::Added,
        is_of_node: false,
        name: Some(Text::new(name)),
        process: None,
        pod: None,
    }))
}

/// Everything that was ever open.
fn all_found(played: &mut Played, events: Vec<Happening>) -> Vec<String> {
    let mut all: Vec<String> =
        played.all(events).flatten().map(|finding| format!("{} {}", finding.id, finding.who)).collect();
    all.dedup();
    all
}

#[test]
fn a_pod_that_gets_the_number_of_another_has_none_of_its_neighbours() {
    // The first pod talks to 10.0.0.9; then it ends, and its number goes to a pod that has 10.0.0.9 itself.
    let first = |time: u64| (time, proposed("10.0.0.9", Verdict::Confirmed, (mac(9), Some(mac(9))), true));
    let mut events = vec![
        (500, device("eth0", WIRE, mac(1))),
        (500, on_wire(Change::Present, "10.0.0.1", 24, WIRE)),
        (1_000, proposed("10.0.0.9", Verdict::Learned, (mac(9), None), true)),
        (2_000, claimed("10.0.0.9", mac(9), Direction::In, ClaimOperation::Gratuitous)),
    ];
    events.extend((3..9).map(|second| first(second * 1_000)));
    events.extend([
        (10_000, ended()),
        (11_000, device("eth0", WIRE, mac(2))),
        (11_000, on_wire(Change::Present, "10.0.0.9", 24, WIRE)),
        (11_100, begun("second")),
        // And somebody else has the address of the first.
        (12_000, proposed("10.0.0.1", Verdict::Learned, (mac(7), None), true)),
    ]);
    events.extend((13..20).map(|second| {
        (second * 1_000, proposed("10.0.0.1", Verdict::Confirmed, (mac(7), Some(mac(7))), true))
    }));
    assert_eq!(found(&looking(events.clone(), 60_000)), [] as [&str; 0]);
    // It is the word of the end that tells them apart.
    events.retain(|(_, body)| !matches!(body, Body::Namespace(_)));
    assert_eq!(found(&looking(events, 60_000)), ["duplicate-address"]);
}

#[test]
fn one_that_was_never_told_of_leaves_nothing_to_the_next() {
    let mut events = vec![
        (1_000, proposed("10.0.0.9", Verdict::Learned, (mac(9), None), true)),
        (1_500, claimed("10.0.0.9", mac(9), Direction::In, ClaimOperation::Gratuitous)),
        (2_500, claimed("10.0.0.9", mac(9), Direction::In, ClaimOperation::Gratuitous)),
        (6_050, begun("next")),
        (6_100, device("eth0", WIRE, mac(2))),
        (6_100, on_wire(Change::Present, "10.0.0.9", 24, WIRE)),
    ];
    assert_eq!(found(&looking(events.clone(), 40_000)), [] as [&str; 0]);
    // What was heard a moment before it was told of may be its own.
    for time in [5_500, 6_500, 9_500] {
        events.push((time, claimed("10.0.0.9", mac(9), Direction::In, ClaimOperation::Gratuitous)));
    }
    events.sort_by_key(|(time, _)| *time);
    assert_eq!(found(&looking(events, 40_000)), ["duplicate-address"]);
}

#[test]
fn a_pod_that_ended_is_gone_though_another_has_its_number() {
    const POD: Netns = Netns::here(77);
    let flows =
        |to: &str| together((0..9).map(|port| stuck(20_000, 8, &format!("10.0.0.1:{}", 30_000 + port), to)));
    for (to, expected) in [("10.1.0.5:80", 0), ("10.1.0.6:80", 1), ("10.1.0.7:80", 1)] {
        let mut played = Played::default();
        for (time, body) in [
            (1_000, address(Change::Present, "10.1.0.5", "eth0", 2)),
            (19_000, ended()),
            (19_500, address(Change::Present, "10.1.0.6", "eth0", 2)),
            (19_600, begun("next")),
        ] {
            played.apply_in(time, POD, body);
        }
        let all = all_found(&mut played, flows(to));
        assert_eq!(all.len(), expected, "{to}: {all:?}");
    }
}

#[test]
fn a_pod_that_is_dialled_long_after_it_ended_is_missed() {
    const POD: Netns = Netns::here(77);
    for (ended_at, expected) in [(100_000, 0), (20_000, 1)] {
        let mut played = Played::default();
        played.apply_in(1_000, POD, address(Change::Present, "10.1.0.5", "eth0", 2));
        played.apply_in(ended_at, POD, ended());
        let flow = |port: u16| stuck(160_000, 8, &format!("10.0.0.1:{}", 30_000 + port), "10.1.0.5:80");
        let all = all_found(&mut played, together((0..9).map(flow)));
        assert_eq!(all.len(), expected, "{all:?}");
    }
}

#[test]
fn what_was_dialled_by_an_address_that_comes_back_is_not_judged_by_the_time_it_was_away() {
    // A virtual address is here, elsewhere, and here again; clients that went with it are still answered meanwhile.
    let clients =
        together((0..6).map(|port| answer(9_000, 4, "10.0.0.50:80", &format!("10.0.0.1:{}", 30_000 + port))));
    let no_route = LookupResult::Error(libc::ENETUNREACH);
    let moved = vec![
        (1_000, address(Change::Added, "10.0.0.50", "eth0", 2)),
        (10_500, address(Change::Removed, "10.0.0.50", "eth0", 2)),
        (11_000, lookup("10.0.0.50:80", "10.0.0.1:30000", no_route, None, "eth0")),
        (20_000, address(Change::Added, "10.0.0.50", "eth0", 2)),
    ];
    let mut events = together([clients.clone(), moved]);
    assert_eq!(all_found(&mut Played::default(), events.clone()), [] as [&str; 0]);
    // The kernel refused before the word came that the address went.
    let early = (10_400, lookup("10.0.0.50:80", "10.0.0.1:40000", no_route, None, "eth0"));
    let late = answer(21_000, 2, "10.0.0.50:80", "10.0.0.1:40000");
    assert_eq!(
        all_found(&mut Played::default(), together([events.clone(), vec![early], late])),
        [] as [&str; 0]
    );
    // Nor does what was answered then say anything of a client that came since.
    events.extend(answer(21_000, 2, "10.0.0.50:80", "10.0.0.1:40000"));
    assert_eq!(all_found(&mut Played::default(), events), [] as [&str; 0]);
    // Of an address that is there all the time, both do.
    let stays = vec![
        (1_000, address(Change::Added, "10.0.0.50", "eth0", 2)),
        (11_000, lookup("10.0.0.50:80", "10.0.0.1:30000", no_route, None, "eth0")),
    ];
    let all = all_found(&mut Played::default(), together([clients, stays]));
    assert!(all.iter().any(|found| found == "reply-misrouted 10.0.0.1"), "{all:?}");
}

#[test]
fn nothing_but_hang_ups_is_no_outage() {
    const ESTABLISHED: u8 = 1;
    const FIN_WAIT1: u8 = 4;
    let flow = |port: u64, state: u8| {
        let (source, timeouts) = (format!("10.0.0.1:{}", 30_000 + port), [200_u64, 400, 800, 1_600, 3_200]);
        let mut time = 10_000;
        let attempts = timeouts.iter().map(|timeout| {
            time += timeout;
            let mut told = resent(RetransmitKind::Timeout, &source, "10.9.0.1:80", *timeout);
            told.tcp_state = TcpState(state);
            (time, Body::Retransmit(told))
        });
        attempts.collect::<Vec<_>>()
    };
    let closing = || together((0..20).map(|port| flow(port, FIN_WAIT1)));
    assert_eq!(all_found(&mut Played::default(), closing()), [] as [&str; 0]);
    let used = together([closing(), flow(20, ESTABLISHED)]);
    assert_eq!(all_found(&mut Played::default(), used), ["path-outage 10.9.0.1"]);
}

#[test]
fn a_pod_that_is_replaced_over_and_over_is_no_neighbour_that_does_not_answer() {
    let dials = |times: &[u64]| -> Vec<Happening> {
        let resent = |&time| {
            (time, Body::Retransmit(resent(RetransmitKind::Syn, "10.0.0.1:40000", "10.0.0.9:80", 1_000)))
        };
        times.iter().map(resent).collect()
    };
    let learned = |time: u64| (time, proposed("10.0.0.9", Verdict::Learned, (mac(9), None), true));
    let times = [4_500, 10_500, 16_500];
    let mut events = dials(&times);
    events.extend([5_000, 11_000, 17_000].map(|time| (time, failed("10.0.0.9"))));
    let opens = |events: &[Happening]| {
        let state = looking(events.to_vec(), 40_000);
        found(&state).contains(&"neighbour-unreachable")
    };
    assert!(opens(&events));
    events.extend([6_000, 12_000].map(learned));
    events.sort_by_key(|(time, _)| *time);
    assert!(!opens(&events));
}
