//! `tracer replay`: the screens on a session.

use std::{
    path::PathBuf,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, anyhow};
use clap::Args;
use tokio::sync::mpsc;

use super::{limits::LimitArguments, playback::Playback, scope::View, screens::Screens, tell};
use crate::tui::{self, Feed, Source};

/// Blocks read ahead of the screens.
const BLOCKS_AHEAD: usize = 4;

/// `tracer replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The session.
    file: PathBuf,
    #[command(flatten)]
    screens: Screens,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Plays the whole session and stays on its last state until the user leaves.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tui::require_terminal()?;
    let playback = Playback::open(&arguments.file, &arguments.view.scope)?;
    let filter = arguments.view.for_session()?;
    let options = arguments.screens.options(Source::Session, filter, arguments.limits.limits());
    let (sender, receiver) = mpsc::channel(BLOCKS_AHEAD);
    let reader = read(playback, sender)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tui::run(receiver, options))?;
    // It ends by itself: nobody takes its blocks any more.
    let damage = reader.join().map_err(|_| anyhow!("the thread that reads the session panicked"))??;
    for damage in &damage {
        tell(damage);
    }
    Ok(())
}

/// Begins to read; at the end it tells the screens what was damaged, and returns it.
fn read(
    mut playback: Playback,
    screens: mpsc::Sender<Feed>,
) -> anyhow::Result<JoinHandle<anyhow::Result<Vec<String>>>> {
    thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            for block in &mut playback {
                match block {
                    Ok(block) => {
                        if screens.blocking_send(Feed::Block(block)).is_err() {
                            break;
                        }
                    }
                    Err(error) => {
                        let _ = screens.blocking_send(Feed::Notice(format!("{error:#}")));
                        return Err(error);
                    }
                }
            }
            let damage = playback.damage();
            for notice in &damage {
                // Screens that are gone leave it to the caller.
                let _ = screens.blocking_send(Feed::Notice(notice.clone()));
            }
            Ok(damage)
        })
        .context("cannot start the thread that reads the session")
}
