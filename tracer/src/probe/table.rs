//! The hook table: every hook, what it tells, and the ways to attach it in the order they are tried.
//!
//! Attaching, `tracer doctor`, the Hooks screen and the README's table all come from here.

use std::{fmt, fmt::Write as _};

use tracer_common::hook::{HookId, Way};

/// What a hook is about. Families are what `--only` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// TCP segments sent again.
    Retransmit,
    /// Who lives at which hardware address.
    Neighbour,
    /// Decisions of connection tracking.
    Conntrack,
    /// Decisions of IPVS.
    Ipvs,
    /// The way packets take: routes, ICMP errors, loops.
    Path,
    /// How many rules packets pass.
    Ruleset,
    /// Which process owns a socket.
    Owner,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Retransmit,
        Self::Neighbour,
        Self::Conntrack,
        Self::Ipvs,
        Self::Path,
        Self::Ruleset,
        Self::Owner,
    ];

    /// Its name in output and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retransmit => "retransmit",
            Self::Neighbour => "neighbour",
            Self::Conntrack => "conntrack",
            Self::Ipvs => "ipvs",
            Self::Path => "path",
            Self::Ruleset => "ruleset",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Where in the kernel a hook sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tracepoint of the kernel image, by its event's name.
    Tracepoint(&'static str),
    /// A function, in the kernel image or in a module.
    Function {
        /// Its name.
        name: &'static str,
        /// The module it is in, unless that is built in.
        module: Option<&'static str>,
    },
}

/// When a program of a function hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When the function is entered, or the tracepoint passed.
    Entry,
    /// When it returns.
    Return,
}

/// One program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramName {
    /// Its name in the object.
    pub name: &'static str,
    /// When it runs.
    pub moment: Moment,
}

/// One way to attach a hook: all of its programs, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Which way.
    pub way: Way,
    /// The programs it takes.
    pub programs: &'static [ProgramName],
}

/// What must hold for a hook to be of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing beyond its target.
    Nothing,
    /// The types of module `ip_vs`, without which its structs cannot be read.
    IpvsTypes,
    /// The same, and that it is the first of these functions this kernel has: either tells all there is to tell.
    IpvsTypesAndFirstOf(&'static [&'static str]),
    /// `tcp:tcp_retransmit_skb` does not tell failures itself.
    SilentFailures,
    /// That other hook is not attached: it tells the same.
    Without(HookId),
    /// A flow under suspicion: the hook would cost every packet, and stands by until there is one.
    Suspicion,
}

/// A hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Which.
    pub id: HookId,
    /// Its name in output.
    pub name: &'static str,
    /// What it is about.
    pub family: Family,
    /// What it tells, in a few words.
    pub tells: &'static str,
    /// Where it sits.
    pub target: Target,
    /// What else must hold.
    pub need: Need,
    /// The ways to attach it, in the order they are tried.
    pub ways: &'static [Attachment],
}

impl Hook {
    /// The module that has to be loaded for it, unless built in.
    pub fn module(&self) -> Option<&'static str> {
        match self.target {
            Target::Tracepoint(_) => None,
            Target::Function { module, .. } => module,
        }
    }
}

const fn entry(name: &'static str) -> ProgramName {
    ProgramName { name, moment: Moment::Entry }
}

const fn exit(name: &'static str) -> ProgramName {
    ProgramName { name, moment: Moment::Return }
}

const fn by(way: Way, programs: &'static [ProgramName]) -> Attachment {
    Attachment { way, programs }
}

const fn vmlinux(name: &'static str) -> Target {
    Target::Function { name, module: None }
}

const fn module(module: &'static str, name: &'static str) -> Target {
    Target::Function { name, module: Some(module) }
}

/// Removing a service runs through one of these. The second calls the first, which most kernels have inlined there.
const SERVICE_REMOVERS: &[&str] = &["__ip_vs_del_service", "ip_vs_unlink_service"];

/// Those of [`HOOKS`] in the order they are attached. Within a family hooks stand in the order a call passes them, and the
/// last ones are attached first, so that no call leaves something at an earlier hook that nobody fetches. What only stands
/// in for another hook comes after all.
pub(super) fn in_order_of_attaching(hooks: &[&'static Hook]) -> Vec<&'static Hook> {
    let families = hooks.chunk_by(|one, other| one.family == other.family);
    let (stand_ins, mut order): (Vec<_>, Vec<_>) = families
        .flat_map(|family| family.iter().rev().copied())
        .partition(|hook| matches!(hook.need, Need::Without(_)));
    order.extend(stand_ins);
    order
}

/// The hook of that id.
pub fn find(id: HookId) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.id == id)
}

