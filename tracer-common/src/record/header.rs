//! What every record starts with.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first bytes of every record, 24 of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RecordHeader {
    /// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
    pub time_ns: u64,
    /// Inode number of the network namespace the record is about; 0 where it is about the whole node.
    pub netns: u32,
    /// A [`RecordKind`]. Kept as a number: a newer writer may know more kinds.
    pub kind: u16,
    /// Length of the whole record, this header included; a multiple of 8.
    pub length_bytes: u16,
    /// The CPU it was written on.
    pub cpu: u16,
    /// The [`HookId`](crate::hook::HookId) that wrote it, or 0 for records made in user space.
    pub hook: u16,
    /// Zero, for later.
    pub reserved: u32,
}

const _: () = assert!(size_of::<RecordHeader>() == 24);

/// What a record tells. The numbers are part of the session format: never reuse one.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    /// A retransmitted segment, or a failed attempt: [`RetransmitRecord`](super::RetransmitRecord).
    Retransmit = 0,
    /// A congestion-window reduction taken back because the retransmit was needless: [`UndoRecord`](super::UndoRecord).
    Undo = 1,
    /// A proposal to the neighbour table: [`NeighbourRecord`](super::NeighbourRecord).
    Neighbour = 2,
    /// An ARP or ND message claiming an address: [`ClaimRecord`](super::ClaimRecord).
    Claim = 3,
    /// A conntrack decision: [`ConntrackRecord`](super::ConntrackRecord).
    Conntrack = 4,
    /// An IPVS decision: [`IpvsRecord`](super::IpvsRecord).
    Ipvs = 5,
    /// A change of services or real servers of IPVS: [`IpvsChangeRecord`](super::IpvsChangeRecord).
    IpvsChange = 6,
    /// Sampled accounting of one kind: [`StatsRecord`](super::StatsRecord).
    Stats = 64,
    /// Which way a hook is attached, or why not: [`HookStatusRecord`](super::HookStatusRecord) and the reason's text.
    HookStatus = 65,
    /// Which process owns a socket: [`OwnerRecord`](super::OwnerRecord).
    Owner = 66,
    /// Clock and tick of the node: [`NodeRecord`](super::NodeRecord) and the node's names.
    Node = 67,
    /// Every hook has been tried: [`ReadyRecord`](super::ReadyRecord).
    Ready = 68,
    /// A virtual service, listed: [`IpvsServiceRecord`](super::IpvsServiceRecord).
    IpvsService = 78,
    /// A real server, listed: [`IpvsDestinationRecord`](super::IpvsDestinationRecord).
    IpvsDestination = 79,
}

impl RecordKind {
    /// Kinds written by the kernel side, in the order of their numbers, which index the counters and budgets.
    pub const KERNEL: [Self; KERNEL_KINDS] =
        [Self::Retransmit, Self::Undo, Self::Neighbour, Self::Claim, Self::Conntrack, Self::Ipvs, Self::IpvsChange];

    /// The kind of that number, if this version knows it.
    pub fn from_number(number: u16) -> Option<Self> {
        match number {
            64 => Some(Self::Stats),
            65 => Some(Self::HookStatus),
            66 => Some(Self::Owner),
            67 => Some(Self::Node),
            68 => Some(Self::Ready),
            78 => Some(Self::IpvsService),
            79 => Some(Self::IpvsDestination),
            _ => Self::KERNEL.get(usize::from(number)).copied(),
        }
    }

    /// Its name in output: `retransmit`, `neighbour`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Retransmit => "retransmit",
            Self::Undo => "retransmit-undo",
            Self::Neighbour => "neighbour",
            Self::Claim => "claim",
            Self::Conntrack => "conntrack",
            Self::Ipvs => "ipvs",
            Self::Stats => "stats",
            Self::HookStatus => "hook-status",
            Self::Owner => "owner",
            Self::Node => "node",
            Self::Ready => "ready",
            Self::IpvsChange => "ipvs-change",
            Self::IpvsService => "ipvs-service",
            Self::IpvsDestination => "ipvs-destination",
        }
    }
}

/// How many kinds the kernel side writes.
pub const KERNEL_KINDS: usize = 7;

/// A fixed-size record, and the kind it is written as.
pub trait Record: FromBytes + IntoBytes + Immutable + KnownLayout {
    /// Its kind.
    const KIND: RecordKind;
}

macro_rules! records {
    ($($record:ident $kind:ident,)*) => {
        $(impl Record for super::$record {
            const KIND: RecordKind = RecordKind::$kind;
        })*
    };
}

records! {
    RetransmitRecord Retransmit,
    UndoRecord Undo,
    NeighbourRecord Neighbour,
    ClaimRecord Claim,
    ConntrackRecord Conntrack,
    IpvsRecord Ipvs,
    StatsRecord Stats,
    HookStatusRecord HookStatus,
    OwnerRecord Owner,
    NodeRecord Node,
    ReadyRecord Ready,
    IpvsChangeRecord IpvsChange,
    IpvsServiceRecord IpvsService,
    IpvsDestinationRecord IpvsDestination,
}
