//! Sockets of the calling thread's network namespace. They stay in it wherever the thread goes.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

use bytes::BytesMut;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::{Socket, SocketAddr};
use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};

use super::{
    HEADER_BYTES, Request,
    message::{Message, attributes, number, text},
};

/// The largest datagram: the kernel makes dumps of 32 KiB at most, and single messages far smaller.
const DATAGRAM_BYTES: usize = 64 << 10;

/// How long an answer usually may take. The kernel answers within the call; this is against a wait without end.
pub(crate) const ANSWER_SECONDS: i64 = 2;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The kernel says no, with this errno.
    #[error("{}", io::Error::from_raw_os_error(*.0))]
    Errno(i32),
    /// The kernel says no and why: it could not do what was asked, rather than answer it.
    #[error("{}: {words}", io::Error::from_raw_os_error(*.errno))]
    Said {
        /// The errno.
        errno: i32,
        /// Why.
        words: String,
    },
    /// The socket does not work, or the answer takes too long.
    #[error("netlink does not work")]
    Socket(#[from] io::Error),
}

impl Refusal {
    /// The errno of the kernel's no.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Errno(errno) | Self::Said { errno, .. } => Some(*errno),
            Self::Socket(_) => None,
        }
    }
}

/// How a list came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listed {
    /// Whole, of one moment.
    Whole,
    /// To its end, but what it lists changed on the way.
    Interrupted,
    /// Not to its end. The rest waits in the socket, which is of no more use.
    GivenUp,
}

/// A socket that asks and reads the answers at once.
#[derive(Debug)]
pub(crate) struct Asking {
    socket: Socket,
    sequence: u32,
    datagram: BytesMut,
}

impl Asking {
    /// A socket of a netlink protocol, which must be there: asking for one that is not loads its module.
    ///
    /// An answer may take `answer_seconds`.
    pub(crate) fn open(protocol: isize, answer_seconds: i64) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        // The kernel's own words tell a request it cannot read from an answer that is no. Kernels before 4.12 have none.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(answer_seconds, 0))?;
        Ok(Self { socket, sequence: 0, datagram: BytesMut::new() })
    }

    /// Asks for a list and calls `take` with each of its messages; whether the list changed while it was read.
    pub(crate) fn dump(
        &mut self,
        request: &Request,
        take: impl FnMut(&Message<'_>),
    ) -> Result<bool, Refusal> {
        Ok(self.dump_while(request, |_| true, take)? == Listed::Interrupted)
    }

    /// The same, given up once `goes_on` says so, which is told whether the list changed on the way so far.
    pub(crate) fn dump_while(
        &mut self,
        request: &Request,
        goes_on: impl Fn(bool) -> bool,
        mut take: impl FnMut(&Message<'_>),
    ) -> Result<Listed, Refusal> {
        let is_interrupted = Cell::new(false);
        let is_whole = self.converse(
            request,
            NLM_F_REQUEST | NLM_F_DUMP,
            || goes_on(is_interrupted.get()),
            |message| {
                is_interrupted.set(is_interrupted.get() || message.flags & NLM_F_DUMP_INTR != 0);
                take(message);
            },
        )?;
        Ok(match (is_whole, is_interrupted.get()) {
            (false, _) => Listed::GivenUp,
            (true, true) => Listed::Interrupted,
            (true, false) => Listed::Whole,
        })
    }

    /// Asks for one thing and calls `take` with the answer.
    pub(crate) fn ask(&mut self, request: &Request, take: impl FnMut(&Message<'_>)) -> Result<(), Refusal> {
        self.converse(request, NLM_F_REQUEST | NLM_F_ACK, || true, take).map(drop)
    }

    /// Sends a request and reads until the kernel says that it is done; `false` if that was given up before.
    fn converse(
        &mut self,
        request: &Request,
        flags: u16,
        goes_on: impl Fn() -> bool,
        mut take: impl FnMut(&Message<'_>),
    ) -> Result<bool, Refusal> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = request.to_bytes(flags, self.sequence);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        loop {
            receive(&self.socket, &mut self.datagram)?;
            for message in Message::all(&self.datagram) {
                // What is left of an answer that was given up.
                if message.sequence != self.sequence {
                    continue;
                }
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => return outcome(&message).map(|()| true),
                    _ => take(&message),
                }
            }
            if !goes_on() {
                return Ok(false);
            }
        }
    }
}

/// A socket to which the kernel tells changes.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: Socket,
    datagram: BytesMut,
    drops_known: u64,
}

impl Listening {
    /// Joins `groups` (bit 0 is group 1), with room for `receive_bytes` of what is not read yet.
    pub(crate) fn open(protocol: isize, groups: u32, receive_bytes: usize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.set_non_blocking(true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &receive_bytes)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        Ok(Self { socket, datagram: BytesMut::new(), drops_known: 0 })
    }

    /// The next datagram. `None` if there is none now. The error `ENOBUFS` says that messages were dropped; reading goes
    /// on after it.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        match receive(&self.socket, &mut self.datagram) {
            Ok(()) => Ok(Some(&self.datagram)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many messages were dropped for want of room since this was last asked, by the kernel's own count
    /// (`netlink_overrun`). At least 1 if the count cannot be read: it is asked when there was a loss.
    pub(crate) fn drops(&mut self) -> u64 {
        let Ok(drops) = socket_drops(&self.socket) else { return 1 };
        let since = drops.saturating_sub(self.drops_known);
        self.drops_known = drops;
        since
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What the message that ends an answer says: a code, and for some refusals a text.
fn outcome(message: &Message<'_>) -> Result<(), Refusal> {
    /// `NLM_F_ACK_TLVS`: attributes follow the code and the request's header (`NLM_F_CAPPED`).
    const HAS_ATTRIBUTES: u16 = 0x200;
    const TEXT: u16 = 1;
    let Some(code) = number::<i32>(message.payload).filter(|code| *code < 0) else { return Ok(()) };
    let behind = message.payload.get(size_of::<i32>() + HEADER_BYTES..).unwrap_or_default();
    let said = attributes(behind).find(|(kind, _)| *kind == TEXT);
    match said.filter(|_| message.flags & HAS_ATTRIBUTES != 0) {
        Some((_, words)) => {
            Err(Refusal::Said { errno: -code, words: String::from_utf8_lossy(text(words)).into_owned() })
        }
        None => Err(Refusal::Errno(-code)),
    }
}

/// Reads one datagram into the emptied buffer.
fn receive(socket: &Socket, datagram: &mut BytesMut) -> io::Result<()> {
    datagram.clear();
    datagram.reserve(DATAGRAM_BYTES);
    loop {
        match socket.recv(datagram, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => return received.map(drop),
        }
    }
}

/// What the kernel counts of a socket's dropped messages.
fn socket_drops(socket: &Socket) -> io::Result<u64> {
    /// `SK_MEMINFO_DROPS` and the length of the list, of `include/uapi/linux/sock_diag.h`.
    const DROPS: usize = 8;
    const NUMBERS: usize = 9;
    /// `SO_MEMINFO` of `include/uapi/asm-generic/socket.h`, which x86-64 and arm64 use.
    const SO_MEMINFO: libc::c_int = 55;
    let mut numbers = [0_u32; NUMBERS];
    let mut length = libc::socklen_t::try_from(size_of_val(&numbers)).unwrap_or_default();
    // SAFETY: the kernel writes at most `length` bytes to `numbers`, which is that long.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if outcome != 0 { Err(io::Error::last_os_error()) } else { Ok(u64::from(numbers[DROPS])) }
}
