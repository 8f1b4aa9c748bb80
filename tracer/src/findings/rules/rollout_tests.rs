//! The rules about services, played on what rollouts meet beside the plain case: services known by a mark or at any port,
//! servers that die as they drain, and schedulers that choose by the client.

use super::{
    IpvsNoDestination, IpvsReuseDrained, Rule as _,
    play::{only, played, told},
};
use crate::{
    event::{Body, Ipvs, IpvsChangeKind, IpvsDecision, IpvsService, ListedWhy, Text},
    findings::{
        FindingStatus::{Closed, Open},
        Severity,
    },
    state::fixture::{ipvs, ipvs_change, listed},
};

const DRAINED: &str = IpvsReuseDrained::ID;
const REFUSED: &str = IpvsNoDestination::ID;

const SERVICE: &str = "10.9.9.9:80";
const REAL: &str = "10.2.1.2:8080";
const OTHER: &str = "10.2.1.3:8080";

/// A decision about a client's port, changed.
fn decided(decision: IpvsDecision, port: u16, real: Option<&str>, change: impl Fn(&mut Ipvs)) -> Body {
    let Body::Ipvs(mut decided) = ipvs(decision, &format!("10.0.0.7:{port}"), SERVICE, real, 0) else {
        unreachable!("it makes nothing else")
    };
    change(&mut decided);
    Body::Ipvs(decided)
}

/// The same word on another service.
fn of_service(service: IpvsService, mut body: Body) -> Body {
    match &mut body {
        Body::IpvsDestination(listed) => listed.service = service,
        Body::IpvsService(listed) => listed.service = service,
        Body::IpvsChange(change) => change.service = service,
        _ => unreachable!("no word on a service"),
    }
    body
}

#[test]
fn servers_without_a_port_of_their_own_are_known_by_any_that_is_dialled() {
    const ANY: &str = "10.2.1.2:0";
    let mark = IpvsService::Mark { mark: 9, is_ipv6: false };
    let any_port: IpvsService = {
        let Body::IpvsChange(change) = ipvs_change(IpvsChangeKind::Added, "10.9.9.9:0", None, None, None)
        else {
            unreachable!("it makes nothing else")
        };
        change.service
    };
    for (service, firewall_mark, who) in
        [(mark, Some(9), "fwmark 9 → 10.2.1.2:0"), (any_port, None, "10.9.9.9:0 → 10.2.1.2:0")]
    {
        let word = |body| of_service(service, body);
        let weight =
            |from, to| word(ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(ANY), Some(from), Some(to)));
        let reused = decided(IpvsDecision::Reused, 41_000, Some("10.2.1.2:80"), |decided| {
            decided.firewall_mark = firewall_mark;
        });
        let events = [
            (900, word(ipvs_change(IpvsChangeKind::Added, SERVICE, None, None, None))),
            (1_000, word(listed(ListedWhy::News, SERVICE, ANY, 1))),
            (10_000, weight(1, 0)),
            (20_000, reused),
            (25_500, weight(0, 1)),
        ];
        let state = played(events, 40);
        assert_eq!(
            told(&state, DRAINED),
            [(20, Open, Severity::Warning, who.to_owned()), (26, Closed, Severity::Warning, who.to_owned()),]
        );
        let finding = &state.findings.log()[0].finding;
        assert!(finding.what.ends_with("; weight 1 → 0 at 10:13:30 UTC"), "{}", finding.what);
        assert!(
            finding.advice.iter().any(|line| line.contains("grep -F 10.2.1.2:` shows")),
            "{:?}",
            finding.advice
        );
        let reals: Vec<_> = state.ipvs.reals.iter().map(|(key, _)| key.address).collect();
        assert_eq!(reals, [Some(ANY.parse().unwrap())], "a server is one row");
        assert_eq!(state.ipvs.services.len(), 1, "a service is one row");
    }
}

