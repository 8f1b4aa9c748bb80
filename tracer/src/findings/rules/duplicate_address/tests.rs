//! What the rule finds, and what looks like it and is not.

use crate::{
    event::{Body, Change, ClaimOperation, Direction, HardwareAddress, RetransmitKind, Verdict},
    findings::{Certainty, Severity},
    state::fixture::{
        mac, retransmit,
        wire::{WIRE, address, by_way_of, claimed, device, found, looking, open, proposed, told},
    },
};

const ID: &str = "duplicate-address";
const A: u8 = 0xa;
const B: u8 = 0xb;

type Heard = (u64, Body);

fn answer(time: u64, verdict: Verdict, from: u8, previous: Option<u8>) -> Heard {
    (time, proposed("10.0.0.9", verdict, (mac(from), previous.map(mac)), true))
}

fn unasked(time: u64, verdict: Verdict, from: u8, previous: Option<u8>) -> Heard {
    (time, proposed("10.0.0.9", verdict, (mac(from), previous.map(mac)), false))
}

fn heard(time: u64, from: u8, operation: ClaimOperation) -> Heard {
    (time, claimed("10.0.0.9", mac(from), Direction::In, operation))
}

/// One question, two answers.
fn asked_once(time: u64) -> Vec<Heard> {
    vec![answer(time, Verdict::Learned, A, None), answer(time + 1, Verdict::Ignored, B, Some(A))]
}

fn syns(times: impl IntoIterator<Item = u64>, to: &str) -> Vec<Heard> {
    let mut syn = retransmit(RetransmitKind::Syn, "10.0.0.1:40000", to);
    let mut syns = Vec::new();
    for time in times {
        syns.push((time, Body::Retransmit(syn.clone())));
        syn.rto_us = syn.rto_us.map(|rto_us| rto_us * 2);
    }
    syns
}

#[test]
fn the_first_question_with_two_answers_opens_it_and_quiet_closes_it() {
    let state = looking(asked_once(5_500), 40_000);
    assert_eq!(told(&state, ID), [(6_000, "open"), (26_000, "closed")]);
    let state = looking(asked_once(5_500), 10_000);
    let finding = open(&state, ID).unwrap();
    assert_eq!((finding.severity, finding.certainty), (Severity::Warning, Certainty::Certain));
    assert_eq!(finding.who, "10.0.0.9 on eth0");
    assert!(
        finding.what.starts_with("2 MACs answer for it: the kernel keeps 02:42:ac:11:00:0a since "),
        "{}",
        finding.what
    );
    assert!(finding.what.ends_with(", not 02:42:ac:11:00:0b"), "{}", finding.what);
    assert!(finding.evidence[0].starts_with("asked once, 02:42:ac:11:00:0b answered 1.0ms after 02:42:ac:11:00:0a, and the kernel ignored it at "), "{:?}", finding.evidence);
    let advice = finding.advice.join("\n");
    for part in [
        "02:42:ac:11:00:0b",
        "arp_ignore=1",
        "`ip neigh del 10.0.0.9 dev eth0`",
        "`arping -c 3 -I eth0 10.0.0.9`",
    ] {
        assert!(advice.contains(part), "{part} in {advice}");
    }
    assert!(finding.affects.is_nobody());
}

#[test]
fn both_answers_in_ipv6_override_and_the_second_is_kept() {
    let told_v6 = |verdict, from, previous: Option<HardwareAddress>| {
        proposed("fd00::9", verdict, (mac(from), previous), true)
    };
    let state = looking(
        [(5_000, told_v6(Verdict::Learned, A, None)), (5_001, told_v6(Verdict::Changed, B, Some(mac(A))))],
        8_000,
    );
    let finding = open(&state, ID).unwrap();
    assert!(
        finding.what.contains("keeps 02:42:ac:11:00:0b") && finding.what.ends_with("not 02:42:ac:11:00:0a")
    );
    assert!(finding.evidence[0].contains("took it in its place"));
    let advice = finding.advice.join("\n");
    assert!(advice.contains("ndisc6 -m fd00::9 eth0") && !advice.contains("arp_ignore"), "{advice}");
}

