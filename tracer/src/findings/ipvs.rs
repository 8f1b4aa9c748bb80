//! New connections onto drained real servers, and those that reached none.

use super::{About, Finding, MOST_OF_A_RULE, Severity, tell_left_out};
use crate::{
    event::IpvsDecision,
    state::{Real, RealKey, Service, ServiceKey, State, Subject, top},
    words::{exact, time_of_day},
};

const DRAINED: &str = "ipvs-reuse-drained";
const TURNED_AWAY: &str = "ipvs-turned-away";

/// One fact a real server, and one a service.
pub(super) fn collect(state: &State, facts: &mut Vec<Finding>) {
    let drained = state.ipvs.reals.iter().filter(|(_, real)| real.decisions.onto_drained > 0);
    let all = drained.clone().count();
    let worst = top(drained, |real| real.decisions.onto_drained, MOST_OF_A_RULE);
    facts.extend(worst.into_iter().filter_map(|(key, real)| drained_fact(state, key, real)));
    tell_left_out(
        facts,
        DRAINED,
        all,
        Severity::Critical,
        ("real servers", "that new connections reach though drained"),
    );

    let closed = state.ipvs.services.iter().filter(|(_, service)| service.decisions.turned_away() > 0);
    let all = closed.clone().count();
    let worst = top(closed, |service| service.decisions.turned_away(), MOST_OF_A_RULE);
    facts.extend(worst.into_iter().map(|(key, service)| closed_fact(key, service)));
    tell_left_out(
        facts,
        TURNED_AWAY,
        all,
        Severity::Critical,
        ("services", "that turn new connections away"),
    );
}

fn drained_fact(state: &State, key: &RealKey, real: &Real) -> Option<Finding> {
    let address = key.address?;
    let count = exact(real.decisions.onto_drained);
    let mut what = match real.weight {
        _ if !real.available => vec![format!("{count} new onto a removed one")],
        None | Some(0) => vec![format!("{count} new onto weight 0")],
        Some(weight) => vec![format!("{count} new while drained"), format!("weight {weight} again")],
    };
    let service = state.ipvs.services.get(&key.service);
    what.extend(service.and_then(|service| service.reuse_mode).map(|mode| format!("conn_reuse_mode {mode}")));
    what.extend(real.weight_changed.map(|(time, from)| format!("was {from} until {}", time_of_day(time))));
    Some(Finding {
        id: DRAINED,
        about: About::Subject(Subject::Real(*key)),
        severity: Severity::Critical,
        subject: Some(Subject::Real(*key)),
        who: format!("{} → {address}", key.service.service.name()),
        what: what.join(" · "),
        span: real.dialled_drained,
    })
}

fn closed_fact(key: &ServiceKey, service: &Service) -> Finding {
    let decisions = &service.decisions;
    let told = [
        (IpvsDecision::Refused, "refused: no real server"),
        (IpvsDecision::Dropped, "dropped: real server gone"),
        (IpvsDecision::Delayed, "delayed: client tries again"),
    ]
    .into_iter()
    .filter(|&(decision, _)| decisions.of(decision) > 0)
    .map(|(decision, text)| format!("{} {text}", exact(decisions.of(decision))))
    .collect::<Vec<_>>();
    let is_lost = decisions.of(IpvsDecision::Refused) + decisions.of(IpvsDecision::Dropped) > 0;
    Finding {
        id: TURNED_AWAY,
        about: About::Subject(Subject::Service(*key)),
        severity: if is_lost { Severity::Critical } else { Severity::Warning },
        subject: Some(Subject::Service(*key)),
        who: key.service.name(),
        what: told.join(" · "),
        span: service.turned_away,
    }
}
