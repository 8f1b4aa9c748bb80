//! What input does to the model.

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyEventKind};

use super::{
    copy,
    keys::{Action, Motion, Typed, action_of, typed},
    model::{Model, Screen, Source},
    mouse::Pointed,
    opened::{self, Opened, Target},
    prompt::{Prompt, Purpose},
    rows, travel,
};
use crate::{event::Text, history::Found};

/// What comes in besides events.
#[derive(Clone, Debug)]
pub enum Input {
    /// A key.
    Key(KeyEvent),
    /// Text put in at once.
    Paste(String),
    /// The mouse.
    Mouse(Pointed),
    /// The terminal has another size: its rows.
    Height(u16),
    /// Something the user should know.
    Notice(Text),
    /// What came of something the user asked for.
    Answer(Text),
    /// The source of events has ended.
    Ended,
    /// So much time has passed while a session plays.
    Elapsed(Duration),
}

/// What the model cannot do itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Leave the program.
    Quit,
    /// Remember this moment: the next marker is about it.
    NoteMoment,
    /// Put a marker with this text at the moment noted.
    Mark(Text),
    /// Put a text into the terminal's clipboard.
    Copy(String),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Begin to record, or end it.
    Record,
    /// Write all that is kept to a session file.
    WriteHistory,
}

/// Takes one input in.
pub fn update(model: &mut Model, input: Input) -> Option<Effect> {
    match input {
        Input::Height(height) => model.height = height,
        Input::Notice(notice) => {
            let told = model.notice.as_ref().map_or(0, |(_, number)| *number);
            model.notice = Some((notice, told + 1));
        }
        Input::Answer(text) => model.answer = Some(text),
        Input::Ended => model.ended = true,
        Input::Elapsed(elapsed) => {
            if let Some(replay) = model.history.session_mut() {
                model.player.go_on(replay, elapsed);
            }
        }
        Input::Key(key) if key.kind == KeyEventKind::Release => {}
        Input::Key(key) => {
            model.answer = None;
            return match model.prompt.take() {
                Some(prompt) => type_key(model, prompt, &key),
                None => act(model, action_of(&key)?),
            };
        }
        Input::Mouse(_) if model.prompt.is_some() || model.help => {}
        Input::Mouse(pointed) => point(model, pointed),
        // Without a line to go to, what is pasted would be keys nobody meant.
        Input::Paste(text) => {
            if let Some(mut prompt) = model.prompt.take() {
                prompt.insert(&text, model.shown());
                model.prompt = Some(prompt);
            }
        }
    }
    None
}

/// Takes in what the indexer of a session found, and tells at its end what is damaged.
pub(super) fn take_found(model: &mut Model, found: Found) {
    let Some(replay) = model.history.session_mut() else { return };
    let damage: Vec<Text> = found.damage().iter().map(|notice| Text::new(notice)).collect();
    replay.take_found(found);
    model.ended = replay.is_indexed();
    if replay.has_times()
        && let Some(start) = model.player.start.take()
    {
        travel::go_to(model, start);
    }
    // Another filter reads it all again, and finds the same.
    if model.notice.is_none() {
        for notice in damage {
            update(model, Input::Notice(notice));
        }
    }
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
        Action::Open => {
            model.hold_selection();
            model.is_following = false;
            model.details = target(model).map(Opened::new);
        }
        Action::Sort => {
            let measures = rows::measures(model.screen).len().max(1);
            let screen = model.screen as usize;
            model.sort[screen] = (model.sort[screen] + 1) % measures;
            // Whoever sorts wants to see what comes first.
            (model.selected[screen], model.chosen[screen]) = (0, None);
        }
        Action::Pause => model.toggle_pause(),
        Action::Travel(leap) => travel::leap(model, leap),
        Action::Speed { is_faster } => travel::change_speed(model, is_faster),
        Action::Follow => {
            model.hold_selection();
            model.is_following = !model.is_following;
            model.hold_selection();
        }
        Action::Type(purpose) => return begin_to_type(model, purpose),
        Action::Copy(extent) => {
            let Some(copied) = copy::text(model, extent) else {
                answer(model, "nothing is selected here that could be copied");
                return None;
            };
            answer(model, "copied, if this terminal lets programs set its clipboard (OSC 52)");
            return Some(Effect::Copy(copied));
        }
        Action::Record if model.source == Source::Session => {
            answer(model, "a session is recorded already");
        }
        Action::Record => return Some(Effect::Record),
        Action::WriteHistory if model.source == Source::Session => {
            answer(model, "this is a session: it is in a file already");
        }
        Action::WriteHistory => return Some(Effect::WriteHistory),
        Action::Mouse => {
            model.has_mouse = !model.has_mouse;
            let whose = if model.has_mouse {
                "the mouse selects rows and screens; M leaves it to the terminal"
            } else {
                "the mouse is the terminal's"
            };
            answer(model, whose);
            return Some(Effect::Mouse(model.has_mouse));
        }
    }
    None
}

