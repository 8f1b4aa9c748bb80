//! What goes back to a peer does not go to it: by the routes it is this node's own, or nobody's.

mod way;
mod words;

use std::{
    cell::LazyCell,
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use self::way::{Astray, End, Way};
use super::{MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    event::Netns,
    findings::{
        About, Affects, Certainty, Finding, Severity, gone,
        silence::{self, Silence, Silent, Waits},
        sums::PeerKey,
    },
    state::{FlowKey, NetworkKey, Span, State, Subject},
};

/// What goes back to a peer does not go to it: by the routes it is this node's own, or nobody's.
///
/// The kernel is asked how it would send to the peers of flows that are resent, and so are the namespaces of this node
/// that forward for the sender: what a pod replies, its node may route wrongly. What a node dials may be an address of
/// its own, as a service's is; so an answer of `local` counts only for a peer that dialled, or that was reached
/// otherwise before. Where both ends are on this node, the end that waits shows it as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReplyMisrouted {
    /// Flows whose reply was sent again at least once, or attempts of one.
    pub attempts: u32,
    /// Milliseconds without an answer from which on a connection counts.
    pub silent_ms: u64,
    /// Seconds without a sign after which it is over.
    pub quiet_seconds: u32,
}

impl Default for ReplyMisrouted {
    fn default() -> Self {
        Self { attempts: 2, silent_ms: 2_500, quiet_seconds: 14 }
    }
}

/// What shows that a peer is not replied to.
struct Case<'a> {
    astray: Astray<'a>,
    /// The peer.
    peer: IpAddr,
    /// The namespace that replies.
    netns: Netns,
    /// Flows of that one whose reply gets no answer.
    replies: Vec<Silent<'a>>,
    /// Flows of the peer itself, in a namespace of this node, that wait for the reply.
    waiting: Vec<Silent<'a>>,
}

impl Rule for ReplyMisrouted {
    const ID: &'static str = "reply-misrouted";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let gone = LazyCell::new(|| gone::addresses(view.state));
        let is_gone = |peer: IpAddr| gone.contains(&peer);
        let way = Way { state: view.state, home: None, is_dialler: false, is_gone: &is_gone };
        let mut cases: BTreeMap<PeerKey, Case<'_>> = BTreeMap::new();
        for case in self.replying(view, way).into_iter().chain(self.waiting(view, way)) {
            match cases.entry((case.astray.netns, case.peer)) {
                Entry::Vacant(entry) => drop(entry.insert(case)),
                Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    known.replies.extend(case.replies);
                    known.waiting.extend(case.waiting);
                }
            }
        }
        let mut cases: Vec<Case<'_>> = cases.into_values().collect();
        cases.sort_by_key(|case| {
            (std::cmp::Reverse(case.replies.len() + case.waiting.len()), case.astray.netns, case.peer)
        });
        let all = cases.len();
        found.extend(cases.iter().take(MOST_OF_A_RULE).filter_map(|case| tell(view, case)));
        tell_left_out(found, Self::ID, all, Severity::Critical, ("peers", "that replies do not go to"));
    }
}

