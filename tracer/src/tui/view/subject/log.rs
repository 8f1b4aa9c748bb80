//! What happened to a subject, a line each; what repeats itself is one line.

use rustc_hash::FxHashSet;

use crate::{
    event::{Body, Endpoints, Event, Retransmit, RetransmitKind, Verdict},
    state::{Related, State, Subject, is_onto_drained},
    tui::{
        text::{counted, duration, exact, time_of_day_milliseconds},
        theme::Role,
        view::{
            describe::{flow_name, kinds_text},
            event_text::event_fact,
        },
        widget::details::Line,
    },
};

/// Lines that are made at most, the newest.
const MOST_LINES: usize = 2_000;

/// Events in a row that say the same.
struct Run<'a> {
    /// The newest first.
    events: Vec<&'a Event>,
    /// The flows they are about, if they are retransmits.
    flows: FxHashSet<Endpoints>,
}

impl<'a> Run<'a> {
    fn of(event: &'a Event) -> Self {
        let flows = retransmit_of(event).map(|retransmit| retransmit.flow).into_iter().collect();
        Self { events: vec![event], flows }
    }

    /// Takes in the event before if that says the same; the walk goes back in time.
    fn absorbs(&mut self, before: &'a Event, is_one_flow: bool) -> bool {
        let is_same = self.events.last().is_some_and(|after| {
            after.netns == before.netns
                && match (retransmit_of(after), retransmit_of(before)) {
                    (Some(one), Some(other)) => !is_one_flow || one.flow == other.flow,
                    _ => after.body == before.body,
                }
        });
        if is_same {
            self.events.push(before);
            self.flows.extend(retransmit_of(before).map(|retransmit| retransmit.flow));
        }
        is_same
    }

    /// The line of a run; of a short one a line for each event.
    fn lines(&self, subject: Subject) -> Vec<Line> {
        const SHORT: usize = 5;
        if self.events.len() <= SHORT && self.flows.len() < 2 {
            return self.events.iter().rev().map(|event| line(event, event_fact(event).2, subject)).collect();
        }
        let [Some(&last), Some(&first)] = [self.events.first(), self.events.last()] else {
            return Vec::new();
        };
        let text = match retransmit_of(last) {
            Some(retransmit) => {
                let flow = match self.flows.len() {
                    0 | 1 => flow_name(&retransmit.flow),
                    several => counted(several as u64, "flow"),
                };
                format!("{} of {flow}", self.kinds_text())
            }
            None => event_fact(last).2,
        };
        let took = duration(last.time.boot_ns.saturating_sub(first.time.boot_ns));
        let times = format!("×{} in {took}", exact(self.events.len() as u64));
        vec![line(first, text, subject).and(times, Role::Plain)]
    }

    /// What was sent again how often: `rto 12, fast 3`.
    fn kinds_text(&self) -> String {
        let mut kinds = [0; RetransmitKind::ALL.len()];
        let mut failed = 0;
        for retransmit in self.events.iter().filter_map(|event| retransmit_of(event)) {
            if retransmit.succeeded() {
                kinds[retransmit.kind as usize] += 1;
            } else {
                failed += 1;
            }
        }
        kinds_text(&kinds, failed, 0)
    }
}

fn line(event: &Event, text: String, subject: Subject) -> Line {
    let label = format!("{}  {}", time_of_day_milliseconds(event.time), event.body.kind().name());
    let mut line = Line { label, ..Line::default() }.and(text, role(&event.body));
    // What is about the whole node is in no namespace.
    if subject.netns().is_some_and(|netns| netns != event.netns) && Subject::of(event).is_some() {
        line = line.and(format!("netns {}", event.netns), Role::Dim);
    }
    Line { opens: Subject::of(event).filter(|other| *other != subject), ..line }
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
    let lines = runs.iter().rev().flat_map(|run| run.lines(related.subject)).collect();
    (lines, note(state, related, told))
}

/// How many events are told, and how many retransmits came too long ago to be kept.
fn note(state: &State, related: &Related<'_>, told: u64) -> String {
    let resent = related.events.iter().filter(|event| retransmit_of(event).is_some()).count() as u64;
    let mut note = counted(told, "event");
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
