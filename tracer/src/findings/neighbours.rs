//! Addresses that more than one hardware address answers for, and next hops that do not answer.

use rustc_hash::FxHashMap;

use super::{About, Finding, MOST_OF_A_RULE, Severity, sums::Peers, tell_left_out};
use crate::{
    event::Verdict,
    state::{Neighbour, NeighbourKey, Span, State, Subject, top},
    words::exact,
};

const CONTESTED: &str = "duplicate-address";
const SILENT: &str = "neighbour-unreachable";

/// One fact an address.
pub(super) fn collect(state: &State, peers: &Peers, facts: &mut Vec<Finding>) {
    let contested = state.neighbours.iter().filter(|(_, neighbour)| neighbour.is_contested());
    let all = contested.clone().count();
    let worst = top(contested, Neighbour::trouble, MOST_OF_A_RULE);
    facts.extend(worst.into_iter().map(|(key, neighbour)| contested_fact(key, neighbour)));
    tell_left_out(
        facts,
        CONTESTED,
        all,
        Severity::Warning,
        ("addresses", "that several hardware addresses answer for"),
    );
    silent(state, peers, facts);
}

fn contested_fact(key: &NeighbourKey, neighbour: &Neighbour) -> Finding {
    let times = |verdict| neighbour.with_verdict(verdict);
    let (ignored, changed) = (times(Verdict::Ignored), times(Verdict::Changed));
    let kept = neighbour.kept.map_or("kept none".to_owned(), |kept| format!("kept {kept}"));
    let others: Vec<String> = neighbour.others().map(|other| other.hardware_address.to_string()).collect();
    let mut what = vec![
        format!("{} MACs", exact(neighbour.answerers.len() as u64)),
        format!("{kept}, not {}", others.join(", ")),
    ];
    for (times, name) in [(ignored, "ignored"), (changed, "changed")] {
        if times > 0 {
            what.push(format!("{name} ×{}", exact(u64::from(times))));
        }
    }
    // An address that moved once may have been moved on purpose.
    let severity = if ignored > 0 || changed > 1 { Severity::Critical } else { Severity::Warning };
    Finding {
        id: CONTESTED,
        about: About::Subject(Subject::Neighbour(*key)),
        severity,
        subject: Some(Subject::Neighbour(*key)),
        who: format!("{} on {}", key.address, neighbour.device),
        what: what.join(" · "),
        span: neighbour.contested.map(|first| Span { first, last: neighbour.last }),
    }
}

/// Whether the kernel asked for it in vain, and still knows no hardware address.
fn is_silent(neighbour: &Neighbour) -> bool {
    neighbour.with_verdict(Verdict::Failed) > 0 && neighbour.state.is_some_and(|state| !state.is_valid())
}

/// Next hops, or peers on the link, that failed to answer and have flows behind them.
fn silent(state: &State, peers: &Peers, facts: &mut Vec<Finding>) {
    let failed = state.neighbours.iter().filter(|(_, neighbour)| is_silent(neighbour));
    let mut behind: FxHashMap<_, u64> =
        failed.clone().map(|(key, _)| ((key.netns, key.address), 0)).collect();
    if behind.is_empty() {
        return;
    }
    for (&(netns, peer), sums) in peers.iter() {
        let gateway = state.routes.reached(netns, peer).and_then(|reached| reached.gateway);
        if let Some(flows) = behind.get_mut(&(netns, gateway.unwrap_or(peer))) {
            *flows += u64::from(sums.flows);
        }
    }
    let flows_behind =
        |key: &NeighbourKey| behind.get(&(key.netns, key.address)).copied().unwrap_or_default();
    let mut silent: Vec<_> = failed.filter(|(key, _)| flows_behind(key) > 0).collect();
    silent.sort_unstable_by_key(|&(key, _)| (std::cmp::Reverse(flows_behind(key)), key));
    let all = silent.len();
    facts.extend(silent.into_iter().take(MOST_OF_A_RULE).map(|(key, neighbour)| {
        let flows = flows_behind(key);
        let plural = if flows == 1 { "" } else { "s" };
        Finding {
            id: SILENT,
            about: About::Subject(Subject::Neighbour(*key)),
            severity: Severity::Critical,
            subject: Some(Subject::Neighbour(*key)),
            who: format!("{} on {}", key.address, neighbour.device),
            what: format!("does not answer · {} flow{plural} behind it resend", exact(flows)),
            span: None,
        }
    }));
    tell_left_out(facts, SILENT, all, Severity::Critical, ("next hops", "that do not answer"));
}
