//! When replies are misrouted, what looks like it, and when that is over.

use crate::{
    event::{Body, Change, LookupResult, Netns, RouteType},
    findings::{
        Finding, Severity,
        played::{Happening, Played, address, answer, dial, ended, link, lookup, stuck, together},
    },
    state::fixture::NETNS,
};

const SERVER: &str = "10.42.0.5:80";
const CLIENT: &str = "10.42.1.0:40000";

fn misrouted(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.id == "reply-misrouted").collect()
}

fn answered(result: LookupResult, device: &str) -> Happening {
    (1_100, lookup(SERVER, CLIENT, result, None, device))
}

const LOCAL: LookupResult = LookupResult::Route(RouteType::LOCAL);
const UNICAST: LookupResult = LookupResult::Route(RouteType::UNICAST);

fn by_dummy(change: Change) -> Happening {
    (1_050, link(change, "dummy0", Some("dummy")))
}

fn captured(change: Change) -> Body {
    address(change, "10.42.1.0", "flannel.1", 7)
}

/// What happens in turn, and what is found of it.
type Row = (&'static str, Vec<Vec<Happening>>, Option<&'static str>);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn who_is_told_and_who_is_not() {
    let blackhole = LookupResult::Refused(RouteType::BLACKHOLE, libc::EINVAL);
    let no_route = LookupResult::Error(libc::ENETUNREACH);
    // Name, events, and what is said.
    let table: Vec<Row> = vec![
        (
            "the client's address is on a device here",
            vec![vec![(500, captured(Change::Added)), answered(LOCAL, "lo")], answer(0, 3, SERVER, CLIENT)],
            Some("replies never leave: 10.42.1.0 is an address of this node too, on flannel.1"),
        ),
        (
            "it is local by a route alone",
            vec![vec![answered(LOCAL, "lo")], answer(0, 3, SERVER, CLIENT)],
            Some("replies never leave: by the routes 10.42.1.0 is local here"),
        ),
        (
            "IPv6",
            vec![
                vec![(1_100, lookup("[fd00::5]:80", "[fd01::]:40000", LOCAL, None, "lo"))],
                answer(0, 3, "[fd00::5]:80", "[fd01::]:40000"),
            ],
            Some("replies never leave: by the routes fd01:: is local here"),
        ),
        (
            "the route is by loopback",
            vec![vec![answered(UNICAST, "lo")], answer(0, 3, SERVER, CLIENT)],
            Some("replies never leave: the route to 10.42.1.0 is by the loopback device"),
        ),
        (
            "a blackhole, under a connection",
            vec![vec![answered(blackhole, "")], stuck(0, 5, SERVER, CLIENT)],
            Some("replies never leave: the route to 10.42.1.0 is blackhole"),
        ),
        (
            "the route is by a dummy device",
            vec![vec![by_dummy(Change::Added), answered(UNICAST, "dummy0")], answer(0, 3, SERVER, CLIENT)],
            Some(
                "replies never leave: the route to 10.42.1.0 is by dummy0, a dummy, which drops all packets",
            ),
        ),
        (
            "what is dialled is led to a dummy device, as a service's addresses may be",
            vec![vec![by_dummy(Change::Added), answered(UNICAST, "dummy0")], dial(0, 4, SERVER, CLIENT)],
            None,
        ),
        (
            "the dummy device was removed",
            vec![
                vec![by_dummy(Change::Added), answered(UNICAST, "dummy0"), by_dummy(Change::Removed)],
                answer(0, 3, SERVER, CLIENT),
            ],
            None,
        ),
        (
            "no route, under a connection",
            vec![vec![answered(no_route, "")], stuck(0, 5, SERVER, CLIENT)],
            Some("replies never leave: the route to 10.42.1.0 is no-route"),
        ),
        (
            "no route from an address that another host has by now",
            vec![
                vec![
                    (300, address(Change::Added, "10.42.0.5", "eth0", 2)),
                    (500, address(Change::Removed, "10.42.0.5", "eth0", 2)),
                    answered(no_route, ""),
                ],
                stuck(0, 5, SERVER, CLIENT),
            ],
            None,
        ),
        ("the route is right", vec![vec![answered(UNICAST, "eth0")], answer(0, 4, SERVER, CLIENT)], None),
        ("once only", vec![vec![answered(LOCAL, "lo")], answer(0, 1, SERVER, CLIENT)], None),
        (
            "this node dials an address of its own",
            vec![vec![answered(LOCAL, "lo")], dial(0, 4, SERVER, CLIENT)],
            None,
        ),
        (
            "both ends are here",
            vec![vec![answered(LOCAL, "lo")], answer(0, 4, SERVER, CLIENT), stuck(0, 2, CLIENT, SERVER)],
            None,
        ),
        (
            "the address has been taken away",
            vec![
                vec![
                    (500, captured(Change::Added)),
                    answered(LOCAL, "lo"),
                    (1_200, captured(Change::Removed)),
                ],
                answer(0, 4, SERVER, CLIENT),
            ],
            None,
        ),
    ];
    for (name, events, expected) in table {
        let mut played = Played::default();
        let told = played.all(together(events)).find_map(|findings| {
            misrouted(&findings).first().map(|finding| (finding.severity, finding.what.clone()))
        });
        assert_eq!(told, expected.map(|what| (Severity::Critical, what.to_owned())), "{name}");
    }
}

