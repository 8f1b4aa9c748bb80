//! What conntrack makes of a flow, as it answers when it is asked.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Flow, RecordHeader};

/// The conntrack entry of a flow that retransmits, if it is translated. The namespace in which it was found is the
/// header's.
///
/// Source: `IPCTNL_MSG_CT_GET` of ctnetlink (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TranslationRecord {
    /// Kind [`Translation`](super::RecordKind::Translation).
    pub header: RecordHeader,
    /// The entry's original tuple.
    pub original: Flow,
    /// The tuple of replies: the mapping.
    pub reply: Flow,
    /// `IPS_*`.
    pub status: u32,
    /// The entry's mark.
    pub mark: u32,
    /// Seconds after which it expires unless packets come.
    pub expires_seconds: u32,
    /// Inode number of the network namespace of the flow asked for.
    pub flow_netns: u32,
    /// The entry's zone.
    pub zone: u16,
    /// TCP conntrack state (NONE 0, SYN_SENT 1, …).
    pub tcp_state: u8,
    /// 1 if the flow asked for has the tuple of replies, as a server's has; else it has the original one.
    pub is_of_replies: u8,
    /// Zero, for later.
    pub reserved: u32,
}

const _: () = assert!(size_of::<TranslationRecord>() == 128);
