//! Blocks on their way to the thread that writes them.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{count, part::Prologue};
use crate::block::Block;

/// What the thread is to do.
#[derive(Debug)]
pub(super) enum Message {
    /// Write this, of which so many records are those that came.
    Block(Block, u64),
    /// Go on in another file, which begins with this.
    NextPart(Prologue),
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Block(block, _) => block.0.len(),
            Self::NextPart(_) => 0,
        }
    }
}

/// What the thread finds.
#[derive(Debug)]
pub(super) enum Popped {
    /// The next message.
    Message(Message),
    /// Nothing for that long.
    Nothing,
    /// Everything was taken, and nothing will come.
    Closed,
}

/// Messages in their order, bounded by the bytes of their records.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    messages: VecDeque<Message>,
    bytes: usize,
    is_closed: bool,
    /// Nobody waits any longer for a disk that has no room.
    is_left: bool,
    /// Nobody takes anything any more.
    is_abandoned: bool,
}

impl Queue {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { inner: Mutex::default(), changed: Condvar::new(), limit_bytes }
    }

    /// A thread that panicked left whole messages.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a block in, if there is room for it.
    pub(super) fn push(&self, block: &Block) -> bool {
        let mut inner = self.lock();
        if inner.is_abandoned || inner.bytes + block.0.len() > self.limit_bytes {
            return false;
        }
        inner.bytes += block.0.len();
        inner.messages.push_back(Message::Block(block.clone(), count(block)));
        self.changed.notify_one();
        true
    }

    /// Puts a message in whether or not there is room.
    pub(super) fn push_anyway(&self, message: Message) {
        let mut inner = self.lock();
        if !inner.is_abandoned {
            inner.bytes += message.bytes();
            inner.messages.push_back(message);
            self.changed.notify_one();
        }
    }

    /// Whether so much was taken that it is worth going on after something found no room.
    pub(super) fn has_room_again(&self) -> bool {
        let inner = self.lock();
        !inner.is_abandoned && inner.bytes <= self.limit_bytes / 2
    }

    /// The next message, waited for until a moment.
    pub(super) fn pop(&self, until: Instant) -> Popped {
        let mut inner = self.lock();
        loop {
            if let Some(message) = inner.messages.pop_front() {
                inner.bytes -= message.bytes();
                return Popped::Message(message);
            }
            if inner.is_closed {
                return Popped::Closed;
            }
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return Popped::Nothing;
            };
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a moment, or until it is left; whether it is.
    pub(super) fn is_left_by(&self, until: Instant) -> bool {
        let mut inner = self.lock();
        while !inner.is_left {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.is_left
    }

    /// Nothing will come any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Nothing will come any more, and what the disk does not take soon is given up.
    pub(super) fn leave(&self) {
        let mut inner = self.lock();
        (inner.is_closed, inner.is_left) = (true, true);
        self.changed.notify_one();
    }

    /// Nobody takes anything any more: the records that waited.
    pub(super) fn abandon(&self) -> u64 {
        let mut inner = self.lock();
        inner.is_abandoned = true;
        inner.bytes = 0;
        let left = std::mem::take(&mut inner.messages);
        left.iter().map(|message| if let Message::Block(_, records) = message { *records } else { 0 }).sum()
    }
}
