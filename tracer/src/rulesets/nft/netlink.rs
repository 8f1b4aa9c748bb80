//! Questions to nftables and their answers, message by message.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt,
            socket, sockopt,
        },
        time::{TimeVal, TimeValLike as _},
    },
};

use super::{
    super::Deadline,
    message::{ALIGNMENT_BYTES, FAMILY_HEADER_BYTES, Message, append_attribute},
};

/// Room for an answer. The kernel fills at most 32 KiB at once, and only if offered as much (`netlink_dump`,
/// `net/netlink/af_netlink.c`).
const ANSWER_BYTES: usize = 64 << 10;

/// How long an answer may take. Another's long change of the ruleset keeps it waiting.
const ANSWER_SECONDS: i64 = 10;

/// Length of a message's header: length, kind, flags, sequence, port (`struct nlmsghdr`).
const HEADER_BYTES: usize = 16;

/// The kinds that netlink itself gives meaning to.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Kinds below this are netlink's own.
const FIRST_KIND: u16 = 16;

/// Flags of questions and answers.
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const INTERRUPTED: u16 = 0x10;

/// nftables among the subsystems of netfilter (`NFNL_SUBSYS_NFTABLES`), in the upper byte of a message's kind.
const NFTABLES: u16 = 10 << 8;

/// How a list came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// Whole, of one moment.
    Whole,
    /// To its end, but what it lists changed on the way.
    Interrupted,
    /// Not to its end, for time was up. The socket can be used no more.
    GivenUp,
}

/// One piece of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    More,
    End,
}

/// A socket for questions to nftables.
pub(super) struct Netlink {
    socket: OwnedFd,
    answer: Vec<u8>,
    sequence: u32,
}

impl Netlink {
    /// In the calling thread's namespace.
    pub(super) fn open() -> nix::Result<Self> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_SECONDS))?;
        Ok(Self { socket, answer: vec![0; ANSWER_BYTES], sequence: 0 })
    }

    /// Asks for one message.
    pub(super) fn get(&mut self, kind: u8, mut take: impl FnMut(&Message<'_>)) -> io::Result<()> {
        self.ask(kind, 0, REQUEST, &[])?;
        let mut is_taken = false;
        while !is_taken {
            let mut was_interrupted = false;
            self.receive(&mut was_interrupted, |message| {
                is_taken = true;
                take(message);
            })?;
        }
        Ok(())
    }

    /// Asks for all of a kind, in a family or in all (0), narrowed down by the names of these attributes.
    pub(super) fn dump(
        &mut self,
        kind: u8,
        family: u8,
        narrowed: &[(u16, &[u8])],
        deadline: Deadline,
        mut take: impl FnMut(&Message<'_>),
    ) -> io::Result<Answer> {
        self.ask(kind, family, REQUEST | DUMP, narrowed)?;
        let mut was_interrupted = false;
        while self.receive(&mut was_interrupted, &mut take)? == Piece::More {
            if deadline.is_over() {
                return Ok(Answer::GivenUp);
            }
        }
        Ok(if was_interrupted { Answer::Interrupted } else { Answer::Whole })
    }

    fn ask(&mut self, kind: u8, family: u8, flags: u16, narrowed: &[(u16, &[u8])]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut question = vec![0; HEADER_BYTES + FAMILY_HEADER_BYTES];
        question[4..6].copy_from_slice(&(NFTABLES | u16::from(kind)).to_ne_bytes());
        question[6..8].copy_from_slice(&flags.to_ne_bytes());
        question[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        question[HEADER_BYTES] = family;
        for (number, name) in narrowed {
            append_attribute(&mut question, *number, &[name, &b"\0"[..]].concat());
        }
        // A header and two names at most.
        let length = u32::try_from(question.len()).unwrap_or(u32::MAX);
        question[..4].copy_from_slice(&length.to_ne_bytes());
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), &question, &kernel, MsgFlags::empty())?;
        Ok(())
    }

    fn receive(&mut self, interrupted: &mut bool, take: impl FnMut(&Message<'_>)) -> io::Result<Piece> {
        let length = loop {
            match recv(self.socket.as_raw_fd(), &mut self.answer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(error) => return Err(error.into()),
                Ok(length) => break length,
            }
        };
        read(&self.answer[..length.min(ANSWER_BYTES)], self.sequence, interrupted, take)
    }
}

/// Takes the messages that answer question `sequence`. What is cut short ends the piece.
fn read(
    mut piece: &[u8],
    sequence: u32,
    interrupted: &mut bool,
    mut take: impl FnMut(&Message<'_>),
) -> io::Result<Piece> {
    while let Some((header, _)) = piece.split_first_chunk::<HEADER_BYTES>() {
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = word(0) as usize;
        let Some(payload) = piece.get(HEADER_BYTES..length) else { break };
        piece = piece.get(length.next_multiple_of(ALIGNMENT_BYTES)..).unwrap_or_default();
        if word(8) != sequence {
            continue;
        }
        *interrupted |= half(6) & INTERRUPTED != 0;
        match half(4) {
            ERROR | DONE => {
                let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return if code == 0 {
                    Ok(Piece::End)
                } else {
                    Err(io::Error::from_raw_os_error(code.saturating_neg()))
                };
            }
            FIRST_KIND.. => {
                if let Some(message) = Message::of(payload) {
                    take(&message);
                }
            }
            _ => {}
        }
    }
    Ok(Piece::More)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&u32::try_from(HEADER_BYTES + payload.len()).unwrap().to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT_BYTES), 0);
        bytes
    }

    fn families(piece: &[u8]) -> (Vec<u8>, bool, Result<Piece, Option<i32>>) {
        let (mut families, mut interrupted) = (Vec::new(), false);
        let end = read(piece, 7, &mut interrupted, |message| families.push(message.family));
        (families, interrupted, end.map_err(|error| error.raw_os_error()))
    }

    #[test]
    fn messages_of_the_question_are_taken_up_to_the_end() {
        let rule = |family: u8| message(NFTABLES | 6, 2, 7, &[family, 0, 0, 0]);
        let stale = message(NFTABLES | 6, 2, 6, &[9, 0, 0, 0]);
        let moved = message(NFTABLES | 6, 2 | INTERRUPTED, 7, &[3, 0, 0, 0]);
        let done = message(DONE, 2, 7, &0_i32.to_ne_bytes());
        let refused = message(ERROR, 0, 7, &(-libc::EPERM).to_ne_bytes());
        let cases = [
            (vec![rule(1), rule(2)], (vec![1, 2], false, Ok(Piece::More))),
            (vec![rule(1), stale, done.clone(), rule(2)], (vec![1], false, Ok(Piece::End))),
            (vec![moved, done], (vec![3], true, Ok(Piece::End))),
            (vec![rule(1), refused], (vec![1], false, Err(Some(libc::EPERM)))),
            (vec![rule(1)[..18].to_vec()], (vec![], false, Ok(Piece::More))),
        ];
        for (messages, expected) in cases {
            assert_eq!(families(&messages.concat()), expected);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = families(&bytes);
        }
    }
}
