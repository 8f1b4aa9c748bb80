//! Names of the hooks and of the ways a hook can be attached.

/// Declares every hook: its number and where it sits.
macro_rules! hooks {
    ($($(#[doc = $text:literal])* $hook:ident = $number:literal,)*) => {
        /// A place in the kernel where tracer listens. The numbers are part of the session format: never reuse one.
        ///
        /// What each needs and tells stands in the program's hook table.
        #[repr(u16)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum HookId {
            $($(#[doc = $text])* $hook = $number,)*
        }

        impl HookId {
            /// All of them, in the order of their numbers.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$hook),*];

            /// The hook of that number, if this version knows it.
            pub fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$hook),)*
                    _ => None,
                }
            }
        }
    };
}

hooks! {
    /// Tracepoint `tcp:tcp_retransmit_skb`.
    RetransmitSegment = 1,
    /// Tracepoint `tcp:tcp_retransmit_synack`.
    RetransmitSynAck = 2,
    /// Return of function `tcp_retransmit_skb`, for failures.
    RetransmitFailed = 3,
    /// Function `tcp_undo_cwnd_reduction`.
    RetransmitUndo = 4,
    /// Tracepoint `sock:inet_sock_set_state`.
    SocketState = 5,
    /// Tracepoint `neigh:neigh_update`.
    NeighbourUpdate = 6,
    /// Tracepoint `neigh:neigh_timer_handler`.
    NeighbourTimer = 7,
    /// Function `arp_process`.
    ArpProcess = 8,
    /// Function `arp_xmit`.
    ArpTransmit = 9,
    /// Function `ndisc_recv_na`.
    NdiscReceive = 10,
    /// Function `ndisc_send_skb`.
    NdiscSend = 11,
    /// Function `nf_conntrack_tcp_packet`.
    ConntrackTcpPacket = 12,
    /// Return of function `nf_ct_resolve_clash`.
    ConntrackResolveClash = 13,
    /// Return of function `ip_vs_conn_in_get_proto`.
    IpvsLookup = 15,
    /// Function `ip_vs_conn_expire_now`.
    IpvsExpireNow = 16,
    /// Return of function `ip_vs_schedule`.
    IpvsSchedule = 17,
    /// Return of function `ip_vs_in_hook`.
    IpvsVerdict = 18,
    /// Function `__ip_vs_update_dest`.
    IpvsUpdateDestination = 19,
    /// Function `__ip_vs_del_dest`.
    IpvsDeleteDestination = 20,
    /// Return of function `ip_vs_add_service`.
    IpvsAddService = 21,
    /// Function `ip_vs_unlink_service`.
    IpvsUnlinkService = 22,
    /// Function `__ip_vs_del_service`.
    IpvsDeleteService = 23,
    /// Tracepoint `icmp:icmp_send`.
    IcmpSend = 25,
    /// Function `icmp_push_reply`, where there is no such tracepoint.
    IcmpPush = 26,
    /// Function `icmpv6_push_pending_frames`.
    Icmp6Push = 27,
    /// Function `icmp_unreach`.
    IcmpReceive = 28,
    /// Function `icmpv6_notify`.
    Icmp6Receive = 29,
    /// Tracepoint `net:netif_receive_skb`, attached only while a flow is under suspicion.
    PacketReceive = 30,
    /// Return of function `__nf_conntrack_alloc`.
    ConntrackAllocate = 33,
    /// Return of function `__nf_conntrack_confirm`.
    ConntrackConfirm = 34,
}

/// How a hook is attached. The numbers are part of the session format: never reuse one.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// A typed tracepoint (`tp_btf`): arguments are loaded directly.
    TypedTracepoint = 1,
    /// A raw tracepoint (`raw_tp`): arguments are probe-read.
    RawTracepoint = 2,
    /// A trampoline at entry or exit of a function (`fentry`, `fexit`), in the kernel image or a module.
    Trampoline = 3,
    /// A breakpoint at entry or return of a function (`kprobe`, `kretprobe`).
    Kprobe = 4,
}

impl Way {
    /// All of them, in the order of their numbers, which start at 1.
    pub const ALL: [Self; 4] = [Self::TypedTracepoint, Self::RawTracepoint, Self::Trampoline, Self::Kprobe];

    /// The way of that number, if this version knows it.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number.checked_sub(1)?)).copied()
    }

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::TypedTracepoint => "tp_btf",
            Self::RawTracepoint => "raw_tp",
            Self::Trampoline => "fentry",
            Self::Kprobe => "kprobe",
        }
    }
}
