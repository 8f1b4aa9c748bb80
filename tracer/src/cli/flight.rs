//! `tracer record --flight`: the last while in memory, written down when something happens.

mod captures;
mod trigger;

use std::{future, path::PathBuf, time::Duration};

use clap::Args;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{
    captures::Captures,
    trigger::{Trigger, Triggers},
};
use super::{
    judging::FailOn,
    keyboard::Keyboard,
    node::{Blocks, Node},
    scope::{Scope, duration},
    status::StatusLine,
    tally::Tally,
    tell,
};
use crate::{
    block::Block,
    findings::watch::Watch,
    history::Flight,
    session::Standing,
    state::State,
    tui::text::{duration as in_words, size},
};

/// The key that writes, the same as in the screens.
const KEY: char = 'f';

/// The options of a flight recorder.
#[derive(Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Flight recorder")]
pub(super) struct Arguments {
    /// Keep the last while in memory only, as in --flight 5m, and write it to a file when something happens, as often as it
    /// does. Each file is named by FILE and the time, and begins with what held before.
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["force", "max_size", "max_time"])]
    flight: Option<Duration>,
    /// What makes it write: finding (one opens that is a warning or worse), finding:ID (one of that rule opens), signal
    /// (SIGUSR1), key (f, on a terminal). Usually finding, signal and key.
    #[arg(long, value_name = "TRIGGER,…", value_delimiter = ',', requires = "flight")]
    trigger: Vec<Trigger>,
    /// Also write what follows for so long. Usually 30s.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "flight")]
    tail: Option<Duration>,
    /// Keep at most about so many mebibytes, compressed, and less than the time asked for if that is not enough. Usually 64.
    #[arg(long, value_name = "MIB", requires = "flight")]
    flight_size: Option<u16>,
}

/// What a flight recorder was asked for.
#[derive(Debug)]
pub(super) struct Plan {
    span_ns: u64,
    limit_bytes: usize,
    tail_ns: u64,
    triggers: Triggers,
}

impl Arguments {
    /// What they ask for, if they ask for a flight recorder.
    pub(super) fn plan(&self) -> Option<Plan> {
        const USUAL_TAIL: Duration = Duration::from_secs(30);
        const USUAL_MEBIBYTES: u16 = 64;
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Some(Plan {
            span_ns: nanoseconds(self.flight?),
            limit_bytes: usize::from(self.flight_size.unwrap_or(USUAL_MEBIBYTES).max(1)) << 20,
            tail_ns: nanoseconds(self.tail.unwrap_or(USUAL_TAIL)),
            triggers: Triggers::new(&self.trigger),
        })
    }
}

/// Keeps the last while until a signal, the duration or an error ends it, and writes it whenever it is triggered.
pub(super) fn run(
    plan: Plan,
    scope: &Scope,
    output: PathBuf,
    most_files: Option<u32>,
    fail_on: FailOn,
) -> anyhow::Result<()> {
    let state = scope.state()?;
    let node = Node::find(scope)?;
    let captures = Captures::new(output, plan.tail_ns, plan.span_ns, most_files)?;
    node.run(async |blocks| Box::pin(fly(blocks, plan, state, captures, fail_on)).await)
}

async fn fly(
    blocks: &mut Blocks,
    plan: Plan,
    state: State,
    captures: Captures,
    fail_on: FailOn,
) -> anyhow::Result<()> {
    let keyboard = if plan.triggers.key { Keyboard::open() } else { None };
    let mut hand = Hand {
        keyboard,
        signal: if plan.triggers.signal { Some(signal(SignalKind::user_defined1())?) } else { None },
    };
    let mut recorder = Recorder::new(plan, state, hand.keyboard.is_some(), captures);
    let mut status = StatusLine::on_stderr();
    let mut ticks = StatusLine::ticks();
    loop {
        tokio::select! {
            block = blocks.next() => {
                let Some(block) = block else { break };
                recorder.take(&block);
            }
            why = hand.asked() => recorder.trigger(why),
            _ = ticks.tick() => {
                for told in recorder.reap() {
                    status.clear();
                    tell(&told);
                }
                status.show(&recorder.line());
            }
        }
    }
    drop(status);
    drop(hand);
    recorder.finish(fail_on)
}

