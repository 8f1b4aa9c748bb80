//! What tells one fact from another of its kind.

use tracer_common::record::RecordHeader;

/// The node, the network namespace it ends with, and the bytes that name it there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    node: u16,
    /// 0 where it is of the whole node.
    netns: u32,
    name: Box<[u8]>,
}

impl Identity {
    /// Of something in the header's network namespace.
    pub(super) fn within(header: RecordHeader, parts: &[&[u8]]) -> Self {
        Self { node: header.node, netns: header.netns, name: parts.concat().into() }
    }

    /// Of something that outlives network namespaces.
    pub(super) fn of_node(header: RecordHeader, parts: &[&[u8]]) -> Self {
        Self { node: header.node, netns: 0, name: parts.concat().into() }
    }

    /// The node, and the network namespace if it is in one.
    pub(super) fn namespace(&self) -> Option<(u16, u32)> {
        (self.netns != 0).then_some((self.node, self.netns))
    }
}
