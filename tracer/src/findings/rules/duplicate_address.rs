//! Two or more hardware addresses answer for one address.

mod refused;

use std::{collections::BTreeMap, net::IpAddr};

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::{MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    event::{HardwareAddress, Netns, Timestamp},
    findings::{
        About, Affects, Certainty, Finding, Severity,
        behind::{Behind, NextHop, behind},
        own,
        sums::recent_flows,
    },
    state::{Neighbour, NeighbourKey, SAME_QUESTION_NS, Span, Subject},
    words::{counted, exact, microseconds, time_of_day, time_of_day_milliseconds},
};

/// Two or more hardware addresses answer for one address at the same time.
///
/// Signs are two answers within a second to what this node asked once, and unannounced returns: someone spoke again
/// though another had taken the address over two seconds ago or more. An address that is taken over, announced or
/// not, gives neither. Of an address of this node, anyone else who claims it is a sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DuplicateAddress {
    /// Unannounced returns within 20 s that make an address a contested one; at most 16.
    pub returns: u32,
    /// Second answers from which on it is critical, whether flows suffer or not.
    pub critical_answers: u32,
    /// Seconds for which an address has been this node's before a claim of somebody else counts: who had it before may
    /// still be heard.
    pub settle_seconds: u32,
    /// Seconds for which this node keeps its address after somebody else's first claim: who gives way does so at once.
    pub give_way_seconds: u32,
    /// Seconds without a sign after which it is over, unless flows to the address are not answered.
    pub quiet_seconds: u32,
    /// Seconds after the last sign for which unanswered flows to the address are put down to it, until the kernel has
    /// asked anew and got one answer.
    pub remember_seconds: u32,
}

impl Default for DuplicateAddress {
    fn default() -> Self {
        Self {
            returns: 2,
            critical_answers: 3,
            settle_seconds: 3,
            give_way_seconds: 2,
            quiet_seconds: 20,
            remember_seconds: 600,
        }
    }
}

impl Rule for DuplicateAddress {
    const ID: &'static str = "duplicate-address";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let mut all = self.own(view);
        let own: FxHashSet<About> = all.iter().map(|finding| finding.about.clone()).collect();
        all.extend(self.others(view).into_iter().filter(|finding| !own.contains(&finding.about)));
        all.sort_by(|one, other| {
            let order = |finding: &Finding| (!finding.is_open, finding.severity, finding.about.clone());
            order(one).cmp(&order(other))
        });
        let count = all.len();
        found.extend(all.into_iter().take(MOST_OF_A_RULE));
        let who = ("addresses", "that several hardware addresses answer for");
        tell_left_out(found, Self::ID, count, Severity::Warning, who);
    }
}

/// Signs about one neighbour.
struct Signs<'a> {
    key: &'a NeighbourKey,
    neighbour: &'a Neighbour,
    span: Span,
    /// Returns that count; none unless there are enough.
    returns: usize,
}

impl DuplicateAddress {
    /// Addresses of others.
    fn others(&self, view: &View<'_>) -> Vec<Finding> {
        let signs: Vec<Signs<'_>> = view
            .state
            .neighbours
            .iter()
            .filter(|(_, neighbour)| neighbour.contest.has_signs())
            .filter_map(|(key, neighbour)| self.signs(key, neighbour))
            .filter(|signs| view.is_within(signs.span.last, self.remember_seconds))
            .collect();
        let wanted: FxHashSet<NextHop> =
            signs.iter().map(|signs| (signs.key.netns, signs.key.address)).collect();
        let mut suffering = behind(view, &wanted);
        signs
            .iter()
            .map(|signs| {
                let behind = suffering.remove(&(signs.key.netns, signs.key.address)).unwrap_or_default();
                self.finding(view, signs, behind)
            })
            .collect()
    }

    fn signs<'a>(&self, key: &'a NeighbourKey, neighbour: &'a Neighbour) -> Option<Signs<'a>> {
        const WITHIN_NS: u64 = 20_000_000_000;
        let contest = &neighbour.contest;
        let mut span = None;
        if let (Some(first), Some(last)) = (contest.double_answers.front(), contest.double_answers.back()) {
            span = Some(Span { first: first.time, last: last.time });
        }
        let last_return = contest.returns.back().map(|last| last.time);
        let near = |time: Timestamp| {
            last_return.is_some_and(|last| last.boot_ns.saturating_sub(time.boot_ns) <= WITHIN_NS)
        };
        let near: Vec<Timestamp> =
            contest.returns.iter().map(|sign| sign.time).filter(|&time| near(time)).collect();
        let returns = if near.len() >= self.returns.min(16) as usize { near.len() } else { 0 };
        if let (Some(&first), Some(&last), true) = (near.first(), near.last(), returns > 0) {
            let turns = Span { first, last };
            span = Some(span.map_or(turns, |span| span.union(turns)));
        }
        Some(Signs { key, neighbour, span: span?, returns })
    }

