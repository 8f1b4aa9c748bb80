//! Tables of `ip_tables`, `ip6_tables` and `arp_tables`.
//!
//! The kernel gives a table as one copy of all its entries. Only tables that the namespace lists are asked for: asking
//! for another would make it (`xt_request_find_table_lock`, `xt_find_table_lock`; `net/netfilter/x_tables.c`).

mod layout;
mod region;
mod text;
mod walk;

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::Path,
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::socket::{SockFlag, SockType, socket},
};

pub(crate) use self::layout::{KINDS, Kind};
use self::{
    layout::{INFO_BYTES, NAME_BYTES},
    region::Region,
    walk::{Damaged, Walk},
};
use super::{ATTEMPTS, Deadline, Exactness, TABLES, TableCount};

/// What the kernel says of a table at little cost: where its built-in chains begin and end, the number of its entries
/// and their length. Two that differ are of different tables; the counterpart does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info([u8; INFO_BYTES]);

/// A socket to ask for tables of one kind, in the namespace it was made in.
pub(crate) struct Tables {
    kind: &'static Kind,
    socket: OwnedFd,
}

impl Tables {
    /// For the calling thread's namespace.
    pub(crate) fn open(kind: &'static Kind) -> anyhow::Result<Self> {
        let socket = socket(kind.domain, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
            .with_context(|| format!("cannot open a socket to ask for {}", kind.tables))?;
        Ok(Self { kind, socket })
    }

    /// What the kernel says of a table; `None` if it is gone.
    pub(crate) fn info(&self, table: &[u8]) -> anyhow::Result<Option<Info>> {
        let mut info = [0; INFO_BYTES];
        let length = table.len().min(NAME_BYTES - 1);
        info[..length].copy_from_slice(&table[..length]);
        let told = &mut info[..self.kind.info_bytes];
        let mut told_bytes = libc::socklen_t::try_from(told.len())?;
        // SAFETY: the kernel writes at most `told_bytes` bytes to `told`, which is that long.
        let answer = unsafe {
            libc::getsockopt(
                self.socket.as_fd().as_raw_fd(),
                self.kind.level,
                self.kind.get_info,
                told.as_mut_ptr().cast(),
                &raw mut told_bytes,
            )
        };
        match Errno::result(answer) {
            Ok(_) => Ok(Some(Info(info))),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).with_context(|| self.refused(table)),
        }
    }

    /// Counts a table. `None` if it is gone, or kept changing.
    pub(crate) fn count(&self, table: &[u8], deadline: Deadline) -> anyhow::Result<Option<TableCount>> {
        for _ in 0..ATTEMPTS {
            let Some(info) = self.info(table)? else { return Ok(None) };
            match self.count_as(table, &info, deadline) {
                Ok(count) => return Ok(Some(count)),
                Err(Failure::Changed) => {}
                Err(Failure::Refused(error)) => {
                    return Err(error).with_context(|| self.refused(table));
                }
            }
        }
        Ok(None)
    }

    /// Counts a table that is as `info` says.
    fn count_as(&self, table: &[u8], info: &Info, deadline: Deadline) -> Result<TableCount, Failure> {
        let kind = self.kind;
        let size = kind.size(info);
        let mut region = Region::new(kind.entries_header(table, info), size)?;
        let mut walk = Walk::new(kind, info);
        while !walk.is_done() {
            region.move_to(walk.next())?;
            match region.fill(self.socket.as_fd(), kind.level, kind.get_entries) {
                // The region ends before the table does.
                Ok(()) | Err(Errno::EFAULT) => {}
                Err(Errno::EAGAIN | Errno::ENOENT) => return Err(Failure::Changed),
                Err(error) => return Err(error.into()),
            }
            let before = walk.next();
            let (start, entries) = region.entries();
            // What cannot be walked was replaced, by a table of the same size, since the call before.
            walk.feed(entries, start).map_err(|Damaged| Failure::Changed)?;
            if walk.next() == before {
                return Err(Failure::Changed);
            }
            if deadline.is_over() {
                break;
            }
        }
        let is_same = self.info(table).ok().flatten().as_ref() == Some(info);
        let exactness = match (walk.is_done(), is_same) {
            (false, _) => Exactness::AtMost,
            (true, true) => Exactness::Exact,
            (true, false) => return Err(Failure::Changed),
        };
        Ok(walk.finish(table.to_vec(), exactness))
    }

    fn refused(&self, table: &[u8]) -> String {
        format!("the kernel does not tell {} {}", self.kind.tables, String::from_utf8_lossy(table))
    }
}

/// Why a count did not come to its end.
enum Failure {
    /// The table is another by now.
    Changed,
    Refused(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Refused(error.into())
    }
}

/// The tables of a kind that are in the calling thread's namespace, at most [`TABLES`]; none if the kernel has not
/// that kind. `proc` is where the kernel shows its processes.
pub(crate) fn names(proc: &Path, kind: &Kind) -> Vec<Vec<u8>> {
    let listed = fs::read(proc.join("thread-self/net").join(kind.names)).unwrap_or_default();
    listed
        .split(|&byte| byte == b'\n')
        .filter(|name| !name.is_empty() && name.len() < NAME_BYTES)
        .take(TABLES)
        .map(<[u8]>::to_vec)
        .collect()
}
