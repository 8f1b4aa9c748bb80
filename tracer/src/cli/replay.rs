//! `tracer replay`: the screens on a session.

mod spool;

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use super::{
    limits::LimitArguments,
    playback::{Shifts, end_ns, is_regular, tape},
    scope::View,
    screens::Screens,
    tell,
};
use crate::{
    block::Block,
    history::{Recorded, USUAL_CHECKPOINT_BYTES},
    tui::{self, Source, when::When},
};

/// `tracer replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The sessions: parts of one recording, or those of several nodes.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Begin at this moment and not at the end: 14:03:22, +30s (after the beginning), 50%, 2026-03-14T14:03:22Z.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<When>,
    /// Play at once, from the beginning if --from says nothing else.
    #[arg(long)]
    play: bool,
    #[command(flatten)]
    screens: Screens,
    #[command(flatten)]
    shifts: Shifts,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Shows the session until the user leaves; then tells what could not be read.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tui::require_terminal()?;
    let filter = arguments.view.for_session()?;
    let mut options = arguments.screens.options(Source::Session, filter, arguments.limits.limits());
    options.rules = arguments.view.scope.rules()?;
    options.history_bytes = arguments.screens.history_bytes().unwrap_or(USUAL_CHECKPOINT_BYTES);
    let recorded = open(arguments)?;
    let duration = arguments.view.scope.duration();
    let session = tui::Session {
        recorded: Arc::clone(&recorded),
        until_ns: duration.and_then(|duration| end_ns(blocks(&*recorded), duration)),
        from: arguments.from,
        is_playing: arguments.play,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tui::replay(session, options))?;
    for damage in recorded.damage() {
        tell(&damage);
    }
    Ok(())
}

/// What is recorded, as far as it can be read.
fn blocks(session: &dyn Recorded) -> impl Iterator<Item = Block> {
    (0..session.chapters()).filter_map(|index| session.read(index).ok())
}

/// The session, which is read as it is wanted; one that comes through a pipe is copied to a file first.
fn open(arguments: &Arguments) -> anyhow::Result<Arc<dyn Recorded>> {
    let Arguments { files, shifts, .. } = arguments;
    if let [path] = &files[..]
        && !is_regular(path)
        && shifts.shift.is_empty()
    {
        return Ok(Arc::new(spool::tape(path)?));
    }
    let tape = tape(files, shifts)?;
    for sentence in tape.clocks() {
        tell(&sentence);
    }
    Ok(Arc::new(tape))
}
