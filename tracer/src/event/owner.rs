//! Who owns a socket.

use tracer_common::record::OwnerRecord;

use super::Text;

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
    #[inline]
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
