//! Peers that do not answer.

use super::{About, Finding, MOST_OF_A_RULE, Severity, peers::Peer, tell_left_out};
use crate::{
    event::RetransmitKind,
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
pub(super) fn collect(state: &State, peers: &[Peer<'_>], facts: &mut Vec<Finding>) {
    let silent: Vec<(Severity, &Peer<'_>)> =
        peers.iter().filter_map(|peer| Some((severity(peer)?, peer))).collect();
    let all = silent.len();
    facts.extend(silent.into_iter().take(MOST_OF_A_RULE).map(|(severity, peer)| fact(state, severity, peer)));
    tell_left_out(facts, ID, all, Severity::Warning, ("peers", "that segments are resent to in vain"));
}

fn severity(peer: &Peer<'_>) -> Option<Severity> {
    let handshakes = handshakes(peer);
    let is_unanswered = handshakes > 0 && peer.longest_run >= UNANSWERED_RUN;
    if is_unanswered || handshakes >= MANY_HANDSHAKES || peer.longest_run >= STUCK_RUN {
        return Some(Severity::Critical);
    }
    let is_slow = handshakes > 1 || peer.longest_run >= SLOW_RUN;
    (is_slow || peer.failed > 0).then_some(Severity::Warning)
}

fn handshakes(peer: &Peer<'_>) -> u64 {
    [RetransmitKind::Syn, RetransmitKind::SynAck].into_iter().map(|kind| peer.kinds[kind as usize]).sum()
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
