//! The hook table.

use std::fmt;

use tracer_common::hook::HookId;

/// A group of hooks that tell of one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Segments sent again.
    Retransmit,
    /// The neighbour table and the claims of addresses.
    Neighbour,
    /// Connection tracking.
    Conntrack,
    /// IPVS.
    Ipvs,
    /// Who owns a socket.
    Owner,
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Retransmit => "retransmit",
            Self::Neighbour => "neighbour",
            Self::Conntrack => "conntrack",
            Self::Ipvs => "ipvs",
            Self::Owner => "owner",
        })
    }
}

/// One hook.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Which.
    pub id: HookId,
    /// Its name in output.
    pub name: &'static str,
    /// The group it belongs to.
    pub family: Family,
    /// What it tells.
    pub tells: &'static str,
}

macro_rules! hooks {
    ($($id:ident $name:literal $family:ident $tells:literal,)*) => {
        /// All hooks, in the order of their numbers.
        pub const HOOKS: [Hook; HookId::ALL.len()] =
            [$(Hook { id: HookId::$id, name: $name, family: Family::$family, tells: $tells },)*];
    };
}

hooks! {
    RetransmitSegment "tcp:tcp_retransmit_skb" Retransmit "segments sent again",
    RetransmitSynAck "tcp:tcp_retransmit_synack" Retransmit "SYN-ACKs sent again",
    RetransmitFailed "tcp_retransmit_skb" Retransmit "attempts that failed",
    RetransmitUndo "tcp_undo_cwnd_reduction" Retransmit "needless retransmits",
    SocketState "sock:inet_sock_set_state" Owner "who opens a socket",
    NeighbourUpdate "neigh:neigh_update" Neighbour "proposals to the neighbour table",
    NeighbourTimer "neigh:neigh_timer_handler" Neighbour "neighbours that do not answer",
    ArpProcess "arp_process" Neighbour "ARP claims coming in",
    ArpTransmit "arp_xmit" Neighbour "ARP claims of this node",
    NdiscReceive "ndisc_recv_na" Neighbour "advertisements coming in",
    NdiscSend "ndisc_send_skb" Neighbour "advertisements of this node",
    ConntrackTcpPacket "nf_conntrack_tcp_packet" Conntrack "SYNs on existing entries",
    ConntrackResolveClash "nf_ct_resolve_clash" Conntrack "clashes and failed insertions",
    ConntrackEarlyDrop "early_drop" Conntrack "a full table",
    IpvsLookup "ip_vs_conn_in_get_proto" Ipvs "entries found for first packets",
    IpvsExpireNow "ip_vs_conn_expire_now" Ipvs "entries given up",
    IpvsSchedule "ip_vs_schedule" Ipvs "the scheduler's choice",
    IpvsVerdict "ip_vs_in_hook" Ipvs "the verdict",
}

/// The entry of a hook.
pub fn find(id: HookId) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.id == id)
}
