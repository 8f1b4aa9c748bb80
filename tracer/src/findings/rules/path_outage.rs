//! Many flows towards one address, or one for long, get no answer.

mod tell;

use std::{collections::BTreeMap, net::IpAddr};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use self::tell::{Out, tell};
use super::{MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    event::{IcmpClass, Netns, Prefix, Timestamp},
    findings::{
        About, Finding, Severity,
        beside::network,
        gone,
        silence::{self, Silence, Silent, Waits},
    },
    state::{IcmpKey, NetworkKey, Subject},
};

/// Many flows towards one address, or one for long, get no answer.
///
/// A lost packet is no outage: what is lost by chance is answered at the next attempt or the one after it, and meanwhile
/// others are. Nor is a dead address that somebody tries: who scans dials many ports or addresses once. So several flows
/// must be without an answer, and most of those that are resent, or one must be for long and none be answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PathOutage {
    /// Milliseconds without an answer from which on a flow counts: two attempts of a SYN, four of a segment at the least
    /// timeout.
    pub silent_ms: u64,
    /// Flows towards one address that must be without an answer at once.
    pub flows: usize,
    /// How often the same port must have been dialled in vain for dials to count among those.
    pub dials: usize,
    /// Milliseconds without an answer from which on one flow alone counts, if no other got one.
    pub alone_ms: u64,
    /// Attempts of one segment that such a flow must have made.
    pub alone_attempts: u32,
    /// The same of a SYN.
    pub alone_syns: u32,
    /// Ports or addresses that are dialled once each, in vain and at the same time, beyond which that is a scan.
    pub scanned: usize,
    /// Addresses behind one next hop, or of one network, that are told as one.
    pub peers: usize,
    /// Seconds without a sign after which it is over. An attempt that comes after a longer pause is no sign.
    pub quiet_seconds: u32,
}

impl Default for PathOutage {
    fn default() -> Self {
        Self {
            silent_ms: 2_500,
            flows: 3,
            dials: 3,
            alone_ms: 5_000,
            alone_attempts: 4,
            alone_syns: 3,
            scanned: 4,
            peers: 4,
            quiet_seconds: 14,
        }
    }
}

/// What speaks for an outage towards one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// Several flows.
    Several,
    /// One.
    Alone,
    /// One that dials a port nobody may ever have answered at.
    Dial,
}

impl Rule for PathOutage {
    const ID: &'static str = "path-outage";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        const MILLISECOND_NS: u64 = 1_000_000;
        let silent_ns = self.silent_ms * MILLISECOND_NS;
        let candidates =
            view.peers.iter().filter(|(_, sums)| sums.proven_ns >= silent_ns).map(|(&peer, _)| peer);
        let peers = silence::of_peers(view.state, candidates, silent_ns);
        let mut judged: Vec<(Out<'_>, Judged)> =
            peers.iter().filter_map(|silence| self.judge(view, silence)).collect();
        if !judged.is_empty() {
            let gone = gone::lately(view.state);
            judged.retain(|(out, _)| out.peers.iter().all(|peer| !gone.contains(peer)));
        }
        // Some of those that are dialled once each may have been so for a shorter time.
        let mut dials: FxHashMap<Netns, usize> = FxHashMap::default();
        for silence in peers.iter().filter(|silence| is_dialled(silence)) {
            *dials.entry(silence.netns).or_default() += 1;
        }
        let is_scan = |out: &Out<'_>| dials.get(&out.netns).is_some_and(|&dials| dials > self.scanned);
        let outages: Vec<Out<'_>> = judged
            .into_iter()
            .filter(|(out, judged)| *judged != Judged::Dial || !is_scan(out) || out.was_open(view))
            .map(|(out, _)| out)
            .collect();
        let mut groups = self.grouped(view, outages);
        groups.sort_by_key(|out| (out.severity, std::cmp::Reverse(out.flows.len()), out.about.clone()));
        let all = groups.len();
        found.extend(groups.iter().take(MOST_OF_A_RULE).map(|out| tell(view, Self::ID, out)));
        tell_left_out(found, Self::ID, all, Severity::Critical, ("addresses", "that do not answer"));
    }
}

