//! What the beginning of a session file tells of the whole.

use tracer_common::record::{ClockRecord, FactsRecord, NodeRecord, RecordKind, SessionRecord};
use zerocopy::FromBytes as _;

use crate::{
    decode::records,
    event::{Clock, Facts, SessionPart, Text},
    session::{ReadError, SessionFile},
};

/// Frames in which the beginning is looked for, and bytes of records in them: a prologue is shorter.
const FRAMES_AT_MOST: usize = 16_384;
const BYTES_AT_MOST: usize = 64 << 20;

/// Where the records of a file stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the frame.
    pub(super) frame: usize,
    /// Bytes of records before it in the frame.
    pub(super) byte: usize,
}

/// What a session file says of itself before anything happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Opening {
    /// Which file of which session it is; none before format 1.1.
    pub(super) session: Option<SessionPart>,
    /// Behind the prologue, where there is one to its end.
    pub(super) stream: Option<Place>,
    pub(super) kernel: Text,
    /// The host's name; empty if it is not told.
    pub(super) host: Text,
    /// Tells one run of a node's kernel from all others.
    pub(super) boot_id: Option<Text>,
    /// Wall clock minus boot clock in nanoseconds, where that is told.
    pub(super) wall_minus_boot_ns: Option<i64>,
    pub(super) tick_ns: u64,
    /// How the wall clock was kept, where that is told.
    pub(super) clock: Option<Clock>,
    /// When recording began.
    pub(super) began_ns: Option<u64>,
    /// Whether something has happened already.
    is_settled: bool,
}

impl Opening {
    /// Of a file. What is damaged is passed over.
    pub(super) fn of(file: &SessionFile) -> Result<Self, ReadError> {
        let mut opening = Self::default();
        let mut bytes = 0_usize;
        for (index, frame) in file.frames().iter().enumerate().take(FRAMES_AT_MOST) {
            bytes = bytes.saturating_add(frame.record_bytes as usize);
            match file.read(index) {
                Ok(frame) => opening.take_in(index, &frame),
                Err(ReadError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            if opening.is_told_by(index) || bytes > BYTES_AT_MOST {
                break;
            }
        }
        Ok(opening)
    }

    /// Whether the frames up to this one have told what there is to tell. Before format 1.1 nothing stands before the
    /// stream, and a stream begins with the node.
    fn is_told_by(&self, frame: usize) -> bool {
        const FRAMES_OF_STREAM: usize = 3;
        let begin = match (self.session, self.stream) {
            (Some(_), None) => return false,
            (Some(_), Some(stream)) => stream.frame,
            (None, _) => 0,
        };
        self.is_settled
            || frame + 1 >= begin + FRAMES_OF_STREAM
            || (self.wall_minus_boot_ns.is_some() && (self.session.is_none() || self.boot_id.is_some()))
    }

    fn take_in(&mut self, index: usize, frame: &[u8]) {
        let mut byte = 0;
        for (header, record) in records(frame) {
            byte += record.len();
            self.began_ns.get_or_insert(header.time_ns);
            match RecordKind::from_number(header.kind) {
                Some(RecordKind::Session) if self.session.is_none() => {
                    let part = SessionRecord::read_from_prefix(record).ok();
                    self.session = part.map(|(part, _)| (&part).into());
                }
                Some(RecordKind::SessionBegin) if self.session.is_some() && self.stream.is_none() => {
                    self.stream = Some(Place { frame: index, byte });
                }
                Some(RecordKind::Node) => self.node(record),
                Some(RecordKind::Clock) => {
                    if let Ok((clock, _)) = ClockRecord::read_from_prefix(record) {
                        self.wall_minus_boot_ns = Some(clock.wall_minus_boot_ns);
                        self.clock = Some((&clock).into());
                    }
                }
                Some(RecordKind::Facts) => self.facts(record),
                // Everything is said that is said before something happens.
                Some(RecordKind::Ready) if self.session.is_none() || self.stream.is_some() => {
                    self.is_settled = true;
                    return;
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, record: &[u8]) {
        let Ok((node, names)) = NodeRecord::read_from_prefix(record) else { return };
        self.wall_minus_boot_ns = Some(node.wall_minus_boot_ns);
        self.tick_ns = node.tick_ns;
        let mut names = names.splitn(2, |&byte| byte == b'\n');
        let mut name = || Text::from_bytes(names.next().unwrap_or_default());
        (self.kernel, self.host) = (name(), name());
    }

    fn facts(&mut self, record: &[u8]) {
        let Ok((_, text)) = FactsRecord::read_from_prefix(record) else { return };
        let boot_id = Facts::from_text(text).0.into_iter().find(|(name, _)| name.as_str() == "boot id");
        self.boot_id = boot_id.map(|(_, value)| value).or(self.boot_id.take());
    }
}
