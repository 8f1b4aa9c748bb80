//! `tracer replay`: the screens on a session.

mod loaded;

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use self::loaded::Loaded;
use super::{limits::LimitArguments, playback::Playback, scope::View, screens::Screens, tell};
use crate::{
    history::{Recorded, USUAL_CHECKPOINT_BYTES},
    tui::{self, Source, when::When},
};

/// `tracer replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The session.
    file: PathBuf,
    /// Begin at this moment and not at the end: 14:03:22, +30s (after the beginning), 50%, 2026-03-14T14:03:22Z.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<When>,
    /// Play at once, from the beginning if --from says nothing else.
    #[arg(long)]
    play: bool,
    #[command(flatten)]
    screens: Screens,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Shows the session until the user leaves; then tells what could not be read.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tui::require_terminal()?;
    let playback = Playback::open(&arguments.file, &arguments.view.scope)?;
    let filter = arguments.view.for_session()?;
    let mut options = arguments.screens.options(Source::Session, filter, arguments.limits.limits());
    options.history_bytes = arguments.screens.history_bytes().unwrap_or(USUAL_CHECKPOINT_BYTES);
    let recorded: Arc<dyn Recorded> = Arc::new(Loaded::read(playback)?);
    let session = tui::Session {
        recorded: Arc::clone(&recorded),
        until_ns: None,
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
