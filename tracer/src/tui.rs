//! The screens.
//!
//! Blocks and keys come in, [`update`](update::update) and [`State::apply`](crate::state::State::apply) change the
//! [`Model`](model::Model), [`draw`](view::draw) shows it: at most ten times a second, and only if something changed.

mod copy;
pub mod keys;
pub mod model;
pub mod mouse;
mod opened;
pub mod player;
pub mod prompt;
mod rows;
mod terminal;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub mod theme;
mod travel;
pub mod update;
pub mod view;
pub mod when;
mod widget;
mod writings;

use crate::words::owner as owner_text;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use crossterm::event::{Event as TerminalEvent, EventStream, KeyEventKind};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::yield_now,
    time::{MissedTickBehavior, interval},
};

use self::{
    model::Model,
    terminal::Screens,
    theme::{Answers, Choice, QUERY, Taken, Theme},
    update::{Effect, Input, take_found, update},
    when::When,
    writings::Writings,
};
use crate::{
    block::Block,
    event::Text,
    filter::Filter,
    findings::Rules,
    history::{Found, History, Indexer, Moments, Recorded, Replay, USUAL_HISTORY_BYTES},
    live::{Stamp, marker},
    session::RecorderStatus,
    signals::StopSignals,
    state::{Limits, State},
};

pub use self::{model::Source, terminal::require_terminal};

/// What comes in besides the user's input.
#[derive(Debug)]
pub enum Feed {
    /// Records.
    Block(Block),
    /// What the indexer of a session found.
    Found(Found),
    /// Something to tell the user: damage of a session, a recording that ended.
    Notice(String),
    /// How the recording goes, if there is one.
    Recording(Option<RecorderStatus>),
}

/// What the user asks of whoever has the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin to record, or end it.
    Record,
}

/// How the screens behave.
#[derive(Debug)]
pub struct Options {
    /// How much is kept at most.
    pub limits: Limits,
    /// By what it is judged.
    pub rules: Arc<Rules>,
    /// Bytes of compressed records kept, for other moments and other filters.
    pub history_bytes: usize,
    /// Where the blocks come from.
    pub source: Source,
    /// What the user asks of the looks.
    pub theme: Choice,
    /// What of it to show; everything if there is none.
    pub filter: Option<Filter>,
    /// Whether the mouse is taken from the start.
    pub has_mouse: bool,
    /// Takes the markers the user sets, to be put among the blocks.
    pub markers: Option<Sender<Block>>,
    /// Takes what else the user asks for.
    pub commands: Option<Sender<Command>>,
    /// Where the last while is written to; the current directory if it is empty.
    pub directory: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            rules: Arc::default(),
            history_bytes: USUAL_HISTORY_BYTES,
            source: Source::default(),
            theme: Choice::default(),
            filter: None,
            has_mouse: false,
            markers: None,
            commands: None,
            directory: PathBuf::new(),
        }
    }
}

/// A session to show.
pub struct Session {
    /// Its records.
    pub recorded: Arc<dyn Recorded>,
    /// Records from this time on, in nanoseconds since boot, are left out.
    pub until_ns: Option<u64>,
    /// The moment to begin with; its end if there is none.
    pub from: Option<When>,
    /// Whether to play it at once, from the beginning if nothing else is said.
    pub is_playing: bool,
}

/// Shows what the blocks tell until the user leaves, a signal asks to, or a node's blocks end. At the end of a session
/// it stays.
///
/// The terminal is as it was when this returns, whatever it returns. Fails if standard output is not a terminal, or
/// if the terminal fails.
pub async fn run(feed: Receiver<Feed>, options: Options) -> Result<()> {
    let Options { limits, rules, history_bytes, filter, .. } = &options;
    let state = State::new(*limits).judged_by(Arc::clone(rules));
    let history = History::new(state, filter.clone(), *limits, *history_bytes);
    let mut desk = Desk::open(history.into(), options)?;
    serve(&mut desk, feed, None).await
}

