//! What the program tells the kernel side before loading it: constants to the verifier, frozen read-only.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::KERNEL_KINDS;

/// Choices of this run and facts of this kernel that are not offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Settings {
    /// Records a second each kind may write on each CPU, by the kind's number.
    pub budget_per_second: [u32; KERNEL_KINDS],
    /// Inode of the only network namespace wanted, or 0 for all.
    pub only_netns: u32,
    /// 1 if `tcp:tcp_retransmit_skb` has a third argument, the error (6.17 and later).
    pub retransmit_tells_error: u32,
    /// 1 if sockets' owners are to be kept.
    pub keep_owners: u32,
    /// Which argument of `icmp_push_reply` is the message: 0 up to 5.10, 1 since a socket comes first.
    pub icmp_push_message: u32,
}

impl Settings {
    /// Every namespace, no error argument, and budgets far above what a node in trouble makes.
    pub const DEFAULT: Self = Self {
        budget_per_second: [100_000; KERNEL_KINDS],
        only_netns: 0,
        retransmit_tells_error: 0,
        keep_owners: 1,
        icmp_push_message: 1,
    };
}
