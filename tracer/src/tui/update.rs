//! What input does to the model.

use crossterm::event::{KeyEvent, KeyEventKind};

use super::{
    keys::{Action, Motion, action_of},
    model::{Model, Screen},
    opened::{self, Opened},
    rows,
};
use crate::event::Text;

/// What comes in besides events.
#[derive(Clone, Debug)]
pub enum Input {
    /// A key.
    Key(KeyEvent),
    /// The terminal has another size: its rows.
    Height(u16),
    /// Something the user should know.
    Notice(Text),
    /// The source of events has ended.
    Ended,
}

/// What the model cannot do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Leave the program.
    Quit,
}

/// Takes one input in.
pub fn update(model: &mut Model, input: Input) -> Option<Effect> {
    match input {
        Input::Height(height) => model.height = height,
        Input::Notice(notice) => {
            let told = model.notice.as_ref().map_or(0, |(_, number)| *number);
            model.notice = Some((notice, told + 1));
        }
        Input::Ended => model.ended = true,
        Input::Key(key) if key.kind != KeyEventKind::Release => return act(model, action_of(&key)?),
        Input::Key(_) => {}
    }
    None
}

fn act(model: &mut Model, action: Action) -> Option<Effect> {
    if opened::act(model, action) {
        return None;
    }
    match action {
        Action::Quit => return Some(Effect::Quit),
        Action::Help => model.help = !model.help,
        Action::Back if model.help => model.help = false,
        Action::Back => model.details = None,
        Action::NextScreen => show(model, model.screen.after(1)),
        Action::PreviousScreen => show(model, model.screen.after(Screen::ALL.len() - 1)),
        Action::Show(screen) => show(model, screen),
        Action::Move(motion) => select(model, motion),
        Action::Open => model.details = subject(model).map(Opened::new),
        Action::Sort => {
            let measures = rows::measures(model.screen).len().max(1);
            let sort = &mut model.sort[model.screen as usize];
            *sort = (*sort + 1) % measures;
        }
        Action::Pause => model.toggle_pause(),
    }
    None
}

fn show(model: &mut Model, screen: Screen) {
    model.screen = screen;
    model.details = None;
    model.help = false;
}

fn select(model: &mut Model, motion: Motion) {
    /// Rows beside the table: header, tabs, title, column names, status line and keys.
    const CHROME: usize = 6;
    let last = rows::count(model.shown(), model.screen).saturating_sub(1);
    let page = usize::from(model.height).saturating_sub(CHROME).max(1);
    let selected = &mut model.selected[model.screen as usize];
    let from = (*selected).min(last);
    *selected = match motion {
        Motion::Up => from.saturating_sub(1),
        Motion::Down => (from + 1).min(last),
        Motion::PageUp => from.saturating_sub(page),
        Motion::PageDown => (from + page).min(last),
        Motion::First => 0,
        Motion::Last => last,
    };
}

fn subject(model: &Model) -> Option<super::model::Subject> {
    let last = rows::count(model.shown(), model.screen).checked_sub(1)?;
    rows::subject(model.shown(), model.screen, model.sorted_by(), model.selected_row().min(last))
}
