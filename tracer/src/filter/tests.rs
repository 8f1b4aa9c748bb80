//! What filters pick, how they print, and what is wrong with those that cannot be read.

use std::collections::HashSet;

use proptest::{prelude::*, strategy::Union};

use super::{Filter, Sieve, complete, parse, syntax::Pattern, words};
use crate::{
    event::{Body, Event, NeighbourState, Process, TcpState, Text},
    output::tests::{events, every_event},
    probe::table::Family,
    state::Ownership,
};

/// Places of the matching events among those with a network namespace, in the sample's order: 0–3 retransmits
/// (bare; rto over IPv6; two failed SYNs), 4 undo, 5–7 neighbour (changed, ignored, failed), 8–9 claims (in, out),
/// 10–12 conntrack (reused, syn-repeated, table-full), 13–14 IPVS (reused, refused), 15–17 its changes, 18–21 its listing,
/// 22–25 ICMP errors, 26–27 packets that go round, 28–29 translations looked up.
fn matching(filter: &str) -> Vec<usize> {
    let filter = parse(filter).unwrap_or_else(|error| panic!("{error}"));
    let events: Vec<Event> =
        events(&every_event()).into_iter().filter(|event| event.netns.inode != 0).collect();
    assert_eq!(events.len(), 30);
    events.iter().enumerate().filter(|(_, event)| filter.matches(event)).map(|(place, _)| place).collect()
}

#[test]
fn filters_pick_the_events_they_name() {
    let table: [(&str, &[usize]); 50] = [
        ("retransmit", &[0, 1, 2, 3]),
        ("retransmit-undo", &[4]),
        ("family retransmit", &[0, 1, 2, 3, 4]),
        ("family neighbour", &[5, 6, 7, 8, 9]),
        ("claim", &[8, 9]),
        ("ipvs or conntrack", &[10, 11, 12, 13, 14]),
        ("kind rto", &[1]),
        ("KIND Syn AND Failed", &[2, 3]),
        ("failed and state syn-sent", &[2, 3]),
        ("state established", &[0, 1, 4]),
        ("state reachable", &[5, 6]),
        ("state failed", &[7]),
        ("state time_wait", &[10, 13]),
        ("host 10.0.0.9", &[5, 6, 7, 8, 9, 13, 14, 15, 16, 18, 24]),
        ("src host 10.0.0.9", &[8, 9, 24]),
        ("dst host 10.0.0.9", &[13, 14, 15, 16, 18]),
        ("host 10.0.0.3", &[10, 11, 28, 29]),
        ("dst host 10.0.0.3", &[10, 11, 28, 29]),
        ("src host 10.0.0.3", &[]),
        ("host fd00::3", &[13, 16, 17, 19, 20, 21]),
        ("net fd00::/16", &[1, 13, 16, 17, 19, 20, 21, 23, 27]),
        ("net 10.0.0.8/30", &[5, 6, 7, 8, 9, 13, 14, 15, 16, 18, 24, 29]),
        ("host ::ffff:10.0.0.9 and ipvs", &[13, 14]),
        ("net ::ffff:10.0.0.8/126 and ipvs", &[13, 14]),
        ("net 0.0.0.0/0 and family retransmit", &[0, 2, 3, 4]),
        ("port 80 and not retransmit", &[4, 10, 11, 13, 14, 15, 16, 18, 22, 23, 24, 26, 27, 28, 29]),
        ("src port 4242 and ipvs", &[13, 14]),
        ("dst port 8080", &[10, 11, 13, 16, 17, 19, 20, 21, 28, 29]),
        ("port 8000-8080", &[10, 11, 13, 16, 17, 19, 20, 21, 28, 29]),
        ("dev eth0", &[1, 5, 6, 7, 8, 9, 22, 23, 24, 26, 27]),
        ("dev \"eth0\" and retransmit", &[1]),
        ("mac 02:00:00:00:00:02", &[5, 6, 8]),
        ("mac 2:0:0:0:0:1", &[5, 6]),
        ("verdict changed or verdict ignored", &[5, 6]),
        ("event reused", &[10]),
        ("decision reused and weight 0", &[13]),
        ("weight < 1", &[13, 16]),
        ("weight <0", &[]),
        ("not netns 4026531840", &[]),
        (
            "not (family retransmit or family neighbour or family path) and not conntrack",
            &[13, 14, 15, 16, 17, 18, 19, 20, 21, 28, 29],
        ),
        ("icmp or duplicate", &[22, 23, 24, 25, 26, 27]),
        ("family path and host fd00::2", &[23, 27]),
        ("ipvs-change", &[15, 16, 17]),
        ("ipvs-service or ipvs-destination", &[18, 19, 20, 21]),
        ("family ipvs and not ipvs", &[15, 16, 17, 18, 19, 20, 21]),
        ("route or ruleset or sysctl", &[]),
        ("translation", &[28, 29]),
        ("family conntrack", &[10, 11, 12, 28, 29]),
        ("state syn-sent and family conntrack", &[11, 28, 29]),
        ("kind fast or kind rto and port 81", &[]),
    ];
    for (filter, expected) in table {
        assert_eq!(matching(filter), expected, "{filter}");
    }
}

