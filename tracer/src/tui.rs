//! The screens.
//!
//! Blocks and keys come in, [`update`](update::update) and [`State::apply`](crate::state::State::apply) change the
//! [`Model`](model::Model), [`draw`](view::draw) shows it: at most ten times a second, and only if something changed.

pub mod keys;
pub mod model;
mod notable;
mod owner_text;
mod peers;
mod rows;
mod terminal;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub mod theme;
pub mod update;
pub mod view;
mod widget;

use std::time::Duration;

use anyhow::{Context, Result};
use crossterm::event::{Event as TerminalEvent, EventStream, KeyEventKind};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc::Receiver,
    time::{MissedTickBehavior, interval},
};

use self::{
    model::Model,
    terminal::Screens,
    theme::{Answers, Choice, QUERY, Taken, Theme},
    update::{Effect, Input, update},
};
use crate::{
    block::Block,
    decode::Decoder,
    event::Text,
    filter::{Filter, Sieve},
    signals::StopSignals,
    state::{Limits, State},
};

pub use self::{model::Source, terminal::require_terminal};

/// What comes in besides the user's input.
#[derive(Clone, Debug)]
pub enum Feed {
    /// Records.
    Block(Block),
    /// Something to tell the user: damage of a session, a recording that ended.
    Notice(String),
}

/// How the screens behave.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much is kept at most.
    pub limits: Limits,
    /// Where the blocks come from.
    pub source: Source,
    /// What the user asks of the looks.
    pub theme: Choice,
    /// What of it to show; everything if there is none.
    pub filter: Option<Filter>,
}

/// Shows what the blocks tell until the user leaves, a signal asks to, or a node's blocks end. At the end of a session
/// it stays.
///
/// The terminal is as it was when this returns, whatever it returns. Fails if standard output is not a terminal, or
/// if the terminal fails.
pub async fn run(mut feed: Receiver<Feed>, options: Options) -> Result<()> {
    /// At most ten frames a second.
    const FRAME: Duration = Duration::from_millis(100);

    let mut theme = Theme::find(options.theme, |name| std::env::var(name).ok()).context("TRACER_THEME")?;
    let mut screens = Screens::open()?;
    if theme.asks_background {
        screens.ask(QUERY)?;
    }
    let mut answers = Answers::default();
    let mut model = Model::new(State::new(options.limits), options.source);
    model.filter = options.filter.as_ref().map(ToString::to_string);
    let mut sieve = Sieve::new(options.filter);
    let mut decoder = Decoder::default();
    let mut inputs = EventStream::new();
    let mut stop = StopSignals::listen().context("listening for signals")?;
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    update(&mut model, Input::Height(screens.height()?));
    let mut is_stale = true;

    loop {
        // In this order: however many blocks wait, a key is taken next and a frame is never late by more than one
        // block.
        tokio::select! {
            biased;
            () = stop.asked() => return Ok(()),
            input = inputs.next() => {
                let input = input.context("the terminal gives no more input")?;
                let input = input.context("reading from the terminal")?;
                for input in pressed(&input, &mut answers, &mut theme) {
                    if take_input(&mut model, &input) == Some(Effect::Quit) {
                        return Ok(());
                    }
                }
                is_stale = true;
            }
            _ = frames.tick(), if is_stale => {
                screens.draw(|frame| view::draw(frame, &model, theme))?;
                is_stale = false;
            }
            incoming = feed.recv(), if !model.ended => {
                match incoming {
                    Some(Feed::Block(block)) => take_block(&mut model, &mut decoder, &mut sieve, &block),
                    Some(Feed::Notice(notice)) => { update(&mut model, Input::Notice(Text::new(&notice))); }
                    None if options.source == Source::Node => return Ok(()),
                    None => { update(&mut model, Input::Ended); }
                }
                is_stale = true;
            }
        }
    }
}

/// What the user did. A terminal that was asked for its background answers as if by keys.
fn pressed(input: &TerminalEvent, answers: &mut Answers, theme: &mut Theme) -> Vec<TerminalEvent> {
    match *input {
        TerminalEvent::Key(key) if theme.asks_background && key.kind != KeyEventKind::Release => {
            match answers.take(key) {
                Taken::Pressed(keys) => keys.into_iter().map(TerminalEvent::Key).collect(),
                Taken::Held => Vec::new(),
                Taken::Answered(background) => {
                    (theme.background, theme.asks_background) = (background, false);
                    Vec::new()
                }
            }
        }
        _ => vec![input.clone()],
    }
}

fn take_block(model: &mut Model, decoder: &mut Decoder, sieve: &mut Sieve, block: &Block) {
    decoder.decode(block, |event| {
        if sieve.passes(&event) {
            model.live().apply(&event);
        }
    });
    model.live().set_decoded(decoder.counts());
}

fn take_input(model: &mut Model, input: &TerminalEvent) -> Option<Effect> {
    match *input {
        TerminalEvent::Key(key) => update(model, Input::Key(key)),
        TerminalEvent::Resize(_, height) => update(model, Input::Height(height)),
        _ => None,
    }
}
