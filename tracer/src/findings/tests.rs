//! What stands out of nodes in trouble, and that nothing does of one that only works.

use super::{Finding, Severity};
use crate::{
    event::{Body, Direction, IpvsDecision, RetransmitKind, Verdict},
    state::{
        State, Subject,
        fixture::{
            all, at, busy, claim, conntrack_counters, duplicate, icmp, ipvs, mac, proposal, quiet,
            retransmit, ruleset, stats,
        },
    },
};
use tracer_common::record::RecordKind;

/// The facts of a node all of whose hooks are attached or not asked for.
fn facts(events: impl IntoIterator<Item = (u64, Body)>) -> Vec<Finding> {
    everything(&all(events))
}

fn everything(state: &State) -> Vec<Finding> {
    state.findings.all().into_iter().cloned().collect()
}

fn told(facts: &[Finding]) -> Vec<(Severity, &str, &str)> {
    facts.iter().map(|fact| (fact.severity, &*fact.who, &*fact.what)).collect()
}

fn resent(kind: RetransmitKind, source: &str, attempt: u32) -> Body {
    let mut told = retransmit(kind, source, "10.0.0.9:80");
    told.attempt = Some(attempt);
    Body::Retransmit(told)
}

#[test]
fn a_node_that_works_has_nothing_that_stands_out() {
    let works = [
        // A segment lost here and there.
        (1_000, resent(RetransmitKind::Fast, "10.0.0.1:1000", 1)),
        (2_000, resent(RetransmitKind::TailLossProbe, "10.0.0.2:1000", 1)),
        (3_000, resent(RetransmitKind::Syn, "10.0.0.3:1000", 1)),
        // Neighbours that confirm themselves, and one that is looked for and has no flow behind it.
        (1_000, proposal("10.0.0.9", Verdict::Learned, Some(mac(9)), None)),
        (2_000, proposal("10.0.0.9", Verdict::Confirmed, Some(mac(9)), Some(mac(9)))),
        (2_000, claim("10.0.0.9", mac(9), Direction::In)),
        (3_000, proposal("10.0.0.77", Verdict::Failed, None, None)),
        (3_000, ipvs(IpvsDecision::Scheduled, "10.0.0.1:1", "10.9.9.9:80", Some("10.2.1.2:80"), 1)),
        (3_000, ipvs(IpvsDecision::Reused, "10.0.0.1:1", "10.9.9.9:80", Some("10.2.1.2:80"), 1)),
        (3_000, conntrack_counters(100_000, 262_144, 0, 0)),
        (3_000, icmp(Direction::In, 11, 0, "10.0.0.1:33434", "10.0.0.8:33434")),
        (3_000, Body::Ruleset(crate::event::Ruleset { entries: 3_000, ..ruleset("nat") })),
        (4_000, stats(RecordKind::Retransmit, 3, 0, 0)),
    ];
    assert_eq!(told(&facts(works)), []);
}

/// Events that make one fact: how bad it is, who, what, and whether it can be opened.
type Case = (Vec<(u64, Body)>, Severity, &'static str, &'static str, bool);

fn check(table: Vec<Case>) {
    for (events, severity, who, what, opens) in table {
        let facts = facts(events);
        assert_eq!(told(&facts), [(severity, who, what)]);
        assert_eq!(facts[0].subject.is_some(), opens, "{who}");
    }
}

#[test]
fn each_fault_of_flows_and_neighbours_is_a_fact() {
    let syn = |attempt| resent(RetransmitKind::Syn, "10.0.0.1:1000", attempt);
    let proposed = |verdict, last, held| proposal("10.0.0.9", verdict, Some(mac(last)), Some(mac(held)));
    let table: Vec<Case> = vec![
        (
            vec![(1_000, syn(1)), (2_000, syn(2)), (4_000, syn(3))],
            Severity::Critical,
            "10.0.0.1:1000 → 10.0.0.9:80",
            "syn 3 · 3 in a row · outage 4.0s",
            true,
        ),
        (
            vec![(1_000, syn(1)), (1_500, resent(RetransmitKind::Syn, "10.0.0.2:7", 1))],
            Severity::Warning,
            "2 flows → 10.0.0.9:80",
            "syn 2 · outage 1.5s",
            true,
        ),
        (
            vec![(1_000, resent(RetransmitKind::Timeout, "10.0.0.1:5", 6))],
            Severity::Critical,
            "10.0.0.1:5 → 10.0.0.9:80",
            "rto 1 · 6 in a row · outage 1.0s",
            true,
        ),
        (
            vec![(1_000, proposed(Verdict::Ignored, 0x66, 1))],
            Severity::Critical,
            "10.0.0.9 on eth0",
            "2 MACs · kept 02:42:ac:11:00:01, not 02:42:ac:11:00:66 · ignored ×1",
            true,
        ),
        (
            vec![(1_000, proposed(Verdict::Changed, 2, 1))],
            Severity::Warning,
            "10.0.0.9 on eth0",
            "2 MACs · kept 02:42:ac:11:00:02, not 02:42:ac:11:00:01 · changed ×1",
            true,
        ),
    ];
    check(table);
}

