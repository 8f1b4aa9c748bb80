//! Who owns a socket.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tracer_common::record::OwnerRecord;

use super::Text;

/// Sockets whose owners are remembered.
const OWNERS_KEPT: usize = 65_536;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its id in the host's pid namespace.
    pub id: u32,
    /// Its command name, up to 15 bytes.
    pub command: Text,
}

impl Process {
    /// The process of a record, if it names one.
    pub(super) fn from_record(id: u32, command: &[u8]) -> Option<Self> {
        (id != 0).then(|| Self { id, command: Text::from_bytes(command) })
    }
}

/// Found in user space: a socket's inode and the process that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The `N` of `socket:[N]`.
    pub socket_inode: u64,
    /// Who holds it.
    pub process: Process,
}

impl From<&OwnerRecord> for Owner {
    fn from(record: &OwnerRecord) -> Self {
        Self {
            socket_inode: record.socket_inode,
            process: Process { id: record.process_id, command: Text::from_bytes(&record.command) },
        }
    }
}

/// Processes by the inode of their socket. Bounded: the oldest goes first.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    processes: FxHashMap<u64, Process>,
    order: VecDeque<u64>,
}

impl Owners {
    /// Takes in who owns a socket.
    pub fn insert(&mut self, owner: &Owner) {
        if self.processes.insert(owner.socket_inode, owner.process.clone()).is_none() {
            self.order.push_back(owner.socket_inode);
        }
        if self.order.len() > OWNERS_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.processes.remove(&oldest);
        }
    }

    /// Who owns a socket, if that was told.
    pub fn process(&self, socket_inode: u64) -> Option<&Process> {
        self.processes.get(&socket_inode)
    }
}

#[cfg(test)]
mod tests {
    use super::{OWNERS_KEPT, Owners};
    use crate::event::{Owner, Process, Text};

    #[test]
    fn the_newest_owners_are_remembered() {
        let mut owners = Owners::default();
        let process = Process { id: 1, command: Text::new("curl") };
        let last = OWNERS_KEPT as u64 + 10;
        for socket_inode in 1..=last {
            owners.insert(&Owner { socket_inode, process: process.clone() });
            owners.insert(&Owner { socket_inode, process: process.clone() });
        }
        assert_eq!((owners.processes.len(), owners.order.len()), (OWNERS_KEPT, OWNERS_KEPT));
        assert!(!owners.processes.contains_key(&10));
        assert!(owners.processes.contains_key(&11) && owners.processes.contains_key(&last));
    }
}
