//! A finding: what is so and since when, how that is known, whom it hits, what to do about it, and what happened.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Picture,
    page::{self, Row, add_lines},
    subject,
};
use crate::{
    event::Timestamp,
    findings::{Affects, Finding, FindingChange, FindingStatus, IDS, Key, Severity, Sight},
    state::{Related, Span, State, Subject},
    tui::{
        opened::{Opened, Target},
        text::{age, counted, exact, time_of_day},
        theme::Role,
        widget::details::{self, Line},
    },
    words::describe::subject_title,
};

/// Changes of a finding that are told, the newest.
const MOST_CHANGES: usize = 6;

/// Findings that are told of a subject.
const MOST_OF_SUBJECT: usize = 6;

/// Everything that is shown of a finding.
struct Document {
    facts: Vec<Line>,
    log: Vec<Line>,
    log_note: String,
}

impl Document {
    fn of(state: &State, key: &Key) -> Self {
        let Some(sight) = state.findings.find(key) else {
            let facts = vec![Line::new("", ["nothing is kept of it any more".to_owned()])];
            return Self { facts, log: Vec::new(), log_note: String::new() };
        };
        let (log, log_note) = log(state, sight.finding);
        Self { facts: facts(state, key, &sight), log, log_note }
    }
}

/// Everything that is shown of a finding, line by line.
pub(super) fn lines(state: &State, key: &Key) -> Vec<Line> {
    let Document { facts, log, .. } = Document::of(state, key);
    [facts, log].concat()
}

/// What it is called.
pub(super) fn title(state: &State, key: &Key) -> String {
    match state.findings.find(key) {
        Some(Sight { finding, .. }) => {
            format!("{} {}: {}", finding.severity.names().0, finding.id, finding.who)
        }
        None => key.0.to_owned(),
    }
}

/// All of it but the events, for those who read it elsewhere and do not know the day.
pub(in crate::tui) fn whole_text(state: &State, key: &Key) -> Vec<String> {
    let Some(sight) = state.findings.find(key) else { return Vec::new() };
    let mut text = vec![title(state, key)];
    if let Some(Span { first, last }) = sight.finding.span {
        text.push(format!("from {} to {}", date_and_time(first), date_and_time(last)));
    }
    for line in facts(state, key, &sight) {
        if !line.label.is_empty() {
            text.push(format!("{}:", line.label));
        }
        text.push(format!("  {}", line.told_text()));
    }
    text
}

fn date_and_time(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(time.wall_ns)).unwrap_or_default();
    format!("{time:.0}")
}

/// Draws an open finding.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, (opened, key): (&Opened, &Key)) {
    let document = Document::of(picture.state, key);
    let lines: Vec<&Line> = document.facts.iter().chain(&document.log).collect();
    let (area, here) = page::draw_title(area, buffer, picture, opened, &lines);
    let cells = usize::from(area.width);
    let mut rows = Vec::new();
    add_lines(&mut rows, &document.facts, 0, details::label_cells(&document.facts), cells);
    if !document.log.is_empty() {
        rows.push(Row::Title("What happened, oldest first", &document.log_note));
        let labels = details::label_cells(&document.log);
        add_lines(&mut rows, &document.log, document.facts.len(), labels, cells);
    }
    page::draw_rows(area, buffer, picture.theme, &rows, here);
}

/// How a severity looks.
pub(super) fn role_of(severity: Severity) -> Role {
    match severity {
        Severity::Critical => Role::Bad,
        Severity::Warning => Role::Warning,
        Severity::Notice => Role::Dim,
    }
}

/// The findings that concern a subject, a line each.
pub(super) fn lines_about(state: &State, related: &Related<'_>) -> Vec<Line> {
    let found = state.findings.concerning(related);
    let mut lines: Vec<Line> = found
        .iter()
        .take(MOST_OF_SUBJECT)
        .map(|Sight { finding, .. }| {
            let is_other = finding.subject != Some(related.subject);
            let line = short_line("finding", finding, is_other);
            line.opening(Target::Finding(finding.key()))
        })
        .collect();
    let more = found.len().saturating_sub(MOST_OF_SUBJECT);
    if more > 0 {
        lines.push(Line::new("", [format!("and {} more", counted(more as u64, "finding"))]));
    }
    lines
}

/// A finding in a line: how bad it is, what is so, and whom it is about if that `is_other` than what is open.
fn short_line(label: &str, finding: &Finding, is_other: bool) -> Line {
    let (role, plain) =
        if finding.is_open { (role_of(finding.severity), Role::Plain) } else { (Role::Dim, Role::Dim) };
    let mut line = Line::new(label, []).and(finding.severity.names().0, role);
    if is_other {
        line = line.and(finding.who.clone(), plain);
    }
    line = line.and(finding.what.clone(), plain);
    if finding.is_open { line } else { line.and("over", Role::Dim) }
}