impl PathOutage {
    /// What is wrong with one address, if something is.
    fn judge<'a>(&self, view: &View<'_>, silence: &Silence<'a>) -> Option<(Out<'a>, Judged)> {
        let now = view.now();
        let is_sign = |silent: &&Silent<'_>| {
            view.is_within(silent.last, self.quiet_seconds)
                && silent.pause_ns() <= u64::from(self.quiet_seconds) * 1_000_000_000
        };
        let signs: Vec<&Silent<'a>> = silence.silent.iter().filter(is_sign).collect();
        let began = signs.iter().map(|silent| silent.began).min()?;
        let about = About::Subject(Subject::Network(NetworkKey::host(silence.netns, silence.peer)));
        let out = |severity| Out {
            netns: silence.netns,
            peers: vec![silence.peer],
            gateway: None,
            about: about.clone(),
            severity,
            began,
            last: signs.iter().map(|silent| silent.last).max().unwrap_or(now),
            flows: signs.iter().map(|silent| **silent).collect(),
            members: Vec::new(),
        };
        let answered = silence.answered_since(began);
        let firm = self.firm(&signs);
        if firm >= self.flows && firm >= answered {
            return Some((out(Severity::Critical), Judged::Several));
        }
        let before = view.open.iter().flat_map(|open| std::iter::once(open).chain(&open.symptoms));
        let before = before.filter(|open| open.is(Self::ID, &about)).map(|open| open.severity).min();
        if let Some(severity) = before {
            // It stays while somebody waits; one who gave up and others who are answered say that it is over.
            let newest = signs.iter().map(|silent| silent.last).max()?;
            let waits = signs.iter().any(|silent| silent.flow.outage_at(now).is_some());
            let goes_on = waits || silence.answered_since(newest) == 0;
            return goes_on.then(|| (out(severity), Judged::Several));
        }
        let longest: Vec<_> = signs.iter().filter(|silent| self.is_for_long(silent)).collect();
        if longest.is_empty() || answered > 0 || !Self::is_there(view, silence, began) {
            return None;
        }
        let judged = if longest.iter().any(|silent| silent.waits == Waits::Acknowledgement) {
            Judged::Alone
        } else {
            Judged::Dial
        };
        (judged == Judged::Alone || ports(&signs).len() <= self.scanned)
            .then(|| (out(Severity::Warning), judged))
    }

    /// Flows that no scan makes: connections, those the peer dialled, and dials of a port over and over. Nothing but hang-ups
    /// says that somebody went, with whom nobody has anything to talk about any more.
    fn firm(&self, signs: &[&Silent<'_>]) -> usize {
        let others = signs.iter().filter(|silent| silent.waits != Waits::SynAck);
        let is_used = others.clone().any(|silent| !is_hanging_up(silent));
        let dials = ports(signs).into_values().filter(|&dials| dials >= self.dials).sum::<usize>();
        let others = if is_used || dials > 0 { others.count() } else { 0 };
        others + dials
    }

    /// Whether a flow is without an answer for so long that chance does not explain it.
    fn is_for_long(&self, silent: &Silent<'_>) -> bool {
        const CONNECTED: [u8; 2] = [1, 8];
        let attempts = match silent.waits {
            Waits::SynAck => self.alone_syns,
            Waits::Acknowledgement if CONNECTED.contains(&silent.flow.tcp_state.0) => self.alone_attempts,
            // Who hangs up on somebody who is gone, or dials and goes, is everyday.
            _ => return false,
        };
        silent.attempts >= attempts && silent.proven_ns() >= self.alone_ms * 1_000_000
    }

    /// Whether the peer may be thought to be there: nobody says that it is not, and if it is on the link, it was heard of
    /// since.
    fn is_there(view: &View<'_>, silence: &Silence<'_>, began: Timestamp) -> bool {
        let key = IcmpKey { netns: silence.netns, is_sent: false, destination: Some(silence.peer) };
        let refused = view.state.path.icmp.get(&key).is_some_and(|subject| {
            subject.counts[IcmpClass::Unreachable as usize] > 0 && subject.last >= began
        });
        let reached = view.state.routes.reached(silence.netns, silence.peer);
        let is_silent = reached.is_some_and(|reached| {
            reached.gateway.is_none() && reached.neighbour_state.is_some_and(|state| !state.is_connected())
        });
        !refused && !is_silent
    }

    /// Tells as one what lies behind one next hop or in one network.
    fn grouped<'a>(&self, view: &View<'_>, outages: Vec<Out<'a>>) -> Vec<Out<'a>> {
        let mut places: BTreeMap<NetworkKey, (Option<IpAddr>, Vec<Out<'a>>)> = BTreeMap::new();
        for out in outages {
            let peer = out.peers[0];
            let gateway = view.state.routes.reached(out.netns, peer).and_then(|reached| reached.gateway);
            let prefix = gateway.map_or_else(|| network(peer), Prefix::host);
            let key = NetworkKey { netns: out.netns, prefix };
            places.entry(key).or_insert((gateway, Vec::new())).1.push(out);
        }
        let mut told = Vec::new();
        for (key, (gateway, members)) in places {
            let about = About::Subject(Subject::Network(key));
            let was_group = view.was_open(Self::ID, &about) && !members.iter().any(|out| out.about == about);
            if members.len() < self.peers.max(2) && !was_group {
                told.extend(members);
            } else {
                told.extend(Out::merged(about, gateway, members));
            }
        }
        told
    }
}

/// Whether an address is dialled in vain and nothing else.
fn is_dialled(silence: &Silence<'_>) -> bool {
    silence.silent.iter().all(|silent| silent.waits == Waits::SynAck)
}

/// Whether all that is left of a flow is that this node closes it.
fn is_hanging_up(silent: &Silent<'_>) -> bool {
    /// `FIN_WAIT1`, `LAST_ACK` and `CLOSING`, of `tcp_states.h`.
    const CLOSING: [u8; 3] = [4, 9, 11];
    silent.waits == Waits::Acknowledgement && CLOSING.contains(&silent.flow.tcp_state.0)
}

/// How often each port was dialled in vain.
fn ports(signs: &[&Silent<'_>]) -> BTreeMap<u16, usize> {
    let mut ports = BTreeMap::new();
    for silent in signs.iter().filter(|silent| silent.waits == Waits::SynAck) {
        *ports.entry(silent.key.endpoints.destination.port()).or_default() += 1;
    }
    ports
}

#[cfg(test)]
mod tests;
