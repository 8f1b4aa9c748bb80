//! Which process owns a socket that was opened before tracer started, or was accepted: found by the socket's inode
//! among the open files of every process.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rustc_hash::{FxHashMap, FxHashSet};
use tracer_common::record::{COMMAND_NAME_BYTES, OwnerRecord, Record as _, RetransmitRecord};
use zerocopy::FromBytes as _;

use super::encode::{Stamp, append_record};
use crate::decode;

/// The least time between two walks through every process: one takes tens of milliseconds on a busy node.
const WALK_INTERVAL: Duration = Duration::from_millis(500);

/// Sockets remembered as told or as nobody's, before memory is cleared.
const REMEMBERED: usize = 65_536;

/// Sockets whose owner no record told.
pub(super) struct Owners {
    proc: PathBuf,
    /// Told already, or looked for in vain.
    settled: FxHashSet<u64>,
    wanted: FxHashSet<u64>,
    last_walk: Option<Instant>,
}

struct Owner {
    process_id: u32,
    command: [u8; COMMAND_NAME_BYTES],
}

impl Owners {
    pub(super) fn new(proc: PathBuf) -> Self {
        Self { proc, settled: FxHashSet::default(), wanted: FxHashSet::default(), last_walk: None }
    }

    /// Appends to `into` the owners of the sockets that records in `records` name without naming their process.
    pub(super) fn look_up(&mut self, records: &[u8], into: &mut BytesMut) {
        self.note_wanted(records);
        let is_due = self.last_walk.is_none_or(|last| last.elapsed() >= WALK_INTERVAL);
        if self.wanted.is_empty() || !is_due {
            return;
        }
        let Ok(stamp) = Stamp::now() else { return };
        for (socket_inode, Owner { process_id, command }) in find_owners(&self.proc, &self.wanted) {
            let record = OwnerRecord { socket_inode, process_id, command, ..OwnerRecord::default() };
            append_record(into, stamp, 0, &record, &[]);
        }
        if self.settled.len() + self.wanted.len() > REMEMBERED {
            self.settled.clear();
        }
        self.settled.extend(self.wanted.drain());
        self.last_walk = Some(Instant::now());
    }

    fn note_wanted(&mut self, records: &[u8]) {
        for (header, record) in decode::records(records) {
            if header.kind == RetransmitRecord::KIND as u16
                && let Ok((record, _)) = RetransmitRecord::read_from_prefix(record)
                && record.process_id == 0
                && record.socket_inode != 0
                && !self.settled.contains(&record.socket_inode)
            {
                self.wanted.insert(record.socket_inode);
            }
        }
    }
}

/// Walks through the open files of every process until all wanted sockets are found. A process that ends meanwhile, or
/// whose files may not be read, is passed over.
fn find_owners(proc: &Path, wanted: &FxHashSet<u64>) -> FxHashMap<u64, Owner> {
    let mut found = FxHashMap::default();
    let Ok(processes) = fs::read_dir(proc) else { return found };
    for process in processes.flatten() {
        let Some(process_id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            let Some(inode) = fs::read_link(file.path()).ok().and_then(|link| socket_inode(&link)) else {
                continue;
            };
            if wanted.contains(&inode) {
                found
                    .entry(inode)
                    .or_insert_with(|| Owner { process_id, command: command_name(&process.path()) });
            }
        }
        if found.len() == wanted.len() {
            break;
        }
    }
    found
}

/// The `N` of `socket:[N]`.
fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A process's command name, all zero if it is gone.
pub(super) fn command_name(process: &Path) -> [u8; COMMAND_NAME_BYTES] {
    let mut command = [0; COMMAND_NAME_BYTES];
    let name = fs::read(process.join("comm")).unwrap_or_default();
    let name = name.strip_suffix(b"\n").unwrap_or(&name);
    for (kept, &byte) in
        command.iter_mut().take(COMMAND_NAME_BYTES - 1).zip(std::ffi::OsStr::from_bytes(name).as_bytes())
    {
        *kept = byte;
    }
    command
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd as _, path::Path};

    use bytes::BytesMut;
    use tracer_common::record::{OwnerRecord, RecordHeader, RecordKind, RetransmitRecord};
    use zerocopy::{FromBytes as _, IntoBytes as _};

    use super::{Owners, socket_inode};

    fn retransmit_of(socket_inode: u64) -> RetransmitRecord {
        let header = RecordHeader {
            kind: RecordKind::Retransmit as u16,
            length_bytes: u16::try_from(size_of::<RetransmitRecord>()).unwrap(),
            ..RecordHeader::default()
        };
        RetransmitRecord { header, socket_inode, ..RetransmitRecord::default() }
    }

    #[test]
    fn the_holder_of_a_socket_is_found_and_told_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let inode = socket_inode(&link).unwrap();

        let mut owners = Owners::new("/proc".into());
        let mut told = BytesMut::new();
        owners.look_up(retransmit_of(inode).as_bytes(), &mut told);
        let record = OwnerRecord::read_from_bytes(&told).unwrap();
        assert_eq!((record.socket_inode, record.process_id), (inode, std::process::id()));
        assert_ne!(record.command, [0; 16]);

        let mut again = BytesMut::new();
        owners.last_walk = None;
        owners.look_up(retransmit_of(inode).as_bytes(), &mut again);
        assert!(again.is_empty());
    }

    #[test]
    fn only_a_sockets_link_names_an_inode() {
        for (link, expected) in
            [("socket:[123]", Some(123)), ("pipe:[123]", None), ("/dev/null", None), ("socket:[x]", None)]
        {
            assert_eq!(socket_inode(Path::new(link)), expected, "{link}");
        }
    }
}
