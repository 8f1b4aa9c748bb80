//! The thread that writes.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    count,
    disk::{Disk, Ended},
    part::{Part, Prologue, delete},
    progress::Shared,
    queue::{Message, Popped, Queue},
};
use crate::{
    block::Block,
    decode::{records, split_record},
    history::Kept,
    owned::Identity,
};

/// How long a record waits for its frame to end. With what the program takes before, it is in the file within a second.
const FRAME_INTERVAL: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 800 });

/// How much time the records of a frame are about that were kept before.
const KEPT_FRAME_NS: u64 = 1_000_000_000;

/// What the thread begins with.
pub(super) enum First {
    /// A file that was made.
    Made(Box<Part>),
    /// One that the thread makes.
    ToMake(Prologue),
}

/// All there is to do for the thread.
pub(super) struct Task {
    pub(super) disk: Disk,
    pub(super) first: First,
    /// What goes before the blocks of the queue.
    pub(super) kept: Option<Kept>,
    pub(super) max_files: Option<u32>,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
}

impl Task {
    /// Writes until the queue is closed, or nothing can be written any more.
    pub(super) fn run(self) {
        let Self { mut disk, first, kept, max_files, queue, shared } = self;
        let mut kept = kept.map(Kept::blocks).into_iter().flatten();
        let made = match first {
            First::Made(part) => Ok(*part),
            First::ToMake(prologue) => disk.make(1, &prologue),
        };
        let part = match made {
            Ok(part) => part,
            Err(Ended(reason)) => {
                shared.lose(queue.abandon() + kept.map(|block| count(&block)).sum::<u64>());
                return shared.refuse(reason);
            }
        };
        shared.opened(part.path(), part.identity());
        let mut worker =
            Worker { disk, max_files, part, number: 1, finished: VecDeque::new(), queue, shared };
        if let Err(Ended(reason)) = worker.write(&mut kept) {
            let lost = worker.queue.abandon() + worker.part.give_up();
            worker.shared.lose(lost + kept.map(|block| count(&block)).sum::<u64>());
            worker.shared.end(reason);
        }
    }
}

/// Takes blocks from the queue and writes them, part by part.
struct Worker {
    disk: Disk,
    max_files: Option<u32>,
    part: Part,
    number: u32,
    /// Parts that are finished and not deleted.
    finished: VecDeque<(PathBuf, Identity)>,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
}

impl Worker {
    fn write(&mut self, kept: &mut dyn Iterator<Item = Block>) -> Result<(), Ended> {
        self.drain()?;
        self.shared.written(self.part.bytes(), true);
        self.write_kept(kept)?;
        self.write_queue()?;
        self.finish_part()
    }

    /// Writes what was kept before. It came at other times than now, and frames are as long by its own.
    fn write_kept(&mut self, kept: &mut dyn Iterator<Item = Block>) -> Result<(), Ended> {
        let mut end_ns = 0;
        for Block(mut rest) in kept {
            while let Some((first, ..)) = split_record(&rest) {
                if first.time_ns >= end_ns {
                    end_ns = first.time_ns.saturating_add(KEPT_FRAME_NS);
                    self.part.end_frame().map_err(|error| self.ended(&error))?;
                }
                let length: usize = records(&rest)
                    .take_while(|(header, _)| header.time_ns < end_ns)
                    .map(|(_, record)| record.len())
                    .sum();
                let run = Block(rest.split_to(length));
                self.part.append(&run, count(&run)).map_err(|error| self.ended(&error))?;
            }
            self.drain()?;
        }
        Ok(())
    }

    fn write_queue(&mut self) -> Result<(), Ended> {
        let mut next_frame = Instant::now() + FRAME_INTERVAL;
        loop {
            match self.queue.pop(next_frame) {
                Popped::Message(Message::Block(block, records)) => {
                    self.part.append(&block, records).map_err(|error| self.ended(&error))?;
                }
                Popped::Message(Message::NextPart(prologue)) => self.next_part(&prologue)?,
                Popped::Nothing => {}
                Popped::Closed => return Ok(()),
            }
            if Instant::now() >= next_frame {
                next_frame = Instant::now() + FRAME_INTERVAL;
                let ended = self.part.end_frame().and_then(|()| self.part.check_name());
                ended.map_err(|error| self.ended(&error))?;
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
                    self.part.check_name().map_err(|error| self.ended(&error))?;
                }
            }
        }
        Ok(())
    }

    /// Finishes the part with its index.
    fn finish_part(&mut self) -> Result<(), Ended> {
        self.part.end().map_err(|error| self.ended(&error))?;
        self.drain()?;
        self.part.sync().or_else(|error| self.wait_for_room(&error))
    }

    /// Finishes the part and goes on with the next, for which the oldest makes room.
    fn next_part(&mut self, prologue: &Prologue) -> Result<(), Ended> {
        self.finish_part()?;
        if let Some(identity) = self.part.identity() {
            self.finished.push_back((self.part.path().to_owned(), identity));
        }
        let kept = self.max_files.map_or(usize::MAX, |files| files.saturating_sub(1) as usize);
        while self.finished.len() > kept {
            if let Some((path, identity)) = self.finished.pop_front() {
                delete(&path, identity);
            }
        }
        self.number += 1;
        self.part = self.disk.make(self.number, prologue)?;
        self.shared.next_part(self.part.path());
        self.drain()?;
        self.shared.written(self.part.bytes(), true);
        Ok(())
    }

    fn wait_for_room(&mut self, error: &io::Error) -> Result<(), Ended> {
        self.disk.wait_for_room(&self.part.path().display().to_string(), error)
    }

    fn ended(&self, error: &io::Error) -> Ended {
        Ended(format!("{}: {error}", self.part.path().display()))
    }
}