    /// Whether the kernel asked everyone after the last sign, and one answered: then the others are gone. Or somebody told
    /// it whom to keep.
    fn is_mended(view: &View<'_>, signs: &Signs<'_>) -> bool {
        const SLACK_NS: u64 = 500_000_000;
        let is_alone = |learned: Timestamp| {
            learned > signs.span.last
                && view.now().boot_ns.saturating_sub(learned.boot_ns) > SAME_QUESTION_NS + SLACK_NS
        };
        let Neighbour { learned, set, .. } = signs.neighbour;
        [*learned, *set].into_iter().flatten().any(is_alone)
    }

    /// Whether flows that wait show that it goes on. Once the address has moved without another sign, as after a ping of
    /// its owner, those that wait for their next attempt tell of the time before.
    fn is_felt(signs: &Signs<'_>, behind: &Behind) -> bool {
        let moved = signs.neighbour.contest.moves.back();
        behind.unanswered > 0 && moved.is_none_or(|moved| moved.time <= signs.span.last)
    }

    fn finding(&self, view: &View<'_>, signs: &Signs<'_>, behind: Behind) -> Finding {
        let Signs { key, neighbour, span, returns } = signs;
        let contest = &neighbour.contest;
        let is_recent = view.is_within(span.last, self.quiet_seconds);
        let is_open = !Self::is_mended(view, signs) && (is_recent || Self::is_felt(signs, &behind));
        let is_severe = behind.unanswered > 0 || contest.all_double_answers >= self.critical_answers;
        let severity = if is_open && is_severe { Severity::Critical } else { Severity::Warning };
        let others = others(neighbour);
        let mut evidence = answers_evidence(view, key, neighbour);
        if *returns > 0 {
            evidence.extend(contest.returns.back().map(|last| {
                format!(
                    "{} spoke again at {} though {} had taken over, without announcing it: {} times",
                    own::hardware_words(view.state, key.netns, last.hardware_address),
                    time_of_day_milliseconds(last.time),
                    own::hardware_words(view.state, key.netns, last.instead_of),
                    exact(*returns as u64),
                )
            }));
        }
        evidence.extend(behind.evidence());
        evidence.extend(heard_evidence(view, key, neighbour));
        let rivals: Vec<HardwareAddress> = neighbour.kept.into_iter().chain(others.iter().copied()).collect();
        Finding {
            certainty: if is_recent { Certainty::Certain } else { Certainty::Likely },
            subject: Some(Subject::Neighbour(**key)),
            evidence,
            affects: behind.affects,
            advice: advice(view, key, neighbour.device.as_str(), &others),
            span: Some(*span),
            is_open,
            ..Finding::new(
                Self::ID,
                About::Subject(Subject::Neighbour(**key)),
                severity,
                format!("{} on {}", key.address, neighbour.device),
                what(neighbour, &rivals, &others, span.first),
            )
        }
    }
}

/// Those whom the kernel does not keep, in the order of their signs.
fn others(neighbour: &Neighbour) -> Vec<HardwareAddress> {
    let contest = &neighbour.contest;
    let answers = contest.double_answers.iter().rev().flat_map(|sign| [sign.second, sign.first]);
    let returns = contest.returns.iter().rev().flat_map(|sign| [sign.hardware_address, sign.instead_of]);
    let mut others = Vec::new();
    for one in answers.chain(returns) {
        if Some(one) != neighbour.kept && !others.contains(&one) {
            others.push(one);
        }
    }
    others
}

fn what(
    neighbour: &Neighbour,
    rivals: &[HardwareAddress],
    others: &[HardwareAddress],
    began: Timestamp,
) -> String {
    const NAMED: usize = 3;
    let kept = match (neighbour.kept, neighbour.kept_since) {
        (Some(kept), Some(since)) => format!("the kernel keeps {kept} since {}", time_of_day(since)),
        (Some(kept), None) => format!("the kernel keeps {kept}"),
        (None, _) => "the kernel holds none now".to_owned(),
    };
    let mut named: Vec<String> = others.iter().take(NAMED).map(ToString::to_string).collect();
    if let Some(more) = others.len().checked_sub(NAMED).filter(|&more| more > 0) {
        named.push(format!("{more} more"));
    }
    // Which of them is the wrong one is not known: who was kept first may be, and is to be found in what is over too.
    let is_later = |since: Timestamp| since.boot_ns > began.boot_ns + SAME_QUESTION_NS;
    if let ([before], Some(_), true) = (others, neighbour.kept, neighbour.kept_since.is_some_and(is_later)) {
        return format!("{} MACs answer for it: {kept}, {before} before", rivals.len());
    }
    let also = if neighbour.kept.is_some() { "not" } else { "heard" };
    format!("{} MACs answer for it: {kept}, {also} {}", rivals.len(), named.join(", "))
}

