//! The rules about conntrack, played: what they find, and what only looks alike.

use super::{
    ConntrackInsertFailed, ConntrackStaleMapping, ConntrackTableFull, Rule as _,
    play::{only, played, told},
};
use crate::{
    event::{Body, ConntrackEvent, IpvsDecision, Protocol, Ruleset, RulesetChange},
    findings::{
        Certainty,
        FindingStatus::{Closed, Open, Update},
        Severity,
    },
    state::fixture::{conntrack, conntrack_counters, ipvs, ruleset},
};

/// What happens at which milliseconds.
type Events = Vec<(u64, Body)>;

const FULL: &str = ConntrackTableFull::ID;
const FAILED: &str = ConntrackInsertFailed::ID;
const STALE: &str = ConntrackStaleMapping::ID;

fn dropped(event: ConntrackEvent, port: u64, server: &str) -> Body {
    conntrack(event, &format!("10.0.0.7:{port}"), server, server)
}

fn statuses(state: &crate::state::State, id: &str) -> Vec<(u64, crate::findings::FindingStatus, Severity)> {
    told(state, id).into_iter().map(|(second, status, severity, _)| (second, status, severity)).collect()
}

#[test]
fn a_full_table_is_told_and_then_one_that_is_nearly_full() {
    let drops =
        (0..30).map(|index| (20_000 + index * 100, dropped(ConntrackEvent::TableFull, index, "10.0.0.1:80")));
    let events = drops.chain([
        (10_000, conntrack_counters(500, 1_000, 0, 0)),
        (20_000, conntrack_counters(1_000, 1_000, 0, 0)),
        (24_000, conntrack_counters(850, 1_000, 30, 0)),
        (60_000, conntrack_counters(790, 1_000, 0, 0)),
    ]);
    let state = played(events, 70);
    assert_eq!(statuses(&state, FULL), [(20, Open, Severity::Critical), (60, Closed, Severity::Warning)],);
    let log = state.findings.log();
    let relaxed =
        log.iter().find(|change| change.status == Update && change.finding.severity == Severity::Warning);
    assert_eq!(relaxed.unwrap().finding.what, "85% full: 850 of 1,000 entries");
    let full = log.iter().rfind(|change| change.finding.severity == Severity::Critical).unwrap();
    let finding = &full.finding;
    assert!(
        finding.what.starts_with("full: 1,000 of 1,000 entries, 1 new connection dropped"),
        "{}",
        finding.what
    );
    assert_eq!(
        finding.advice[0],
        "`sysctl -w net.netfilter.nf_conntrack_max=2000` (now 1000) in the node's own network namespace; it holds for all"
    );
    let past = only(&state, FULL);
    assert!(!past.is_open && past.affects.connections == 30, "{past:?}");
    assert_eq!(past.evidence[1], "most often from 10.0.0.7, at least 30 of them");
}

#[test]
fn counters_alone_tell_a_full_table_but_not_other_drops() {
    let cases: [(&str, Events, usize); 5] = [
        ("full", vec![(20_000, conntrack_counters(1_000, 1_000, 5, 0))], 1),
        ("races", vec![(20_000, conntrack_counters(100, 1_000, 2, 2))], 0),
        ("no limit", vec![(20_000, conntrack_counters(100, 0, 5, 0))], 0),
        ("well filled", vec![(20_000, conntrack_counters(890, 1_000, 0, 0))], 0),
        ("nearly full", vec![(20_000, conntrack_counters(900, 1_000, 0, 0))], 1),
    ];
    for (case, events, changes) in cases {
        let state = played(events, 25);
        assert_eq!(told(&state, FULL).len(), changes, "{case}: {:?}", told(&state, FULL));
    }
}

