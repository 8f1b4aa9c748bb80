//! Packets that go round or die on their way, and peers packets do not go to.

use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{About, Finding, MOST_OF_A_RULE, Severity, sums::Peers, tell_left_out};
use crate::{
    event::{IcmpClass, LookupResult, Netns, RouteType},
    state::{FlowKey, IcmpKey, IcmpSubject, Loop, NetworkKey, Reached, Span, State, Subject},
    words::{describe::flow_name, exact},
};

const LOOP: &str = "routing-loop";
const ICMP_SENT: &str = "icmp-errors-sent";
const ICMP_RECEIVED: &str = "icmp-errors-received";
const ASTRAY: &str = "reply-misrouted";

/// ICMP errors about one address that are worth a look.
const SEVERAL: u64 = 3;

/// One fact an address.
pub(super) fn collect(state: &State, peers: &Peers, facts: &mut Vec<Finding>) {
    let round = loops(state, facts);
    icmp(state, &round, facts);
    astray(state, peers, facts);
}

/// Gives back where the packets were to go.
fn loops(state: &State, facts: &mut Vec<Finding>) -> FxHashSet<IpAddr> {
    let mut by_destination: FxHashMap<(Netns, IpAddr), Vec<(&FlowKey, &Loop)>> = FxHashMap::default();
    for (key, found) in state.path.loops.iter() {
        let place = (key.netns, key.endpoints.destination.ip());
        by_destination.entry(place).or_default().push((key, found));
    }
    let mut sorted: Vec<_> = by_destination.into_iter().collect();
    sorted.sort_unstable_by_key(|(place, flows)| (std::cmp::Reverse(flows.len()), *place));
    let all = sorted.len();
    let destinations = sorted.iter().map(|((_, destination), _)| *destination).collect();
    facts.extend(sorted.iter().take(MOST_OF_A_RULE).filter_map(|((netns, destination), flows)| {
        let (key, worst) = flows.iter().max_by_key(|(key, found)| (found.most_times, *key))?;
        let span =
            flows.iter().map(|(_, found)| Span { first: found.first, last: found.last }).reduce(Span::union);
        let (who, subject) = match flows.len() {
            1 => (flow_name(&key.endpoints), Subject::Flow(**key)),
            several => (
                format!("{} flows → {destination}", exact(several as u64)),
                Subject::Network(NetworkKey::host(*netns, *destination)),
            ),
        };
        Some(Finding {
            id: LOOP,
            about: About::Subject(Subject::Network(NetworkKey::host(*netns, *destination))),
            severity: Severity::Critical,
            subject: Some(subject),
            who,
            what: format!(
                "going round: seen {} times · TTL −{} each time · by {}",
                worst.most_times, worst.step, worst.device
            ),
            span,
        })
    }));
    tell_left_out(facts, LOOP, all, Severity::Critical, ("addresses", "that packets go round for"));
    destinations
}

/// Packets that died of TTL, but for those that are known to go round, and addresses that are not reached.
fn icmp(state: &State, round: &FxHashSet<IpAddr>, facts: &mut Vec<Finding>) {
    let counted = |subject: &IcmpSubject| {
        [IcmpClass::TimeExceeded, IcmpClass::Unreachable]
            .into_iter()
            .map(|class| subject.counts[class as usize])
            .sum::<u64>()
    };
    let is_told = |key: &IcmpKey| key.destination.is_some_and(|destination| !round.contains(&destination));
    let mut subjects: Vec<_> = state
        .path
        .icmp
        .iter()
        .filter(|&(key, subject)| is_told(key) && counted(subject) >= SEVERAL)
        .collect();
    subjects.sort_unstable_by_key(|&(key, subject)| {
        (std::cmp::Reverse(counted(subject)), key.netns, key.is_sent, key.destination)
    });
    let all = subjects.len();
    facts.extend(subjects.into_iter().take(MOST_OF_A_RULE).filter_map(|(key, subject)| {
        let direction = if key.is_sent { "sent by this node" } else { "received" };
        let sender = subject.sender.map(|sender| format!(" from {sender}")).unwrap_or_default();
        let about = Subject::Network(NetworkKey::host(key.netns, key.destination?));
        Some(Finding {
            id: if key.is_sent { ICMP_SENT } else { ICMP_RECEIVED },
            about: About::Subject(about),
            severity: Severity::Warning,
            subject: Some(about),
            who: format!("packets to {}", key.destination?),
            what: format!("ICMP {} · {} {direction}{sender}", subject.meaning, exact(counted(subject))),
            span: Some(Span { first: subject.first, last: subject.last }),
        })
    }));
    tell_left_out(facts, ICMP_RECEIVED, all, Severity::Warning, ("addresses", "that ICMP errors are about"));
}

/// Peers of retransmitting flows that the routing does not send to.
fn astray(state: &State, resent_to: &Peers, facts: &mut Vec<Finding>) {
    let peers = state.routes.peers.iter().filter(|(_, reached)| reached.result.is_astray());
    let peers: FxHashMap<(Netns, IpAddr), &Reached> =
        peers.map(|(key, reached)| ((key.netns, key.peer), reached)).collect();
    if peers.is_empty() {
        return;
    }
    let mut astray: FxHashMap<(Netns, IpAddr), u64> = FxHashMap::default();
    for (&(netns, peer), sums) in resent_to.iter().filter(|((_, peer), _)| !peer.is_loopback()) {
        let Some(reached) = peers.get(&(netns, peer)) else { continue };
        // What this node dials may be an address of its own, as a service's is.
        let is_own = reached.result == LookupResult::Route(RouteType::LOCAL);
        let flows = if is_own { sums.dialled_by_peer } else { sums.flows };
        if flows > 0 {
            astray.insert((netns, peer), u64::from(flows));
        }
    }
    let mut sorted: Vec<_> = astray.into_iter().collect();
    sorted.sort_unstable_by_key(|&(place, flows)| (std::cmp::Reverse(flows), place));
    let all = sorted.len();
    facts.extend(sorted.into_iter().take(MOST_OF_A_RULE).filter_map(|((netns, peer), flows)| {
        let reached = peers.get(&(netns, peer))?;
        let plural = if flows == 1 { "" } else { "s" };
        let subject = Subject::Network(NetworkKey::host(netns, peer));
        Some(Finding {
            id: ASTRAY,
            about: About::Subject(subject),
            severity: Severity::Critical,
            subject: Some(subject),
            who: format!("way to {peer}"),
            what: format!("{} · {} flow{plural} resend to it", way(reached), exact(flows)),
            span: reached.changed.map(|first| Span { first, last: reached.time }),
        })
    }));
    tell_left_out(facts, ASTRAY, all, Severity::Critical, ("peers", "that packets are not sent to"));
}

fn way(reached: &Reached) -> String {
    let device = reached.device.as_ref().map(|device| format!(" by {device}")).unwrap_or_default();
    let error = reached.result.error().map(|error| format!(": {error}")).unwrap_or_default();
    format!("route is {}{device}{error}", reached.result.name())
}