#[test]
fn a_drained_server_that_is_dead_is_told_as_long_as_its_clients_try() {
    let opening = |decided: &mut Ipvs| decided.connection_state = Some("SYN_RECV");
    let first = [
        (1_000, listed(ListedWhy::News, SERVICE, REAL, 1)),
        (10_000, ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(REAL), Some(1), Some(0))),
        (20_000, decided(IpvsDecision::Reused, 41_000, Some(REAL), |_| ())),
    ];
    let again = (1..=20)
        .map(|time| (20_000 + time * 3_000, decided(IpvsDecision::Reused, 41_000, Some(REAL), opening)));
    let state = played(first.into_iter().chain(again), 120);
    let told: Vec<_> =
        told(&state, DRAINED).into_iter().map(|(second, status, ..)| (second, status)).collect();
    assert_eq!(told.first(), Some(&(20, Open)));
    assert_eq!(told.last(), Some(&(101, Closed)));
    assert_eq!(told.iter().filter(|(_, status)| *status == Closed).count(), 1, "{told:?}");
}

#[test]
fn handshakes_that_a_drained_server_never_answers_are_told_by_themselves() {
    let opening = |decided: &mut Ipvs| decided.connection_state = Some("SYN_RECV");
    let syn = |port| decided(IpvsDecision::Reused, port, Some(REAL), opening);
    let drain = [
        (1_000, listed(ListedWhy::News, SERVICE, REAL, 1)),
        (10_000, ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(REAL), Some(1), Some(0))),
    ];
    let of_all = |times: &[u64]| -> Vec<(u64, Body)> {
        times
            .iter()
            .flat_map(|&time| (0..3).map(move |port| (time, 41_000 + port)))
            .map(|(time, port)| (time, syn(port)))
            .collect()
    };
    // A SYN may come again once.
    let state = played(drain.iter().cloned().chain(of_all(&[20_000])), 40);
    assert!(told(&state, DRAINED).is_empty(), "{:?}", told(&state, DRAINED));

    let state = played(drain.into_iter().chain(of_all(&[20_000, 22_000, 26_000])), 60);
    let told: Vec<_> = told(&state, DRAINED)
        .into_iter()
        .map(|(second, status, severity, _)| (second, status, severity))
        .collect();
    assert_eq!(told, [(22, Open, Severity::Critical), (36, Closed, Severity::Critical)]);
    let finding = &state.findings.log()[0].finding;
    assert_eq!(
        finding.what,
        "drained (weight 0), yet 3 handshakes go on to it without an answer: net.ipv4.vs.expire_nodest_conn=0 keeps \
         their entries; weight 1 → 0 at 10:13:30 UTC"
    );
    assert!(
        finding.advice[0].starts_with("`sysctl -w net.ipv4.vs.expire_nodest_conn=1`"),
        "{:?}",
        finding.advice
    );
}

#[test]
fn a_scheduler_that_chooses_by_the_client_refuses_those_of_a_drained_server() {
    let with = |scheduler: &str| {
        let mut added = ipvs_change(IpvsChangeKind::Added, SERVICE, None, None, None);
        if let Body::IpvsChange(change) = &mut added {
            change.scheduler = Some(Text::new(scheduler));
        }
        let refused =
            (0..4).map(|port| (20_000 + port, decided(IpvsDecision::Refused, 41_000, None, |_| ())));
        let events = [
            (900, added),
            (1_000, listed(ListedWhy::News, SERVICE, REAL, 1)),
            (1_000, listed(ListedWhy::News, SERVICE, OTHER, 1)),
            (10_000, ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(REAL), Some(1), Some(0))),
        ];
        let state = played(events.into_iter().chain(refused), 25);
        let finding = only(&state, REFUSED);
        (finding.what.clone(), finding.advice[0].clone())
    };
    let (what, advice) = with("sh");
    assert_eq!(
        what,
        "1 new connection refused: the scheduler sh keeps giving these clients a drained server, and no other \
         (drained: 1 of 2)"
    );
    assert_eq!(
        advice,
        "`ipvsadm -E -t 10.9.9.9:80 -s sh -b sh-fallback` lets clients of a drained server have another one"
    );
    assert!(with("mh").1.contains("-s mh -b mh-fallback"));
    assert!(with("dh").1.starts_with("`ipvsadm -E -t 10.9.9.9:80 -s wrr`: dh has no other"));
    assert_eq!(with("rr").0, "1 new connection refused: no real server takes more connections");
}