#[test]
fn entries_that_cannot_be_inserted_are_told_from_the_third_on() {
    let udp = |port| {
        let Body::Conntrack(mut told) = conntrack(
            ConntrackEvent::InsertFailed,
            &format!("10.0.0.7:{port}"),
            "10.96.0.10:53",
            "10.2.1.2:53",
        ) else {
            unreachable!("it makes nothing else")
        };
        told.original =
            told.original.map(|original| crate::event::Endpoints { protocol: Protocol::UDP, ..original });
        Body::Conntrack(told)
    };
    let lost = |pause: u64| (0..3).map(move |index| (20_000 + index * pause, udp(40_000 + index)));
    let state = played(lost(1_000), 60);
    assert_eq!(statuses(&state, FAILED), [(22, Open, Severity::Warning), (43, Closed, Severity::Warning)]);
    let finding = only(&state, FAILED);
    assert_eq!(
        finding.what,
        "3 new connections dropped: their entries could not be inserted, most often to udp 10.96.0.10:53"
    );
    assert!(finding.evidence.iter().any(|line| line.starts_with("DNS: ")), "{:?}", finding.evidence);
    assert!(finding.advice[0].contains("single-request-reopen"), "{:?}", finding.advice);
    // Now and then, and races that were settled.
    assert!(told(&played(lost(9_000), 60), FAILED).is_empty());
    let settled = (0..100)
        .map(|index| (20_000 + index * 10, dropped(ConntrackEvent::ClashResolved, index, "10.0.0.1:53")));
    assert!(told(&played(settled, 60), FAILED).is_empty());
    // The counters alone.
    let state = played([(20_000, conntrack_counters(100, 1_000, 60, 60))], 25);
    assert_eq!(statuses(&state, FAILED), [(21, Open, Severity::Critical)]);
}

/// A connection on an old entry whose SYN comes again at these seconds.
fn unanswered(repeats: &[u64]) -> Vec<(u64, Body)> {
    let on = |event| conntrack(event, "10.0.0.7:40000", "10.9.9.9:80", "10.2.1.2:8080");
    let mut events = vec![(20_000, on(ConntrackEvent::Reused))];
    events.extend(repeats.iter().map(|second| (second * 1_000, on(ConntrackEvent::SynRepeated))));
    events
}

/// A table of rules that is there from the start on, and changes at these seconds.
fn rules(table: &str, changes: &[u64]) -> Events {
    let later = changes.iter().map(|second| {
        let changed_ms_ago = Some(0);
        let counted = Ruleset { change: RulesetChange::Changed, changed_ms_ago, ..ruleset(table) };
        (second * 1_000, Body::Ruleset(counted))
    });
    [(1_000, Body::Ruleset(ruleset(table)))].into_iter().chain(later).collect()
}

#[test]
fn an_old_translation_to_a_dead_server_is_told_once_the_rules_have_changed() {
    let state = played(rules("nat", &[15]).into_iter().chain(unanswered(&[21, 23, 27])), 60);
    let who = "10.9.9.9:80 → 10.2.1.2:8080";
    assert_eq!(
        told(&state, STALE),
        [(23, Open, Severity::Critical, who.to_owned()), (48, Closed, Severity::Critical, who.to_owned())]
    );
    let finding = only(&state, STALE);
    assert_eq!(
        finding.what,
        "1 new connection kept the translation of an old entry in TIME_WAIT and gets no answer"
    );
    assert_eq!(finding.certainty, Certainty::Likely);
    assert_eq!(finding.evidence[2], "the rules changed at 10:13:35 UTC");
    assert!(
        finding.advice[0].starts_with(
            "`conntrack -D -p tcp --orig-dst 10.9.9.9 --orig-port-dst 80 --reply-src 10.2.1.2`: "
        ),
        "{:?}",
        finding.advice
    );
}

#[test]
fn an_old_translation_is_possible_where_no_change_was_seen_and_none_where_it_is_of_ipvs() {
    use Certainty::{Likely, Possible};
    let dead = || unanswered(&[21, 23, 27]);
    let service = ipvs(IpvsDecision::Scheduled, "10.0.0.8:1", "10.9.9.9:80", Some("10.2.1.3:8080"), 1);
    let after = |changes: Events, then: Events| changes.into_iter().chain(then).collect();
    let cases: [(&str, Events, Option<Certainty>); 7] = [
        ("rules are not looked at", dead(), Some(Possible)),
        ("the rules are as ever", after(rules("nat", &[]), dead()), Some(Possible)),
        ("they changed before", after(rules("nat", &[5]), dead()), Some(Likely)),
        ("others changed", after(rules("filter", &[15]), dead()), Some(Possible)),
        ("they change afterwards", after(rules("nat", &[30]), dead()), Some(Possible)),
        ("answered at the second try", after(rules("nat", &[15]), unanswered(&[21])), None),
        ("of IPVS", after(vec![(19_000, service)], dead()), None),
    ];
    for (case, events, expected) in cases {
        let state = played(events, 35);
        let told = state.findings.open().iter().find(|finding| finding.id == STALE);
        assert_eq!(told.map(|finding| finding.certainty), expected, "{case}");
    }
}
