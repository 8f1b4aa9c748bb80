//! When an outage opens, what looks like one and is none, and when it closes.

use super::PathOutage;
use crate::{
    event::{Change, LookupResult, Netns, RouteType},
    findings::{
        Finding, Severity,
        played::{Happening, Played, address, answer, dial, ended, lookup, route_removed, stuck, together},
    },
};

fn outages(findings: &[Finding]) -> Vec<(Severity, &str)> {
    let ours = findings.iter().filter(|finding| finding.id == "path-outage");
    ours.map(|finding| (finding.severity, finding.who.as_str())).collect()
}

/// What happens, and what is found of it.
type Row = (&'static str, Vec<Happening>, Option<(Severity, &'static str)>);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_an_outage_and_what_only_looks_like_one() {
    use Severity::{Critical, Warning};
    let ports = |range: std::ops::Range<u64>| range.map(|port| format!("10.0.0.1:{}", 30_000 + port));
    // Name, events, and what is open at the worst: severity and who.
    let table: Vec<Row> = vec![
        (
            "twenty connections to one address",
            together(ports(0..20).map(|source| stuck(1_000, 5, &source, "10.9.0.1:80"))),
            Some((Critical, "10.9.0.1")),
        ),
        (
            "the same over IPv6",
            together(
                (0..20).map(|port| stuck(1_000, 5, &format!("[fd00::1]:{}", 30_000 + port), "[fd09::1]:80")),
            ),
            Some((Critical, "fd09::1")),
        ),
        (
            "one connection, for long",
            stuck(1_000, 5, "10.0.0.1:30000", "10.9.0.1:80"),
            Some((Warning, "10.9.0.1")),
        ),
        ("one connection, for four attempts", stuck(1_000, 4, "10.0.0.1:30000", "10.9.0.1:80"), None),
        (
            "one dial, for seven seconds",
            dial(1_000, 3, "10.0.0.1:30000", "10.9.0.1:80"),
            Some((Warning, "10.9.0.1")),
        ),
        ("one dial, for three seconds", dial(1_000, 2, "10.0.0.1:30000", "10.9.0.1:80"), None),
        (
            "a port dialled over and over, given up each time after three seconds",
            together((0..4).map(|number| {
                dial(1_000 + number * 4_000, 2, &format!("10.0.0.1:{}", 30_000 + number), "10.9.0.1:80")
            })),
            Some((Critical, "10.9.0.1")),
        ),
        (
            "a scan of many ports",
            together(
                (0..500)
                    .map(|port| dial(1_000 + port, 4, "10.0.0.1:30000", &format!("10.9.0.1:{}", 1 + port))),
            ),
            None,
        ),
        (
            "a scan of many addresses",
            together(
                (0..200).map(|host| dial(1_000 + host, 4, "10.0.0.1:30000", &format!("10.9.0.{host}:80"))),
            ),
            None,
        ),
        (
            "loss: a few of many dials are lost twice",
            together(ports(0..200).zip(0..).map(|(source, number): (String, u64)| {
                let attempts = if number % 40 == 0 { 2 } else { 1 };
                dial(1_000 + number * 50, attempts, &source, "10.9.0.1:80")
            })),
            None,
        ),
        (
            "one connection in vain while others to the same address are answered",
            together(ports(0..40).zip(0..).map(|(source, number): (String, u64)| {
                stuck(1_000 + number * 200, if number == 0 { 6 } else { 1 }, &source, "10.9.0.1:80")
            })),
            None,
        ),
        ("a peer that dialled and went", answer(1_000, 5, "10.0.0.1:80", "10.9.0.1:30000"), None),
    ];
    for (name, events, expected) in table {
        let mut played = Played::default();
        let worst = played
            .all(events)
            .filter_map(|findings| {
                outages(&findings).first().map(|&(severity, who)| (severity, who.to_owned()))
            })
            .min_by_key(|(severity, _)| *severity);
        let worst = worst.as_ref().map(|(severity, who)| (*severity, who.as_str()));
        assert_eq!(worst, expected, "{name}");
    }
}