fn facts(state: &State, key: &Key, sight: &Sight<'_>) -> Vec<Line> {
    let &Sight { finding, cause, closed } = sight;
    let goes_on = finding.is_open && closed.is_none();
    let role = if goes_on { role_of(finding.severity) } else { Role::Dim };
    let what = Line::new("what", []).and(finding.what.clone(), role);
    let mut lines = vec![match finding.subject {
        Some(subject) => what.opening(subject),
        None => what,
    }];
    lines.extend(subject_line(state, finding));
    lines.extend(seen_line(state.now(), finding, closed));
    if IDS.contains(&finding.id) {
        let sure = format!("{}: {}", finding.certainty.name(), finding.certainty.meaning());
        lines.push(Line::new("how sure", [sure]));
    }
    let cause_line =
        |cause: &Finding| short_line("explained by", cause, true).opening(Target::Finding(cause.key()));
    lines.extend(cause.map(cause_line));
    lines.extend(listed("evidence", &finding.evidence));
    lines.extend(affected(&finding.affects));
    lines.extend(listed("what to do", &finding.advice));
    let symptoms = finding.symptoms.iter().enumerate().map(|(place, symptom)| {
        let label = if place == 0 { "explains" } else { "" };
        short_line(label, symptom, true).opening(Target::Finding(symptom.key()))
    });
    lines.extend(symptoms);
    lines.extend(changes(state, key, finding));
    lines
}

fn subject_line(state: &State, finding: &Finding) -> Option<Line> {
    let subject = finding.subject?;
    let title = subject_title(state, subject);
    // Where they are the same, the title of the page says it.
    (!finding.who.contains(&title)).then(|| Line::new("about", [title]).opening(subject))
}

fn seen_line(now: Timestamp, finding: &Finding, closed: Option<&FindingChange>) -> Option<Line> {
    let span = finding.span.map(|Span { first, last }| {
        let seen = format!("since {}", time_of_day(first));
        vec![seen, format!("last {} ago", age(now, last))]
    });
    let told = match (closed, finding.is_open) {
        (Some(change), _) => {
            let by = change.explained_by.as_ref().map(|(id, who)| format!(": {id} {who} explains it"));
            let closed = format!("closed at {}{}", time_of_day(change.time), by.unwrap_or_default());
            Some((closed, Role::Dim))
        }
        (None, true) if IDS.contains(&finding.id) => Some(("goes on".to_owned(), Role::Plain)),
        (None, true) => None,
        (None, false) => Some(("over".to_owned(), Role::Good)),
    };
    let mut line = Line::new("seen", span.unwrap_or_default());
    line.told.extend(told);
    (!line.told.is_empty()).then_some(line)
}

/// Texts, a line each, the first with a label.
fn listed<'a>(label: &'a str, texts: &'a [String]) -> impl Iterator<Item = Line> + 'a {
    texts.iter().enumerate().map(move |(place, text)| {
        let label = if place == 0 { label } else { "" };
        Line::new(label, [text.clone()])
    })
}

fn affected(affects: &Affects) -> Vec<Line> {
    let texts = affected_texts(affects);
    let mut lines = Vec::new();
    if !texts.is_empty() {
        lines.push(Line::new("affected", texts));
    }
    if !affects.owners.is_empty() {
        let label = if lines.is_empty() { "affected" } else { "" };
        lines.push(Line::new(label, affects.owners.iter().cloned()));
    }
    lines
}

/// How many of what are affected.
fn affected_texts(affects: &Affects) -> Vec<String> {
    let &Affects { flows, retransmits, connections, .. } = affects;
    [(connections, "new connection"), (flows, "flow"), (retransmits, "retransmit")]
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, what)| counted(count, what))
        .collect()
}

/// What became of it, oldest first.
fn changes(state: &State, key: &Key, now: &Finding) -> Vec<Line> {
    let all: Vec<&FindingChange> = state.findings.changes_of(key).collect();
    let left_out = all.len().saturating_sub(MOST_CHANGES);
    let told = all[left_out..].iter().enumerate().map(|(place, change)| {
        let label = if place == 0 { "changes" } else { "" };
        let FindingChange { time, status, finding, explained_by } = change;
        let (word, role) = match status {
            FindingStatus::Open => ("opened", role_of(finding.severity)),
            FindingStatus::Update => ("changed", role_of(finding.severity)),
            FindingStatus::Closed => ("closed", Role::Dim),
        };
        let mut line = Line::new(label, [time_of_day(*time)]).and(word, role);
        match explained_by {
            Some((id, who)) => line = line.and(format!("{id} {who} explains it"), Role::Plain),
            // What it says now stands above.
            None if *status != FindingStatus::Update || finding.what == now.what => {}
            None => line = line.and(finding.what.clone(), Role::Plain),
        }
        line
    });
    let mut lines: Vec<Line> = told.collect();
    if left_out > 0 {
        lines[0].told.insert(0, (format!("after {} earlier", exact(left_out as u64)), Role::Dim));
    }
    lines
}

/// What happened to its subject.
fn log(state: &State, finding: &Finding) -> (Vec<Line>, String) {
    let Some(subject) = finding.subject else { return (Vec::new(), String::new()) };
    let mut related = state.related(subject);
    if let Subject::Namespace(_) = subject {
        related.events.retain(|event| finding.is_told_by(event));
    }
    subject::log_lines(state, &related)
}