#[test]
fn a_pod_that_ended_is_not_misrouted() {
    let mut played = Played::default();
    let pod = Netns::here(77);
    played.apply_in(100, pod, address(Change::Present, "10.42.1.0", "eth0", 2));
    played.apply_in(200, pod, ended());
    let gone = answered(LookupResult::Refused(RouteType::BLACKHOLE, libc::EINVAL), "");
    let events = together([vec![gone], stuck(0, 6, SERVER, CLIENT)]);
    assert!(played.all(events).all(|findings| misrouted(&findings).is_empty()));
}

#[test]
fn the_next_hop_may_have_the_address_too() {
    let node = Netns::here(88);
    let mut played = Played::default();
    played.apply_in(100, node, address(Change::Present, "10.42.0.1", "cni0", 3));
    played.apply_in(100, node, address(Change::Added, "10.42.1.0", "flannel.1", 7));
    let reached = (1_100, lookup(SERVER, CLIENT, UNICAST, Some("10.42.0.1"), "eth0"));
    let mut events = together([vec![reached], answer(0, 3, SERVER, CLIENT)]);
    let findings = played.until(&mut events, 4_000);
    let told: Vec<&str> = misrouted(&findings).iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(told, ["replies end at the next hop: 10.42.1.0 is an address of 88 too, on flannel.1"]);
    // By the device towards the flow the node dials itself.
    let mut played = Played::default();
    played.apply_in(100, node, address(Change::Present, "10.42.0.1", "cni0", 3));
    played.apply_in(100, node, address(Change::Present, "10.42.1.0", "cni0", 3));
    let reached = (1_100, lookup(SERVER, CLIENT, UNICAST, Some("10.42.0.1"), "eth0"));
    let events = together([vec![reached], answer(0, 3, SERVER, CLIENT)]);
    assert!(played.all(events).all(|findings| misrouted(&findings).is_empty()));
}

#[test]
fn it_says_how_that_is_known_and_what_to_do_and_closes_when_the_address_goes() {
    let mut played = Played::default();
    let first = [(500, captured(Change::Added)), answered(LOCAL, "lo")];
    let mut events = together([first.to_vec(), answer(0, 3, SERVER, CLIENT)]);
    assert_eq!(misrouted(&played.until(&mut events, 2_000)).len(), 0);
    let findings = played.until(&mut events, 8_000);
    let [told] = misrouted(&findings)[..] else { panic!("{findings:?}") };
    assert_eq!(told.who, "10.42.1.0");
    assert_eq!(
        told.evidence,
        [
            "ip route get 10.42.1.0 answers: local dev lo",
            "10.42.1.0 dialled 1 connection from elsewhere; the SYN-ACK was sent again 3 times, \
             most often for 10.42.0.5:80 → 10.42.1.0:40000",
            "address 10.42.1.0/32 is on flannel.1, since 10:13:20 UTC",
        ]
    );
    let namespace = NETNS.inode;
    assert_eq!(
        told.advice,
        [
            format!(
                "take the address away, in network namespace {namespace}: `ip address del 10.42.1.0/32 dev flannel.1`"
            ),
            "if NetworkManager put it there, keep it off: `nmcli device set flannel.1 managed no`".to_owned(),
            "confirm: `ip route get 10.42.1.0` must answer with the device that leads to it".to_owned(),
        ]
    );
    let mut repaired = vec![(8_500, captured(Change::Removed))];
    assert!(misrouted(&played.until(&mut repaired, 9_000)).is_empty());
}
