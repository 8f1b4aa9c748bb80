//! The running node as a source of blocks: the one place that attaches hooks for a command, and detaches them.

use std::{future, time::Duration};

use tokio::time::{self, Instant};
use tracer_common::record::RecordKind;

use super::{privileges, scope::Scope};
use crate::{
    block::Block,
    decode,
    kernel::{Paths, facts::Facts},
    live::{Live, Stop},
    probe::Options,
    signals::StopSignals,
};

/// A node whose hooks may be attached.
pub(super) struct Node {
    paths: Paths,
    facts: Facts,
    options: Options,
    duration: Option<Duration>,
}

impl Node {
    /// This node. Fails, without having changed anything, if the namespace does not exist or privileges are missing.
    pub(super) fn find(scope: &Scope) -> anyhow::Result<Self> {
        let options = scope.options()?;
        let paths = Paths::default();
        let facts = privileges::facts(&paths)?;
        Ok(Self { paths, facts, options, duration: scope.duration() })
    }

    /// Attaches the hooks, lets `consume` take the blocks, and detaches the hooks however that ends.
    pub(super) fn run(
        self,
        consume: impl AsyncFnOnce(&mut Blocks) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self { paths, facts, options, duration } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let signals = StopSignals::listen()?;
            let live = Live::start(paths, facts, options)?;
            let mut blocks = Blocks { live, signals, duration, end: None };
            let consumed = consume(&mut blocks).await;
            // The reason why the hooks ended matters more than what it did to the consumer.
            blocks.live.finish()?;
            consumed
        })
    }
}

/// The blocks of a node, until a signal, the duration or an error ends them.
pub(super) struct Blocks {
    live: Live,
    signals: StopSignals,
    /// Begins when everything is attached.
    duration: Option<Duration>,
    end: Option<Instant>,
}

impl Blocks {
    /// The next block; `None` after the last one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Block> {
        loop {
            tokio::select! {
                block = self.live.blocks.recv() => {
                    if self.duration.is_some() && block.as_ref().is_some_and(tells_ready) {
                        self.end = self.duration.take().map(|duration| Instant::now() + duration);
                    }
                    return block;
                }
                () = self.signals.asked() => self.live.stop.ask(),
                () = at(self.end) => {
                    self.end = None;
                    self.live.stop.ask();
                }
            }
        }
    }

    /// What ends them.
    pub(super) fn stop(&self) -> Stop {
        self.live.stop.clone()
    }
}

/// Whether a block says that everything is attached.
fn tells_ready(block: &Block) -> bool {
    decode::records(&block.0).any(|(header, _)| header.kind == RecordKind::Ready as u16)
}

/// Comes when `end` comes; never if there is none.
async fn at(end: Option<Instant>) {
    match end {
        Some(end) => time::sleep_until(end).await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::tells_ready;
    use crate::{block::Block, output::tests::every_event};

    #[test]
    fn the_ready_record_is_found_wherever_it_stands() {
        assert!(tells_ready(&every_event()));
        assert!(!tells_ready(&Block(Bytes::new())));
        assert!(!tells_ready(&Block(every_event().0.slice(..64))));
    }
}