#[test]
fn it_stays_while_flows_to_it_or_behind_it_wait_and_is_critical() {
    for (to, way) in [
        ("10.0.0.9:443", None),
        ("10.9.0.1:443", Some(by_way_of("10.0.0.9", "10.0.0.1:40000", "10.9.0.1:443"))),
    ] {
        let mut events = asked_once(5_000);
        events.extend(way.map(|way| (6_100, way)));
        events.extend(syns([6_000, 7_000, 9_000, 13_000, 21_000, 37_000], to));
        let state = looking(events.clone(), 39_000);
        let finding = open(&state, ID).unwrap_or_else(|| panic!("{to}"));
        assert_eq!((finding.severity, finding.certainty), (Severity::Critical, Certainty::Likely), "{to}");
        assert_eq!((finding.affects.flows, finding.affects.retransmits), (1, 6), "{to}");
        assert!(
            finding.evidence.iter().any(|line| line.contains("1 flow to it or behind it not answered")),
            "{to}"
        );
        // It is forgotten, asked for anew, and one answers.
        events.push(answer(40_000, Verdict::Learned, B, None));
        let state = looking(events, 60_000);
        assert_eq!(told(&state, ID), [(6_000, "open"), (42_000, "closed")], "{to}");
    }
}

#[test]
fn repeated_second_answers_are_critical_without_flows() {
    let state = looking([5_000, 8_000, 11_000].into_iter().flat_map(asked_once), 12_000);
    assert_eq!(open(&state, ID).unwrap().severity, Severity::Critical);
}

#[test]
fn two_hosts_that_ask_by_turns_are_found_without_an_answer() {
    let turns = (0..12)
        .map(|turn| heard(5_000 + turn * 1_000, if turn % 2 == 0 { A } else { B }, ClaimOperation::Request));
    let state = looking(turns, 40_000);
    assert_eq!(told(&state, ID), [(12_000, "open"), (36_000, "closed")]);
    let state = looking(
        (0..12).map(|turn| {
            heard(5_000 + turn * 1_000, if turn % 2 == 0 { A } else { B }, ClaimOperation::Request)
        }),
        17_000,
    );
    let finding = open(&state, ID).unwrap();
    assert!(
        finding.evidence[0].contains("though") && finding.evidence[0].contains("had taken over"),
        "{:?}",
        finding.evidence
    );
}

/// None of these has several owners.
#[test]
fn what_moves_or_is_shared_on_purpose_is_no_duplicate() {
    use ClaimOperation::{Gratuitous, Reply, Request};
    use Verdict::{Changed, Confirmed, Ignored, Learned};
    let there_and_back = vec![
        answer(1_000, Learned, A, None),
        heard(1_000, A, Reply),
        heard(5_000, B, Gratuitous),
        unasked(5_000, Changed, B, Some(A)),
        heard(5_300, A, Request),
        unasked(5_300, Ignored, A, Some(B)),
        heard(5_500, B, Gratuitous),
        answer(12_000, Confirmed, B, Some(B)),
        heard(12_000, B, Reply),
        heard(20_000, A, Gratuitous),
        unasked(20_000, Changed, A, Some(B)),
        heard(20_200, B, Request),
        answer(27_000, Confirmed, A, Some(A)),
        heard(27_000, A, Reply),
        heard(28_000, A, Request),
    ];
    // A pod's address goes to another pod that does not announce itself, right after the first one answered.
    let reused = vec![
        answer(1_000, Learned, A, None),
        heard(1_700, B, Request),
        unasked(1_700, Ignored, B, Some(A)),
        heard(4_000, B, Request),
        unasked(4_000, Changed, B, Some(A)),
        answer(9_000, Confirmed, B, Some(B)),
    ];
    // The entry was removed in between: the second answer is to another question.
    let asked_anew = vec![answer(1_000, Learned, A, None), answer(1_500, Learned, B, None)];
    // A bond that balances load asks by one device and answers by another.
    let balanced = (0..8_u64)
        .flat_map(|turn| {
            let time = 1_000 + turn * 3_000;
            [
                heard(time, A, Request),
                unasked(time, Changed, A, Some(B)),
                heard(time + 1_500, B, Reply),
                answer(time + 1_500, Changed, B, Some(A)),
            ]
        })
        .collect();
    let anycast = vec![
        (1_000, proposed("fd00::9", Learned, (mac(A), None), true)),
        (1_200, proposed("fd00::9", Ignored, (mac(B), Some(mac(A))), true)),
        (1_300, proposed("fd00::9", Ignored, (mac(0xc), Some(mac(A))), true)),
    ];
    let fixed = vec![unasked(1_000, Ignored, B, Some(A)), unasked(9_000, Ignored, B, Some(A))];
    for (name, events) in [
        ("there and back", there_and_back),
        ("reused", reused),
        ("asked anew", asked_anew),
        ("balanced", balanced),
        ("anycast", anycast),
        ("fixed entry", fixed),
    ] {
        let state = looking(events, 30_000);
        let told: Vec<_> = found(&state).into_iter().filter(|id| *id == ID).collect();
        assert!(told.is_empty(), "{name}: {told:?}");
    }
}

