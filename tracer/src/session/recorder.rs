//! Recording beside the live path: blocks are taken without waiting and written by a thread of their own.
//!
//! A disk that is slow, full, read-only or gone must not hold up what is watched. So [`Recorder::take`] puts a block into
//! a bounded queue, or leaves it out and counts its records. When there is room again, the file says how many records are
//! missing and what they had said that still holds. A disk that is full is tried again every second; any other failure
//! ends the recording, with the reason, and what was written stays whole.
//!
//! A frame ends at least every eight tenths of a second, so that a tracer that is killed loses less than the last second.
//! Nothing is synced meanwhile: what the kernel took survives the program, and to force it out would also force out
//! whatever else the file system's journal holds, on a node that is in trouble already. Once a part is finished it is
//! synced, for some file systems tell only then that it did not fit.

mod disk;
mod missed;
mod names;
mod part;
mod progress;
mod queue;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use self::{
    disk::Disk,
    missed::Missed,
    names::{Names, Numbering},
    progress::Shared,
    queue::Queue,
    worker::{First, Task},
};
pub use self::{
    part::Prologue,
    progress::{Condition, RecorderStatus},
};
use super::Standing;
use crate::{block::Block, decode::records, event::SessionId, history::Kept, live::Stamp, owned::Identity};

/// Bytes of records that may wait for the disk: more than ten seconds of the worst storm seen.
const QUEUE_BYTES: usize = 64 << 20;

/// How a session is recorded.
#[derive(Clone, Debug, Default)]
pub struct RecorderOptions {
    /// The file; where there are several parts, their numbers stand before its ending.
    pub path: PathBuf,
    /// Whether files that are there are replaced.
    pub force: bool,
    /// When another part begins.
    pub rotation: Rotation,
}

/// When a recording goes on in another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Once a part has so many bytes.
    pub max_bytes: Option<u64>,
    /// Once a part has lasted so long.
    pub max_time: Option<Duration>,
    /// Parts kept; the oldest is deleted for a new one.
    pub max_files: Option<u32>,
}

impl Rotation {
    /// Whether there may be several parts.
    pub fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// A recording under way. Dropping it finishes the file, if the disk is quick enough.
#[derive(Debug)]
pub struct Recorder {
    rotation: Rotation,
    id: SessionId,
    /// The part that was asked for last.
    part: u32,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    /// Comes when the thread has ended.
    ended: mpsc::Receiver<()>,
    /// What found no room since the last block that did.
    missed: Option<Missed>,
}

impl Recorder {
    /// Makes the first file and begins to record. What `standing` holds goes before the first block.
    ///
    /// # Errors
    /// If the file cannot be made: there is one already, or the file system refuses. If there can be no thread.
    pub fn create(options: RecorderOptions, standing: &Standing) -> anyhow::Result<Self> {
        Self::with_queue(options, standing, QUEUE_BYTES)
    }

    fn with_queue(options: RecorderOptions, standing: &Standing, queue_bytes: usize) -> anyhow::Result<Self> {
        let RecorderOptions { path, force, rotation } = options;
        let numbering = if rotation.is_any() { Numbering::Parts } else { Numbering::No };
        let start = Start::new(Names::new(path, numbering), force, rotation, queue_bytes)?;
        let part = start.disk.try_to_make(1, &prologue(start.id, 1, standing)?)?;
        start.run(First::Made(Box::new(part)), None)
    }

    /// The same, but the thread makes the file, and how that goes is told by [`status`](Self::status): nobody is held up
    /// by a file system that does not answer. If another file has the name, a number goes behind it, unless there are
    /// parts.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn begin(options: RecorderOptions, standing: &Standing) -> anyhow::Result<Self> {
        let RecorderOptions { path, force, rotation } = options;
        let numbering = if rotation.is_any() { Numbering::Parts } else { Numbering::IfTaken };
        let start = Start::new(Names::new(path, numbering), force, rotation, QUEUE_BYTES)?;
        let prologue = prologue(start.id, 1, standing)?;
        start.run(First::ToMake(prologue), None)
    }

    /// Begins as [`begin`](Self::begin) does, with what was kept of the time before.
    pub(super) fn of_kept(path: PathBuf, kept: Kept) -> anyhow::Result<Self> {
        let names = Names::new(path, Numbering::IfTaken);
        let start = Start::new(names, false, Rotation::default(), QUEUE_BYTES)?;
        let prologue = Prologue {
            id: start.id,
            part: 1,
            is_under_way: !kept.is_whole(),
            began_ns: kept.begin_ns(),
            records: kept.prologue().to_vec(),
        };
        start.run(First::ToMake(prologue), Some(kept))
    }