#[test]
fn a_process_may_be_known_from_elsewhere() {
    let filter = parse("process nginx").unwrap();
    let nginx = Process { id: 321, command: Text::new("nginx") };
    let events = events(&every_event());
    let rto = events
        .iter()
        .find(|event| matches!(&event.body, Body::Retransmit(body) if body.socket_inode == Some(77)));
    assert!(!filter.matches(rto.unwrap()));
    let whose = Ownership { process: Some(&nginx), ..Ownership::default() };
    assert!(filter.matches_with(rto.unwrap(), &whose));
    assert_eq!(matching("process \"curl\u{fffd}[2J\""), [2, 3]);
}

#[test]
fn what_is_about_tracer_passes_every_filter() {
    let filter = parse("not host 10.0.0.1 and port 1").unwrap();
    let events: Vec<Event> =
        events(&every_event()).into_iter().filter(|event| event.netns.inode == 0).collect();
    assert!(events.len() >= 8 && events.iter().all(|event| filter.matches(event)));
}

#[test]
fn every_state_that_events_print_can_be_asked_for() {
    let sockets = (1..=13).map(|state| TcpState(state).to_string());
    let neighbours = [0, 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80].map(|state| NeighbourState(state).to_string());
    for state in sockets.chain(neighbours) {
        assert_eq!(words::state(&state.to_lowercase()).ok(), Some(state.as_str()));
    }
    assert_eq!(words::STATES.iter().collect::<HashSet<_>>().len(), words::STATES.len());
}

#[test]
fn errors_point_at_the_place() {
    let shown: Vec<String> = [
        "",
        "  ",
        "port http and kind syn",
        "host 10.0.0.5 and",
        "host 10.0.0.300",
        "net 10.0.0.0",
        "net 10.0.0.0/33",
        "port 90-80",
        "port",
        "src kind syn",
        "kind synack",
        "(port 80 or port 81",
        "port 80)",
        "port 80 port 81",
        "process \"curl",
        "weight <",
        "mac 02:00:00:00:00:00:00:00:00",
        "mac 02::01",
        "café or port 80",
        "ipvs or \x1b[31m or claim",
        "\"ipvs\"",
    ]
    .into_iter()
    .map(|text| parse(text).map_or_else(|error| error.to_string(), |filter| format!("no error: {filter}")))
    .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("(", ")"), ("not ", ""), ("not (", ")")] {
        let nested = |depth: usize| format!("{}failed{}", open.repeat(depth), close.repeat(depth));
        assert!(parse(&nested(20)).is_ok(), "{open}");
        let error = parse(&nested(1_000_000)).unwrap_err();
        assert!(error.message().contains("at most 64 deep"), "{error}");
    }
    let long = vec!["failed"; 100_000].join(" or ");
    assert_eq!(parse(&long).unwrap().to_string(), long);
}

