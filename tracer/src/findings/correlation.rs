//! Which finding explains which: the cause stands alone, and what it brought about stands below it.

mod places;

use self::places::Places;
use super::{About, Finding, finding::is_within};
use crate::state::State;

/// Seconds for which a cause that is seen no more stays for what it brought about.
const LINGERS_SECONDS: u32 = 40;

/// Rules and those that explain them, the nearest to the root of things first. What two of these see of one fault from
/// two sides, each told by itself, is in no such order and stands side by side.
const EXPLAINED: [(&str, &[&str]); 4] = [
    (
        "path-outage",
        &[
            "duplicate-address",
            "answers-for-foreign-address",
            "address-flap",
            "reply-misrouted",
            "routing-loop",
            "conntrack-table-full",
            "ipvs-reuse-drained",
            "ipvs-destination-gone",
            "ipvs-no-destination",
            "ipvs-syn-delayed",
            "conntrack-stale-mapping",
            "conntrack-insert-failed",
            "neighbour-unreachable",
            "path-outage",
        ],
    ),
    ("neighbour-unreachable", &["duplicate-address", "address-flap"]),
    ("address-flap", &["duplicate-address"]),
    ("conntrack-stale-mapping", &["ipvs-reuse-drained"]),
];

/// Moves findings below those that explain them. A cause that was open `before` and whose own signs have ceased stays
/// open while one that it explained does.
pub(super) fn absorb(state: &State, found: &mut Vec<Finding>, before: &[Finding]) {
    let told = found.len();
    found.extend(lingering(state, found, before));
    let places = Places::of(state, found);
    let causes: Vec<Option<usize>> =
        (0..found.len()).map(|symptom| cause_of(&places, found, symptom, before)).collect();
    // A symptom of a symptom belongs to the first cause.
    let root = |symptom: usize| {
        let mut at = causes[symptom]?;
        for _ in 0..found.len() {
            match causes[at] {
                Some(further) => at = further,
                None => return Some(at),
            }
        }
        None
    };
    let roots: Vec<Option<usize>> = (0..found.len()).map(root).collect();
    let mut left: Vec<Option<Finding>> = found.drain(..).map(Some).collect();
    for (symptom, root) in roots.iter().enumerate() {
        let Some(root) = *root else { continue };
        let Some(mut symptom) = left[symptom].take() else { continue };
        if let Some(cause) = &mut left[root] {
            cause.is_open |= symptom.is_open;
            cause.severity = cause.severity.min(symptom.severity);
            let below = std::mem::take(&mut symptom.symptoms);
            cause.symptoms.push(symptom);
            cause.symptoms.extend(below);
        }
    }
    // Who lingers does so for others only.
    let stays = |(position, finding): (usize, Option<Finding>)| {
        finding.filter(|finding| position < told || finding.is_open)
    };
    found.extend(left.into_iter().enumerate().filter_map(stays));
}

/// Causes that were open and are not told any more, as past.
fn lingering(state: &State, found: &[Finding], before: &[Finding]) -> Vec<Finding> {
    let is_told = |finding: &Finding| found.iter().any(|told| told.is(finding.id, &finding.about));
    let is_recent = |finding: &Finding| {
        finding.span.is_some_and(|span| is_within(state.now(), span.last, LINGERS_SECONDS))
    };
    let lingers =
        |finding: &&Finding| !finding.symptoms.is_empty() && is_recent(finding) && !is_told(finding);
    let past = |finding: &Finding| Finding { is_open: false, symptoms: Vec::new(), ..finding.clone() };
    before.iter().filter(lingers).map(past).collect()
}

/// The finding that explains that one best: of several that can, the one whose rule comes first.
fn cause_of(places: &Places, found: &[Finding], place: usize, before: &[Finding]) -> Option<usize> {
    let symptom = &found[place];
    let (_, causes) = EXPLAINED.iter().find(|(id, _)| *id == symptom.id)?;
    let rank = |finding: &Finding| causes.iter().position(|&id| id == finding.id);
    let was_open = |cause: &Finding| before.iter().any(|open| open.is(cause.id, &cause.about));
    let is_cause = |&other: &usize| {
        let cause = &found[other];
        other != place
            && (cause.is_open || (symptom.is_open && was_open(cause)))
            && rank(cause).is_some()
            && if cause.id == symptom.id {
                places.mirrors(other, place)
            } else {
                places.explains(other, place)
            }
    };
    (0..found.len()).filter(is_cause).min_by_key(|&other| (rank(&found[other]), other))
}