fn answers_evidence(view: &View<'_>, key: &NeighbourKey, neighbour: &Neighbour) -> Vec<String> {
    let contest = &neighbour.contest;
    let Some(last) = contest.double_answers.back() else { return Vec::new() };
    let became = if last.is_taken { "took it in its place" } else { "ignored it" };
    let words = |hardware| own::hardware_words(view.state, key.netns, hardware);
    vec![format!(
        "asked once, {} answered {} after {}, and the kernel {became} at {}; {} in all",
        words(last.second),
        microseconds(last.apart_ns / 1_000),
        words(last.first),
        time_of_day_milliseconds(last.time),
        counted(u64::from(contest.all_double_answers), "second answer"),
    )]
}

/// Everyone who was heard.
fn heard_evidence(view: &View<'_>, key: &NeighbourKey, neighbour: &Neighbour) -> Vec<String> {
    neighbour
        .answerers
        .iter()
        .map(|answerer| {
            let counts = [
                (answerer.taken, "taken or confirmed"),
                (answerer.ignored, "ignored"),
                (answerer.claims, "claimed"),
            ];
            let counts: Vec<String> = counts
                .into_iter()
                .filter(|&(count, _)| count > 0)
                .map(|(count, name)| format!("{name} {}", exact(u64::from(count))))
                .collect();
            let words = own::hardware_words(view.state, key.netns, answerer.hardware_address);
            let counts = if counts.is_empty() { "held before".to_owned() } else { counts.join(", ") };
            format!("{words}: {counts}, last heard {}", time_of_day(answerer.last))
        })
        .collect()
}

/// How to mend it and see that it is.
fn advice(view: &View<'_>, key: &NeighbourKey, device: &str, wrong: &[HardwareAddress]) -> Vec<String> {
    let NeighbourKey { netns, address, .. } = *key;
    let ip = ip_command(view, netns);
    let macs: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let ask = match address {
        IpAddr::V4(_) => format!("arping -c 3 -I {device} {address}"),
        IpAddr::V6(_) => format!("ndisc6 -m {address} {device}"),
    };
    let mut advice = vec![format!(
        "find the hosts with these MACs ({}, and the one kept, if that is wrong; `bridge fdb show` or the switch says by \
         which port) and take {address} away from those that should not have it",
        macs.join(", ")
    )];
    advice.extend(off_the_wire_advice(address));
    advice.push(format!("then forget the wrong one here: `{ip} neigh del {address} dev {device}`"));
    advice
        .push(format!("confirm: `{ask}` has answers of one MAC only, `{ip} neigh show {address}` shows it"));
    advice
}

/// What to do where an address is the node's own: it has no entry for it, the others have.
fn own_advice(key: &NeighbourKey, device: &str, wrong: &[HardwareAddress]) -> Vec<String> {
    let address = key.address;
    let macs: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let find = if macs.is_empty() {
        "find the other host that has it (`ndisc6 -m` from a third one names its MAC)".to_owned()
    } else {
        format!(
            "find the host with this MAC ({}; `bridge fdb show` or the switch says by which port)",
            macs.join(", ")
        )
    };
    let mut advice = vec![format!("{find} and take {address} away from whichever should not have it")];
    advice.extend(off_the_wire_advice(address));
    advice.extend(address.is_ipv4().then(|| {
        format!(
            "then have the others learn anew: `arping -U -c 3 -I {device} {address}` here; confirm: \
             `arping -D -c 3 -I {device} {address}` has no answer"
        )
    }));
    advice
}

/// Where those that answer may have it.
fn off_the_wire_advice(address: IpAddr) -> Option<String> {
    address.is_ipv4().then(|| {
        format!(
            "on a Kubernetes node among them, {address} is on kube-ipvs0 or lo and another device answers for it: set \
             net.ipv4.conf.all.arp_ignore=1 and net.ipv4.conf.all.arp_announce=2 there (kube-proxy: ipvs.strictARP)"
        )
    })
}