#[test]
fn it_opens_soon_and_closes_soon_after_the_repair() {
    // Name, events until the repair, the first symptom and the repair in seconds.
    let many = |count: u64| {
        together(
            (0..count).map(|port| stuck(10_000, 6, &format!("10.0.0.1:{}", 30_000 + port), "10.9.0.1:80")),
        )
    };
    let table = [
        ("twenty connections for 13 s", many(20), 10, 23),
        ("one connection for 13 s", many(1), 10, 23),
        ("one dial for 12 s", dial(10_000, 3, "10.0.0.1:30000", "10.9.0.1:80"), 11, 22),
    ];
    for (name, mut events, symptom, repair) in table {
        // The attempt after the repair, which is answered.
        let last = events.last().map(|(_, body)| body.clone()).into_iter();
        let waited = if name.contains("dial") { 25_000 } else { 35_400 };
        events.extend(last.map(|body| (waited, body)));
        let mut played = Played::default();
        let open: Vec<u64> = (1..100)
            .filter(|second| {
                let findings = played.until(&mut events, second * 1_000);
                !outages(&findings).is_empty()
            })
            .collect();
        let (first, last) = (open[0], open[open.len() - 1]);
        assert!(first <= symptom + 10, "{name}: opened at {first}");
        assert!(last < repair + 30, "{name}: still open at {last}");
        assert_eq!(open.len() as u64, last - first + 1, "{name}: it went and came again: {open:?}");
    }
}

#[test]
fn many_addresses_behind_one_next_hop_are_one_outage_and_the_change_beside_it_is_named() {
    let mut events = vec![(9_500, route_removed("10.9.0.0", 16, "10.0.0.254"))];
    for host in 1..6 {
        for port in 0..3 {
            let (source, destination) = (format!("10.0.0.1:{}", 30_000 + port), format!("10.9.{host}.1:80"));
            let reached = LookupResult::Route(RouteType::UNICAST);
            events.push((10_050, lookup(&source, &destination, reached, Some("10.0.0.254"), "eth0")));
            events.extend(stuck(10_000, 5, &source, &destination));
        }
    }
    events.sort_by_key(|(time, _)| *time);
    let mut played = Played::default();
    let findings = played.until(&mut events, 17_000);
    assert_eq!(outages(&findings), [(Severity::Critical, "10.9.0.0/21 via 10.0.0.254")]);
    let one = &findings[0];
    assert!(one.what.starts_with("no answer to 15 flows to 5 addresses for "), "{}", one.what);
    assert!(
        one.what.ends_with("· route 10.9.0.0/16 via 10.0.0.254 dev eth0 removed (by bird), 0.5s before"),
        "{}",
        one.what
    );
    assert_eq!(one.affects.flows, 15);
    assert!(one.advice[0].contains("ip route get 10.9.1.1"), "{:?}", one.advice);
    assert!(
        one.evidence[0].starts_with("15 connections whose data is not acknowledged, for 6.2s at most"),
        "{:?}",
        one.evidence
    );
}

#[test]
fn who_ended_on_this_node_is_no_outage() {
    let pod = Netns::here(77);
    let mut played = Played::default();
    played.apply_in(500, pod, address(Change::Present, "10.9.0.1", "eth0", 2));
    played.apply_in(600, pod, ended());
    let mut events =
        together((0..5).map(|port| stuck(1_000, 6, &format!("10.0.0.1:{}", 30_000 + port), "10.9.0.1:80")));
    assert_eq!(outages(&played.until(&mut events, 20_000)), []);
}

#[test]
fn thresholds_are_what_decides() {
    let rule = PathOutage { flows: 30, alone_ms: 60_000, ..PathOutage::default() };
    let events =
        together((0..20).map(|port| stuck(1_000, 5, &format!("10.0.0.1:{}", 30_000 + port), "10.9.0.1:80")));
    let mut played = Played::judged_by(|rules| rules.path_outage = rule);
    assert!(played.all(events).all(|findings| outages(&findings).is_empty()));
}
