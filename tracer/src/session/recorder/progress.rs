//! How far a recording is, for those who show it.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Rotation;
use crate::owned::Identity;

/// Whether it is going on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// The file is being made, and what comes waits.
    Opening,
    /// What comes is written.
    #[default]
    Writing,
    /// What comes waits, and is left out once there is too much of it; why.
    Waiting(String),
    /// It has ended before it was finished; why.
    Ended(String),
    /// It never began, for the file could not be made; why.
    Refused(String),
}

impl Condition {
    /// Whether nothing is written any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Refused(_))
    }
}

/// How a recording goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderStatus {
    /// The file that is written, or was last.
    pub path: PathBuf,
    /// Parts so far, those deleted included.
    pub parts: u32,
    /// How long it has been going on.
    pub elapsed: Duration,
    /// Bytes written so far, in all parts.
    pub bytes: u64,
    /// Records that could not be written.
    pub lost_records: u64,
    /// Whether it is going on.
    pub condition: Condition,
}

/// What the thread that writes tells the others.
#[derive(Debug)]
pub(super) struct Shared(Mutex<Progress>);

#[derive(Debug)]
struct Progress {
    began: Instant,
    path: PathBuf,
    /// What tells the file from another that may have its name later, once it is made.
    file: Option<Identity>,
    part: u32,
    part_began: Instant,
    /// Bytes of the parts before.
    bytes_before: u64,
    part_bytes: u64,
    /// Bytes of the part's prologue, an estimate.
    prologue_bytes: u64,
    lost_records: u64,
    condition: Condition,
}

impl Shared {
    /// Of a file that is being made.
    pub(super) fn new(path: PathBuf) -> Self {
        let now = Instant::now();
        Self(Mutex::new(Progress {
            began: now,
            path,
            file: None,
            part: 1,
            part_began: now,
            bytes_before: 0,
            part_bytes: 0,
            prologue_bytes: 0,
            lost_records: 0,
            condition: Condition::Opening,
        }))
    }

    /// A thread that panicked left numbers that are whole.
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> RecorderStatus {
        let progress = self.lock();
        RecorderStatus {
            path: progress.path.clone(),
            parts: progress.part,
            elapsed: progress.began.elapsed(),
            bytes: progress.bytes_before + progress.part_bytes,
            lost_records: progress.lost_records,
            condition: progress.condition.clone(),
        }
    }

    /// Whether the part that was asked for last is there and full or old enough for another. A part of little more than
    /// its prologue is neither: there would be no end of parts.
    pub(super) fn is_part_due(&self, part: u32, rotation: Rotation) -> bool {
        let progress = self.lock();
        let has_grown = progress.part_bytes >= 2 * progress.prologue_bytes;
        let is_full = rotation.max_bytes.is_some_and(|limit| progress.part_bytes >= limit) && has_grown;
        let is_old = rotation.max_time.is_some_and(|limit| progress.part_began.elapsed() >= limit);
        progress.part == part && progress.condition == Condition::Writing && (is_full || is_old)
    }

    /// The first file is made.
    pub(super) fn opened(&self, path: &Path, file: Option<Identity>) {
        let mut progress = self.lock();
        path.clone_into(&mut progress.path);
        progress.file = file;
        progress.condition = Condition::Writing;
    }

    /// The file that was made first.
    pub(super) fn file(&self) -> Option<Identity> {
        self.lock().file
    }

    /// So many bytes of the part are written; with its prologue, if that has been all.
    pub(super) fn written(&self, part_bytes: u64, is_prologue: bool) {
        let mut progress = self.lock();
        progress.part_bytes = part_bytes;
        if is_prologue {
            progress.prologue_bytes = part_bytes;
        }
        if matches!(progress.condition, Condition::Waiting(_)) {
            progress.condition = Condition::Writing;
        }
    }

    pub(super) fn next_part(&self, path: &Path) {
        let mut progress = self.lock();
        progress.bytes_before += progress.part_bytes;
        (progress.part_bytes, progress.prologue_bytes) = (0, 0);
        progress.part += 1;
        progress.part_began = Instant::now();
        path.clone_into(&mut progress.path);
    }

    pub(super) fn lose(&self, records: u64) {
        self.lock().lost_records += records;
    }

    pub(super) fn wait(&self, reason: String) {
        self.lock().condition = Condition::Waiting(reason);
    }

    pub(super) fn end(&self, reason: String) {
        self.lock().condition = Condition::Ended(reason);
    }

    pub(super) fn refuse(&self, reason: String) {
        self.lock().condition = Condition::Refused(reason);
    }
}
