//! Decisions of connection tracking about first packets.
//!
//! New entries pay one program each at `__nf_conntrack_alloc` and `__nf_conntrack_confirm`, which leave at their first
//! test; packets of known TCP connections pay the two of [`syn`], which do so too.

mod reopening;
mod syn;

use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use tracer_common::{
    hook::HookId,
    record::{ConntrackRecord, Flow, conntrack_event},
};

use crate::{
    emit::emit,
    hooks::call,
    kernel::{AF_INET6, Pointer, Probed, mapped, netns_inode, offset, read, read_16_bytes},
};

const IPS_CONFIRMED: u32 = 8;
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;

/// `int __nf_conntrack_confirm(struct sk_buff *)`: puts a new entry into the table, or drops the packet.
#[fexit(function = "__nf_conntrack_confirm")]
fn ctconfirm_fexit(context: FExitContext) -> i32 {
    confirmed(context.arg(0), context.arg(1));
    0
}

#[kprobe(function = "__nf_conntrack_confirm")]
fn ctconfirm_entry(context: ProbeContext) -> u32 {
    if let Some(skb) = context.arg(0) {
        call::keep::<ConntrackRecord>(&context, [skb, 0, 0, 0]);
    }
    0
}

#[kretprobe(function = "__nf_conntrack_confirm")]
fn ctconfirm_ret(context: RetProbeContext) -> u32 {
    if let Some([skb, ..]) = call::take(&context) {
        confirmed(skb as Pointer, context.ret());
    }
    0
}

/// A dropped packet whose entry did not get into the table is what the kernel counts as `insert_failed`: a lost race
/// (`nf_ct_resolve_clash`), an entry killed meanwhile, a chain too long. With its entry in the table (the packet is
/// another copy of one that was confirmed, or an extension went away after the insertion) it counts otherwise.
#[inline(always)]
fn confirmed(skb: Pointer, verdict: i32) {
    reopening::confirmed(skb, verdict);
    if verdict != NF_DROP {
        return;
    }
    let entry = entry_of(skb);
    if read::<Probed, u32>(entry, offset!(conntrack_status)) & IPS_CONFIRMED == 0 {
        emit_entry(HookId::ConntrackConfirm, entry, conntrack_event::INSERT_FAILED, verdict);
    }
}

/// `int nf_ct_resolve_clash(struct sk_buff *, struct nf_conntrack_tuple_hash *, u32 reply_hash)`, since 5.7. The losers
/// it drops are told by `__nf_conntrack_confirm`.
#[fexit(function = "nf_ct_resolve_clash")]
fn ctclash_fexit(context: FExitContext) -> i32 {
    clashed(context.arg(0), context.arg(3));
    0
}

#[kprobe(function = "nf_ct_resolve_clash")]
fn ctclash_entry(context: ProbeContext) -> u32 {
    if let Some(skb) = context.arg(0) {
        call::keep::<ConntrackRecord>(&context, [skb, 0, 0, 0]);
    }
    0
}

#[kretprobe(function = "nf_ct_resolve_clash")]
fn ctclash_return(context: RetProbeContext) -> u32 {
    if let Some([skb, ..]) = call::take(&context) {
        clashed(skb as Pointer, context.ret());
    }
    0
}

/// Every return but `NF_DROP` counted as `clash_resolve`. The packet has the entry it goes on with: the one that was
/// there first, or its own, which then only serves replies.
#[inline(always)]
fn clashed(skb: Pointer, verdict: i32) {
    if verdict == NF_ACCEPT {
        let entry = entry_of(skb);
        emit_entry(HookId::ConntrackResolveClash, entry, conntrack_event::CLASH_RESOLVED, verdict);
    }
}

/// `struct nf_conn *__nf_conntrack_alloc(struct net *, const struct nf_conntrack_zone *, const struct
/// nf_conntrack_tuple *orig, const struct nf_conntrack_tuple *repl, gfp_t, u32 hash)`: an entry, or an error, which
/// `nf_conntrack_in` counts as `drop`.
#[fexit(function = "__nf_conntrack_alloc")]
fn ctalloc_fexit(context: FExitContext) -> i32 {
    if is_error(context.arg(6)) && is_for_packet(context.arg(5)) {
        refused(context.arg(0), context.arg(1), context.arg(2));
    }
    0
}

