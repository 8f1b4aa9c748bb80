//! Moments of a session one wants to go to: what was marked, and when a finding opened and closed.

use crate::{
    event::{Body, Text, Timestamp},
    findings::{FindingChange, FindingStatus, Key, Severity},
    state::{MarkerKind, State},
};

/// Landmarks kept at most, each sort by itself: more than anybody steps through.
const KEPT: usize = 16_384;

/// Why a moment is worth going to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LandmarkKind {
    /// Somebody changed or marked something.
    Marker(MarkerKind),
    /// A finding closed, and no other explains it.
    Closed,
    /// A finding opened.
    Finding,
}

impl LandmarkKind {
    /// Whether it is about a finding.
    pub fn is_of_finding(self) -> bool {
        matches!(self, Self::Finding | Self::Closed)
    }
}

/// A moment worth going to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landmark {
    /// When.
    pub time: Timestamp,
    /// Why.
    pub kind: LandmarkKind,
    /// What is said of it, if more is to be said than that.
    pub text: Option<Text>,
    /// Which finding it is about, if it is.
    pub finding: Option<Key>,
}

/// The landmarks of all that has been gone along so far, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Landmarks {
    found: Vec<Landmark>,
    counts: [usize; 2],
    left_out: u64,
}

impl Landmarks {
    /// All of them, in the order of time.
    pub fn all(&self) -> &[Landmark] {
        &self.found
    }

    /// How many found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(super) fn add(&mut self, landmarks: Vec<Landmark>) {
        for landmark in landmarks {
            let count = &mut self.counts[usize::from(landmark.kind.is_of_finding())];
            if *count == KEPT {
                self.left_out += 1;
                continue;
            }
            *count += 1;
            // Nearly always the last place: events of different CPUs are a little out of order.
            let place = self.found.partition_point(|other| other.time <= landmark.time);
            self.found.insert(place, landmark);
        }
    }
}

/// What a state knows of landmarks, which are the last ones.
pub(super) fn of_state(state: &State) -> Vec<Landmark> {
    let mut landmarks: Vec<Landmark> =
        MarkerKind::ALL.into_iter().flat_map(|kind| markers(state, kind, usize::MAX)).collect();
    landmarks.extend(state.findings.log().iter().filter_map(turn));
    landmarks.sort_by_key(|landmark| landmark.time);
    landmarks
}

/// The landmark of a finding that opened or closed, if it tells more than what tracer itself lacks.
fn turn(change: &FindingChange) -> Option<Landmark> {
    let FindingChange { time, status, finding, explained_by } = change;
    let (kind, word) = match status {
        FindingStatus::Open => (LandmarkKind::Finding, "opened"),
        FindingStatus::Closed if explained_by.is_none() => (LandmarkKind::Closed, "closed"),
        FindingStatus::Closed | FindingStatus::Update => return None,
    };
    let text = format!("{word}, {} {}: {}", finding.severity.names().0, finding.who, finding.what);
    (finding.severity != Severity::Notice).then(|| Landmark {
        time: *time,
        kind,
        text: Some(Text::new(&text)),
        finding: Some(finding.key()),
    })
}

/// The last markers of a kind, oldest first.
fn markers(state: &State, kind: MarkerKind, newest: usize) -> impl Iterator<Item = Landmark> {
    let kept = state.markers.of(kind);
    kept.iter().skip(kept.len().saturating_sub(newest)).map(move |marker| Landmark {
        time: marker.event.time,
        kind: LandmarkKind::Marker(kind),
        text: match &marker.event.body {
            Body::Marker(text) => Some(text.clone()),
            _ => None,
        },
        finding: None,
    })
}

/// Finds what is new in a state that goes on.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    /// How many markers of each kind there have been.
    markers: [u64; MarkerKind::ALL.len()],
    /// How many findings opened, changed or closed.
    changes: u64,
}

impl Lookout {
    /// The landmarks that are new since the last look.
    pub(super) fn look(&mut self, state: &State) -> Vec<Landmark> {
        let mut new = Vec::new();
        for (kind, seen) in MarkerKind::ALL.into_iter().zip(&mut self.markers) {
            let all = state.markers.noted(kind);
            new.extend(markers(state, kind, usize::try_from(all - *seen).unwrap_or(usize::MAX)));
            *seen = all;
        }
        new.extend(state.findings.changes_after(self.changes).filter_map(turn));
        self.changes = state.findings.changes();
        new
    }
}
