//! Which network namespace something is about.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// A network namespace of one of the nodes. Two nodes give the same inode number to different ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Netns {
    /// The node, counted from 0; always 0 where there is one.
    pub node: u16,
    /// Its inode number; 0 for the whole node.
    pub inode: u32,
}

impl Netns {
    /// A namespace of the first node, or the only one.
    pub const fn here(inode: u32) -> Self {
        Self { node: 0, inode }
    }

    /// A namespace of the same node.
    #[must_use]
    pub const fn beside(self, inode: u32) -> Self {
        Self { node: self.node, inode }
    }
}

impl Hash for Netns {
    /// In one step, because most tables have a namespace in their key.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.node) << 32 | u64::from(self.inode));
    }
}

/// Its inode number; which node it is of is told elsewhere, and only where there are several.
impl fmt::Display for Netns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inode.fmt(formatter)
    }
}
