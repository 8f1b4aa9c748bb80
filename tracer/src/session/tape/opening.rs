//! What the beginning of a session file tells of the whole.

use tracer_common::record::{NodeRecord, RecordKind};
use zerocopy::FromBytes as _;

use crate::{
    decode::records,
    event::Text,
    session::{ReadError, SessionFile},
};

/// Frames in which the beginning is looked for.
const FRAMES_AT_MOST: usize = 1;

/// What a session says of itself before anything happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Opening {
    /// The host's name; empty if it is not told.
    pub(super) host: Text,
    /// Wall clock minus boot clock in nanoseconds, where that is told.
    pub(super) wall_minus_boot_ns: Option<i64>,
    /// When recording began.
    pub(super) began_ns: Option<u64>,
}

impl Opening {
    /// Of a file. What is damaged is passed over.
    pub(super) fn of(file: &SessionFile) -> Result<Self, ReadError> {
        let mut opening = Self::default();
        for index in 0..file.frames().len().min(FRAMES_AT_MOST) {
            match file.read(index) {
                Ok(frame) => opening.take_in(&frame),
                Err(ReadError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(opening)
    }

    fn take_in(&mut self, frame: &[u8]) {
        for (header, record) in records(frame) {
            self.began_ns.get_or_insert(header.time_ns);
            if header.kind == RecordKind::Node as u16
                && let Ok((node, names)) = NodeRecord::read_from_prefix(record)
            {
                self.wall_minus_boot_ns.get_or_insert(node.wall_minus_boot_ns);
                self.host =
                    Text::from_bytes(names.splitn(2, |&byte| byte == b'\n').nth(1).unwrap_or_default());
            }
        }
    }
}
