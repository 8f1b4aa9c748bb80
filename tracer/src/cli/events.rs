//! `tracer events`: a line or a JSON object for each event.

use std::{
    env,
    io::{self, BufWriter, IsTerminal as _, StdoutLock},
    time::Duration,
};

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{self, Instant, MissedTickBehavior},
};

use super::{privileges, scope::Scope};
use crate::{
    block::Block,
    decode::Decoder,
    event::{Body, Event},
    kernel::Paths,
    live::Live,
    output::{LineStyle, Printer},
};

/// How often it is checked whether anybody still reads the output.
const READER_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes collected before they are written, or until the block ends.
const OUTPUT_BYTES: usize = 1 << 16;

/// `tracer events`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// One JSON object a line, the first of them `ready`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    scope: Scope,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let options = arguments.scope.options()?;
    let paths = Paths::default();
    let facts = privileges::facts(&paths)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut live = Live::start(paths, facts, options)?;
        let printed = print(&mut live, arguments).await;
        // The reason why the hooks ended matters more than what it did to the output.
        live.finish()?;
        printed
    })
}

/// Prints until the collection ends by itself, by signal or by the duration.
async fn print(live: &mut Live, arguments: &Arguments) -> anyhow::Result<()> {
    let mut output = Output::new(arguments.json);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut reader_check = time::interval(READER_CHECK_INTERVAL);
    reader_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut end: Option<Instant> = None;
    loop {
        tokio::select! {
            block = live.blocks.recv() => {
                let Some(block) = block else { break };
                let is_ready = output.print(&block)?;
                if is_ready && let Some(duration) = arguments.scope.duration {
                    end = Some(Instant::now() + duration);
                }
            }
            _ = interrupt.recv() => live.stop.ask(),
            _ = terminate.recv() => live.stop.ask(),
            () = at(end) => {
                end = None;
                live.stop.ask();
            }
            _ = reader_check.tick() => check_reader()?,
        }
    }
    output.printer.finish()?;
    Ok(())
}

/// Comes when `end` comes; never if there is none.
async fn at(end: Option<Instant>) {
    match end {
        Some(end) => time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Fails with a broken pipe if nobody reads standard output any more. Without this a quiet node would keep a tracer
/// whose reader is gone.
fn check_reader() -> io::Result<()> {
    let mut descriptor = libc::pollfd { fd: libc::STDOUT_FILENO, events: 0, revents: 0 };
    // SAFETY: one descriptor, which lives through the call.
    let ready = unsafe { libc::poll(&raw mut descriptor, 1, 0) };
    if ready > 0 && descriptor.revents & (libc::POLLERR | libc::POLLNVAL) != 0 {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

struct Output {
    decoder: Decoder,
    printer: Printer<BufWriter<StdoutLock<'static>>>,
}

impl Output {
    fn new(json: bool) -> Self {
        let stdout = io::stdout();
        let style = LineStyle::fit(stdout.is_terminal(), |name| env::var(name).ok());
        let writer = BufWriter::with_capacity(OUTPUT_BYTES, stdout.lock());
        let printer = if json { Printer::json(writer) } else { Printer::lines(writer, style) };
        Self { decoder: Decoder::default(), printer }
    }

    /// Prints a block's events at once; whether one of them says that everything is attached.
    fn print(&mut self, block: &Block) -> io::Result<bool> {
        let Self { decoder, printer } = self;
        let mut is_ready = false;
        let mut result = Ok(());
        printer.note_unread(decoder.counts());
        decoder.decode(block, |event: Event| {
            is_ready |= event.body == Body::Ready;
            if result.is_ok() {
                result = printer.print(&event);
            }
        });
        result?;
        printer.flush()?;
        Ok(is_ready)
    }
}