#[test]
fn each_fault_of_services_tables_and_the_way_is_a_fact() {
    let drained = |decision, weight| ipvs(decision, "10.0.0.1:1", "10.9.9.9:80", Some("10.2.1.2:80"), weight);
    let table: Vec<Case> = vec![
        (
            vec![(1_000, drained(IpvsDecision::Scheduled, 5)), (2_000, drained(IpvsDecision::Reused, 0))],
            Severity::Critical,
            "10.9.9.9:80 → 10.2.1.2:80",
            "1 new onto weight 0 · conn_reuse_mode 0 · was 5 until 10:13:22",
            true,
        ),
        (
            vec![(1_000, ipvs(IpvsDecision::Refused, "10.0.0.1:1", "10.9.9.9:80", None, 0))],
            Severity::Critical,
            "10.9.9.9:80",
            "1 refused: no real server",
            true,
        ),
        (
            vec![(1_000, duplicate("10.0.0.1:1", "10.0.0.2:2", 9, 40))],
            Severity::Critical,
            "10.0.0.1:1 → 10.0.0.2:2",
            "going round: seen 9 times · TTL −2 each time · by eth0",
            true,
        ),
        (
            vec![(1_000, conntrack_counters(950, 1_000, 0, 0))],
            Severity::Warning,
            "conntrack table of 4026531840",
            "95% full, 950 of 1,000",
            true,
        ),
        (
            vec![(1_000, Body::Ruleset(crate::event::Ruleset { entries: 180_000, ..ruleset("filter") }))],
            Severity::Critical,
            "legacy ip filter",
            "180,000 rules",
            true,
        ),
        (
            vec![(1_000, stats(RecordKind::Retransmit, 100, 0, 7))],
            Severity::Warning,
            "events lost",
            "retransmit 7 · of 100 seen in all",
            false,
        ),
    ];
    check(table);
}

#[test]
fn a_next_hop_that_fails_is_told_with_the_flows_behind_it() {
    let facts = facts([
        (1_000, resent(RetransmitKind::Fast, "10.0.0.1:1000", 1)),
        (2_000, proposal("10.0.0.9", Verdict::Failed, None, None)),
    ]);
    assert_eq!(
        told(&facts),
        [(Severity::Critical, "10.0.0.9 on eth0", "does not answer · 1 flow behind it resend")]
    );
    assert!(matches!(facts[0].subject, Some(Subject::Neighbour(_))));
}

#[test]
fn facts_say_since_when_and_what_is_past_stands_behind() {
    let ignored = |address| proposal(address, Verdict::Ignored, Some(mac(6)), Some(mac(1)));
    let facts = facts([
        (1_000, ignored("10.0.0.9")),
        (5_000, ignored("10.0.0.9")),
        (70_000, proposal("10.0.0.7", Verdict::Changed, Some(mac(6)), Some(mac(1)))),
        (71_000, ignored("10.0.0.8")),
        (90_000, Body::Ready),
    ]);
    let spans: Vec<_> = facts
        .iter()
        .filter_map(|fact| Some((&*fact.who, fact.span?.first, fact.span?.last, fact.is_past(at(90_000)))))
        .collect();
    assert_eq!(
        spans,
        [
            ("10.0.0.8 on eth0", at(71_000), at(71_000), false),
            ("10.0.0.9 on eth0", at(1_000), at(5_000), true),
            ("10.0.0.7 on eth0", at(70_000), at(70_000), false),
        ]
    );
}

#[test]
fn many_of_a_kind_are_counted_not_listed() {
    let ignored = (0..250u64).map(|index| {
        let address = format!("10.0.1.{index}");
        (1_000 + index, proposal(&address, Verdict::Ignored, Some(mac(6)), Some(mac(1))))
    });
    let facts = facts(ignored);
    assert_eq!(facts.len(), 101);
    assert_eq!(facts[100].who, "150 more addresses");
}

#[test]
fn hooks_that_see_nothing_are_told_last() {
    let facts = everything(&quiet());
    let told = told(&facts);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].1), (Severity::Notice, "ipvs"));
    let severities: Vec<Severity> = everything(&busy()).iter().map(|fact| fact.severity).collect();
    assert!(severities.is_sorted(), "{severities:?}");
    assert!(severities.contains(&Severity::Critical) && severities.contains(&Severity::Notice));
}
