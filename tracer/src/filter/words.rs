//! The words conditions choose from.

use tracer_common::record::RecordKind;

use crate::{
    event::{ConntrackEvent, IpvsDecision, RetransmitKind, Verdict},
    probe::table::Family,
};

/// States of TCP sockets, of conntrack's and IPVS's TCP entries, and of neighbour entries, as events print them.
pub(super) const STATES: [&str; 24] = [
    "BOUND_INACTIVE",
    "CLOSE",
    "CLOSE_WAIT",
    "CLOSING",
    "DELAY",
    "ESTABLISHED",
    "FAILED",
    "FIN_WAIT",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "INCOMPLETE",
    "LAST_ACK",
    "LISTEN",
    "NOARP",
    "NONE",
    "PERMANENT",
    "PROBE",
    "REACHABLE",
    "STALE",
    "SYNACK",
    "SYN_RECV",
    "SYN_SENT",
    "SYN_SENT2",
    "TIME_WAIT",
];

/// Families whose events a filter can ask for.
pub(super) const FAMILIES: [Family; 6] =
    [Family::Retransmit, Family::Neighbour, Family::Conntrack, Family::Ipvs, Family::Path, Family::Ruleset];

/// One of `all` by its name.
pub(super) fn find<T: Copy, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> String,
    word: &str,
) -> Result<T, String> {
    let word = word.to_lowercase();
    all.into_iter().find(|&item| name(item).to_lowercase() == word).ok_or_else(|| {
        let names: Vec<String> = all.into_iter().map(name).collect();
        format!("one of {}", names.join(", "))
    })
}

pub(super) fn retransmit_kind(word: &str) -> Result<RetransmitKind, String> {
    find(RetransmitKind::ALL, |kind| kind.name().to_owned(), word)
}

pub(super) fn verdict(word: &str) -> Result<Verdict, String> {
    find(Verdict::ALL, |verdict| verdict.name().to_owned(), word)
}

pub(super) fn decision(word: &str) -> Result<IpvsDecision, String> {
    find(IpvsDecision::ALL, |decision| decision.name().to_owned(), word)
}

pub(super) fn conntrack_event(word: &str) -> Result<ConntrackEvent, String> {
    find(ConntrackEvent::ALL, |event| event.name().to_owned(), word)
}

pub(super) fn family(word: &str) -> Result<Family, String> {
    find(FAMILIES, |family| family.to_string(), word)
}

pub(super) fn state(word: &str) -> Result<&'static str, String> {
    find(STATES, ToOwned::to_owned, &word.replace('-', "_"))
}

/// The type of event of that name; none for what is about the tracer itself.
pub(super) fn kind(word: &str) -> Option<RecordKind> {
    RecordKind::ALL.into_iter().find(|&kind| kind.name() == word && family_of(kind).is_some())
}

/// The family a kind of record belongs to; `None` for what is about the tracer itself.
pub(crate) fn family_of(kind: RecordKind) -> Option<Family> {
    match kind {
        RecordKind::Retransmit | RecordKind::Undo => Some(Family::Retransmit),
        RecordKind::Neighbour | RecordKind::Claim | RecordKind::NeighbourEntry => Some(Family::Neighbour),
        RecordKind::Conntrack | RecordKind::ConntrackCounters | RecordKind::Translation => {
            Some(Family::Conntrack)
        }
        RecordKind::Ipvs | RecordKind::IpvsChange | RecordKind::IpvsService | RecordKind::IpvsDestination => {
            Some(Family::Ipvs)
        }
        RecordKind::Route
        | RecordKind::RouteLookup
        | RecordKind::Address
        | RecordKind::Link
        | RecordKind::Rule
        | RecordKind::Sysctl
        | RecordKind::Icmp
        | RecordKind::Duplicate => Some(Family::Path),
        RecordKind::Ruleset => Some(Family::Ruleset),
        RecordKind::Stats
        | RecordKind::HookStatus
        | RecordKind::Owner
        | RecordKind::Container
        | RecordKind::Namespace
        | RecordKind::Node
        | RecordKind::Ready
        | RecordKind::Marker
        | RecordKind::Clock
        | RecordKind::Facts
        | RecordKind::Session
        | RecordKind::SessionBegin
        | RecordKind::Gap => None,
    }
}
