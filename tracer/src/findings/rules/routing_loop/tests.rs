//! When packets go round, when they die for another reason, and when that is over.

use crate::{
    event::{Body, Direction, Protocol},
    findings::{
        Certainty, Finding,
        played::{Happening, Played, stuck, together},
    },
    state::fixture::{duplicate, icmp},
};

const HERE: &str = "10.0.0.1:40000";
const THERE: &str = "10.9.0.1:80";

fn loops(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.id == "routing-loop").collect()
}

fn round(time: u64, source: &str, destination: &str, most: u32) -> Vec<Happening> {
    let told = [(2, 61), (3, 59), (5, 55), (9, 47), (17, 31)];
    let seen = told.into_iter().filter(|(times, _)| *times <= most);
    seen.map(|(times, ttl)| (time, duplicate(source, destination, times, ttl))).collect()
}

/// A packet that died of TTL.
fn died(time: u64, direction: Direction, source: &str, destination: &str) -> Happening {
    (time, icmp(direction, 11, 0, source, destination))
}

/// One that a router on the way tells of.
fn died_at(time: u64, router: &str, source: &str, destination: &str) -> Happening {
    let mut body = icmp(Direction::In, 11, 0, source, destination);
    if let Body::Icmp(icmp) = &mut body {
        icmp.sender = Some(router.parse().unwrap());
    }
    (time, body)
}

fn of_protocol(protocol: Protocol, (time, mut body): Happening) -> Happening {
    if let Body::Icmp(icmp) = &mut body
        && let Some(about) = &mut icmp.about
    {
        about.flow.protocol = protocol;
        about.has_ports = protocol != Protocol::ICMP;
    }
    (time, body)
}

/// What happens, and what is found of it.
type Row = (&'static str, Vec<Happening>, Option<(&'static str, Certainty)>);

#[test]
fn what_goes_round_and_what_dies_otherwise() {
    use Certainty::{Certain, Likely};
    let dialled = |router: fn(u64) -> String| {
        (0..40_u64).map(move |number| {
            let source = format!("10.0.0.1:{}", 30_000 + number);
            died_at(1_000 + number * 200, &router(number), &source, THERE)
        })
    };
    // Name, events, and who is told with what certainty.
    let table: Vec<Row> = vec![
        ("a packet comes 17 times", round(1_000, HERE, THERE, 17), Some(("10.9.0.1", Certain))),
        ("the same of IPv6", round(1_000, "[fd00::1]:40000", "[fd09::1]:80", 17), Some(("fd09::1", Certain))),
        ("it comes again by a router beside the way", round(1_000, HERE, THERE, 3), None),
        (
            "a connection that is resent dies on its way",
            together([
                stuck(1_000, 4, HERE, THERE),
                [1_201, 1_601, 2_401].map(|time| died(time, Direction::In, HERE, THERE)).to_vec(),
            ]),
            Some(("10.9.0.1", Likely)),
        ),
        (
            "one flow dies here again and again",
            (0..8).map(|number| died(1_000 + number * 1_000, Direction::Out, HERE, THERE)).collect(),
            Some(("10.9.0.1", Likely)),
        ),
        (
            "every dial dies at the same router",
            dialled(|_| "10.0.0.254".to_owned()).collect(),
            Some(("10.9.0.1", Likely)),
        ),
        (
            "somebody traces by TCP and hears from every router",
            dialled(|number| format!("10.0.{}.254", number % 5)).collect(),
            None,
        ),
        (
            "somebody traces by UDP, another port each time",
            (0..60_u64)
                .map(|number| {
                    let destination = format!("10.9.0.1:{}", 33_434 + number);
                    of_protocol(Protocol::UDP, died(1_000 + number * 50, Direction::Out, HERE, &destination))
                })
                .collect(),
            None,
        ),
        (
            "mtr goes on for a minute",
            (0..60_u64)
                .map(|number| {
                    of_protocol(
                        Protocol::ICMP,
                        died(1_000 + number * 1_000, Direction::In, "10.0.0.1:0", "10.9.0.1:0"),
                    )
                })
                .collect(),
            None,
        ),
        ("a single death", vec![died(1_000, Direction::Out, HERE, THERE)], None),
    ];
    for (name, events, expected) in table {
        let mut played = Played::default();
        let told = played.all(events).find_map(|findings| {
            loops(&findings).first().map(|finding| (finding.who.clone(), finding.certainty))
        });
        let told = told.as_ref().map(|(who, certainty)| (who.as_str(), *certainty));
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn destinations_of_one_network_are_one_loop_and_it_closes_when_nothing_goes_round() {
    let mut events = together((1..9).map(|host| round(1_000, HERE, &format!("10.9.0.{host}:80"), 9)));
    let mut played = Played::default();
    let findings = played.until(&mut events, 2_000);
    let [told] = loops(&findings)[..] else { panic!("{findings:?}") };
    assert_eq!(told.who, "10.9.0.0/24");
    assert_eq!(told.what, "packets to 10.9.0.0/24 go round between 2 routers: TTL −2 each time, 9 times");
    assert_eq!(told.affects.flows, 8);
    assert_eq!(loops(&played.until(&mut events, 20_000)).len(), 1);
    assert!(loops(&played.until(&mut events, 23_000)).is_empty());
}

#[test]
fn it_explains_the_outage_of_its_flows_and_stays_while_that_does() {
    let mut events = together([
        stuck(10_000, 6, HERE, THERE),
        round(10_200, HERE, THERE, 17),
        round(13_000, HERE, THERE, 17),
    ]);
    let mut played = Played::default();
    let findings = played.until(&mut events, 17_000);
    let told: Vec<(&str, Vec<&str>)> = findings
        .iter()
        .map(|finding| (finding.id, finding.symptoms.iter().map(|symptom| symptom.id).collect()))
        .collect();
    assert_eq!(told, [("routing-loop", vec!["path-outage"])]);
    for second in 18..60 {
        let findings = played.until(&mut events, second * 1_000);
        let ids: Vec<&str> = findings.iter().map(|finding| finding.id).collect();
        assert!(ids == ["routing-loop"] || ids.is_empty(), "{second}: {ids:?}");
        assert_eq!(ids.is_empty(), second > 36, "{second}");
    }
}
