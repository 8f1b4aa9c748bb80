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
    /// Which node it is of, counted from 0, where a program put several nodes' records together; 0 in what a node writes.
    pub node: u16,
    /// Zero, for later.
    pub reserved: u16,
}

const _: () = assert!(size_of::<RecordHeader>() == 24);

/// Declares every kind: its number, its name in output, and the record it is written as.
macro_rules! kinds {
    ($($(#[doc = $text:literal])* $kind:ident = $number:literal $name:literal $record:ident,)*) => {
        /// What a record tells. The numbers are part of the session format: never reuse one. Below 64 are the kernel
        /// side's, densely from 0, for they index counters and budgets; above are those made in user space.
        #[repr(u16)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RecordKind {
            $($(#[doc = $text])* $kind = $number,)*
        }

        impl RecordKind {
            /// All of them, in the order of their numbers.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$kind),*];

            /// The kind of that number, if this version knows it.
            pub fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }

            /// Its name in output: `retransmit`, `neighbour`, …
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }

        $(impl Record for super::$record {
            const KIND: RecordKind = RecordKind::$kind;
        })*
    };
}

kinds! {
    /// A retransmitted segment, or a failed attempt.
    Retransmit = 0 "retransmit" RetransmitRecord,
    /// A congestion-window reduction taken back because the retransmit was needless.
    Undo = 1 "retransmit-undo" UndoRecord,
    /// A proposal to the neighbour table.
    Neighbour = 2 "neighbour" NeighbourRecord,
    /// An ARP or ND message claiming an address.
    Claim = 3 "claim" ClaimRecord,
    /// A conntrack decision.
    Conntrack = 4 "conntrack" ConntrackRecord,
    /// An IPVS decision.
    Ipvs = 5 "ipvs" IpvsRecord,
    /// A change of services or real servers of IPVS.
    IpvsChange = 6 "ipvs-change" IpvsChangeRecord,
    /// An ICMP error, sent or received.
    Icmp = 7 "icmp" IcmpRecord,
    /// A packet that came again with a lower TTL.
    Duplicate = 8 "duplicate" DuplicateRecord,
    /// Sampled accounting of one kind.
    Stats = 64 "stats" StatsRecord,
    /// Which way a hook is attached, or why not; the reason's text follows.
    HookStatus = 65 "hook-status" HookStatusRecord,
    /// Which process owns a socket.
    Owner = 66 "owner" OwnerRecord,
    /// Clock and tick of the node; the node's names follow.
    Node = 67 "node" NodeRecord,
    /// Every hook has been tried.
    Ready = 68 "ready" ReadyRecord,
    /// A change of a routing table; next hops follow where there are several.
    Route = 69 "route" RouteRecord,
    /// How the kernel would send to a flow's peer.
    RouteLookup = 70 "route-lookup" RouteLookupRecord,
    /// An address of this node.
    Address = 71 "address" AddressRecord,
    /// A network device.
    Link = 72 "link" LinkRecord,
    /// A rule that chooses a routing table.
    Rule = 73 "rule" RuleRecord,
    /// An entry of a neighbour table, found by looking.
    NeighbourEntry = 74 "neighbour-entry" NeighbourEntryRecord,
    /// A setting of the kernel; its name and value follow.
    Sysctl = 75 "sysctl" SysctlRecord,
    /// Conntrack's counters of one namespace.
    ConntrackCounters = 76 "conntrack-counters" ConntrackCountersRecord,
    /// How many rules a table has; the names of the table and its longest chains follow.
    Ruleset = 77 "ruleset" RulesetRecord,
    /// A virtual service of IPVS, listed.
    IpvsService = 78 "ipvs-service" IpvsServiceRecord,
    /// A real server of IPVS, listed.
    IpvsDestination = 79 "ipvs-destination" IpvsDestinationRecord,
    /// What a network namespace is called, and whose it is; the names follow.
    Namespace = 80 "namespace" NamespaceRecord,
    /// A moment the user marked; what they typed follows.
    Marker = 81 "marker" MarkerRecord,
    /// Which container and pod a cgroup belongs to; the names follow.
    Container = 82 "container" ContainerRecord,
    /// What conntrack makes of a flow, looked up.
    Translation = 83 "translation" TranslationRecord,
    /// How the wall clock stands to the boot clock.
    Clock = 84 "clock" ClockRecord,
    /// Facts of the machine and of tracer; their text follows.
    Facts = 85 "facts" FactsRecord,
    /// The first record of a session file.
    Session = 86 "session" SessionRecord,
    /// The end of a session file's prologue.
    SessionBegin = 87 "session-begin" SessionBeginRecord,
    /// Records are missing, for they could not be written.
    Gap = 88 "gap" GapRecord,
}

impl RecordKind {
    /// Kinds written by the kernel side, in the order of their numbers, which index the counters and budgets.
    pub const KERNEL: [Self; KERNEL_KINDS] = [
        Self::Retransmit,
        Self::Undo,
        Self::Neighbour,
        Self::Claim,
        Self::Conntrack,
        Self::Ipvs,
        Self::IpvsChange,
        Self::Icmp,
        Self::Duplicate,
    ];
}

/// How many kinds the kernel side writes.
pub const KERNEL_KINDS: usize = 9;

/// A fixed-size record, and the kind it is written as.
pub trait Record: FromBytes + IntoBytes + Immutable + KnownLayout {
    /// Its kind.
    const KIND: RecordKind;
}
