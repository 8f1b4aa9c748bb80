//! The rules about services, played: what they find, and what only looks alike.

use super::{
    IpvsDestinationGone, IpvsNoDestination, IpvsSynDelayed, Rule as _,
    play::{only, played, told},
};
use crate::{
    event::{Body, Ipvs, IpvsChangeKind, IpvsDecision, ListedWhy, RetransmitKind},
    findings::{
        FindingStatus::{self, Closed, Open},
        Severity,
    },
    state::{
        State,
        fixture::{ipvs, ipvs_change, listed, retransmit},
    },
};

/// What happens at which milliseconds.
type Events = Vec<(u64, Body)>;

const GONE: &str = IpvsDestinationGone::ID;
const DELAYED: &str = IpvsSynDelayed::ID;
const REFUSED: &str = IpvsNoDestination::ID;

const SERVICE: &str = "10.9.9.9:80";
const REAL: &str = "10.2.1.2:8080";
const OTHER: &str = "10.2.1.3:8080";
const WHO: &str = "10.9.9.9:80 → 10.2.1.2:8080";

/// A decision about a client's port, changed.
fn decided(decision: IpvsDecision, port: u64, real: Option<&str>, change: impl Fn(&mut Ipvs)) -> Body {
    let Body::Ipvs(mut decided) = ipvs(decision, &format!("10.0.0.7:{port}"), SERVICE, real, 1) else {
        unreachable!("it makes nothing else")
    };
    change(&mut decided);
    Body::Ipvs(decided)
}

fn dropped(port: u64, state: &'static str) -> Body {
    decided(IpvsDecision::Dropped, port, Some(REAL), |decided| {
        (decided.available, decided.connection_state) = (false, Some(state));
    })
}

fn delayed(port: u64, state: &'static str) -> Body {
    decided(IpvsDecision::Delayed, port, Some(REAL), |decided| {
        (decided.weight, decided.expire_nodest) = (Some(0), 1);
        decided.connection_state = Some(state);
    })
}

fn refused(port: u64) -> Body {
    decided(IpvsDecision::Refused, port, None, |_| ())
}

fn scheduled(port: u64) -> Body {
    decided(IpvsDecision::Scheduled, port, Some(OTHER), |_| ())
}

/// Two servers, of which one goes at 10 s.
fn two(change: IpvsChangeKind) -> Vec<(u64, Body)> {
    let to = (change == IpvsChangeKind::Weight).then_some(0);
    vec![
        (1_000, listed(ListedWhy::News, SERVICE, REAL, 1)),
        (1_000, listed(ListedWhy::News, SERVICE, OTHER, 1)),
        (10_000, ipvs_change(change, SERVICE, Some(REAL), Some(1), to)),
    ]
}

/// So many a second of something, for ten seconds from 20 s on.
fn each_second(count: u64, body: impl Fn(u64) -> Body) -> Vec<(u64, Body)> {
    (0..10 * count).map(|number| (20_000 + number * 1_000 / count, body(number))).collect()
}

/// So many connections a second that go well, for twenty seconds from 8 s on.
fn busy(count: u64) -> Vec<(u64, Body)> {
    (0..20 * count)
        .map(|number| (8_000 + number * 1_000 / count, scheduled(20_000 + number % 20_000)))
        .collect()
}

fn seconds(state: &State, id: &str) -> Vec<(u64, FindingStatus)> {
    told(state, id).into_iter().map(|(second, status, ..)| (second, status)).collect()
}