/// Every hook, family by family, in the order a call passes them.
pub static HOOKS: [Hook; HookId::ALL.len()] = [
    Hook {
        id: HookId::SocketState,
        name: "sock:inet_sock_set_state",
        family: Family::Owner,
        tells: "which process opened a socket",
        target: Target::Tracepoint("inet_sock_set_state"),
        need: Need::Nothing,
        ways: &[
            by(Way::TypedTracepoint, &[entry("owner_btf")]),
            by(Way::RawTracepoint, &[entry("owner_raw")]),
        ],
    },
    Hook {
        id: HookId::RetransmitSegment,
        name: "tcp:tcp_retransmit_skb",
        family: Family::Retransmit,
        tells: "every segment sent again: SYN, RTO, fast, TLP, reordering, slow start, zero window",
        target: Target::Tracepoint("tcp_retransmit_skb"),
        need: Need::Nothing,
        ways: &[
            by(Way::TypedTracepoint, &[entry("segment_btf")]),
            by(Way::RawTracepoint, &[entry("segment_raw")]),
        ],
    },
    Hook {
        id: HookId::RetransmitSynAck,
        name: "tcp:tcp_retransmit_synack",
        family: Family::Retransmit,
        tells: "SYN-ACKs sent again",
        target: Target::Tracepoint("tcp_retransmit_synack"),
        need: Need::Nothing,
        ways: &[
            by(Way::TypedTracepoint, &[entry("synack_btf")]),
            by(Way::RawTracepoint, &[entry("synack_raw")]),
        ],
    },
    Hook {
        id: HookId::RetransmitFailed,
        name: "tcp_retransmit_skb",
        family: Family::Retransmit,
        tells: "attempts that failed, with the error, where the tracepoint is silent about them",
        target: vmlinux("tcp_retransmit_skb"),
        need: Need::SilentFailures,
        ways: &[
            by(Way::Trampoline, &[exit("failed_fexit")]),
            by(Way::Kprobe, &[entry("failed_entry"), exit("failed_return")]),
        ],
    },
    Hook {
        id: HookId::RetransmitUndo,
        name: "tcp_undo_cwnd_reduction",
        family: Family::Retransmit,
        tells: "retransmits found needless",
        target: vmlinux("tcp_undo_cwnd_reduction"),
        need: Need::Nothing,
        ways: &[by(Way::Trampoline, &[entry("undo_fentry")]), by(Way::Kprobe, &[entry("undo_kprobe")])],
    },
    Hook {
        id: HookId::NeighbourUpdate,
        name: "neigh:neigh_update",
        family: Family::Neighbour,
        tells: "every proposal to the neighbour table, ignored ones included",
        target: Target::Tracepoint("neigh_update"),
        need: Need::Nothing,
        ways: &[
            by(Way::TypedTracepoint, &[entry("neighbour_btf")]),
            by(Way::RawTracepoint, &[entry("neighbour_raw")]),
        ],
    },
    Hook {
        id: HookId::NeighbourTimer,
        name: "neigh:neigh_timer_handler",
        family: Family::Neighbour,
        tells: "neighbours that do not answer",
        target: Target::Tracepoint("neigh_timer_handler"),
        need: Need::Nothing,
        ways: &[
            by(Way::TypedTracepoint, &[entry("neightimer_btf")]),
            by(Way::RawTracepoint, &[entry("neightimer_raw")]),
        ],
    },
    Hook {
        id: HookId::ArpProcess,
        name: "arp_process",
        family: Family::Neighbour,
        tells: "ARP claims that come in",
        target: vmlinux("arp_process"),
        need: Need::Nothing,
        ways: &[by(Way::Trampoline, &[entry("arpin_fentry")]), by(Way::Kprobe, &[entry("arpin_kprobe")])],
    },
    Hook {
        id: HookId::ArpTransmit,
        name: "arp_xmit",
        family: Family::Neighbour,
        tells: "ARP claims this node makes",
        target: vmlinux("arp_xmit"),
        need: Need::Nothing,
        ways: &[by(Way::Trampoline, &[entry("arpout_fentry")]), by(Way::Kprobe, &[entry("arpout_kprobe")])],
    },
    Hook {
        id: HookId::NdiscReceive,
        name: "ndisc_recv_na",
        family: Family::Neighbour,
        tells: "IPv6 neighbour advertisements that come in",
        target: vmlinux("ndisc_recv_na"),
        need: Need::Nothing,
        ways: &[by(Way::Trampoline, &[entry("ndin_fentry")]), by(Way::Kprobe, &[entry("ndin_kprobe")])],
    },
    Hook {
        id: HookId::NdiscSend,
        name: "ndisc_send_skb",
        family: Family::Neighbour,
        tells: "IPv6 neighbour advertisements this node makes",
        target: vmlinux("ndisc_send_skb"),
        need: Need::Nothing,
        ways: &[by(Way::Trampoline, &[entry("ndout_fentry")]), by(Way::Kprobe, &[entry("ndout_kprobe")])],
    },
    Hook {
        id: HookId::ConntrackTcpPacket,
        name: "nf_conntrack_tcp_packet",
        family: Family::Conntrack,
        tells: "a SYN on an existing entry: reopened, or its old mapping reused",
        target: module("nf_conntrack", "nf_conntrack_tcp_packet"),
        need: Need::Nothing,
        ways: &[
            by(Way::Trampoline, &[entry("cttcp_fentry"), exit("cttcp_fexit")]),
            by(Way::Kprobe, &[entry("cttcp_entry"), exit("cttcp_return")]),
        ],
    },
    Hook {
        id: HookId::ConntrackResolveClash,
        name: "nf_ct_resolve_clash",
        family: Family::Conntrack,
        tells: "races of equal new entries that were settled",
        target: module("nf_conntrack", "nf_ct_resolve_clash"),
        need: Need::Nothing,
        ways: &[
            by(Way::Trampoline, &[exit("ctclash_fexit")]),
            by(Way::Kprobe, &[entry("ctclash_entry"), exit("ctclash_return")]),
        ],
    },
    Hook {
        id: HookId::ConntrackConfirm,
        name: "__nf_conntrack_confirm",
        family: Family::Conntrack,
        tells: "new entries that did not get into the table, and the new mapping of reopened ones",
        target: module("nf_conntrack", "__nf_conntrack_confirm"),
        need: Need::Nothing,
        ways: &[
            by(Way::Trampoline, &[exit("ctconfirm_fexit")]),
            by(Way::Kprobe, &[entry("ctconfirm_entry"), exit("ctconfirm_ret")]),
        ],
    },
    Hook {
        id: HookId::ConntrackAllocate,
        name: "__nf_conntrack_alloc",
        family: Family::Conntrack,
        tells: "connections dropped because the table is full",
        target: module("nf_conntrack", "__nf_conntrack_alloc"),
        need: Need::Nothing,
        ways: &[
            by(Way::Trampoline, &[exit("ctalloc_fexit")]),
            by(Way::Kprobe, &[entry("ctalloc_entry"), exit("ctalloc_return")]),
        ],
    },
    Hook {
        id: HookId::IpvsLookup,
        name: "ip_vs_conn_in_get_proto",
        family: Family::Ipvs,
        tells: "the entry a SYN meets, its real server and that one's weight",
        target: module("ip_vs", "ip_vs_conn_in_get_proto"),
        need: Need::IpvsTypes,
        ways: &[
            by(Way::Trampoline, &[exit("vslookup_fexit")]),
            by(Way::Kprobe, &[entry("vslookup_entry"), exit("vslookup_return")]),
        ],
    },
    Hook {
        id: HookId::IpvsExpireNow,
        name: "ip_vs_conn_expire_now",
        family: Family::Ipvs,
        tells: "an entry given up for a new connection",
        target: module("ip_vs", "ip_vs_conn_expire_now"),
        need: Need::IpvsTypes,
        ways: &[
            by(Way::Trampoline, &[entry("vsexpire_fentry")]),
            by(Way::Kprobe, &[entry("vsexpire_kprobe")]),
        ],
    },
    Hook {
        id: HookId::IpvsSchedule,
        name: "ip_vs_schedule",
        family: Family::Ipvs,
        tells: "the real server the scheduler chooses, or that there is none",
        target: module("ip_vs", "ip_vs_schedule"),
        need: Need::IpvsTypes,
        ways: &[
            by(Way::Trampoline, &[exit("vssched_fexit")]),
            by(Way::Kprobe, &[entry("vssched_entry"), exit("vssched_return")]),
        ],
    },
    Hook {
        id: HookId::IpvsVerdict,
        name: "ip_vs_in_hook",
        family: Family::Ipvs,
        tells: "what became of the packet, which completes the decision",
        target: module("ip_vs", "ip_vs_in_hook"),
        need: Need::IpvsTypes,
        ways: &[by(Way::Trampoline, &[exit("vsdecide_fexit")]), by(Way::Kprobe, &[exit("vsdecide_return")])],
    },
    Hook {
        id: HookId::IpvsUpdateDestination,
        name: "__ip_vs_update_dest",
        family: Family::Ipvs,
        tells: "real servers added, and weights changed",
        target: module("ip_vs", "__ip_vs_update_dest"),
        need: Need::IpvsTypes,
        ways: &[
            by(Way::Trampoline, &[entry("vsupdest_fentry")]),
            by(Way::Kprobe, &[entry("vsupdest_kprobe")]),
        ],
    },
    Hook {
        id: HookId::IpvsDeleteDestination,
        name: "__ip_vs_del_dest",
        family: Family::Ipvs,
        tells: "real servers removed",
        target: module("ip_vs", "__ip_vs_del_dest"),
        need: Need::IpvsTypes,
        ways: &[
            by(Way::Trampoline, &[entry("vsrmdest_fentry")]),
            by(Way::Kprobe, &[entry("vsrmdest_kprobe")]),
        ],
    },
    Hook {
        id: HookId::IpvsAddService,
        name: "ip_vs_add_service",
        family: Family::Ipvs,
        tells: "virtual services added",
        target: module("ip_vs", "ip_vs_add_service"),
        need: Need::IpvsTypes,
        ways: &[
            by(Way::Trampoline, &[exit("vsaddsvc_fexit")]),
            by(Way::Kprobe, &[entry("vsaddsvc_entry"), exit("vsaddsvc_return")]),
        ],
    },
    Hook {
        id: HookId::IpvsUnlinkService,
        name: "ip_vs_unlink_service",
        family: Family::Ipvs,
        tells: "virtual services removed",
        target: module("ip_vs", "ip_vs_unlink_service"),
        need: Need::IpvsTypesAndFirstOf(SERVICE_REMOVERS),
        ways: &[
            by(Way::Trampoline, &[entry("vsunlink_fentry")]),
            by(Way::Kprobe, &[entry("vsunlink_kprobe")]),
        ],
    },
    Hook {
        id: HookId::IpvsDeleteService,
        name: "__ip_vs_del_service",
        family: Family::Ipvs,
        tells: "virtual services removed, where the kernel kept this function",
        target: module("ip_vs", "__ip_vs_del_service"),
        need: Need::IpvsTypesAndFirstOf(SERVICE_REMOVERS),
        ways: &[
            by(Way::Trampoline, &[entry("vsdelsvc_fentry")]),
            by(Way::Kprobe, &[entry("vsdelsvc_kprobe")]),
        ],
    },
    Hook {
        id: HookId::IcmpSend,
        name: "icmp:icmp_send",
        family: Family::Path,
        tells: "ICMP errors this node sends: packets that die of TTL, find no route or do not fit",
        target: Target::Tracepoint("icmp_send"),
        need: Need::Nothing,
        ways: &[
            by(Way::TypedTracepoint, &[entry("icmpsend_btf")]),
            by(Way::RawTracepoint, &[entry("icmpsend_raw")]),
        ],
    },
    Hook {
        id: HookId::IcmpPush,
        name: "icmp_push_reply",
        family: Family::Path,
        tells: "the same, where the kernel has no tracepoint for it",
        target: vmlinux("icmp_push_reply"),
        need: Need::Without(HookId::IcmpSend),
        ways: &[
            by(Way::Trampoline, &[entry("icmppush_fentry")]),
            by(Way::Kprobe, &[entry("icmppush_kprobe")]),
        ],
    },
    Hook {
        id: HookId::Icmp6Push,
        name: "icmpv6_push_pending_frames",
        family: Family::Path,
        tells: "ICMPv6 errors this node sends",
        target: vmlinux("icmpv6_push_pending_frames"),
        need: Need::Nothing,
        ways: &[
            by(Way::Trampoline, &[entry("icmp6out_fentry")]),
            by(Way::Kprobe, &[entry("icmp6out_kprobe")]),
        ],
    },
    Hook {
        id: HookId::IcmpReceive,
        name: "icmp_unreach",
        family: Family::Path,
        tells: "ICMP errors this node receives, with the flow they are about",
        target: vmlinux("icmp_unreach"),
        need: Need::Nothing,
        ways: &[by(Way::Trampoline, &[entry("icmpin_fentry")]), by(Way::Kprobe, &[entry("icmpin_kprobe")])],
    },
    Hook {
        id: HookId::Icmp6Receive,
        name: "icmpv6_notify",
        family: Family::Path,
        tells: "ICMPv6 errors this node receives",
        target: vmlinux("icmpv6_notify"),
        need: Need::Nothing,
        ways: &[by(Way::Trampoline, &[entry("icmp6in_fentry")]), by(Way::Kprobe, &[entry("icmp6in_kprobe")])],
    },
    Hook {
        id: HookId::PacketReceive,
        name: "net:netif_receive_skb",
        family: Family::Path,
        tells: "packets of a flow under suspicion that come again with a lower TTL; attached only meanwhile",
        target: Target::Tracepoint("netif_receive_skb"),
        need: Need::Suspicion,
        ways: &[
            by(Way::TypedTracepoint, &[entry("received_btf")]),
            by(Way::RawTracepoint, &[entry("received_raw")]),
        ],
    },
];

