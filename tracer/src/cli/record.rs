//! `tracer record`: a session file, without screens.

use std::path::PathBuf;

use clap::Args;

use super::{
    flight,
    judging::FailOn,
    node::{Blocks, Node},
    recording::{Recording, RotationArguments, outcome},
    scope::Scope,
    status::StatusLine,
    tally::Tally,
    tell,
};
use crate::findings::watch::{Wanted, Watch};

/// `tracer record`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The session file to make; only its owner can read it.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the session file if there is one.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    flight: flight::Arguments,
    #[command(flatten)]
    fail_on: FailOn,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    rotation: RotationArguments,
}

/// Records until a signal, the duration or an error ends it.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(plan) = arguments.flight.plan() {
        let most_files = arguments.rotation.rotation().max_files;
        return flight::run(plan, &arguments.scope, arguments.output.clone(), most_files, arguments.fail_on);
    }
    let watch = Watch::new(arguments.scope.state()?, Wanted::default());
    let node = Node::find(&arguments.scope)?;
    let recording = Recording::new(Some(&arguments.output), arguments.force, arguments.rotation.rotation())?;
    node.run(async |blocks| Box::pin(record(blocks, recording, watch, arguments.fail_on)).await)
}

async fn record(
    blocks: &mut Blocks,
    mut recording: Recording,
    mut watch: Watch,
    fail_on: FailOn,
) -> anyhow::Result<()> {
    let mut line = StatusLine::on_stderr();
    let mut tally = Tally::default();
    let mut ticks = StatusLine::ticks();
    loop {
        tokio::select! {
            block = blocks.next() => {
                let Some(block) = block else { break };
                recording.take(&block);
                watch.take(&block, |event| tally.note(event));
            }
            _ = ticks.tick() => {
                recording.tick();
                let Some(status) = recording.status() else { break };
                line.show(&tally.line(&status));
                if status.condition.is_over() {
                    break;
                }
            }
        }
    }
    drop(line);
    let Some(finish) = recording.end() else { return Ok(()) };
    let status = finish();
    tell(&format!("{}: {}", status.path.display(), tally.summary(&status)));
    for line in watch.opened().lines() {
        tell(&line);
    }
    outcome(&status)?;
    fail_on.verdict(watch.opened())
}
