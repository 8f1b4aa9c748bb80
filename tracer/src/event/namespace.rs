//! What a network namespace is called, and whose it is.

use tracer_common::record::NamespaceRecord;

use super::{Change, Pod, Process, Text};

/// Found in user space: names of a network namespace, the event's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What became of it. Once it is removed, its inode number may come back as another's.
    pub change: Change,
    /// Whether it is the one of the node's first process.
    pub is_of_node: bool,
    /// The name somebody gave it, as `ip netns` does.
    pub name: Option<Text>,
    /// A process in it, of its pod where it has one.
    pub process: Option<Process>,
    /// The pod whose it is.
    pub pod: Option<Pod>,
}

impl Namespace {
    /// From the record and the text behind it.
    pub(crate) fn from_record(record: &NamespaceRecord, text: &[u8]) -> Self {
        let mut lines = text.split(|&byte| byte == b'\n').map(Text::from_bytes);
        let mut line = || lines.next().unwrap_or_default();
        Self {
            change: Change::from_number(record.change),
            is_of_node: record.is_of_node != 0,
            name: Some(line()).filter(|name| !name.is_empty()),
            process: Process::from_record(record.process_id, &record.command),
            pod: Pod::from_lines(line),
        }
    }
}
