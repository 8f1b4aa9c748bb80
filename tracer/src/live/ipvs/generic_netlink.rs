//! Generic netlink: asking for dumps.
//!
//! The kernel loads a module when a family is asked for by a name it does not know. Here the list of families is
//! dumped instead and searched, which loads nothing.

use std::io;

use netlink_packet_core::{NetlinkBuffer, NlasIterator};
use netlink_sys::{Socket, protocols::NETLINK_GENERIC};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::{TimeVal, TimeValLike as _},
};

/// Why a dump was not complete.
#[derive(Debug, thiserror::Error)]
pub(super) enum DumpError {
    /// The socket failed, or the kernel did not answer in time.
    #[error("generic netlink failed")]
    Socket(#[from] io::Error),
    /// The kernel refused.
    #[error("the kernel refused to list: {0}")]
    Refused(io::Error),
    /// What came is not netlink.
    #[error("the kernel's answer is malformed")]
    Malformed,
}

/// A question for a dump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// Number of the family.
    pub(super) family: u16,
    /// Number of the command.
    pub(super) command: u8,
    /// Version of the family.
    pub(super) version: u8,
    /// The attributes, as [`attribute`] writes them.
    pub(super) attributes: &'a [u8],
}

/// A socket to generic netlink, in the network namespace its thread was in when it was opened.
pub(super) struct GenericNetlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl GenericNetlink {
    /// Opens it. Generic netlink is part of every kernel with networks: this loads nothing.
    pub(super) fn open() -> io::Result<Self> {
        /// Long enough for a lock somebody holds, short enough not to stop the watch of other namespaces.
        const TIMEOUT_S: i64 = 2;
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(TIMEOUT_S))?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// The number of the family of that name; `None` if the kernel has none now.
    pub(super) fn family(&mut self, name: &str) -> Result<Option<u16>, DumpError> {
        const CONTROL_FAMILY: u16 = 16;
        const GET_FAMILY: u8 = 3;
        let question = Question { family: CONTROL_FAMILY, command: GET_FAMILY, version: 2, attributes: &[] };
        let mut found = None;
        self.dump(question, |attributes| found = found.or(family_number(attributes, name)))?;
        Ok(found)
    }

    /// Asks, and calls `take` with the attributes of each message of the answer.
    pub(super) fn dump(
        &mut self,
        question: Question<'_>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), DumpError> {
        self.sequence += 1;
        self.socket.send(&request(question, self.sequence), 0)?;
        loop {
            self.buffer.clear();
            // The kernel fits its messages to the room given here; nothing is cut.
            self.socket.recv(&mut self.buffer, 0)?;
            if let Progress::Done = read_answer(&self.buffer, question.family, self.sequence, &mut take)? {
                return Ok(());
            }
        }
    }
}

/// What the kernel puts into one answer at most.
const BUFFER_BYTES: usize = 32 << 10;

/// Bytes of `struct genlmsghdr`: command, version, two reserved.
const GENERIC_HEADER_BYTES: usize = 4;

fn family_number(attributes: &[u8], name: &str) -> Option<u16> {
    const FAMILY_ID: u16 = 1;
    const FAMILY_NAME: u16 = 2;
    let mut number = None;
    let mut is_named = false;
    for (kind, value) in attributes_of(attributes) {
        match kind {
            FAMILY_ID => number = <[u8; 2]>::try_from(value).ok().map(u16::from_ne_bytes),
            FAMILY_NAME => is_named = value.strip_suffix(&[0]).unwrap_or(value) == name.as_bytes(),
            _ => {}
        }
    }
    number.filter(|_| is_named)
}

fn request(question: Question<'_>, sequence: u32) -> Vec<u8> {
    const HEADER_BYTES: usize = 16;
    const REQUEST: u16 = 1;
    const DUMP: u16 = 0x300;
    let length = HEADER_BYTES + GENERIC_HEADER_BYTES + question.attributes.len();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend_from_slice(&question.family.to_ne_bytes());
    bytes.extend_from_slice(&(REQUEST | DUMP).to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    // The port: the kernel knows it.
    bytes.extend_from_slice(&0u32.to_ne_bytes());
    bytes.extend_from_slice(&[question.command, question.version, 0, 0]);
    bytes.extend_from_slice(question.attributes);
    bytes
}

/// Appends an attribute, padded.
pub(super) fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    const ALIGNMENT: usize = 4;
    let length = ALIGNMENT + value.len();
    bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// Numbers and values of attributes, up to the first malformed one.
pub(super) fn attributes_of(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const HEADER_BYTES: usize = 4;
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute = attribute.ok()?;
        let value = attribute.into_inner().get(HEADER_BYTES..usize::from(attribute.length()))?;
        Some((attribute.kind(), value))
    })
}

