//! The files of a recording are made here, and room on their disk is waited for.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    names::Names,
    part::{Part, Prologue},
    progress::Shared,
    queue::Queue,
};
use crate::session::CreateError;

/// How often a full disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Where the files go.
pub(super) struct Disk {
    names: Names,
    force: bool,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    /// Whether nobody waits any longer, and the attempt under way is the last.
    is_leaving: bool,
}

/// Why no more is written.
#[derive(Debug)]
pub(super) struct Ended(pub(super) String);

impl Disk {
    pub(super) fn new(names: Names, force: bool, queue: &Arc<Queue>, shared: &Arc<Shared>) -> Self {
        Self { names, force, queue: Arc::clone(queue), shared: Arc::clone(shared), is_leaving: false }
    }

    /// Makes the file of a part, once there is room for it.
    pub(super) fn make(&mut self, number: u32, prologue: &Prologue) -> Result<Part, Ended> {
        loop {
            match self.try_to_make(number, prologue) {
                Ok(part) => return Ok(part),
                Err(CreateError::Io { path, source }) => {
                    let what = format!("cannot create the session file {}", path.display());
                    self.wait_for_room(&what, &source)?;
                }
                Err(error) => return Err(Ended(error.to_string())),
            }
        }
    }

    /// Makes the file of a part, under another name if that is taken and may be another.
    pub(super) fn try_to_make(&self, number: u32, prologue: &Prologue) -> Result<Part, CreateError> {
        for path in self.names.candidates(number) {
            match Part::create(&path, self.force, prologue) {
                Err(CreateError::Exists(_)) => {}
                made => return made,
            }
        }
        Err(CreateError::Exists(self.names.of_part(number)))
    }

    /// Waits a while before the next attempt, after `what` failed, if the failure may pass and nobody wants to leave.
    pub(super) fn wait_for_room(&mut self, what: &str, error: &io::Error) -> Result<(), Ended> {
        let ended = || Ended(format!("{what}: {error}"));
        if !may_pass(error) {
            return Err(ended());
        }
        self.shared.wait(error.to_string());
        // Once more, and no longer.
        let is_left = self.queue.is_left_by(Instant::now() + RETRY_INTERVAL);
        if is_left && std::mem::replace(&mut self.is_leaving, true) {
            return Err(ended());
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
