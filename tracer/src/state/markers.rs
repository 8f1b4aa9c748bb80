//! Moments worth a mark on every time axis: what an administrator or a rollout changed, and what the user marked.

use std::collections::VecDeque;

use super::rates::second_of;
use crate::event::{Body, Change, Event, IpvsChangeKind};

/// Markers kept of each kind.
pub const MARKERS_KEPT: usize = 256;

/// Why a moment is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarkerKind {
    /// The user marked it.
    User,
    /// IPVS was configured: a weight, a service, a real server.
    Ipvs,
    /// A route or a rule that chooses a routing table changed.
    Route,
    /// An address, a device, a setting or the wall clock changed.
    Surroundings,
}

impl MarkerKind {
    /// All of them, the most telling first.
    pub const ALL: [Self; 4] = [Self::User, Self::Ipvs, Self::Route, Self::Surroundings];

    /// The kind of marker an event sets, if it sets one.
    pub(crate) fn of(body: &Body) -> Option<Self> {
        match body {
            Body::Marker(_) => Some(Self::User),
            Body::IpvsChange(_) => Some(Self::Ipvs),
            Body::Route(_) => Some(Self::Route),
            Body::Rule(_) if !body.is_snapshot() => Some(Self::Route),
            Body::Address(_) | Body::Link(_) | Body::Sysctl(_) | Body::Clock(_) if !body.is_snapshot() => {
                Some(Self::Surroundings)
            }
            _ => None,
        }
    }
}

/// How telling a change is among those of its kind: what takes something away before what adds it.
fn importance(body: &Body) -> u8 {
    let of_change = |change| match change {
        Change::Removed | Change::Down => 3,
        Change::Replaced => 2,
        Change::Added | Change::Up => 1,
        Change::Present => 0,
    };
    match body {
        Body::IpvsChange(change) => match (change.change, change.to) {
            // From now on nobody new shall reach it.
            (IpvsChangeKind::Weight, Some(to)) if to <= 0 => 4,
            (IpvsChangeKind::Removed, _) => 3,
            (IpvsChangeKind::Weight, _) => 2,
            (IpvsChangeKind::Added, _) => 1,
        },
        Body::Route(route) => of_change(route.change),
        Body::Rule(rule) => of_change(rule.change),
        Body::Address(address) => of_change(address.change),
        Body::Link(link) => of_change(link.change),
        Body::Sysctl(sysctl) => of_change(sysctl.change),
        Body::Clock(_) => 2,
        _ => 0,
    }
}

/// A marked moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Why.
    pub kind: MarkerKind,
    /// The event; of several within one second the most telling, and of those the first.
    pub event: Event,
    /// How many events of this kind there were in that second.
    pub times: u32,
}

/// The last markers of every kind. A flood of route changes cannot drive out what the user marked.
#[derive(Clone, Debug, Default)]
pub struct Markers {
    kinds: [VecDeque<Marker>; MarkerKind::ALL.len()],
    noted: [u64; MarkerKind::ALL.len()],
}

impl Markers {
    /// The markers of a kind, oldest first.
    pub fn of(&self, kind: MarkerKind) -> &VecDeque<Marker> {
        &self.kinds[kind as usize]
    }

    /// How many markers of a kind there have been, those given up included.
    pub fn noted(&self, kind: MarkerKind) -> u64 {
        self.noted[kind as usize]
    }

    /// All of them, kind by kind, oldest first within a kind.
    pub fn iter(&self) -> impl Iterator<Item = &Marker> {
        self.kinds.iter().flatten()
    }

    /// Takes in an event, which may set none.
    pub(super) fn note(&mut self, event: &Event) {
        let Some(kind) = MarkerKind::of(&event.body) else { return };
        let kept = &mut self.kinds[kind as usize];
        // What the user typed is never folded away.
        if let Some(last) = kept.back_mut()
            && kind != MarkerKind::User
            && second_of(last.event.time) == second_of(event.time)
        {
            last.times += 1;
            if importance(&event.body) > importance(&last.event.body) {
                last.event = event.clone();
            }
            return;
        }
        if kept.len() == MARKERS_KEPT {
            kept.pop_front();
        }
        self.noted[kind as usize] += 1;
        kept.push_back(Marker { kind, event: event.clone(), times: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::{MARKERS_KEPT, MarkerKind, Markers};
    use tracer_common::record::{IpvsChangeRecord, ipvs_change_kind};

    use crate::event::{Body, Change, Event, IpvsChange, Link, Netns, Text, Timestamp};

    fn at(second: u64, body: Body) -> Event {
        let time = Timestamp { boot_ns: second * 1_000_000_000, wall_ns: 0 };
        Event { time, netns: Netns::here(1), cpu: 0, body }
    }

    fn link(change: Change) -> Body {
        Body::Link(Link { change, ..Link::from(&tracer_common::record::LinkRecord::default()) })
    }

    #[test]
    fn a_flood_is_one_marker_a_second_and_drives_out_no_other_kind() {
        let mut markers = Markers::default();
        markers.note(&at(1, Body::Marker(Text::new("rollout begins"))));
        markers.note(&at(1, Body::Marker(Text::new("now"))));
        markers.note(&at(1, link(Change::Present)));
        for second in 0..2 * MARKERS_KEPT as u64 {
            for _ in 0..3 {
                markers.note(&at(second, link(Change::Down)));
            }
        }
        markers.note(&at(5, Body::Ready));
        let counts = MarkerKind::ALL.map(|kind| markers.of(kind).len());
        assert_eq!(counts, [2, 0, 0, MARKERS_KEPT]);
        let folded = &markers.of(MarkerKind::Surroundings)[0];
        assert_eq!((folded.times, folded.event.time.boot_ns), (3, MARKERS_KEPT as u64 * 1_000_000_000));
        assert_eq!(markers.iter().count(), 2 + MARKERS_KEPT);
    }

    #[test]
    fn of_the_changes_of_a_second_the_most_telling_is_told() {
        use ipvs_change_kind::{ADDED, REMOVED, WEIGHT};
        let ipvs = |change, to| {
            let record = IpvsChangeRecord { change, has_real: 1, to, ..IpvsChangeRecord::default() };
            Body::IpvsChange(IpvsChange::from_record(&record).unwrap())
        };
        let table: [(&str, Vec<Body>, usize); 5] = [
            ("a drain among additions", vec![ipvs(ADDED, 1), ipvs(WEIGHT, 0), ipvs(ADDED, 1)], 1),
            ("a weight among additions", vec![ipvs(ADDED, 1), ipvs(WEIGHT, 5)], 1),
            ("a drain and the removal", vec![ipvs(WEIGHT, 0), ipvs(REMOVED, 0)], 0),
            ("the first of equals", vec![ipvs(WEIGHT, 7), ipvs(WEIGHT, 8)], 0),
            ("a device that fails", vec![link(Change::Up), link(Change::Replaced), link(Change::Down)], 2),
        ];
        for (case, bodies, expected) in table {
            let mut markers = Markers::default();
            for body in &bodies {
                markers.note(&at(7, body.clone()));
            }
            let [marker] = &markers.iter().collect::<Vec<_>>()[..] else { panic!("{case}") };
            assert_eq!(
                (&marker.event.body, marker.times as usize),
                (&bodies[expected], bodies.len()),
                "{case}"
            );
        }
    }
}
