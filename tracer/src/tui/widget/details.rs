//! All that is known of one subject, and the last events about it.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};

use super::{
    lines::{self, Fact},
    rule,
};
use crate::tui::{
    model::Subject,
    text::exact,
    theme::Role,
    view::{Picture, event_fact, subject_facts, subject_title},
};

/// Draws the details of a subject.
pub(crate) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, subject: Subject) {
    const LEAST_EVENT_ROWS: u16 = 2;
    let Picture { state, theme, .. } = *picture;
    let area = rule::draw(area, buffer, theme, &subject_title(state, subject), "");
    let mut facts = subject_facts(state, subject);
    if facts.is_empty() {
        facts.push(Fact { subject: "nothing is kept of it any more".to_owned(), told: Vec::new() });
    }
    let rows =
        u16::try_from(facts.len()).unwrap_or(u16::MAX).min(area.height.saturating_sub(LEAST_EVENT_ROWS));
    let [known, below] = Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(area);
    lines::draw(known, buffer, theme, &facts);

    let about: Vec<_> = state.timeline.events().iter().filter(|event| subject.concerns(event)).collect();
    if about.is_empty() {
        return;
    }
    let below = rule::draw(below, buffer, theme, "Its last events", &exact(about.len() as u64));
    let first = about.len().saturating_sub(usize::from(below.height));
    let told: Vec<Fact> = about[first..]
        .iter()
        .map(|event| {
            let (time, kind, text) = event_fact(event);
            Fact { subject: format!("{time}  {kind}"), told: vec![(text, Role::Plain)] }
        })
        .collect();
    lines::draw(below, buffer, theme, &told);
}
