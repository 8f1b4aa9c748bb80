//! What happened to a subject, a line each; what repeats itself is one line.

use std::cmp::Reverse;

use rustc_hash::FxHashSet;

use crate::{
    event::{Body, Endpoints, Event, Retransmit, Verdict},
    state::{Related, State, Subject, is_onto_drained},
    tui::{
        text::{duration, exact, time_of_day_milliseconds},
        theme::Role,
        view::event_text::event_fact,
        widget::details::Line,
    },
};

/// Lines that are made at most, the newest.
const MOST_LINES: usize = 2_000;

/// Events in a row that say the same.
struct Run<'a> {
    first: &'a Event,
    last: &'a Event,
    times: u64,
    /// The flows they are about, where that may be several.
    flows: FxHashSet<Endpoints>,
}

impl<'a> Run<'a> {
    fn of(event: &'a Event) -> Self {
        let flows = retransmit_of(event).map(|retransmit| retransmit.flow).into_iter().collect();
        Self { first: event, last: event, times: 1, flows }
    }

    /// Takes in the event before if that says the same; the walk goes back in time.
    fn absorbs(&mut self, before: &'a Event, is_one_flow: bool) -> bool {
        let is_same = self.first.netns == before.netns
            && match (retransmit_of(self.first), retransmit_of(before)) {
                (Some(one), Some(other)) => {
                    (one.kind, one.error) == (other.kind, other.error)
                        && (!is_one_flow || one.flow == other.flow)
                }
                _ => self.first.body == before.body,
            };
        if is_same {
            self.first = before;
            self.times += 1;
            self.flows.extend(retransmit_of(before).map(|retransmit| retransmit.flow));
        }
        is_same
    }

    fn line(&self, subject: Subject) -> Line {
        let (_, kind, text) = event_fact(self.last);
        let label = format!("{}  {kind}", time_of_day_milliseconds(self.first.time));
        let text = match self.flows.len() {
            2.. => retransmit_of(self.last).map_or(text, |retransmit| {
                let failed =
                    retransmit.error.map(|error| format!(" failed with {error}")).unwrap_or_default();
                format!("{}{failed} of {} flows", retransmit.kind, exact(self.flows.len() as u64))
            }),
            _ => text,
        };
        let mut line = Line { label, ..Line::default() }.and(text, role(&self.last.body));
        if self.times > 1 {
            let took = self.last.time.boot_ns.saturating_sub(self.first.time.boot_ns);
            line = line.and(format!("×{} in {}", exact(self.times), duration(took)), Role::Plain);
        }
        if subject.netns().is_some_and(|netns| netns != self.last.netns) {
            line = line.and(format!("netns {}", self.last.netns), Role::Dim);
        }
        Line { opens: Subject::of(self.last).filter(|other| *other != subject), ..line }
    }
}

fn retransmit_of(event: &Event) -> Option<&Retransmit> {
    match &event.body {
        Body::Retransmit(retransmit) => Some(retransmit),
        _ => None,
    }
}

/// The lines, oldest first, and what there is to say about them as a whole.
pub(super) fn lines(state: &State, related: &Related<'_>) -> (Vec<Line>, String) {
    let is_one_flow = matches!(related.subject, Subject::Flow(_));
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut told = 0;
    for &event in related.events.iter().rev() {
        if !runs.last_mut().is_some_and(|run| run.absorbs(event, is_one_flow)) {
            if runs.len() == MOST_LINES {
                break;
            }
            runs.push(Run::of(event));
        }
        told += 1;
    }
    runs.sort_by_key(|run| Reverse(run.last.time));
    let lines = runs.iter().rev().map(|run| run.line(related.subject)).collect();
    (lines, note(state, related, told))
}

/// How many events are told, and how many retransmits came too long ago to be kept.
fn note(state: &State, related: &Related<'_>, told: u64) -> String {
    let resent = related.events.iter().filter(|event| retransmit_of(event).is_some()).count() as u64;
    let mut note = format!("{} events", exact(told));
    let earlier = related.attempts.saturating_sub(resent) + (related.events.len() as u64 - told);
    if earlier > 0 {
        note = format!("{note}, {} earlier no longer kept", exact(earlier));
    } else if state.chronicle.dropped() > 0 {
        note = format!("{note}, older ones may be gone");
    }
    note
}

/// How an event is for those it is about.
fn role(body: &Body) -> Role {
    match body {
        Body::Retransmit(retransmit) if retransmit.error.is_some() => Role::Bad,
        Body::Neighbour(told) => match told.verdict {
            Verdict::Ignored | Verdict::Changed => Role::Warning,
            Verdict::Failed => Role::Bad,
            Verdict::Learned | Verdict::Confirmed => Role::Plain,
        },
        Body::Ipvs(decided) if is_onto_drained(decided) || !decided.decision.is_accepted() => Role::Bad,
        Body::Conntrack(decision) if decision.event.is_failure() => Role::Bad,
        Body::RouteLookup(lookup) if lookup.result.is_astray() => Role::Bad,
        Body::Icmp(_) | Body::Duplicate(_) => Role::Warning,
        Body::Marker(_) => Role::Title,
        _ => Role::Plain,
    }
}
