//! Replies that leave the namespace that sends them and end in another of this node, and what waits for them.

use crate::{
    event::{Body, Change, LookupResult, Netns, RouteType},
    findings::{
        Finding,
        played::{Happening, Played, address, answer, dial, link, lookup, stuck},
    },
    state::fixture::NETNS,
};

const SERVER: &str = "10.42.0.5:80";
const CLIENT: &str = "10.42.1.0:40000";
const LOCAL: LookupResult = LookupResult::Route(RouteType::LOCAL);
const UNICAST: LookupResult = LookupResult::Route(RouteType::UNICAST);
const BLACKHOLE: LookupResult = LookupResult::Refused(RouteType::BLACKHOLE, libc::EINVAL);
/// The node's own namespace.
const NODE: Netns = Netns::here(88);
/// The client's.
const PEER: Netns = Netns::here(99);

fn misrouted(findings: &[Finding]) -> Vec<(Netns, &str)> {
    let of_rule = findings.iter().filter(|finding| finding.id == "reply-misrouted");
    of_rule.map(|finding| (finding.netns().unwrap(), finding.what.as_str())).collect()
}

fn forwarded(result: LookupResult) -> Body {
    lookup(SERVER, CLIENT, result, None, if result == LOCAL { "lo" } else { "eth0" })
}

/// A pod whose gateway the node has: it is asked first, then the node.
fn pod(played: &mut Played, asked: &[(u64, Netns, LookupResult)]) {
    played.apply_in(100, NODE, address(Change::Present, "10.42.0.1", "cni0", 3));
    played.apply_in(1_100, NETNS, lookup(SERVER, CLIENT, UNICAST, Some("10.42.0.1"), "eth0"));
    for &(time, netns, result) in asked {
        played.apply_in(time, netns, forwarded(result));
    }
}

/// What is asked after the pod, what the pod sends again, and what is said.
type Row = (&'static str, Vec<(u64, Netns, LookupResult)>, Vec<Happening>, Option<&'static str>);

#[test]
fn what_a_pod_replies_may_end_at_its_node() {
    let table: Vec<Row> = vec![
        (
            "a blackhole",
            vec![(1_101, NODE, BLACKHOLE)],
            answer(0, 3, SERVER, CLIENT),
            Some("replies end at the next hop: the route to 10.42.1.0 in 88 is blackhole"),
        ),
        (
            "no route",
            vec![(1_101, NODE, LookupResult::Error(libc::ENETUNREACH))],
            answer(0, 3, SERVER, CLIENT),
            Some("replies end at the next hop: the route to 10.42.1.0 in 88 is no-route"),
        ),
        (
            "local by a route alone",
            vec![(1_101, NODE, LOCAL)],
            answer(0, 3, SERVER, CLIENT),
            Some("replies end at the next hop: by the routes 10.42.1.0 is local in 88"),
        ),
        ("the node's route is right", vec![(1_101, NODE, UNICAST)], answer(0, 3, SERVER, CLIENT), None),
        ("the node was not asked", vec![], answer(0, 3, SERVER, CLIENT), None),
        ("what it answered before", vec![(50, NODE, BLACKHOLE)], answer(0, 3, SERVER, CLIENT), None),
        ("the pod dials", vec![(1_101, NODE, BLACKHOLE)], dial(0, 4, SERVER, CLIENT), None),
        ("who dialled is not known", vec![(1_101, NODE, BLACKHOLE)], stuck(0, 5, SERVER, CLIENT), None),
        ("a service of the node is slow", vec![(1_101, NODE, LOCAL)], stuck(0, 5, SERVER, CLIENT), None),
    ];
    for (name, asked, events, expected) in table {
        let mut played = Played::default();
        pod(&mut played, &asked);
        let told = played.all(events).find_map(|findings| {
            misrouted(&findings).first().map(|(netns, what)| (*netns, (*what).to_owned()))
        });
        assert_eq!(told, expected.map(|what| (NODE, what.to_owned())), "{name}");
    }
}

#[test]
fn a_node_whose_device_was_taken_down_routes_nothing_wrongly() {
    let mut played = Played::default();
    played.apply_in(80, NODE, link(Change::Present, "eth0", None));
    played.apply_in(900, NODE, link(Change::Down, "eth0", None));
    pod(&mut played, &[(1_101, NODE, LookupResult::Error(libc::ENETUNREACH))]);
    assert!(played.all(answer(0, 3, SERVER, CLIENT)).all(|findings| misrouted(&findings).is_empty()));
}

#[test]
fn a_next_hop_that_two_have_is_nobody_in_particular() {
    let mut played = Played::default();
    played.apply_in(90, PEER, address(Change::Present, "10.42.0.1", "docker0", 3));
    pod(&mut played, &[(1_101, NODE, BLACKHOLE)]);
    assert!(played.all(answer(0, 3, SERVER, CLIENT)).all(|findings| misrouted(&findings).is_empty()));
}

#[test]
fn who_waits_for_a_reply_shows_it_too() {
    let mut played = Played::default();
    played.apply_in(90, PEER, address(Change::Present, "10.42.1.0", "eth0", 2));
    played.apply_in(100, NETNS, address(Change::Present, "10.42.0.5", "eth0", 2));
    played.apply_in(500, NETNS, address(Change::Added, "10.42.1.0", "flannel.1", 7));
    for (time, body) in dial(0, 4, CLIENT, SERVER) {
        if time < 9_000 {
            played.apply_in(time, PEER, body);
            played.apply_in(time + 1, PEER, lookup(CLIENT, SERVER, UNICAST, None, "eth0"));
            played.apply_in(time + 2, NETNS, forwarded(LOCAL));
        }
    }
    let findings = played.until(&mut Vec::new(), 9_000);
    assert_eq!(
        misrouted(&findings),
        [(NETNS, "replies never leave: 10.42.1.0 is an address of this node too, on flannel.1")]
    );
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding.who, "10.42.1.0");
    assert_eq!(
        finding.evidence[..2],
        [
            "ip route get 10.42.1.0 answers: local dev lo",
            "1 flow of 10.42.1.0 waiting for a reply: 10.42.1.0:40000 → 10.42.0.5:80, 3 attempts since 10:13:20 UTC",
        ]
    );
    let below: Vec<&str> = finding.symptoms.iter().map(|symptom| symptom.id).collect();
    assert_eq!(below, ["path-outage"]);
}

#[test]
fn a_peer_that_is_where_the_way_ends_is_no_fault() {
    let mut played = Played::default();
    played.apply_in(90, PEER, address(Change::Present, "10.42.1.0", "eth0", 2));
    played.apply_in(100, NETNS, address(Change::Present, "10.42.0.5", "eth0", 2));
    for (time, body) in dial(0, 4, CLIENT, SERVER) {
        played.apply_in(time, PEER, body);
        played.apply_in(time + 1, PEER, lookup(CLIENT, SERVER, UNICAST, None, "eth0"));
        played.apply_in(time + 2, NETNS, lookup(SERVER, CLIENT, UNICAST, Some("10.42.1.0"), "eth0"));
        played.apply_in(time + 3, PEER, forwarded(LOCAL));
        let findings = played.until(&mut Vec::new(), time + 10);
        assert!(misrouted(&findings).is_empty(), "{findings:?}");
    }
}
