//! What a flight recorder writes: a session of its own, of what is kept and of what follows for a while.

use std::{io, path::PathBuf, time::Duration};

use super::{Condition, Recorder, RecorderStatus, Standing};
use crate::{
    block::Block,
    event::Text,
    history::Kept,
    live::{Stamp, marker},
    owned::Identity,
};

/// A session being written by a recorder's thread, so that no disk holds up who hands it records.
#[derive(Debug)]
pub(crate) struct Capture(Recorder);

/// A capture that takes no more records, and may still be written.
#[derive(Debug)]
pub(crate) struct Ending(Recorder);

/// A session that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) bytes: u64,
    /// Records that found no room while the disk was behind.
    pub(crate) lost: u64,
    file: Option<Identity>,
}

/// A session that could not be written to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NotWritten {
    /// Why, with the file's name.
    reason: String,
    /// Records that are not in the file.
    pub(crate) lost: u64,
}

impl Written {
    /// Removes the file, if it is still the one that was written.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.file.map_or(Ok(()), |file| file.remove(&self.path))
    }
}

impl Capture {
    /// Begins to write all that is kept, with a marker at its end that says why, into a new file: `path`, or one with a
    /// number behind its name if that is there. Fails if there can be no thread.
    pub(crate) fn begin(path: PathBuf, kept: Kept, why: &Text) -> anyhow::Result<Self> {
        let marker = marker(Stamp::at(kept.newest_ns()), why);
        let mut capture = Self(Recorder::of_kept(path, kept)?);
        // Nothing is missing yet: there is nothing that would have to be told again.
        capture.take(&marker, &Standing::default());
        Ok(capture)
    }

    /// Hands it the next block; `standing` is what held before it.
    pub(crate) fn take(&mut self, block: &Block, standing: &Standing) {
        self.0.take(block, standing);
    }

    /// Sets another marker.
    pub(crate) fn mark(&mut self, boot_ns: u64, why: &Text, standing: &Standing) {
        self.take(&marker(Stamp::at(boot_ns), why), standing);
    }

    /// Why it waits for the disk, if it does.
    pub(crate) fn waits_for(&self) -> Option<String> {
        waits_for(&self.0)
    }

    /// Gives it no more records. As long as nobody finishes it, it goes on waiting for a disk that is full.
    pub(crate) fn end(mut self, standing: &Standing) -> Ending {
        self.0.close(standing);
        Ending(self.0)
    }
}

impl Ending {
    /// Whether the file is written, or cannot be.
    pub(crate) fn is_over(&self) -> bool {
        self.0.has_ended()
    }

    /// Why it waits for the disk, if it does.
    pub(crate) fn waits_for(&self) -> Option<String> {
        waits_for(&self.0)
    }

    /// Waits for the file. A full disk is tried once more, and a disk that does not answer is not waited for long.
    pub(crate) fn finish(self) -> Result<Written, NotWritten> {
        /// As long as a recording's end.
        const PATIENCE: Duration = Duration::from_secs(30);
        let Self(recorder) = self;
        let (RecorderStatus { path, bytes, lost_records: lost, condition, .. }, file) =
            recorder.finish_file(PATIENCE);
        match condition {
            Condition::Ended(reason) | Condition::Refused(reason) => Err(NotWritten { reason, lost }),
            Condition::Opening | Condition::Writing | Condition::Waiting(_) => {
                Ok(Written { path, bytes, lost, file })
            }
        }
    }
}

fn waits_for(recorder: &Recorder) -> Option<String> {
    match recorder.status().condition {
        Condition::Waiting(reason) => Some(reason),
        _ => None,
    }
}
