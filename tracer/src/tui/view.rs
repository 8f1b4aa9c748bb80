//! Drawing. Nothing here changes the model.
//!
//! ```text
//! header      whose node, how long, live or paused
//! tabs
//! filter      what of the events is shown, if not all
//! screen      one file each; or the subject or finding that is open
//! scrub bar   of a session: its extent, the moment shown, landmarks
//! notice      what the user should know besides, if anything
//! prompt      the line being typed, if one is
//! status      what became of all events, and hooks that are missing: on every screen
//! keys
//! ```

mod chrome;
mod conntrack;
mod event_text;
mod finding;
mod hooks;
mod ipvs;
mod neighbours;
mod overview;
mod page;
mod prompt;
mod retransmits;
mod scrub;
mod subject;
mod timeline;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::Style,
};

pub(crate) use self::event_text::event_fact;
pub(super) use self::{
    finding::whole_text as finding_text,
    page::{open_line_text, open_lines, open_text, open_title},
};
use super::{
    model::{Model, Screen},
    theme::Theme,
    widget::help,
};
use crate::{state::State, words::describe};

/// The smallest terminal that is drawn on.
const LEAST_CELLS: u16 = 40;
const LEAST_ROWS: u16 = 8;

/// Where the tabs stand.
pub(super) const TAB_ROW: u16 = 1;

/// What drawing reads.
pub(super) struct Picture<'a> {
    /// Where the user is.
    pub(super) model: &'a Model,
    /// The state to show.
    pub(super) state: &'a State,
    /// How things look.
    pub(super) theme: Theme,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < LEAST_CELLS || area.height < LEAST_ROWS {
        let text = format!("tracer needs {LEAST_CELLS} columns and {LEAST_ROWS} rows");
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), Style::new());
        return;
    }
    let picture = Picture { model, state: model.shown(), theme };
    let [header, tabs, filter, body, scrub, notice, prompt, status, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(u16::from(model.filter.is_some())),
        Constraint::Min(0),
        Constraint::Length(u16::from(model.history.session().is_some())),
        Constraint::Length(u16::from(model.notice.is_some() || model.answer.is_some())),
        Constraint::Length(if model.prompt.is_some() { prompt::ROWS } else { 0 }),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    chrome::header(header, buffer, &picture);
    chrome::tabs(tabs, buffer, &picture);
    draw_body(body, buffer, &picture);
    chrome::filter(filter, buffer, &picture);
    scrub::draw(scrub, buffer, &picture);
    chrome::notice(notice, buffer, &picture);
    prompt::draw(prompt, buffer, &picture);
    chrome::status(status, buffer, &picture);
    chrome::keys(keys, buffer, &picture);
    theme.finish(buffer);
}

fn draw_body(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { model, theme, .. } = *picture;
    let draw = match model.screen {
        Screen::Overview => overview::draw,
        Screen::Retransmits => retransmits::draw,
        Screen::Neighbours => neighbours::draw,
        Screen::Ipvs => ipvs::draw,
        Screen::Conntrack => conntrack::draw,
        Screen::Timeline => timeline::draw,
        Screen::Hooks => hooks::draw,
    };
    match &model.details {
        Some(opened) => page::draw(area, buffer, picture, opened),
        None => draw(area, buffer, picture),
    }
    if model.help {
        help::draw(area, buffer, theme, model.source);
    }
}