    /// Takes the next block, without waiting for anything. `standing` is what held before it.
    pub fn take(&mut self, block: &Block, standing: &Standing) {
        self.rotate(standing);
        if let Some(missed) = self.missed.take_if(|_| self.queue.has_room_again()) {
            self.queue.push_anyway(queue::Message::Block(missed.block(standing), 0));
        }
        if self.missed.is_none() && self.queue.push(block) {
            return;
        }
        let lost = self.missed.get_or_insert_default().note(block);
        self.shared.lose(lost);
    }

    /// Begins another part if it is time; to be called now and then also when nothing comes.
    pub fn rotate(&mut self, standing: &Standing) {
        let is_due = self.rotation.is_any() && self.shared.is_part_due(self.part, self.rotation);
        // Without a clock there is no other part, and this one goes on.
        if is_due && let Ok(prologue) = prologue(self.id, self.part + 1, standing) {
            self.part += 1;
            self.queue.push_anyway(queue::Message::NextPart(prologue));
        }
    }

    /// How it goes.
    pub fn status(&self) -> RecorderStatus {
        self.shared.status()
    }

    /// Takes nothing more: what is left is written, and the index.
    pub fn close(&mut self, standing: &Standing) {
        if let Some(missed) = self.missed.take() {
            self.queue.push_anyway(queue::Message::Block(missed.block(standing), 0));
        }
        self.queue.close();
    }

    /// Whether nothing more will be written.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.try_recv() != Err(mpsc::TryRecvError::Empty)
    }

    /// Waits until the file is finished and says how it went. A full disk is tried once more; a disk that does not answer
    /// for `patience` is not waited for any longer.
    pub fn finish(self, patience: Duration) -> RecorderStatus {
        self.finish_file(patience).0
    }

    /// The same; also what tells the first file from another that may have its name later.
    pub(super) fn finish_file(self, patience: Duration) -> (RecorderStatus, Option<Identity>) {
        self.queue.leave();
        let has_ended = self.ended.recv_timeout(patience) != Err(mpsc::RecvTimeoutError::Timeout);
        if !has_ended {
            self.shared.end(format!("the disk did not answer for {} s", patience.as_secs()));
        }
        (self.shared.status(), self.shared.file())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        self.queue.leave();
        // At once where it has been finished: the thread has ended.
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

/// A recording for which there is no thread yet.
struct Start {
    id: SessionId,
    rotation: Rotation,
    disk: Disk,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
}

impl Start {
    fn new(names: Names, force: bool, rotation: Rotation, queue_bytes: usize) -> anyhow::Result<Self> {
        let queue = Arc::new(Queue::new(queue_bytes));
        let shared = Arc::new(Shared::new(names.of_part(1)));
        let disk = Disk::new(names, force, &queue, &shared);
        Ok(Self { id: new_id()?, rotation, disk, queue, shared })
    }

    /// Starts the thread.
    fn run(self, first: First, kept: Option<Kept>) -> anyhow::Result<Recorder> {
        let Self { id, rotation, disk, queue, shared } = self;
        if let First::Made(part) = &first {
            shared.opened(part.path(), part.identity());
        }
        let (end, ended) = mpsc::channel();
        let max_files = rotation.max_files;
        let task =
            Task { disk, first, kept, max_files, queue: Arc::clone(&queue), shared: Arc::clone(&shared) };
        thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                task.run();
                // Nobody waits for a recorder that was dropped.
                let _ = end.send(());
            })
            .context("cannot start the thread that writes the session")?;
        Ok(Recorder { rotation, id, part: 1, queue, shared, ended, missed: None })
    }
}

/// What a part begins with.
fn prologue(id: SessionId, part: u32, standing: &Standing) -> anyhow::Result<Prologue> {
    Ok(Prologue {
        id,
        part,
        is_under_way: !standing.is_empty(),
        began_ns: Stamp::now()?.boot_ns(),
        records: standing.records(),
    })
}

/// A number no other session has.
fn new_id() -> anyhow::Result<SessionId> {
    use std::io::Read as _;
    let mut id = SessionId([0; 16]);
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut id.0))
        .context("cannot read /dev/urandom for a session's number")?;
    Ok(id)
}

/// How many records a block has.
fn count(block: &Block) -> u64 {
    records(&block.0).count() as u64
}
