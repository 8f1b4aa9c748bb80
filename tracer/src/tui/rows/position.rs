//! Where a row stands: a table that is sorted anew with every event must not put another row under the
//! selection.

use super::{CONNTRACK_MEASURES, FLOW_MEASURES, Measure, NEIGHBOUR_MEASURES, SERVICE_MEASURES, hooks};
use crate::{
    state::{RealKey, Service, ServiceKey, State},
    tui::{
        model::{Screen, Subject},
        opened::Target,
    },
};

/// The row of a screen that opens something, as [`target`](super::target) would tell; `None` if there is none. The
/// timeline has many rows about each.
pub(in crate::tui) fn position(
    state: &State,
    screen: Screen,
    measure: usize,
    target: &Target,
) -> Option<usize> {
    match target {
        Target::Subject(subject) => position_of(state, screen, measure, *subject),
        Target::Finding(key) if screen == Screen::Overview => {
            state.findings.listed().iter().position(|row| row.finding.is(key.0, &key.1))
        }
        Target::Finding(_) => None,
    }
}

fn position_of(state: &State, screen: Screen, measure: usize, subject: Subject) -> Option<usize> {
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
        (Screen::Ipvs, Subject::Service(key)) => {
            state.ipvs.services.get(&key)?;
            rows_before_service(state, &key, measure)
        }
        (Screen::Ipvs, Subject::Real(key)) => {
            state.ipvs.reals.get(&key)?;
            let siblings = state.ipvs.reals.iter().map(|(other, _)| other);
            let before = siblings.filter(|other| other.service == key.service && **other < key).count();
            Some(rows_before_service(state, &key.service, measure)? + 1 + before)
        }
        (Screen::Hooks, Subject::Hook(hook)) => hooks(state, measure).iter().position(|&known| known == hook),
        _ => None,
    }
}

/// The rows of the services before one, and of their real servers; counted, for sorting tens of thousands takes long.
fn rows_before_service(state: &State, key: &ServiceKey, measure: usize) -> Option<usize> {
    let of = SERVICE_MEASURES[measure % SERVICE_MEASURES.len()].of;
    let services = &state.ipvs.services;
    let own = of(services.get(key)?, state.now());
    let is_before = |other: &ServiceKey, service: &Service| {
        let theirs = of(service, state.now());
        theirs > own || (theirs == own && other < key)
    };
    let services_before = services.iter().filter(|(other, service)| is_before(other, service)).count();
    let of_real = |real: &RealKey| services.get(&real.service).is_some_and(|it| is_before(&real.service, it));
    Some(services_before + state.ipvs.reals.iter().filter(|(real, _)| of_real(real)).count())
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
        let theirs = of(value, state.now());
        theirs > own || (theirs == own && *other < key)
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
            rows::{count, measures, target},
        },
    };

    #[test]
    fn every_row_is_found_by_what_it_opens() {
        let state = busy();
        let mut found = 0;
        for screen in Screen::ALL.into_iter().filter(|&screen| screen != Screen::Timeline) {
            for measure in 0..measures(screen).len().max(1) {
                for row in (0..count(&state, screen)).step_by(97).chain(0..9) {
                    let Some(target) = target(&state, screen, measure, row) else { continue };
                    let found_at = position(&state, screen, measure, &target);
                    assert_eq!(found_at, Some(row), "{screen:?} {target:?}");
                    found += 1;
                }
            }
        }
        assert!(found > 100, "{found}");
    }
}
