//! Peers that do not answer.

use super::{
    About, Finding, MOST_OF_A_RULE, Severity,
    peers::{self, Peer},
    sums::{Peers, Sums},
    tell_left_out,
};
use crate::{
    state::{Span, State, Subject},
    words::{describe::kinds_text, duration, exact},
};

const ID: &str = "unanswered-peer";

/// Attempts in a row after which a handshake counts as unanswered: 7 s by the kernel's first timeout of 1 s.
const UNANSWERED_RUN: u32 = 3;
/// Handshakes that had to be begun again at one peer, even if each needed one attempt only.
const MANY_HANDSHAKES: u64 = 10;
/// Attempts in a row after which a connection counts as stuck: 13 s by the least timeout of 200 ms.
const STUCK_RUN: u32 = 6;
/// Attempts in a row that are worth a look.
const SLOW_RUN: u32 = 3;

/// One fact a peer.
pub(super) fn collect(state: &State, peers: &Peers, facts: &mut Vec<Finding>) {
    let (silent, all) = peers.worst(MOST_OF_A_RULE, severity);
    let details = peers::those(state, silent.iter().map(|&(key, _)| key));
    facts.extend(silent.iter().filter_map(|(key, severity)| Some(fact(state, *severity, details.get(key)?))));
    tell_left_out(facts, ID, all, Severity::Warning, ("peers", "that segments are resent to in vain"));
}

fn severity(peer: &Sums) -> Option<Severity> {
    let is_unanswered = peer.handshakes > 0 && peer.longest_run >= UNANSWERED_RUN;
    if is_unanswered || peer.handshakes >= MANY_HANDSHAKES || peer.longest_run >= STUCK_RUN {
        return Some(Severity::Critical);
    }
    let is_slow = peer.handshakes > 1 || peer.longest_run >= SLOW_RUN;
    (is_slow || peer.has_failed).then_some(Severity::Warning)
}

fn fact(state: &State, severity: Severity, peer: &Peer<'_>) -> Finding {
    let mut what = vec![kinds_text(&peer.kinds, peer.failed, 0)];
    if peer.longest_run > 1 {
        what.push(format!("{} in a row", exact(u64::from(peer.longest_run))));
    }
    if peer.outage_ns > 0 {
        what.push(format!("outage {}", duration(peer.outage_ns)));
    }
    what.extend(peer.owner(state));
    Finding {
        id: ID,
        about: About::Subject(Subject::Network(peer.network())),
        severity,
        subject: Some(peer.subject()),
        who: peer.name(),
        what: what.join(" · "),
        span: Some(Span { first: peer.first, last: peer.last }),
    }
}