/// Shows a session until the user leaves or a signal asks to. The bytes of history that the options tell are those for
/// states to begin at.
///
/// Fails as [`run`] does.
pub async fn replay(session: Session, options: Options) -> Result<()> {
    /// Finds ahead of the screens.
    const FOUND_AHEAD: usize = 4;

    let Session { recorded, until_ns, from, is_playing } = session;
    let Options { limits, rules, history_bytes, filter, .. } = &options;
    let replay = Replay::new(recorded, until_ns, filter.clone(), *limits, *history_bytes);
    let replay = replay.judged_by(Arc::clone(rules));
    let mut desk = Desk::open(replay.into(), options)?;
    desk.model.player.start = from.or(is_playing.then_some(When::Share(0)));
    desk.model.player.is_playing = is_playing;
    let (sender, receiver) = channel(FOUND_AHEAD);
    serve(&mut desk, receiver, Some(sender)).await
}

/// Takes in what comes, from the user first of all. Whoever goes through a session tells through `finds`.
async fn serve(desk: &mut Desk, mut feed: Receiver<Feed>, finds: Option<Sender<Feed>>) -> Result<()> {
    /// At most ten frames a second.
    const FRAME: Duration = Duration::from_millis(100);
    /// How often it is seen to that the terminal is still there, where nothing is drawn that would tell.
    const PRESENCE: Duration = Duration::from_secs(1);

    let source = desk.model.source;
    let mut inputs = EventStream::new();
    let mut stop = StopSignals::listen().context("listening for signals")?;
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut presence = interval(PRESENCE);
    presence.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_stale = true;
    let mut played = Instant::now();

    loop {
        if let Some(finds) = &finds {
            desk.index(finds)?;
        }
        // In this order: however many blocks wait, a key is taken next and a frame is never late by more than one
        // block. Work comes last, but a little is done with every block.
        tokio::select! {
            biased;
            () = stop.asked() => return Ok(()),
            input = inputs.next() => {
                let input = input.context("the terminal gives no more input")?;
                let input = input.context("reading from the terminal")?;
                if desk.take_input(&input)? == Next::Leave {
                    return Ok(());
                }
                is_stale = true;
            }
            _ = frames.tick(), if is_stale => {
                desk.model.hold_selection();
                desk.screens.draw(|frame| view::draw(frame, &desk.model, desk.theme))?;
                // The next one a whole interval after this: a picture that takes long to draw must not keep blocks
                // waiting.
                frames.reset();
                // What comes of playing is drawn next, its end as well. While nothing plays, the time that passes is
                // nobody's.
                is_stale = desk.model.player.is_playing;
                update(&mut desk.model, Input::Elapsed(played.elapsed().min(2 * FRAME)));
                played = Instant::now();
            }
            _ = presence.tick() => {
                if terminal::is_gone() {
                    bail!("the terminal is gone");
                }
            }
            incoming = feed.recv(), if finds.is_some() || !desk.model.ended => {
                desk.take_incoming(incoming);
                if desk.model.ended && source == Source::Node {
                    return Ok(());
                }
                is_stale = true;
            }
            () = yield_now(), if desk.model.history.has_work() => {
                desk.model.history.work();
                is_stale = true;
            }
        }
    }
}

/// Whether the user stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
}

/// The model and what its effects need.
struct Desk {
    model: Model,
    screens: Screens,
    markers: Option<Sender<Block>>,
    commands: Option<Sender<Command>>,
    /// When the user began to set a marker.
    moment: Option<Stamp>,
    theme: Theme,
    answers: Answers,
    /// What is kept, being written.
    written: Writings,
    /// Tells the thread that goes through the session to end.
    indexing: Option<Arc<AtomicBool>>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.end_indexing();
    }
}

impl Desk {
    fn open(history: Moments, options: Options) -> Result<Self> {
        let Options {
            limits: _,
            rules: _,
            history_bytes: _,
            source,
            theme,
            filter,
            has_mouse,
            markers,
            commands,
            directory,
        } = options;
        let theme = Theme::find(theme, |name| std::env::var(name).ok()).context("TRACER_THEME")?;
        let mut screens = Screens::open()?;
        if theme.asks_background {
            Screens::ask(QUERY)?;
        }
        let text = filter.as_ref().map(ToString::to_string);
        let mut model = Model::with_history(history, source);
        model.filter = text;
        model.has_mouse = has_mouse;
        if has_mouse {
            screens.take_mouse(true)?;
        }
        update(&mut model, Input::Height(screens.height()?));
        Ok(Self {
            model,
            screens,
            markers,
            commands,
            moment: None,
            theme,
            answers: Answers::default(),
            written: Writings::new(directory),
            indexing: None,
        })
    }