fn own_node() -> Vec<Heard> {
    vec![
        (100, device("eth0", WIRE, mac(1))),
        (100, address(Change::Present, "10.0.0.9", 24, WIRE)),
        (100, device("kube-ipvs0", 7, mac(2))),
        (100, address(Change::Present, "10.96.0.1", 32, 7)),
    ]
}

#[test]
fn someone_else_who_claims_this_nodes_address_is_found() {
    for operation in [ClaimOperation::Gratuitous, ClaimOperation::Request] {
        let mut events = own_node();
        events.push(heard(10_500, B, operation));
        let state = looking(events, 40_000);
        assert_eq!(told(&state, ID), [(13_000, "open"), (31_000, "closed")], "{operation:?}");
    }
    let mut events = own_node();
    events.push(heard(10_500, B, ClaimOperation::Request));
    events.extend(syns([11_000, 12_000, 14_000], "10.0.3.3:80").into_iter().map(|(time, body)| {
        let Body::Retransmit(mut told) = body else { unreachable!() };
        told.flow.source = "10.0.0.9:40000".parse().unwrap();
        (time, Body::Retransmit(told))
    }));
    // It is given up here.
    events.push((16_500, address(Change::Removed, "10.0.0.9", 24, WIRE)));
    let state = looking(events.clone(), 15_000);
    let finding = open(&state, ID).unwrap();
    assert_eq!(finding.what, "this node's address is claimed by 02:42:ac:11:00:0b too");
    assert_eq!((finding.severity, finding.affects.flows), (Severity::Critical, 1));
    assert_eq!(finding.evidence[0], "10.0.0.9 is this node's, on eth0 (02:42:ac:11:00:01)");
    assert_eq!(told(&looking(events, 20_000), ID), [(13_000, "open"), (17_000, "closed")]);
}

#[test]
fn an_address_this_node_gives_up_or_takes_over_or_has_elsewhere_is_not_claimed_twice() {
    let gives_up = [
        heard(10_000, B, ClaimOperation::Gratuitous),
        (10_050, address(Change::Removed, "10.0.0.9", 24, WIRE)),
        heard(15_000, B, ClaimOperation::Gratuitous),
    ];
    let takes_over = [
        (10_000, address(Change::Removed, "10.0.0.9", 24, WIRE)),
        heard(10_500, B, ClaimOperation::Gratuitous),
        (15_000, address(Change::Added, "10.0.0.9", 24, WIRE)),
        heard(15_200, B, ClaimOperation::Request),
    ];
    let own_other_device =
        [heard(10_000, 2, ClaimOperation::Request), heard(13_000, 2, ClaimOperation::Reply)];
    let elsewhere = [
        (10_000, claimed("10.96.0.1", mac(B), Direction::In, ClaimOperation::Gratuitous)),
        (12_000, claimed("10.96.0.1", mac(B), Direction::In, ClaimOperation::Gratuitous)),
    ];
    for (name, events) in [
        ("gives up", gives_up.to_vec()),
        ("takes over", takes_over.to_vec()),
        ("own other device", own_other_device.to_vec()),
        ("elsewhere", elsewhere.to_vec()),
    ] {
        let state = looking(own_node().into_iter().chain(events), 30_000);
        assert_eq!(told(&state, ID), [], "{name}");
    }
}

#[test]
fn whoever_was_kept_before_is_named_once_another_is() {
    let mut events = asked_once(5_000);
    events.push(answer(8_000, Verdict::Changed, B, Some(A)));
    let state = looking(events, 9_000);
    let finding = open(&state, ID).unwrap();
    assert!(finding.what.contains("keeps 02:42:ac:11:00:0b since "), "{}", finding.what);
    assert!(finding.what.ends_with(", 02:42:ac:11:00:0a before"), "{}", finding.what);
}