#[test]
fn packets_to_a_removed_server_are_told_at_the_first_repeat() {
    let syns = [20_000, 21_000, 23_000].map(|time| (time, dropped(41_000, "TIME_WAIT")));
    let syn = Body::Retransmit(retransmit(RetransmitKind::Syn, "10.0.0.7:41000", SERVICE));
    let events = two(IpvsChangeKind::Removed).into_iter().chain(syns).chain([(23_000, syn)]);
    let state = played(events, 60);
    assert_eq!(
        told(&state, GONE),
        [(21, Open, Severity::Critical, WHO.to_owned()), (44, Closed, Severity::Critical, WHO.to_owned())]
    );
    let finding = only(&state, GONE);
    assert_eq!(
        finding.what,
        "removed, and 3 SYNs of 1 connection to it dropped in silence: net.ipv4.vs.expire_nodest_conn=0 keeps its \
         entries; removed at 10:13:30 UTC"
    );
    assert_eq!(
        finding.evidence,
        [
            "3 SYNs of 1 connection dropped, the last one at 10:13:43.000 UTC from 10.0.0.7:41000 on an entry in \
             TIME_WAIT",
            "net.ipv4.vs.conn_reuse_mode=0, net.ipv4.vs.expire_nodest_conn=0 at that moment",
        ]
    );
    assert!(
        finding.advice[0].starts_with("`sysctl -w net.ipv4.vs.expire_nodest_conn=1` (now 0)"),
        "{finding:?}"
    );
    assert_eq!(finding.affects.connections, 1);
}

#[test]
fn of_handshakes_that_a_removal_cuts_off_only_many_are_told() {
    let handshake = |number| dropped(41_000 + number, "SYN_RECV");
    let lost = [20_000, 21_000, 23_000].map(|time| (time, handshake(1)));
    let busy = busy(100);
    let cases: [(&str, Events, usize); 4] = [
        ("few of a busy service", lost.iter().cloned().chain(busy.clone()).collect(), 0),
        ("all of an idle one", lost.to_vec(), 2),
        ("many of a busy one", busy.into_iter().chain(each_second(5, handshake)).collect(), 2),
        ("one packet", vec![(20_000, dropped(1, "TIME_WAIT"))], 0),
    ];
    for (case, more, changes) in cases {
        let state = played(two(IpvsChangeKind::Removed).into_iter().chain(more), 60);
        assert_eq!(told(&state, GONE).len(), changes, "{case}: {:?}", told(&state, GONE));
    }
}

#[test]
fn a_removed_server_that_is_back_is_gone_no_more() {
    let back = ipvs_change(IpvsChangeKind::Added, SERVICE, Some(REAL), None, Some(1));
    let syns = [20_000, 21_000].map(|time| (time, dropped(41_000, "TIME_WAIT")));
    let events = two(IpvsChangeKind::Removed).into_iter().chain(syns).chain([(24_500, back)]);
    assert_eq!(seconds(&played(events, 60), GONE), [(21, Open), (25, Closed)]);
}

#[test]
fn syns_dropped_for_old_entries_are_told_from_the_third_on() {
    let syns = (0..3).map(|index| (20_000 + index * 2_000, delayed(41_000 + index, "TIME_WAIT")));
    let state = played(two(IpvsChangeKind::Weight).into_iter().chain(syns), 60);
    assert_eq!(
        told(&state, DELAYED),
        [(24, Open, Severity::Warning, WHO.to_owned()), (45, Closed, Severity::Warning, WHO.to_owned())]
    );
    let finding = only(&state, DELAYED);
    assert_eq!(
        finding.what,
        "3 SYNs dropped to get rid of old entries, and each client waits a second or more: \
         net.ipv4.vs.expire_nodest_conn=1 gives up entries of drained servers while conntrack has their connections"
    );
    assert_eq!(finding.evidence[2], "the entries were of 10.2.1.2:8080 (3)");
    assert_eq!(finding.affects.connections, 3);
}

