//! `tracer live`: the screens.

use std::path::PathBuf;

use clap::Args;
use tokio::sync::mpsc;

use super::{
    limits::LimitArguments,
    log,
    node::{Blocks, Node},
    recording::Recording,
    scope::View,
    screens::Screens,
};
use crate::{
    block::Block,
    tui::{self, Feed, Source},
};

/// `tracer live`.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(super) struct Arguments {
    /// Also record everything, whatever the filter says, to this new session file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Replace the session file if there is one.
    #[arg(long, requires = "record")]
    force: bool,
    #[command(flatten)]
    screens: Screens,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    limits: LimitArguments,
}

impl Arguments {
    /// These, and from `before` what these leave open.
    pub(super) fn over(self, before: Self) -> Self {
        Self {
            record: self.record.or(before.record),
            force: self.force || before.force,
            screens: self.screens.over(before.screens),
            view: self.view.over(before.view),
            limits: self.limits.over(before.limits),
        }
    }
}

/// Shows the screens until the user leaves or a signal, the duration or an error ends it.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // Whoever is not root is told that first: with it, the next complaint may be gone too.
    let node = Node::find(&arguments.view.scope)?;
    tui::require_terminal()?;
    let recording =
        arguments.record.as_deref().map(|path| Recording::create(path, arguments.force)).transpose()?;
    let limits = arguments.limits.limits();
    let options = arguments.screens.options(Source::Node, arguments.view.filter.clone(), limits);
    let _hold = log::hold();
    // On the heap: the state is large.
    node.run(async |blocks| Box::pin(show(blocks, recording, options)).await)
}

/// Shows the blocks and records them; whatever ends the one ends the other.
async fn show(
    blocks: &mut Blocks,
    recording: Option<Recording>,
    options: tui::Options,
) -> anyhow::Result<()> {
    /// Markers that may wait: as many as nobody types.
    const MARKERS_WAITING: usize = 16;

    let stop = blocks.stop();
    let (sender, receiver) = mpsc::channel(1);
    let (marker_sender, markers) = mpsc::channel(MARKERS_WAITING);
    let options = tui::Options { markers: Some(marker_sender), ..options };
    let screens = async {
        let shown = tui::run(receiver, options).await;
        stop.ask();
        shown
    };
    let (shown, recorded) = tokio::join!(screens, forward(blocks, markers, recording, sender));
    recorded.and(shown)
}

/// Hands blocks, and the markers the user sets among them, to the screens as long as they are there, and to the session to the end. A session that cannot be
/// written any more is given up, the screens stay and tell it.
async fn forward(
    blocks: &mut Blocks,
    mut markers: mpsc::Receiver<Block>,
    mut recording: Option<Recording>,
    screens: mpsc::Sender<Feed>,
) -> anyhow::Result<()> {
    let mut failure = None;
    loop {
        let block = tokio::select! {
            block = blocks.next() => block,
            Some(marker) = markers.recv() => Some(marker),
        };
        let Some(block) = block else { break };
        if let Some(session) = &mut recording
            && let Err(error) = session.append(&block)
        {
            recording = None;
            // Fails if the screens are gone: then the error is told at once.
            let _ = screens.send(Feed::Notice(format!("recording has ended: {error}"))).await;
            failure = Some(error);
        }
        let is_seen = screens.send(Feed::Block(block)).await.is_ok();
        if !is_seen && recording.is_none() {
            break;
        }
    }
    drop(screens);
    if let Some(session) = recording {
        session.finish()?;
    }
    failure.map_or(Ok(()), Err)
}
