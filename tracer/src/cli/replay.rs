//! `tracer replay`: the screens on a session.

mod loaded;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use tracer_common::record::RecordKind;

use self::loaded::Loaded;
use super::{limits::LimitArguments, playback::Playback, scope::View, screens::Screens, tell};
use crate::{
    decode::records,
    history::{Recorded, USUAL_CHECKPOINT_BYTES},
    session::Tape,
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
    view: View,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Shows the session until the user leaves; then tells what could not be read.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tui::require_terminal()?;
    let filter = arguments.view.for_session()?;
    let mut options = arguments.screens.options(Source::Session, filter, arguments.limits.limits());
    options.history_bytes = arguments.screens.history_bytes().unwrap_or(USUAL_CHECKPOINT_BYTES);
    let recorded = open(arguments)?;
    let duration = arguments.view.scope.duration();
    let session = tui::Session {
        recorded: Arc::clone(&recorded),
        until_ns: duration.and_then(|duration| end_ns(&*recorded, duration)),
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

/// The session, which is read as it is wanted; one that comes through a pipe is read whole first.
fn open(arguments: &Arguments) -> anyhow::Result<Arc<dyn Recorded>> {
    if let [path] = arguments.files.as_slice()
        && fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    {
        return Ok(Arc::new(Loaded::read(Playback::open(path, &arguments.view.scope)?)?));
    }
    Ok(Arc::new(Tape::open(&arguments.files)?))
}

/// Where a duration ends that is counted from when everything was attached, in nanoseconds since boot; `None` if the
/// session does not tell.
fn end_ns(session: &dyn Recorded, duration: Duration) -> Option<u64> {
    let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let ready = (0..session.chapters()).find_map(|index| {
        let block = session.read(index).ok()?;
        records(&block.0).map(|(header, _)| header).find(|header| header.kind == RecordKind::Ready as u16)
    })?;
    Some(ready.time_ns.saturating_add(duration_ns))
}