#[test]
fn a_drain_under_way_that_delays_a_few_is_nothing() {
    let handshakes = (0..7).map(|index| (20_000 + index * 10, delayed(41_000 + index, "SYN_RECV")));
    let few = (0..20).map(|index| (20_000 + index * 6_000, delayed(41_000 + index, "TIME_WAIT")));
    for events in [busy(200).into_iter().chain(handshakes.clone()).collect::<Vec<_>>(), few.collect()] {
        let state = played(two(IpvsChangeKind::Weight).into_iter().chain(events), 150);
        assert!(told(&state, DELAYED).is_empty(), "{:?}", told(&state, DELAYED));
    }
    let state = played(two(IpvsChangeKind::Weight).into_iter().chain(handshakes), 30);
    assert_eq!(seconds(&state, DELAYED), [(21, Open)]);
}

#[test]
fn delays_of_several_servers_are_one_finding_of_the_service() {
    let of =
        |real| move |port| decided(IpvsDecision::Delayed, port, Some(real), |decided| decided.reuse_mode = 1);
    let events = [(20_000, of(REAL)(1)), (20_100, of(OTHER)(2)), (20_200, of(OTHER)(3))];
    let state = played(events, 22);
    let finding = only(&state, DELAYED);
    assert_eq!(finding.who, SERVICE);
    assert_eq!(finding.evidence[2], "the entries were of 10.2.1.3:8080 (2), 10.2.1.2:8080 (1)");
    assert!(
        finding.what.contains("net.ipv4.vs.conn_reuse_mode=1 gives up finished entries"),
        "{}",
        finding.what
    );
}

#[test]
fn a_service_without_servers_is_told_and_gets_worse_as_it_lasts() {
    let drained = [REAL, OTHER]
        .map(|real| (10_000, ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(real), Some(1), Some(0))));
    let events = drained.into_iter().chain(each_second(1, |number| refused(41_000 + number)));
    let state = played(events, 60);
    assert_eq!(
        told(&state, REFUSED),
        [
            (22, Open, Severity::Warning, SERVICE.to_owned()),
            (50, Closed, Severity::Critical, SERVICE.to_owned()),
        ]
    );
    let finding = only(&state, REFUSED);
    assert_eq!(finding.what, "10 new connections refused: all real servers are drained (weight 0 of 2)");
    assert_eq!(
        finding.evidence[1],
        "real servers: 10.2.1.2:8080 (weight 1 → 0 at 10:13:30 UTC), 10.2.1.3:8080 (weight 1 → 0 at 10:13:30 UTC)"
    );
    assert_eq!(
        finding.advice[0],
        "`ipvsadm -e -t 10.9.9.9:80 -r 10.2.1.2:8080 -m -w 1` gives a drained server its weight back"
    );
    assert_eq!(finding.affects.connections, 10);
}

#[test]
fn refusals_need_several_and_more_of_a_service_that_never_had_a_server() {
    let removed = two(IpvsChangeKind::Removed);
    let some = |count: u64| (0..count).map(|number| (20_000 + number * 100, refused(41_000 + number)));
    let cases: [(&str, Events, usize); 4] = [
        ("two", removed.iter().cloned().chain(some(2)).collect(), 0),
        ("three", removed.iter().cloned().chain(some(3)).collect(), 1),
        ("a scan", some(9).collect(), 0),
        ("callers of nobody", some(10).collect(), 1),
    ];
    for (case, events, changes) in cases {
        let state = played(events, 25);
        assert_eq!(told(&state, REFUSED).len(), changes, "{case}: {:?}", told(&state, REFUSED));
    }
}

#[test]
fn a_busy_service_that_works_is_told_nowhere() {
    let used_again = each_second(300, |number| {
        decided(IpvsDecision::Rescheduled, 40_000 + number % 500, Some(OTHER), |decided| {
            decided.reuse_mode = 1;
        })
    });
    let events = two(IpvsChangeKind::Weight).into_iter().chain(used_again);
    let state = played(events.chain(each_second(300, |number| scheduled(50_000 + number))), 60);
    for id in [super::IpvsReuseDrained::ID, GONE, DELAYED, REFUSED] {
        assert!(told(&state, id).is_empty(), "{:?}", told(&state, id));
    }
}
