//! Where a subject's row stands: a table that is sorted anew with every event must not put another row under the
//! selection.

use super::{CONNTRACK_MEASURES, FLOW_MEASURES, IpvsRow, Measure, NEIGHBOUR_MEASURES, hooks, ipvs, notables};
use crate::{
    state::State,
    tui::model::{Screen, Subject},
};

/// The row of a screen that is about a subject, as [`subject`](super::subject) would tell; `None` if there is none. The
/// timeline has many rows about each.
pub(in crate::tui) fn position(
    state: &State,
    screen: Screen,
    measure: usize,
    subject: Subject,
) -> Option<usize> {
    match (screen, subject) {
        (Screen::Retransmits, Subject::Flow(key)) => {
            place(state, state.flows.iter(), &key, &FLOW_MEASURES, measure)
        }
        (Screen::Neighbours, Subject::Neighbour(key)) => {
            place(state, state.neighbours.iter(), &key, &NEIGHBOUR_MEASURES, measure)
        }
        (Screen::Conntrack, Subject::Flow(key)) => {
            place(state, state.conntrack.entries.iter(), &key, &CONNTRACK_MEASURES, measure)
        }
        (Screen::Ipvs, _) => ipvs(state, measure, usize::MAX).iter().position(|row| match row {
            IpvsRow::Service(key, _) => Subject::Service(**key) == subject,
            IpvsRow::Real(key, _) => Subject::Real(**key) == subject,
        }),
        (Screen::Overview, _) => notables(state).iter().position(|fact| fact.subject == Some(subject)),
        (Screen::Hooks, Subject::Hook(hook)) => hooks(state, measure).iter().position(|&known| known == hook),
        _ => None,
    }
}

/// How many entries stand before that of a key: those with a larger measure, and equal ones with a lesser key.
fn place<'a, K: Ord + 'a, V: 'a>(
    state: &State,
    entries: impl Iterator<Item = (&'a K, &'a V)> + Clone,
    key: &K,
    measures: &[Measure<V>],
    measure: usize,
) -> Option<usize> {
    let of = measures[measure % measures.len()].of;
    let own = entries.clone().find(|&(known, _)| known == key).map(|(_, value)| of(value, state.now()))?;
    let is_before = |(other, value): &(&K, &V)| {
        let measured = of(value, state.now());
        measured > own || (measured == own && *other < key)
    };
    Some(entries.filter(is_before).count())
}

#[cfg(test)]
mod tests {
    use super::position;
    use crate::{
        state::fixture::busy,
        tui::{
            model::Screen,
            rows::{count, measures, subject},
        },
    };

    #[test]
    fn every_row_is_found_by_its_subject() {
        let state = busy();
        let mut found = 0;
        for screen in Screen::ALL.into_iter().filter(|&screen| screen != Screen::Timeline) {
            for measure in 0..measures(screen).len().max(1) {
                for row in (0..count(&state, screen)).step_by(97).chain([0, 1, 2]) {
                    let Some(subject) = subject(&state, screen, measure, row) else { continue };
                    assert_eq!(
                        position(&state, screen, measure, subject),
                        Some(row),
                        "{screen:?} {subject:?}"
                    );
                    found += 1;
                }
            }
        }
        assert!(found > 100, "{found}");
    }
}