#[kprobe(function = "__nf_conntrack_alloc")]
fn ctalloc_entry(context: ProbeContext) -> u32 {
    if let (Some(net), Some(zone), Some(original), Some(hash)) =
        (context.arg(0), context.arg(1), context.arg(2), context.arg(5))
    {
        if is_for_packet(hash) {
            call::keep::<ConntrackRecord>(&context, [net, zone, original, 0]);
        } else {
            call::pass::<ConntrackRecord>(&context);
        }
    }
    0
}

#[kretprobe(function = "__nf_conntrack_alloc")]
fn ctalloc_return(context: RetProbeContext) -> u32 {
    if let Some([net, zone, original, _]) = call::take(&context)
        && is_error(context.ret())
    {
        refused(net as Pointer, zone as Pointer, original as Pointer);
    }
    0
}

/// Whether a returned pointer is an error in disguise (`IS_ERR`).
#[inline(always)]
fn is_error(returned: u64) -> bool {
    const ERRORS: u64 = 4095;
    returned >= ERRORS.wrapping_neg()
}

/// The path of packets hands its hash over; others (ctnetlink, SYN proxy) hand over 0 and count no `drop`.
#[inline(always)]
fn is_for_packet(hash: u32) -> bool {
    hash != 0
}

#[inline(always)]
fn refused(net: Pointer, zone: Pointer, original: Pointer) {
    emit(HookId::ConntrackAllocate, netns_inode::<Probed>(net), |record: &mut ConntrackRecord| {
        fill_tuple(&mut record.original, original, 0);
        record.zone = read::<Probed, u16>(zone, offset!(zone_id));
        record.event = conntrack_event::TABLE_FULL;
    });
}

#[inline(always)]
fn emit_entry(hook: HookId, entry: Pointer, event: u8, verdict: i32) {
    emit(hook, entry_netns(entry), |record: &mut ConntrackRecord| {
        fill_tuple(&mut record.original, entry, offset!(conntrack_original));
        fill_tuple(&mut record.reply, entry, offset!(conntrack_reply));
        record.status = read::<Probed, u32>(entry, offset!(conntrack_status));
        record.mark = read::<Probed, u32>(entry, offset!(conntrack_mark));
        record.verdict = verdict;
        record.zone = read::<Probed, u16>(entry, offset!(conntrack_zone));
        record.event = event;
        record.tcp_state = read::<Probed, u8>(entry, offset!(conntrack_tcp_state));
    });
}

/// The entry of a packet (`nf_ct_get`): the three low bits say how they are related.
#[inline(always)]
fn entry_of(skb: Pointer) -> Pointer {
    const RELATION: u64 = 7;
    (read::<Probed, u64>(skb, offset!(skb_conntrack)) & !RELATION) as Pointer
}

#[inline(always)]
fn entry_netns(entry: Pointer) -> u32 {
    netns_inode::<Probed>(read::<Probed, Pointer>(entry, offset!(conntrack_net)))
}

/// Fills in a `struct nf_conntrack_tuple` within an entry.
#[inline(always)]
fn fill_tuple(flow: &mut Flow, entry: Pointer, place: u16) {
    let tuple = entry.wrapping_add(place as usize);
    let is_ipv6 = read::<Probed, u16>(tuple, offset!(tuple_family)) == AF_INET6;
    let address = |field| {
        if is_ipv6 {
            read_16_bytes::<Probed>(tuple, field)
        } else {
            mapped(read::<Probed, u32>(tuple, field))
        }
    };
    flow.source = address(offset!(tuple_source));
    flow.destination = address(offset!(tuple_destination));
    flow.source_port = u16::from_be(read::<Probed, u16>(tuple, offset!(tuple_source_port)));
    flow.destination_port = u16::from_be(read::<Probed, u16>(tuple, offset!(tuple_destination_port)));
    flow.protocol = read::<Probed, u8>(tuple, offset!(tuple_protocol));
}