/// The table as Markdown, as the README shows it.
pub fn markdown() -> String {
    let mut table = String::from("| hook | family | ways, in order | tells |\n|---|---|---|---|\n");
    for hook in &HOOKS {
        let ways: Vec<&str> = hook.ways.iter().map(|attachment| attachment.way.name()).collect();
        // Writing to a string cannot fail.
        let _ =
            writeln!(table, "| `{}` | {} | {} | {} |", hook.name, hook.family, ways.join(" → "), hook.tells);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tracer_common::hook::HookId;

    use super::{HOOKS, Need, find, in_order_of_attaching, markdown};

    #[test]
    fn every_hook_id_has_one_row() {
        let rows: BTreeSet<HookId> = HOOKS.iter().map(|hook| hook.id).collect();
        assert_eq!(rows, BTreeSet::from(HookId::ALL));
        assert!(HookId::ALL.iter().all(|&id| find(id).is_some_and(|hook| hook.id == id)));
    }

    #[test]
    fn what_a_hook_waits_for_is_attached_before_it() {
        let all: Vec<_> = HOOKS.iter().collect();
        let order: Vec<HookId> = in_order_of_attaching(&all).iter().map(|hook| hook.id).collect();
        let place = |id| order.iter().position(|&known| known == id).unwrap();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), HOOKS.len());
        let others = HOOKS.iter().filter_map(|hook| match hook.need {
            Need::Without(other) => Some((other, hook.id)),
            _ => None,
        });
        let call = [
            (HookId::IpvsVerdict, HookId::IpvsSchedule),
            (HookId::IpvsSchedule, HookId::IpvsExpireNow),
            (HookId::IpvsExpireNow, HookId::IpvsLookup),
        ];
        for (first, second) in others.chain(call) {
            assert!(place(first) < place(second), "{first:?} {second:?}");
        }
    }

    #[test]
    fn the_kernel_tells_every_program_name_apart() {
        /// What the kernel keeps of a program's name (`BPF_OBJ_NAME_LEN`, the closing zero included).
        const NAME_BYTES: usize = 16;
        let names: Vec<&str> = HOOKS
            .iter()
            .flat_map(|hook| hook.ways)
            .flat_map(|attachment| attachment.programs)
            .map(|program| program.name)
            .collect();
        assert!(names.iter().all(|name| name.len() < NAME_BYTES), "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn the_readme_shows_this_table() {
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&markdown()), "README.md's hook table should be:\n{}", markdown());
    }
}