/// The ways in which a person or another program triggers it.
struct Hand {
    keyboard: Option<Keyboard>,
    signal: Option<Signal>,
}

impl Hand {
    /// Waits for the next time; why.
    async fn asked(&mut self) -> &'static str {
        let key = async {
            match &mut self.keyboard {
                Some(keyboard) => keyboard.pressed(KEY).await,
                None => future::pending().await,
            }
        };
        let signal = async {
            match &mut self.signal {
                Some(signal) => drop(signal.recv().await),
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = key => "key pressed",
            () = signal => "SIGUSR1",
        }
    }
}

/// The flight recorder and what it has written.
struct Recorder {
    flight: Flight,
    /// What holds of all that was told.
    standing: Standing,
    watch: Watch,
    captures: Captures,
    tally: Tally,
    span_ns: u64,
    /// The triggers, in words.
    triggers: String,
    /// Whether it was told what they are.
    is_told: bool,
}

impl Recorder {
    fn new(plan: Plan, state: State, has_keyboard: bool, captures: Captures) -> Self {
        let Plan { span_ns, limit_bytes, tail_ns: _, triggers } = plan;
        Self {
            flight: Flight::new(span_ns, limit_bytes),
            standing: Standing::default(),
            triggers: triggers.names(has_keyboard, KEY),
            watch: Watch::new(state, triggers.finding),
            captures,
            tally: Tally::default(),
            span_ns,
            is_told: false,
        }
    }

    fn take(&mut self, block: &Block) {
        self.flight.take(block);
        let tally = &mut self.tally;
        let why = self.watch.take(block, |event| tally.note(event));
        self.captures.take(block, self.flight.newest_ns(), &self.standing);
        self.standing.note(block);
        if let Some(why) = why {
            self.trigger(&why);
        }
    }

    fn trigger(&mut self, why: &str) {
        let Self { flight, captures, standing, .. } = self;
        captures.trigger(why, flight.newest_ns(), Timestamp::now(), standing, || flight.kept());
    }

    /// What there is to tell.
    fn reap(&mut self) -> Vec<String> {
        let mut told = self.captures.reap();
        if self.tally.is_ready() && !self.is_told {
            self.is_told = true;
            told.insert(0, self.armed());
        }
        told
    }

    /// What is told once the hooks have been tried.
    fn armed(&self) -> String {
        let tail = in_words(self.captures.tail_ns());
        let span = in_words(self.span_ns);
        format!("the last {span} are kept in memory; written, with {tail} that follow, on {}", self.triggers)
    }

    /// How it goes; what does not hold stands before what a narrow terminal cuts.
    fn line(&self) -> String {
        if !self.tally.is_ready() {
            return self.tally.attaching();
        }
        let held = self.flight.held();
        let (duration, span) = (in_words(held.duration_ns), in_words(self.span_ns));
        let bytes = size(held.bytes as u64);
        let memory = if held.is_cut { " (memory is full)" } else { "" };
        let now_ns = self.flight.newest_ns();
        let mut doing = match self.captures.tail_left_ns(now_ns) {
            Some(left_ns) => format!("writing, {} to go", in_words(left_ns)),
            None => format!("armed: {}", self.triggers),
        };
        if let Some(reason) = self.captures.waits_for() {
            doing = format!("waiting: {reason}  {doing}");
        }
        let written = self.captures.count();
        format!(
            "{duration} of {span} held{memory}, {bytes}  {doing}  {written} written  {}",
            self.tally.losses()
        )
    }

    fn finish(self, fail_on: FailOn) -> anyhow::Result<()> {
        let Self { captures, tally, watch, standing, .. } = self;
        let outcome = captures.finish(&standing);
        for told in &outcome.told {
            tell(told);
        }
        let files = match outcome.files {
            0 => "nothing was written: it was not triggered".to_owned(),
            1 => "1 file".to_owned(),
            files => format!("{files} files"),
        };
        tell(&format!("{files}; {}", tally.summary_of(&size(outcome.bytes))));
        for line in watch.opened().lines() {
            tell(&line);
        }
        outcome.failure.map_or(Ok(()), Err)?;
        fail_on.verdict(watch.opened())
    }
}
