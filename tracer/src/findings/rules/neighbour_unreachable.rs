//! A next hop does not answer while flows behind it are resent.

use std::cell::LazyCell;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::{MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    event::{NeighbourState, Timestamp},
    findings::{
        About, Finding, Severity,
        behind::{Behind, NextHop, behind},
        gone,
    },
    state::{Neighbour, NeighbourKey, Span, Subject},
    words::{counted, exact, time_of_day},
};

/// A next hop does not answer while flows behind it are resent.
///
/// One failure is enough for a gateway. Of an address in this node's own network it takes several: a pod that was
/// removed, or an address nobody has, leaves a flow or two that soon give up. Where many addresses that never answered
/// fail together, somebody goes through them all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NeighbourUnreachable {
    /// Failures of a gateway from which on it is one; at most 16.
    pub gateway_failures: u32,
    /// Failures, three seconds each, of an address in the own network.
    pub peer_failures: u32,
    /// Seconds within which they have to be.
    pub window_seconds: u32,
    /// Addresses of a namespace that never answered and fail at once, from which on they are not told one by one.
    pub scanned: u32,
    /// Seconds for which flows behind it have to have been resent at most ago.
    pub resent_seconds: u32,
    /// Seconds without an answer to any flow behind a gateway, after that asked for this node itself, from which on it is
    /// taken to hear nothing.
    pub deaf_seconds: u32,
    /// Seconds without a failure after which it is over, unless flows behind it are not answered.
    pub quiet_seconds: u32,
}

impl Default for NeighbourUnreachable {
    fn default() -> Self {
        Self {
            gateway_failures: 1,
            peer_failures: 3,
            window_seconds: 30,
            scanned: 8,
            resent_seconds: 10,
            deaf_seconds: 2,
            quiet_seconds: 20,
        }
    }
}

impl Rule for NeighbourUnreachable {
    const ID: &'static str = "neighbour-unreachable";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let failing: Vec<_> =
            view.state.neighbours.iter().filter(|(_, neighbour)| self.is_failing(view, neighbour)).collect();
        let wanted: FxHashSet<NextHop> = failing.iter().map(|(key, _)| (key.netns, key.address)).collect();
        let mut behind = behind(view, &wanted);
        let gone = LazyCell::new(|| gone::addresses(view.state));
        let mut silent: Vec<_> = failing
            .iter()
            .filter_map(|&(key, neighbour)| {
                let behind = behind.remove(&(key.netns, key.address))?;
                let is_scanned = || {
                    let never = failing
                        .iter()
                        .filter(|(other, neighbour)| other.netns == key.netns && !neighbour.was_valid);
                    !neighbour.was_valid && never.count() >= self.scanned as usize
                };
                let is_meant = || behind.by_way > 0 || !(is_scanned() || gone.contains(&key.address));
                (self.is_one(view, (key, neighbour), &behind) && is_meant())
                    .then_some((key, neighbour, behind))
            })
            .collect();
        silent.sort_unstable_by_key(|(key, _, behind)| (std::cmp::Reverse(behind.flows), **key));
        let all = silent.len();
        found.extend(
            silent
                .into_iter()
                .take(MOST_OF_A_RULE)
                .map(|(key, neighbour, behind)| finding(key, neighbour, behind)),
        );
        tell_left_out(found, Self::ID, all, Severity::Critical, ("next hops", "that do not answer"));
    }
}

impl NeighbourUnreachable {
    /// Whether the kernel asked in vain lately, and still holds nothing that it was answered. One that asks for this node,
    /// and by that is known again, may hear nothing itself.
    fn is_failing(&self, view: &View<'_>, neighbour: &Neighbour) -> bool {
        !neighbour.state.is_some_and(NeighbourState::is_connected)
            && neighbour
                .failures
                .back()
                .is_some_and(|&last| view.is_within(last, self.quiet_seconds.max(self.window_seconds)))
    }

    fn is_one(
        &self,
        view: &View<'_>,
        (key, neighbour): (&NeighbourKey, &Neighbour),
        behind: &Behind,
    ) -> bool {
        let flows_wait = behind.last.is_some_and(|last| view.is_within(last, self.resent_seconds));
        let is_recent =
            neighbour.failures.back().is_some_and(|&last| view.is_within(last, self.quiet_seconds));
        let is_kept = neighbour.kept.is_some();
        if view.was_open(Self::ID, &About::Subject(Subject::Neighbour(*key))) {
            return if is_kept { is_recent && flows_wait } else { is_recent || behind.unanswered > 0 };
        }
        if is_kept {
            return is_recent && self.is_deaf(neighbour, behind);
        }
        // One that answered meanwhile was away twice, and each time for a shorter while.
        let counts = |time: Timestamp| {
            view.is_within(time, self.window_seconds)
                && neighbour.learned.is_none_or(|learned| time > learned)
        };
        let failures = neighbour.failures.iter().filter(|&&time| counts(time)).count();
        let enough = if behind.by_way > 0 { self.gateway_failures } else { self.peer_failures };
        is_recent && flows_wait && failures >= enough as usize
    }