pub(super) fn answer(model: &mut Model, text: &str) {
    model.answer = Some(Text::new(text));
}

fn show(model: &mut Model, screen: Screen) {
    model.screen = screen;
    model.details = None;
    model.help = false;
}

fn select(model: &mut Model, motion: Motion) {
    /// Rows beside the table: header, tabs, title, column names, status line and keys.
    const CHROME: usize = 6;
    model.hold_selection();
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
    if model.screen == Screen::Timeline {
        model.is_following = motion == Motion::First;
    }
    model.chosen[model.screen as usize] = if motion == Motion::First { None } else { target(model) };
}

fn point(model: &mut Model, pointed: Pointed) {
    let rows = match pointed {
        Pointed::Tab(screen) => return show(model, screen),
        Pointed::Row(0) => {
            act(model, Action::Open);
            return;
        }
        Pointed::Row(rows) | Pointed::Wheel(rows) => rows,
    };
    let motion = if rows < 0 { Motion::Up } else { Motion::Down };
    for _ in 0..rows.unsigned_abs() {
        act(model, Action::Move(motion));
    }
}

fn target(model: &Model) -> Option<Target> {
    let last = rows::count(model.shown(), model.screen).checked_sub(1)?;
    rows::target(model.shown(), model.screen, model.sorted_by(), model.selected_row().min(last))
}

fn begin_to_type(model: &mut Model, purpose: Purpose) -> Option<Effect> {
    if purpose == Purpose::Marker && model.source == Source::Session {
        answer(model, "a session is shown as it was recorded: markers are set on a live node");
        return None;
    }
    model.help = false;
    let text = match purpose {
        Purpose::Filter => model.filter.clone().unwrap_or_default(),
        Purpose::Marker | Purpose::Moment => String::new(),
    };
    model.prompt = Some(Prompt::new(purpose, &text, model.shown()));
    (purpose == Purpose::Marker).then_some(Effect::NoteMoment)
}

fn type_key(model: &mut Model, mut prompt: Prompt, key: &KeyEvent) -> Option<Effect> {
    match typed(key) {
        Some(Typed::Leave) => return None,
        Some(Typed::Enter) if prompt.purpose == Purpose::Marker => {
            answer(model, "marked");
            return Some(Effect::Mark(Text::new(prompt.text())));
        }
        Some(Typed::Enter) if prompt.purpose == Purpose::Moment => {
            if let Ok(when) = prompt.when() {
                travel::go_to(model, when);
                return None;
            }
        }
        Some(Typed::Enter) => {
            if let Ok(filter) = prompt.filter() {
                let text = filter.is_some().then(|| prompt.text().to_owned());
                if text != model.filter {
                    model.set_filter(text, filter);
                }
                return None;
            }
        }
        Some(Typed::Character(character)) => prompt.insert(character.encode_utf8(&mut [0; 4]), model.shown()),
        Some(Typed::Edit(edit)) => {
            let past: &[String] = if prompt.purpose == Purpose::Filter { &model.past_filters } else { &[] };
            prompt.edit(edit, past, model.shown());
        }
        None => {}
    }
    model.prompt = Some(prompt);
    None
}