/// Whether more of an answer is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    More,
    Done,
}

/// Reads what one call received: messages of the family, and how it ends.
fn read_answer(
    mut bytes: &[u8],
    family: u16,
    sequence: u32,
    take: &mut impl FnMut(&[u8]),
) -> Result<Progress, DumpError> {
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    const ALIGNMENT: usize = 4;
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(|_| DumpError::Malformed)?;
        let payload = message.payload();
        let length = usize::try_from(message.length()).map_err(|_| DumpError::Malformed)?;
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        if message.sequence_number() != sequence {
            // The rest of an answer that was given up.
            continue;
        }
        match message.message_type() {
            DONE | ERROR => {
                let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return match code {
                    0 => Ok(Progress::Done),
                    code => Err(DumpError::Refused(io::Error::from_raw_os_error(code.saturating_neg()))),
                };
            }
            kind if kind == family => {
                take(payload.get(GENERIC_HEADER_BYTES..).ok_or(DumpError::Malformed)?);
            }
            _ => {}
        }
    }
    Ok(Progress::More)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        DumpError, GenericNetlink, Progress, Question, attribute, attributes_of, read_answer, request,
    };

    const FAMILY: u16 = 30;

    fn message(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let question = Question { family: kind, command: 0, version: 0, attributes: payload };
        request(question, sequence)
    }

    fn answer(bytes: &[u8]) -> (Result<Progress, DumpError>, Vec<Vec<u8>>) {
        let mut taken = Vec::new();
        let progress =
            read_answer(bytes, FAMILY, 7, &mut |attributes: &[u8]| taken.push(attributes.to_vec()));
        (progress, taken)
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let bytes = [message(FAMILY, 7, b"one."), message(FAMILY, 7, b"two."), message(FAMILY, 6, b"old.")];
        let (progress, taken) = answer(&bytes.concat());
        assert_eq!((progress.unwrap(), taken), (Progress::More, vec![b"one.".to_vec(), b"two.".to_vec()]));
        // The code comes first in the payload, where a message of a family has its own header.
        let (progress, taken) = answer(&message(3, 7, &[]));
        assert_eq!((progress.unwrap(), taken.len()), (Progress::Done, 0));
    }

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let mut bytes = message(2, 7, &[0; 16]);
        bytes[16..20].copy_from_slice(&(-1i32).to_ne_bytes());
        let (progress, _) = answer(&bytes);
        let error = progress.unwrap_err();
        assert!(matches!(&error, DumpError::Refused(source) if source.raw_os_error() == Some(1)), "{error}");
    }

    #[test]
    fn what_is_cut_is_malformed() {
        let whole = message(FAMILY, 7, b"one.");
        for length in 1..whole.len() {
            let (progress, taken) = answer(&whole[..length]);
            assert!(matches!(progress, Err(DumpError::Malformed)), "{length}");
            assert_eq!(taken, Vec::<Vec<u8>>::new());
        }
    }

    #[test]
    fn attributes_are_read_as_they_are_written() {
        let mut bytes = Vec::new();
        attribute(&mut bytes, 1, b"a");
        attribute(&mut bytes, 0x8002, b"");
        attribute(&mut bytes, 3, b"four");
        let read: Vec<(u16, &[u8])> = attributes_of(&bytes).collect();
        // The highest bits are flags.
        assert_eq!(read, [(1, &b"a"[..]), (2, b""), (3, b"four")]);
    }

    /// This kernel's own list: nothing is loaded for the name nobody has.
    #[test]
    fn families_are_found_by_name() {
        let mut netlink = GenericNetlink::open().unwrap();
        assert_eq!(netlink.family("nlctrl").unwrap(), Some(16));
        assert_eq!(netlink.family("no-such-family").unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = answer(&bytes);
            let _ = attributes_of(&bytes).count();
        }
    }
}
