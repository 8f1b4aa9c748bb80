//! The watch list: flows under suspicion, whose packets are looked at.
//!
//! The program puts flows in and takes them out; the kernel side looks packets up. The key is a
//! [`Flow`](crate::record::Flow) alone: the namespace in which a flow is suspected (a pod's) and the one in which its
//! packets go round (the node's) may be two.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::budget::KindBudget;

/// How many flows can be watched at once.
pub const WATCHED_FLOWS: u32 = 4096;

/// How many records may be written of one flow in a second; the others count as suppressed.
pub const RECORDS_PER_SECOND: u32 = 64;

/// What the kernel side keeps of a watched flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Watched {
    /// The flow's running second.
    pub budget: KindBudget,
}