    /// Whether a gateway that was asked in vain, and is known again by its own question alone, hears nothing: whatever goes
    /// by way of it is resent since then as before.
    fn is_deaf(&self, neighbour: &Neighbour, behind: &Behind) -> bool {
        let deaf_ns = u64::from(self.deaf_seconds) * 1_000_000_000;
        let goes_on = neighbour
            .kept_since
            .zip(behind.last)
            .is_some_and(|(since, last)| last.boot_ns >= since.boot_ns.saturating_add(deaf_ns));
        let is_answered = behind.unanswered < behind.flows;
        behind.by_way > 0
            && goes_on
            && !is_answered
            && neighbour.failures.len() >= self.gateway_failures as usize
    }
}

fn finding(key: &NeighbourKey, neighbour: &Neighbour, behind: Behind) -> Finding {
    let (address, device) = (key.address, &neighbour.device);
    let is_gateway = behind.by_way > 0;
    let failures: Vec<Timestamp> = neighbour.failures.iter().copied().collect();
    let span = failures.first().zip(failures.last()).map(|(&first, &last)| Span { first, last });
    let mut evidence = Vec::new();
    if let Some(Span { first, last }) = span {
        let times = counted(failures.len() as u64, "time");
        evidence.push(format!(
            "the kernel asked for {address} on {device} in vain, {times} from {} to {}",
            time_of_day(first),
            time_of_day(last)
        ));
    }
    evidence.extend(behind.evidence());
    evidence.push(match neighbour.answerers.iter().max_by_key(|answerer| answerer.last) {
        Some(last) => {
            format!("{} answered before, last at {}", last.hardware_address, time_of_day(last.last))
        }
        None => "nobody ever answered for it".to_owned(),
    });
    let role = if is_gateway { "the gateway" } else { "the neighbour" };
    let flows = counted(behind.flows, "flow");
    let verb = if behind.flows == 1 { "resends" } else { "resend" };
    let ask = match address {
        std::net::IpAddr::V4(_) => format!("arping -c 3 -I {device} {address}"),
        std::net::IpAddr::V6(_) => format!("ndisc6 {address} {device}"),
    };
    Finding {
        subject: Some(Subject::Neighbour(*key)),
        evidence,
        affects: behind.affects,
        advice: vec![
            format!(
                "see whether {address} is up and in the network of {device} (cable, VLAN, bridge port, firewall at layer 2): \
                 `ip -statistics link show dev {device}`, `bridge fdb show`"
            ),
            format!("if it is gone for good, take it out of what points there: `ip route get {address}`"),
            format!("confirm: `{ask}` is answered, `ip neigh show {address} dev {device}` shows a MAC"),
        ],
        span,
        ..Finding::new(
            NeighbourUnreachable::ID,
            About::Subject(Subject::Neighbour(*key)),
            if is_gateway { Severity::Critical } else { Severity::Warning },
            format!("{address} on {device}"),
            format!(
                "{role} does not answer: asked {} times in vain, {flows} behind it {verb}",
                exact(failures.len() as u64)
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::NeighbourUnreachable;
    use crate::{
        event::{Body, RetransmitKind, Verdict},
        findings::{Severity, rules::Rule},
        state::fixture::{
            mac, retransmit,
            wire::{by_way_of, failed, looking, open, proposed, told},
        },
    };

    const ID: &str = NeighbourUnreachable::ID;

    fn resent(kind: RetransmitKind, to: &str, times: &[u64]) -> Vec<(u64, Body)> {
        let flow = if to.starts_with('[') { "[fd00::1]:40000" } else { "10.0.0.1:40000" };
        times.iter().map(|&time| (time, Body::Retransmit(retransmit(kind, flow, to)))).collect()
    }

    #[test]
    fn a_gateway_that_fails_once_is_one_until_it_answers() {
        for (gateway, source, peer) in [
            ("10.0.0.254", "10.0.0.1:40000", "10.9.0.1:443"),
            ("fd00::fe", "[fd00::1]:40000", "[fd09::1]:443"),
        ] {
            let mut events =
                resent(RetransmitKind::Timeout, peer, &[5_000, 5_400, 6_200, 7_800, 11_000, 17_000]);
            events.push((1_000, proposed(gateway, Verdict::Learned, (mac(9), None), true)));
            events.push((5_100, by_way_of(gateway, source, peer)));
            events.push((8_500, failed(gateway)));
            events.push((14_000, failed(gateway)));
            let state = looking(events.clone(), 18_000);
            let finding = open(&state, ID).unwrap();
            assert_eq!(finding.severity, Severity::Critical);
            assert_eq!(finding.who, format!("{gateway} on eth0"));
            assert_eq!(
                finding.what,
                "the gateway does not answer: asked 2 times in vain, 1 flow behind it resends"
            );
            assert_eq!((finding.affects.flows, finding.affects.retransmits), (1, 6));
            assert!(
                finding.evidence[0].starts_with(&format!("the kernel asked for {gateway} on eth0 in vain"))
            );
            assert!(
                finding.evidence.iter().any(|line| line.starts_with("02:42:ac:11:00:09 answered before"))
            );
            events.push((20_500, proposed(gateway, Verdict::Learned, (mac(9), None), true)));
            // It stays for the outage that it explains, which nothing tells the end of.
            assert_eq!(told(&looking(events, 40_000), ID), [(9_000, "open"), (32_000, "closed")]);
        }
    }

    #[test]
    fn a_gateway_that_asks_for_this_node_but_hears_nothing_is_still_one() {
        let peer = "10.9.0.1:443";
        let mut events =
            resent(RetransmitKind::Timeout, peer, &[7_600, 8_000, 8_800, 10_400, 13_600, 20_000]);
        events.push((1_000, proposed("10.0.0.254", Verdict::Learned, (mac(9), None), true)));
        events.push((7_700, by_way_of("10.0.0.254", "10.0.0.1:40000", peer)));
        events.push((8_500, failed("10.0.0.254")));
        for (answered, closed) in [(false, 35_000), (true, 11_000)] {
            let mut events = events.clone();
            events.push((10_500, proposed("10.0.0.254", Verdict::Learned, (mac(9), None), answered)));
            events.sort_by_key(|(time, _)| *time);
            let told = told(&looking(events, 40_000), ID);
            assert_eq!(told[..2], [(9_000, "open"), (closed, "closed")], "answered: {answered}");
        }
    }

    #[test]
    fn a_gateway_that_asks_before_it_was_found_silent_is_one_if_nothing_is_answered_still() {
        let peer = "10.9.0.1:443";
        let asks = |flows: Vec<(u64, Body)>| {
            let mut events = flows;
            events.push((1_000, proposed("10.0.0.254", Verdict::Learned, (mac(9), None), true)));
            events.push((7_700, by_way_of("10.0.0.254", "10.0.0.1:40000", peer)));
            events.push((8_500, failed("10.0.0.254")));
            events.push((8_600, proposed("10.0.0.254", Verdict::Learned, (mac(9), None), false)));
            events.sort_by_key(|(time, _)| *time);
            told(&looking(events, 30_000), ID)
        };
        let goes_on = resent(RetransmitKind::Timeout, peer, &[7_600, 8_000, 8_800, 10_400, 13_600, 20_000]);
        assert_eq!(asks(goes_on).first(), Some(&(14_000, "open")));
        // What was resent before it was back is answered now, or not yet resent.
        assert_eq!(asks(resent(RetransmitKind::Timeout, peer, &[7_600, 8_000, 8_800])), []);
    }

    #[test]
    fn a_peer_that_callers_keep_trying_is_one() {
        let mut events = resent(RetransmitKind::Syn, "10.0.0.9:80", &[1_000, 4_500, 7_000, 10_500]);
        events.extend([3_000, 6_200, 9_400, 12_600].map(|time| (time, failed("10.0.0.9"))));
        let state = looking(events, 60_000);
        assert_eq!(told(&state, ID), [(10_000, "open"), (31_000, "closed")]);
    }

    #[test]
    fn what_no_flow_waits_for_or_few_tried_once_is_none() {
        let nobody = [3_000, 6_200, 9_400].map(|time| (time, failed("10.0.0.9"))).to_vec();
        let mut removed = resent(RetransmitKind::Timeout, "10.0.0.9:80", &[5_000, 5_400, 6_200, 7_800]);
        removed.push((1_000, proposed("10.0.0.9", Verdict::Learned, (mac(9), None), true)));
        removed.push((8_000, failed("10.0.0.9")));
        let mut scan = Vec::new();
        for host in 10..60_u64 {
            let address = format!("10.0.0.{host}");
            for port in [22, 80, 443, 8_080] {
                let begin = 1_000 + host * 20 + port;
                scan.extend(resent(RetransmitKind::Syn, &format!("{address}:{port}"), &[begin + 1_000]));
            }
            scan.extend([4_000, 7_200, 10_400, 13_600].map(|time| (time + host * 20, failed(&address))));
        }
        for (name, events) in [("nobody", nobody), ("removed", removed), ("scan", scan)] {
            assert_eq!(told(&looking(events, 40_000), ID), [], "{name}");
        }
    }
}