/// `ip`, for a namespace.
fn ip_command(view: &View<'_>, netns: Netns) -> String {
    let known = view.state.names.namespace(netns, view.now());
    match known.filter(|known| !known.is_of_node).and_then(|known| known.name.as_ref()) {
        Some(name) => format!("ip -n {name}"),
        None => "ip".to_owned(),
    }
}

impl DuplicateAddress {
    /// Addresses of this node that somebody else claims.
    fn own(&self, view: &View<'_>) -> Vec<Finding> {
        let state = view.state;
        let mut found = BTreeMap::new();
        for (netns, interface_index, address) in own::addresses(state) {
            let key = NeighbourKey { netns, interface_index, address: address.address };
            if refused::is_refused(address) {
                found.insert(key, refused::finding(view, &key, address));
                continue;
            }
            let Some((key, neighbour)) = state.neighbours.entry(&key) else { continue };
            let claimants = self.claimants(view, key, neighbour);
            if let Some(finding) = Self::own_finding(view, key, neighbour, &claimants) {
                found.insert(*key, finding);
            }
        }
        found.into_values().collect()
    }

    /// Who claims an address of this node, from when to when, though this node keeps it.
    fn claimants(
        &self,
        view: &View<'_>,
        key: &NeighbourKey,
        neighbour: &Neighbour,
    ) -> Vec<(HardwareAddress, Span)> {
        const SECOND_NS: u64 = 1_000_000_000;
        if neighbour.answerers.is_empty() || own::link(view.state, key.netns, key.interface_index).is_none() {
            return Vec::new();
        }
        let settled = view.state.routes.settled.get(&(key.netns, key.address));
        let counts_from =
            settled.map_or(0, |settled| settled.boot_ns + u64::from(self.settle_seconds) * SECOND_NS);
        let gives_way_ns = u64::from(self.give_way_seconds) * SECOND_NS;
        let spoken = neighbour.answerers.iter().filter_map(|answerer| {
            let (first, last) = (answerer.spoken.since?, answerer.spoken.last?);
            let from = first.boot_ns.max(counts_from);
            let counts = last.boot_ns >= counts_from && view.now().boot_ns >= from + gives_way_ns;
            counts.then_some((answerer.hardware_address, Span { first, last }))
        });
        spoken
            .filter(|(_, span)| view.is_within(span.last, self.quiet_seconds))
            .filter(|&(hardware, _)| !own::is_own(view.state, key.netns, hardware))
            .collect()
    }

    fn own_finding(
        view: &View<'_>,
        key: &NeighbourKey,
        neighbour: &Neighbour,
        claimants: &[(HardwareAddress, Span)],
    ) -> Option<Finding> {
        let state = view.state;
        let span = claimants.iter().map(|&(_, span)| span).reduce(Span::union)?;
        let wrong: Vec<HardwareAddress> = claimants.iter().map(|&(hardware, _)| hardware).collect();
        let names: Vec<String> =
            wrong.iter().map(|&hardware| own::hardware_words(state, key.netns, hardware)).collect();
        let from_here: Vec<_> = recent_flows(state)
            .filter(|(flow, _)| flow.netns == key.netns && flow.endpoints.source.ip() == key.address)
            .collect();
        let unanswered =
            from_here.iter().filter(|(_, flow)| flow.outage_at(view.now()).is_some()).count() as u64;
        let own_address =
            own::link(state, key.netns, key.interface_index).and_then(|link| link.hardware_address);
        let mut evidence = vec![match own_address {
            Some(own_address) => {
                format!("{} is this node's, on {} ({own_address})", key.address, neighbour.device)
            }
            None => format!("{} is this node's, on {}", key.address, neighbour.device),
        }];
        evidence.extend(heard_evidence(view, key, neighbour));
        if unanswered > 0 {
            evidence.push(format!("{} from it not answered", counted(unanswered, "flow")));
        }
        Some(Finding {
            subject: Some(Subject::Neighbour(*key)),
            evidence,
            affects: Affects::of_flows(state, from_here),
            advice: own_advice(key, neighbour.device.as_str(), &wrong),
            span: Some(span),
            ..Finding::new(
                Self::ID,
                About::Subject(Subject::Neighbour(*key)),
                if unanswered > 0 { Severity::Critical } else { Severity::Warning },
                format!("{} on {}", key.address, neighbour.device),
                format!("this node's address is claimed by {} too", names.join(" and ")),
            )
        })
    }
}

#[cfg(test)]
mod mended;
#[cfg(test)]
mod tests;
