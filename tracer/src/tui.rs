//! The screens.
//!
//! Blocks and keys come in, [`update`](update::update) and [`State::apply`](crate::state::State::apply) change the
//! [`Model`](model::Model), [`draw`](view::draw) shows it: at most ten times a second, and only if something changed.

pub mod keys;
pub mod model;
mod peers;
mod rows;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
pub mod theme;
pub mod update;
pub mod view;
mod widget;

use std::time::Duration;

use anyhow::{Context, Result};
use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::Receiver,
    time::{MissedTickBehavior, interval},
};

use self::{
    model::Model,
    terminal::Screens,
    theme::Theme,
    update::{Effect, Input, update},
};
use crate::{
    block::Block,
    decode::Decoder,
    state::{Limits, State},
};

/// How the screens behave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much is kept at most.
    pub limits: Limits,
    /// Whether to leave when the source of blocks ends, rather than to stay until the user does.
    pub end_with_source: bool,
}

/// Shows what the blocks tell until the user leaves, a signal asks to, or the source ends and the options say so.
///
/// The terminal is as it was when this returns, whatever it returns. Fails if standard output is not a terminal, or
/// if the terminal fails.
pub async fn run(mut blocks: Receiver<Block>, options: Options) -> Result<()> {
    /// At most ten frames a second.
    const FRAME: Duration = Duration::from_millis(100);

    let theme = Theme::of_environment(|name| std::env::var(name).ok());
    let mut screens = Screens::open()?;
    let mut model = Model::new(State::new(options.limits));
    let mut decoder = Decoder::default();
    let mut inputs = EventStream::new();
    let mut stop = Stop::new()?;
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
                if take_input(&mut model, &input) == Some(Effect::Quit) {
                    return Ok(());
                }
                is_stale = true;
            }
            _ = frames.tick(), if is_stale => {
                screens.draw(|frame| view::draw(frame, &model, theme))?;
                is_stale = false;
            }
            block = blocks.recv(), if !model.ended => {
                match block {
                    Some(block) => {
                        decoder.decode(&block, |event| model.live().apply(&event));
                        model.live().set_decoded(decoder.counts());
                    }
                    None if options.end_with_source => return Ok(()),
                    None => { update(&mut model, Input::Ended); }
                }
                is_stale = true;
            }
        }
    }
}

fn take_input(model: &mut Model, input: &TerminalEvent) -> Option<Effect> {
    match *input {
        TerminalEvent::Key(key) => update(model, Input::Key(key)),
        TerminalEvent::Resize(_, height) => update(model, Input::Height(height)),
        _ => None,
    }
}

/// The signals that ask the program to leave.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
