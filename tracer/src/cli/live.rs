//! `tracer live`: the screens.

use std::{fs, future, path::PathBuf, time::Duration};

use clap::Args;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle, spawn_blocking},
    time::{self, MissedTickBehavior},
};

use super::{
    limits::LimitArguments,
    log,
    node::{Blocks, Node},
    recording::{self, Recording, RotationArguments, lost, outcome},
    scope::View,
    screens::Screens,
    tell,
};
use crate::{
    block::Block,
    session::{Condition, RecorderStatus, Rotation},
    tui::{self, Command, Feed, Source, text::size},
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
    /// Where sessions go that the keys r and f begin; usually the current directory.
    #[arg(long, value_name = "DIRECTORY")]
    record_dir: Option<PathBuf>,
    #[command(flatten)]
    screens: Screens,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    rotation: RotationArguments,
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
            record_dir: self.record_dir.or(before.record_dir),
            rotation: self.rotation.over(before.rotation),
        }
    }
}

/// Shows the screens until the user leaves or a signal, the duration or an error ends it.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // Whoever is not root is told that first: with it, the next complaint may be gone too.
    let node = Node::find(&arguments.view.scope)?;
    tui::require_terminal()?;
    let rotation = arguments.rotation.rotation();
    let recording = Recording::new(arguments.record.as_deref(), arguments.force, rotation)?;
    let directory = arguments.record_dir.clone().unwrap_or_default();
    let limits = arguments.limits.limits();
    let options = arguments.screens.options(Source::Node, arguments.view.filter.clone(), limits);
    let options = tui::Options { rules: arguments.view.scope.rules()?, ..options };
    let _hold = log::hold();
    // On the heap: the state is large.
    node.run(async |blocks| Box::pin(show(blocks, recording, (directory, rotation), options)).await)
}

/// Shows the blocks and records them; whatever ends the one ends the other.
async fn show(
    blocks: &mut Blocks,
    recording: Recording,
    (directory, rotation): (PathBuf, Rotation),
    options: tui::Options,
) -> anyhow::Result<()> {
    /// Markers that may wait: as many as nobody types.
    const MARKERS_WAITING: usize = 16;

    let stop = blocks.stop();
    let (sender, receiver) = mpsc::channel(1);
    let (marker_sender, markers) = mpsc::channel(MARKERS_WAITING);
    let (command_sender, commands) = mpsc::channel(1);
    let options = tui::Options {
        markers: Some(marker_sender),
        commands: Some(command_sender),
        directory: directory.clone(),
        ..options
    };
    let keeper = Keeper { recording, directory, rotation, finishing: None, failure: None, screens: sender };
    let screens = async {
        let shown = tui::run(receiver, options).await;
        stop.ask();
        shown
    };
    let (shown, recorded) = tokio::join!(screens, forward(blocks, markers, commands, keeper));
    recorded.and(shown)
}

/// The session that is recorded, and how the user begins and ends it.
struct Keeper {
    recording: Recording,
    /// Where sessions go that the user begins.
    directory: PathBuf,
    rotation: Rotation,
    /// A session that is being finished.
    finishing: Option<JoinHandle<RecorderStatus>>,
    /// Why a session ended before its time.
    failure: Option<anyhow::Error>,
    screens: mpsc::Sender<Feed>,
}

impl Keeper {
    /// Begins to record, or ends it.
    async fn toggle(&mut self) {
        if self.recording.status().is_some() {
            self.end();
        } else if self.finishing.is_none() {
            let name = self.name();
            if let Err(error) = self.recording.begin_aside(name, self.rotation) {
                self.tell(format!("cannot record: {error:#}")).await;
            }
        } else {
            self.tell("the last recording is still being finished".to_owned()).await;
        }
        self.show().await;
    }

    /// Ends the recording. The disk may be slow, and the screens go on.
    fn end(&mut self) {
        self.finishing = self.recording.end().map(spawn_blocking);
    }

    /// Begins another file if it is time, shows how it goes, and gives up what cannot be written any more.
    async fn tick(&mut self) {
        self.recording.tick();
        if self.recording.status().is_some_and(|status| status.condition.is_over()) {
            self.end();
        }
        self.show().await;
    }

    fn name(&self) -> PathBuf {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        recording::name(&self.directory, host.trim_end())
    }

    /// Says how a session went that is finished.
    async fn finished(&mut self, status: Result<RecorderStatus, JoinError>) {
        self.finishing = None;
        let text = match status {
            Ok(status) => {
                // Where nothing was begun, nothing has failed that was relied on.
                if !matches!(status.condition, Condition::Refused(_)) {
                    self.failure = outcome(&status).err().or(self.failure.take());
                }
                told(&status)
            }
            Err(_) => "the recording could not be finished".to_owned(),
        };
        self.tell(text).await;
    }

    async fn show(&self) {
        // Screens that are gone need not know.
        let _ = self.screens.send(Feed::Recording(self.recording.status())).await;
    }

    async fn tell(&self, text: String) {
        let _ = self.screens.send(Feed::Notice(text)).await;
    }
}

/// What a finished session came to.
fn told(status: &RecorderStatus) -> String {
    match outcome(status) {
        Ok(()) => {
            let (path, size) = (status.path.display(), size(status.bytes));
            format!("recorded to {path}: {size}{}", lost(status))
        }
        Err(error) => error.to_string(),
    }
}

/// Hands blocks, and the markers the user sets among them, to the screens as long as they are there, and to the session to
/// the end. A session that cannot be written any more is given up, the screens stay and tell it.
async fn forward(
    blocks: &mut Blocks,
    mut markers: mpsc::Receiver<Block>,
    mut commands: mpsc::Receiver<Command>,
    mut keeper: Keeper,
) -> anyhow::Result<()> {
    const STATUS_INTERVAL: Duration = Duration::from_secs(1);
    let mut ticks = time::interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let block = tokio::select! {
            block = blocks.next() => block,
            Some(marker) = markers.recv() => Some(marker),
            Some(Command::Record) = commands.recv() => {
                keeper.toggle().await;
                continue;
            }
            status = ended(keeper.finishing.as_mut()) => {
                keeper.finished(status).await;
                continue;
            }
            _ = ticks.tick() => {
                keeper.tick().await;
                continue;
            }
        };
        let Some(block) = block else { break };
        keeper.recording.take(&block);
        let is_seen = keeper.screens.send(Feed::Block(block)).await.is_ok();
        if !is_seen && keeper.recording.status().is_none() {
            break;
        }
    }
    let Keeper { mut recording, finishing, failure, screens, .. } = keeper;
    drop(screens);
    let before = match finishing {
        Some(finishing) => Some(finishing.await?),
        None => None,
    };
    let last = recording.end().map(|finish| finish());
    for status in before.iter().chain(&last) {
        outcome(status)?;
        tell(&told(status));
    }
    failure.map_or(Ok(()), Err)
}

/// Comes when a session is finished; never if none is being finished.
async fn ended(finishing: Option<&mut JoinHandle<RecorderStatus>>) -> Result<RecorderStatus, JoinError> {
    match finishing {
        Some(finishing) => finishing.await,
        None => future::pending().await,
    }
}
