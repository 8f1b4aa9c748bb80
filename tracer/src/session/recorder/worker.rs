//! The thread that writes.

use std::{
    collections::VecDeque,
    fs::Metadata,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    names::Names,
    part::{Part, Prologue, delete},
    progress::Shared,
    queue::{Message, Popped, Queue},
};
use crate::session::CreateError;

/// How long a record waits for its frame to end. With what the program takes before, it is in the file within a second.
const FRAME_INTERVAL: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 800 });

/// How often a full disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Takes blocks from the queue and writes them, part by part.
pub(super) struct Worker {
    names: Names,
    force: bool,
    max_files: Option<u32>,
    part: Part,
    number: u32,
    /// Parts that are finished and not deleted.
    finished: VecDeque<(PathBuf, Metadata)>,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    /// Whether nothing comes any more, and the attempt under way is the last.
    is_leaving: bool,
}

/// Why no more is written.
struct Ended(String);

impl Worker {
    pub(super) fn new(
        names: Names,
        force: bool,
        max_files: Option<u32>,
        part: Part,
        queue: &Arc<Queue>,
        shared: &Arc<Shared>,
    ) -> Self {
        let (queue, shared) = (Arc::clone(queue), Arc::clone(shared));
        let finished = VecDeque::new();
        Self { names, force, max_files, part, number: 1, finished, queue, shared, is_leaving: false }
    }

    /// Writes until the queue is closed, or nothing can be written any more.
    pub(super) fn run(mut self) {
        let written = self.write_all().and_then(|()| self.finish_part());
        if let Err(Ended(reason)) = written {
            self.shared.lose(self.queue.abandon() + self.part.give_up());
            self.shared.end(format!("{}: {reason}", self.part.path().display()));
        }
    }

    fn write_all(&mut self) -> Result<(), Ended> {
        self.drain()?;
        self.shared.written(self.part.bytes(), true);
        let mut next_frame = Instant::now() + FRAME_INTERVAL;
        loop {
            match self.queue.pop(next_frame) {
                Popped::Message(Message::Block(block, records)) => {
                    self.part.append(&block, records).map_err(|error| Ended(error.to_string()))?;
                }
                Popped::Message(Message::NextPart(prologue)) => self.next_part(&prologue)?,
                Popped::Nothing => {}
                Popped::Closed => return Ok(()),
            }
            if Instant::now() >= next_frame {
                next_frame = Instant::now() + FRAME_INTERVAL;
                self.part.end_frame().map_err(|error| Ended(error.to_string()))?;
                self.part.check_name().map_err(|error| Ended(error.to_string()))?;
            }
            self.drain()?;
        }
    }

    /// Writes what is ready, waiting for room if there is none.
    fn drain(&mut self) -> Result<(), Ended> {
        while self.part.has_chunks() {
            match self.part.drain() {
                Ok(()) => self.shared.written(self.part.bytes(), false),
                Err(error) => {
                    self.wait_for_room(&error)?;
                    self.part.check_name().map_err(|error| Ended(error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    /// Finishes the part with its index.
    fn finish_part(&mut self) -> Result<(), Ended> {
        self.part.end().map_err(|error| Ended(error.to_string()))?;
        self.drain()?;
        self.part.sync().or_else(|error| self.wait_for_room(&error))
    }

    /// Finishes the part and goes on with the next, for which the oldest makes room.
    fn next_part(&mut self, prologue: &Prologue) -> Result<(), Ended> {
        self.finish_part()?;
        if let Ok(metadata) = self.part.metadata() {
            self.finished.push_back((self.part.path().to_owned(), metadata));
        }
        let kept = self.max_files.map_or(usize::MAX, |files| files.saturating_sub(1) as usize);
        while self.finished.len() > kept {
            if let Some((path, metadata)) = self.finished.pop_front() {
                delete(&path, &metadata);
            }
        }
        self.number += 1;
        let path = self.names.of_part(self.number);
        self.part = loop {
            match Part::create(&path, self.force, prologue) {
                Ok(part) => break part,
                Err(CreateError::Io { source, .. }) => self.wait_for_room(&source)?,
                Err(error) => return Err(Ended(error.to_string())),
            }
        };
        self.shared.next_part(&path);
        self.drain()?;
        self.shared.written(self.part.bytes(), true);
        Ok(())
    }

    /// Waits a while before the next attempt, if the failure may pass and nobody wants to leave.
    fn wait_for_room(&mut self, error: &io::Error) -> Result<(), Ended> {
        if !may_pass(error) {
            return Err(Ended(error.to_string()));
        }
        self.shared.wait(error.to_string());
        if self.queue.is_closed_by(Instant::now() + RETRY_INTERVAL) {
            // Once more, and no longer.
            if std::mem::replace(&mut self.is_leaving, true) {
                return Err(Ended(error.to_string()));
            }
        }
        Ok(())
    }
}

/// Whether a later attempt may succeed: somebody makes room.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOSPC | libc::EDQUOT | libc::EAGAIN | libc::ENOMEM | libc::ENOBUFS)
    )
}