    /// Begins to go through the session, where that is wanted: at first, and under every new filter.
    fn index(&mut self, finds: &Sender<Feed>) -> Result<()> {
        let Some(indexer) = self.model.history.session_mut().and_then(Replay::take_indexer) else {
            return Ok(());
        };
        self.end_indexing();
        let is_given_up = Arc::new(AtomicBool::new(false));
        self.indexing = Some(Arc::clone(&is_given_up));
        let finds = finds.clone();
        thread::Builder::new()
            .name("indexer".to_owned())
            .spawn(move || index(indexer, &finds, &is_given_up))
            .context("cannot start the thread that goes through the session")?;
        Ok(())
    }

    fn end_indexing(&mut self) {
        if let Some(is_given_up) = self.indexing.take() {
            is_given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Takes in what comes besides the user's input; `None` is its end.
    fn take_incoming(&mut self, incoming: Option<Feed>) {
        match incoming {
            Some(Feed::Block(block)) => {
                self.written.tell(&mut self.model);
                self.model.take(&block);
                self.model.history.work();
            }
            Some(Feed::Found(found)) => take_found(&mut self.model, found),
            Some(Feed::Recording(status)) => self.model.recording = status,
            Some(Feed::Notice(notice)) => {
                update(&mut self.model, Input::Notice(Text::new(&notice)));
            }
            None => {
                update(&mut self.model, Input::Ended);
            }
        }
    }

    fn take_input(&mut self, input: &TerminalEvent) -> Result<Next> {
        for input in self.pressed(input) {
            if self.take_pressed(&input)? == Next::Leave {
                return Ok(Next::Leave);
            }
        }
        Ok(Next::Stay)
    }

    /// What the user did. A terminal that was asked for its background answers as if by keys.
    fn pressed(&mut self, input: &TerminalEvent) -> Vec<TerminalEvent> {
        let Self { theme, answers, .. } = self;
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

    fn take_pressed(&mut self, input: &TerminalEvent) -> Result<Next> {
        /// Work that is done before the picture is drawn again: most of it is done by then.
        const AT_ONCE: Duration = Duration::from_millis(30);

        let input = match input {
            TerminalEvent::Key(key) => Input::Key(*key),
            TerminalEvent::Paste(text) => Input::Paste(text.clone()),
            TerminalEvent::Resize(_, height) => Input::Height(*height),
            TerminalEvent::Mouse(event) => match mouse::pointed(*event, self.screens.drawn()) {
                Some(pointed) => Input::Mouse(pointed),
                None => return Ok(Next::Stay),
            },
            TerminalEvent::FocusGained | TerminalEvent::FocusLost => return Ok(Next::Stay),
        };
        match update(&mut self.model, input) {
            Some(Effect::Quit) => return Ok(Next::Leave),
            Some(Effect::NoteMoment) => self.moment = Stamp::now().ok(),
            Some(Effect::Mark(text)) => self.mark(&text),
            Some(Effect::Copy(text)) => Screens::copy(&text)?,
            Some(Effect::Mouse(take)) => self.screens.take_mouse(take)?,
            Some(Effect::Record) => self.command(Command::Record),
            Some(Effect::WriteHistory) => self.written.begin(&mut self.model),
            None => {}
        }
        let began = Instant::now();
        while self.model.history.has_work() && began.elapsed() < AT_ONCE {
            self.model.history.work();
        }
        Ok(Next::Stay)
    }

    fn command(&mut self, command: Command) {
        let is_taken = self.commands.as_ref().is_some_and(|commands| commands.try_send(command).is_ok());
        if !is_taken {
            update(&mut self.model, Input::Notice(Text::new("the screens cannot record now")));
        }
    }

    fn mark(&mut self, text: &Text) {
        let is_marked = match (self.moment.take(), &self.markers) {
            (Some(moment), Some(markers)) => markers.try_send(marker(moment, text)).is_ok(),
            _ => false,
        };
        if !is_marked {
            update(&mut self.model, Input::Notice(Text::new("the marker could not be set")));
        }
    }
}

/// Goes through a session to its end, or until nobody wants to know.
fn index(indexer: Indexer, finds: &Sender<Feed>, is_given_up: &AtomicBool) {
    for found in indexer {
        if is_given_up.load(Ordering::Relaxed) || finds.blocking_send(Feed::Found(found)).is_err() {
            return;
        }
    }
}