impl ReplyMisrouted {
    /// Whom what is resent does not go to.
    fn replying<'a>(&self, view: &View<'a>, way: Way<'a>) -> Vec<Case<'a>> {
        let candidates: FxHashMap<PeerKey, Astray<'a>> = view
            .peers
            .iter()
            .filter(|((_, peer), _)| !peer.is_loopback())
            .filter_map(|(&key, sums)| {
                Some((key, Way { is_dialler: sums.dialled_by_peer > 0, ..way }.astray(key)?))
            })
            .collect();
        let silences = self.silences(view, candidates.keys().copied());
        let case = |silence: Silence<'a>| {
            let astray = *candidates.get(&(silence.netns, silence.peer))?;
            let replies = self.flows(view.state, &silence, &astray);
            (!replies.is_empty()).then_some(Case {
                astray,
                peer: silence.peer,
                netns: silence.netns,
                replies,
                waiting: Vec::new(),
            })
        };
        silences.into_iter().filter_map(case).collect()
    }

    /// Who waits in vain for somebody on this node whose replies do not go there.
    fn waiting<'a>(&self, view: &View<'a>, way: Way<'a>) -> Vec<Case<'a>> {
        let asked = view.peers.iter().filter(|(_, sums)| sums.proven_ns >= self.silent_ns());
        let candidates: FxHashMap<PeerKey, Netns> = asked
            .filter(|((_, peer), _)| !peer.is_loopback())
            .filter_map(|(&key, _)| Some((key, way::next_hop(view.state, key.0, key.1)?)))
            .collect();
        let mut cases = Vec::new();
        for silence in self.silences(view, candidates.keys().copied()) {
            let Some(&replying) = candidates.get(&(silence.netns, silence.peer)) else { continue };
            let mut sources: BTreeMap<IpAddr, Vec<Silent<'a>>> = BTreeMap::new();
            for silent in silence.silent.iter().filter(|silent| self.is_for_long(silent)) {
                sources.entry(silent.key.endpoints.source.ip()).or_default().push(*silent);
            }
            for (source, waiting) in sources {
                let way = Way { home: Some(silence.netns), is_dialler: true, ..way };
                let attempts: u32 = waiting.iter().map(|silent| silent.attempts).sum();
                let astray = way.astray((replying, source)).filter(|_| attempts >= self.attempts);
                cases.extend(astray.map(|astray| Case {
                    astray,
                    peer: source,
                    netns: replying,
                    replies: Vec::new(),
                    waiting,
                }));
            }
        }
        cases
    }

    /// The flows towards these peers that are, or were a moment ago, without an answer.
    fn silences<'a>(&self, view: &View<'a>, peers: impl Iterator<Item = PeerKey>) -> Vec<Silence<'a>> {
        let mut silences = silence::of_peers(view.state, peers, 0);
        for silence in &mut silences {
            silence.silent.retain(|silent| view.is_within(silent.last, self.quiet_seconds));
        }
        silences
    }

    /// The flows that show it; none if they do not suffice.
    fn flows<'a>(&self, state: &State, silence: &Silence<'a>, astray: &Astray<'_>) -> Vec<Silent<'a>> {
        let is_onward = astray.netns != silence.netns;
        let was_elsewhere = astray.reached.is_some_and(|reached| reached.changed.is_some());
        let is_shown = |silent: &&Silent<'a>| match (silent.waits, astray.end) {
            (Waits::ThirdOfHandshake, _) => true,
            // Whom a pod dials may be an address of its node, or nobody's.
            (Waits::SynAck, _) if is_onward => false,
            // So may what is dialled here; and a service's addresses may be led to a dummy only to have a route.
            (Waits::SynAck, End::Local(_) | End::Dropped(_)) => false,
            (Waits::Acknowledgement, _) if astray.reached.is_none() => false,
            (Waits::Acknowledgement, End::Local(_) | End::Dropped(_)) => {
                was_elsewhere && self.is_for_long(silent)
            }
            _ => self.is_for_long(silent),
        };
        // Who dials itself has both ends here, and a router that dials is the peer itself.
        let is_own = |silent: &&Silent<'a>| {
            let endpoints = silent.key.endpoints.reversed();
            let is_there = |netns| state.flows.get(&FlowKey { netns, endpoints }).is_some();
            is_there(silence.netns) || is_there(astray.netns)
        };
        let flows: Vec<Silent<'a>> =
            silence.silent.iter().filter(is_shown).filter(|silent| !is_own(silent)).copied().collect();
        // A connection may be one that this node dialled: what does not get through then is no reply.
        let is_reply = !is_onward || flows.iter().any(|silent| silent.waits == Waits::ThirdOfHandshake);
        let attempts: u32 = flows.iter().map(|silent| silent.attempts).sum();
        if is_reply && attempts >= self.attempts { flows } else { Vec::new() }
    }

    fn silent_ns(&self) -> u64 {
        self.silent_ms * 1_000_000
    }

    fn is_for_long(&self, silent: &Silent<'_>) -> bool {
        silent.proven_ns() >= self.silent_ns()
    }
}

fn tell(view: &View<'_>, case: &Case<'_>) -> Option<Finding> {
    let (state, peer, netns) = (view.state, case.peer, case.astray.netns);
    let flows: Vec<&Silent<'_>> = case.replies.iter().chain(&case.waiting).collect();
    let about = Subject::Network(NetworkKey::host(netns, peer));
    let (first, last) =
        (flows.iter().map(|flow| flow.began).min()?, flows.iter().map(|flow| flow.last).max()?);
    let what = words::what(view, case);
    let mut finding =
        Finding::new(ReplyMisrouted::ID, About::Subject(about), Severity::Critical, peer.to_string(), what);
    finding.certainty = if case.astray.reached.is_some() { Certainty::Certain } else { Certainty::Likely };
    finding.subject = Some(about);
    finding.evidence = words::evidence(view, case);
    finding.affects = Affects::of_flows(state, flows.iter().map(|silent| (silent.key, silent.flow)));
    finding.affects.connections =
        flows.iter().filter(|silent| silent.waits != Waits::Acknowledgement).count() as u64;
    finding.advice = words::advice(view, case);
    finding.span = Some(Span { first, last });
    Some(finding)
}

#[cfg(test)]
mod onward_tests;
#[cfg(test)]
mod tests;
