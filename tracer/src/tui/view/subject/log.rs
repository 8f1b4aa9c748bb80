//! What happened to a subject, a line each; what repeats itself is one line.

use rustc_hash::FxHashSet;

use super::connection::onward_text;
use crate::{
    event::{Body, Endpoints, Event, Retransmit, RetransmitKind, Verdict},
    state::{Related, State, Subject, is_onto_drained},
    tui::{
        opened::Target,
        owner_text::netns_column,
        text::{counted, duration, exact, microseconds, time_of_day_milliseconds},
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
    fn lines(&self, (state, subject): (&State, Subject), own: &[Endpoints]) -> Vec<Line> {
        const SHORT: usize = 5;
        if self.events.len() <= SHORT && self.flows.len() < 2 {
            return self
                .events
                .iter()
                .rev()
                .map(|event| line(state, event, parts(event, own), subject))
                .collect();
        }
        let [Some(&last), Some(&first)] = [self.events.first(), self.events.last()] else {
            return Vec::new();
        };
        let mut parts = match retransmit_of(last) {
            Some(retransmit) => {
                let of = match self.flows.len() {
                    0 | 1 if own.contains(&retransmit.flow) => String::new(),
                    0 | 1 => flow_name(&retransmit.flow),
                    several => format!("of {}", counted(several as u64, "flow")),
                };
                vec![self.kinds_text(), of]
            }
            None => parts(last, own),
        };
        let took = duration(last.time.boot_ns.saturating_sub(first.time.boot_ns));
        parts.push(format!("×{} in {took}", exact(self.events.len() as u64)));
        vec![line(state, first, parts, subject)]
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

fn line(state: &State, event: &Event, parts: Vec<String>, subject: Subject) -> Line {
    let label = format!("{}  {}", time_of_day_milliseconds(event.time), event.body.kind().name());
    let role = role(&event.body);
    let told = parts.into_iter().filter(|part| !part.is_empty()).map(|part| (part, role)).collect();
    let opens = Subject::of(event).filter(|other| *other != subject).map(Target::Subject);
    let mut line = Line { label, told, opens };
    // What is about the whole node is in no namespace.
    if subject.netns().is_some_and(|netns| netns != event.netns) && Subject::of(event).is_some() {
        line = line.and(format!("netns {}", netns_column(state, event.netns, event.time)), Role::Dim);
    }
    line
}

/// What happened, in parts that stay together. The ends are left out where they are those of the subject.
fn parts(event: &Event, own: &[Endpoints]) -> Vec<String> {
    let of = |flow: &Endpoints| if own.contains(flow) { String::new() } else { flow_name(flow) };
    match &event.body {
        Body::Retransmit(told) => vec![
            match told.error {
                Some(error) => format!("{} failed with {error}", told.kind),
                None => told.kind.to_string(),
            },
            of(&told.flow),
            told.attempt.map(|attempt| format!("attempt {attempt}")).unwrap_or_default(),
            told.rto_us.map(|us| format!("rto {}", microseconds(us))).unwrap_or_default(),
        ],
        Body::Ipvs(told) => {
            let dialled =
                Endpoints { source: told.client, destination: told.virtual_service, protocol: told.protocol };
            let real = told.real.map_or("no real server".to_owned(), |real| real.to_string());
            vec![
                format!("{} → {real}", told.decision),
                told.weight.map(|weight| format!("weight {weight}")).unwrap_or_default(),
                of(&dialled),
                told.connection_state.map(|state| format!("entry was {state}")).unwrap_or_default(),
            ]
        }
        Body::Conntrack(told) => vec![
            told.event.to_string(),
            told.original.map(|original| of(&original)).unwrap_or_default(),
            told.tcp_state.map(|state| format!("was {state}")).unwrap_or_default(),
        ],
        Body::Icmp(told) => vec![
            format!("{} {}", told.meaning(), told.direction),
            told.sender.map(|sender| format!("from {sender}")).unwrap_or_default(),
            told.about
                .map(|about| of(&about.flow))
                .filter(|flow| !flow.is_empty())
                .map_or_else(String::new, |flow| format!("about {flow}")),
        ],
        Body::Translation(told) => vec![
            of(&told.original),
            format!("goes on {}", onward_text(&told.original, &told.reply.reversed())),
            told.name().to_owned(),
            told.tcp_state.unwrap_or_default().to_owned(),
            if told.is_answered() { "answered" } else { "no answer so far" }.to_owned(),
        ],
        _ => vec![event_fact(event).2],
    }
}

fn retransmit_of(event: &Event) -> Option<&Retransmit> {
    match &event.body {
        Body::Retransmit(retransmit) => Some(retransmit),
        _ => None,
    }
}

/// The lines, oldest first, and what there is to say about them as a whole.
pub(in crate::tui::view) fn lines(state: &State, related: &Related<'_>) -> (Vec<Line>, String) {
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
    // The names that need no telling: of the flow, and of what is dialled.
    let mut own = Vec::new();
    if let Subject::Flow(key) = related.subject {
        own.push(key.endpoints);
        own.extend(related.mappings.first().map(|mapping| mapping.learnt.original));
    }
    let lines = runs.iter().rev().flat_map(|run| run.lines((state, related.subject), &own)).collect();
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