fn condition() -> impl Strategy<Value = String> {
    let side = prop_oneof![Just(""), Just("src "), Just("dst ")];
    // Every word there is to choose from, and every condition that is one word.
    let listed = ["kind", "family", "verdict", "decision", "event", "state", ""].map(|condition| {
        let mut words = complete(&format!("{condition} "), |_| Vec::new()).words;
        words.retain(|word| parse(&format!("{condition} {word}")).is_ok());
        prop::sample::select(words).prop_map(move |word| format!("{condition} {word}"))
    });
    let name = prop_oneof![
        "[a-z0-9./*-]{1,15}",
        "\\PC{0,8}".prop_map(|name| { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) })
    ];
    prop_oneof![
        (side.clone(), any::<std::net::IpAddr>()).prop_map(|(side, address)| format!("{side}host {address}")),
        (side.clone(), any::<std::net::IpAddr>(), 0_u8..=32)
            .prop_map(|(side, address, length)| format!("{side}net {address}/{length}")),
        (side, any::<u16>(), any::<u16>()).prop_map(|(side, one, other)| format!(
            "{side}port {}-{}",
            one.min(other),
            one.max(other)
        )),
        prop::sample::select(vec!["process ", "dev ", "container ", "pod ", "netns "])
            .prop_flat_map(move |word| name.clone().prop_map(move |name| format!("{word}{name}"))),
        any::<i32>().prop_map(|weight| format!("weight <{weight}")),
        any::<[u8; 6]>()
            .prop_map(|bytes| { format!("mac {}", bytes.map(|byte| format!("{byte:x}")).join(":")) }),
        Union::new(listed),
        prop_oneof![
            any::<u32>().prop_map(|netns| format!("netns {netns}")),
            any::<i32>().prop_map(|weight| format!("weight {weight}"))
        ],
    ]
}

fn expression() -> impl Strategy<Value = String> {
    condition().prop_recursive(6, 48, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| format!("not {part}")),
            inner.clone().prop_map(|part| format!("( {part})")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
            prop::collection::vec(inner, 2..4).prop_map(|parts| parts.join("  OR ")),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_filter_reads_back_as_itself(text in expression()) {
        let filter = parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let printed = filter.to_string();
        prop_assert_eq!(parse(&printed).map_err(|error| TestCaseError::fail(error.to_string()))?, filter);
    }

    #[test]
    fn no_text_makes_the_parser_fail_otherwise_than_by_an_error(
        text in prop_oneof![any::<String>(), "(\\(|\\)|not |and |or |host |port |1|\"|<| |\\\\|é){0,24}"]
    ) {
        match parse(&text) {
            Ok(filter) => prop_assert_eq!(parse(&filter.to_string()), Ok(filter)),
            Err(error) => {
                prop_assert!(text.get(error.span()).is_some(), "{:?} in {text:?}", error.span());
                prop_assert_eq!(error.to_string().lines().count(), 3);
            }
        }
    }
}

#[test]
fn a_sieve_knows_the_owners_told_before() {
    let mut sieve = Sieve::new(Some(parse("process nginx").unwrap()));
    let passed: Vec<&str> = events(&every_event())
        .iter()
        .filter(|event| sieve.passes(event))
        .filter(|event| !super::matching::is_about_tracer(event))
        .map(|event| event.body.kind().name())
        .collect();
    assert_eq!(passed, ["retransmit"]);
    let mut all = Sieve::default();
    assert!(events(&every_event()).iter().all(|event| all.passes(event)));
}

#[test]
fn filters_are_joined() {
    let only = Filter::families([Family::Ipvs, Family::Neighbour]).unwrap();
    let joined = only.and(Filter::netns(7)).and(parse("host 10.0.0.1 or port 80").unwrap());
    let text = "((family ipvs or family neighbour) and netns 7) and (host 10.0.0.1 or port 80)";
    assert_eq!(joined.to_string(), text);
    assert_eq!(parse(text), Ok(joined));
    assert_eq!(Filter::families([]), None);
    assert_eq!(Filter::families([Family::Ipvs]), parse("family ipvs").ok());
}

proptest! {
    #[test]
    fn a_star_stands_for_any_characters(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
        /// The same, by trying everything.
        fn fits(pattern: &str, name: &str) -> bool {
            match (pattern.chars().next(), name.chars().next()) {
                (None, first) => first.is_none(),
                (Some('*'), first) => {
                    fits(&pattern[1..], name) || (first.is_some() && fits(pattern, &name[1..]))
                }
                (Some(wanted), Some(first)) => wanted == first && fits(&pattern[1..], &name[1..]),
                (Some(_), None) => false,
            }
        }
        prop_assert_eq!(Pattern(pattern.clone()).fits(&name), fits(&pattern, &name));
    }
}
