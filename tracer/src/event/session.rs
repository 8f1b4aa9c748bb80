//! What a session file says of itself.

use std::fmt;

use tracer_common::record::{SESSION_ID_BYTES, SessionRecord};

/// A file of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPart {
    /// Which session.
    pub id: SessionId,
    /// Which of its files, counted from 1.
    pub part: u32,
    /// Whether there were records before this file's first.
    pub is_under_way: bool,
}

/// A random number that tells one session from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; SESSION_ID_BYTES]);

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl From<&SessionRecord> for SessionPart {
    fn from(record: &SessionRecord) -> Self {
        Self { id: SessionId(record.id), part: record.part, is_under_way: record.is_under_way != 0 }
    }
}
