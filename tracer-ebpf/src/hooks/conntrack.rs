//! Decisions of connection tracking about first packets.

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe, map},
    maps::PerCpuArray,
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use tracer_common::{
    hook::HookId,
    record::{ConntrackRecord, Flow, conntrack_event},
};

use crate::{
    emit::emit,
    hooks::call,
    kernel::{
        AF_INET6, Access as _, Pointer, Probed, mapped, netns_inode, offset, packet, read, read_16_bytes,
    },
};

const IPS_CONFIRMED: u32 = 8;
const NF_DROP: i32 = 0;
const NF_REPEAT_NEGATED: i32 = -4;

/// A SYN on a confirmed entry, as it was before the kernel looked at it.
#[repr(C)]
#[derive(Clone, Copy)]
struct PendingSyn {
    /// The packet, 0 for none.
    skb: u64,
    entry: u64,
    status: u32,
    sequence: u32,
    last_end: u32,
    tcp_state: u32,
}

/// The SYN on its way through `nf_conntrack_tcp_packet` on this CPU.
#[map]
static PENDING_SYN: PerCpuArray<PendingSyn> = PerCpuArray::with_max_entries(1, 0);

/// `int nf_conntrack_tcp_packet(struct nf_conn *, struct sk_buff *, unsigned int dataoff, enum ip_conntrack_info,
/// const struct nf_hook_state *)`.
#[fentry(function = "nf_conntrack_tcp_packet")]
fn cttcp_fentry(context: FEntryContext) -> i32 {
    keep_syn(context.arg(0), context.arg(1), context.arg(2));
    0
}

#[fexit(function = "nf_conntrack_tcp_packet")]
fn cttcp_fexit(context: FExitContext) -> i32 {
    let skb: u64 = context.arg(1);
    decide_syn(Some(skb), context.arg(5));
    0
}

#[kprobe(function = "nf_conntrack_tcp_packet")]
fn cttcp_entry(context: ProbeContext) -> u32 {
    if let (Some(entry), Some(skb), Some(data_offset)) = (context.arg(0), context.arg(1), context.arg(2)) {
        keep_syn(entry, skb, data_offset);
    }
    0
}

#[kretprobe(function = "nf_conntrack_tcp_packet")]
fn cttcp_return(context: RetProbeContext) -> u32 {
    decide_syn(None, context.ret());
    0
}

/// Keeps a pure SYN on a confirmed entry, and forgets the last one on anything else.
#[inline(always)]
fn keep_syn(entry: Pointer, skb: Pointer, data_offset: u32) {
    const SEQUENCE: usize = 4;
    const FLAGS: usize = 13;
    const FLAG_FIN: u8 = 1;
    const FLAG_SYN: u8 = 2;
    const FLAG_RST: u8 = 4;
    const FLAG_ACK: u8 = 16;

    let Some(slot) = PENDING_SYN.get_ptr_mut(0) else { return };
    // SAFETY: points to this CPU's value, which lives as long as the map.
    let slot = unsafe { &mut *slot };
    slot.skb = 0;
    let header = packet::data(skb).wrapping_add(data_offset as usize);
    let flags = Probed::load::<u8>(header.wrapping_add(FLAGS));
    if flags & (FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_ACK) != FLAG_SYN {
        return;
    }
    let status: u32 = read::<Probed, u32>(entry, offset!(conntrack_status));
    if status & IPS_CONFIRMED == 0 {
        return;
    }
    *slot = PendingSyn {
        skb: skb as u64,
        entry: entry as u64,
        status,
        sequence: u32::from_be(Probed::load::<u32>(header.wrapping_add(SEQUENCE))),
        last_end: read::<Probed, u32>(entry, offset!(conntrack_tcp_end)),
        tcp_state: u32::from(read::<Probed, u8>(entry, offset!(conntrack_tcp_state))),
    };
}

/// Emits what became of the kept SYN, if this is its call's return (`skb` is unknown to a kretprobe).
#[inline(always)]
fn decide_syn(skb: Option<u64>, verdict: i32) {
    let Some(slot) = PENDING_SYN.get_ptr_mut(0) else { return };
    // SAFETY: points to this CPU's value, which lives as long as the map.
    let slot = unsafe { &mut *slot };
    if slot.skb == 0 || skb.is_some_and(|skb| skb != slot.skb) {
        return;
    }
    let pending = *slot;
    slot.skb = 0;
    let event =
        if verdict == NF_REPEAT_NEGATED { conntrack_event::REOPENED } else { conntrack_event::SYN_ON_ENTRY };
    let entry = pending.entry as Pointer;
    emit(HookId::ConntrackTcpPacket, entry_netns(entry), |record: &mut ConntrackRecord| {
        fill_tuple(&mut record.original, entry, offset!(conntrack_original));
        fill_tuple(&mut record.reply, entry, offset!(conntrack_reply));
        record.status = pending.status;
        record.mark = read::<Probed, u32>(entry, offset!(conntrack_mark));
        record.verdict = verdict;
        record.sequence = pending.sequence;
        record.last_end = pending.last_end;
        record.zone = read::<Probed, u16>(entry, offset!(conntrack_zone));
        record.event = event;
        record.tcp_state = pending.tcp_state as u8;
    });
}

/// `int nf_ct_resolve_clash(struct sk_buff *, struct nf_conntrack_tuple_hash *, u32 reply_hash)`, since 5.7.
#[fexit(function = "nf_ct_resolve_clash")]
fn ctclash_fexit(context: FExitContext) -> i32 {
    emit_clash(context.arg(1), context.arg(3));
    0
}

#[kprobe(function = "nf_ct_resolve_clash")]
fn ctclash_entry(context: ProbeContext) -> u32 {
    if let Some(existing) = context.arg(1) {
        call::keep::<ConntrackRecord>(&context, [existing, 0, 0, 0]);
    }
    0
}

#[kretprobe(function = "nf_ct_resolve_clash")]
fn ctclash_return(context: RetProbeContext) -> u32 {
    if let Some([existing, ..]) = call::take(&context) {
        emit_clash(existing as Pointer, context.ret());
    }
    0
}

/// Emits a lost or settled race. The entry that was there first lives on, so its tuples are told.
#[inline(always)]
fn emit_clash(existing: Pointer, verdict: i32) {
    let tuple_in_hash = offset!(tuple_in_hash);
    let direction: u8 =
        Probed::load::<u8>(existing.wrapping_add((tuple_in_hash + offset!(tuple_direction)) as usize));
    let within = if direction == 0 { offset!(conntrack_original) } else { offset!(conntrack_reply) };
    let entry = existing.wrapping_add(tuple_in_hash as usize).wrapping_sub(within as usize);
    emit_entry(
        HookId::ConntrackResolveClash,
        entry,
        if verdict == NF_DROP { conntrack_event::INSERT_FAILED } else { conntrack_event::CLASH_RESOLVED },
        verdict,
    );
}

/// `int early_drop(struct net *, unsigned int hash)`: called when the table is full; 0 if nothing could be evicted.
#[fexit(function = "early_drop")]
fn ctfull_fexit(context: FExitContext) -> i32 {
    emit_early_drop(context.arg(0), context.arg(2));
    0
}

#[kprobe(function = "early_drop")]
fn ctfull_entry(context: ProbeContext) -> u32 {
    if let Some(net) = context.arg(0) {
        call::keep::<ConntrackRecord>(&context, [net, 0, 0, 0]);
    }
    0
}

#[kretprobe(function = "early_drop")]
fn ctfull_return(context: RetProbeContext) -> u32 {
    if let Some([net, ..]) = call::take(&context) {
        emit_early_drop(net as Pointer, context.ret());
    }
    0
}

#[inline(always)]
fn emit_early_drop(net: Pointer, evicted: i32) {
    // A `bool` or `int` by version: the low byte tells in both.
    if evicted.cast_unsigned() as u8 == 0 {
        emit(HookId::ConntrackEarlyDrop, netns_inode::<Probed>(net), |record: &mut ConntrackRecord| {
            record.event = conntrack_event::TABLE_FULL;
        });
    }
}

#[inline(always)]
fn emit_entry(hook: HookId, entry: Pointer, event: u8, verdict: i32) {
    emit(hook, entry_netns(entry), |record: &mut ConntrackRecord| {
        fill_tuple(&mut record.original, entry, offset!(conntrack_original));
        fill_tuple(&mut record.reply, entry, offset!(conntrack_reply));
        record.status = read::<Probed, u32>(entry, offset!(conntrack_status));
        record.mark = read::<Probed, u32>(entry, offset!(conntrack_mark));
        record.verdict = verdict;
        record.sequence = 0;
        record.last_end = 0;
        record.zone = read::<Probed, u16>(entry, offset!(conntrack_zone));
        record.event = event;
        record.tcp_state = read::<Probed, u8>(entry, offset!(conntrack_tcp_state));
    });
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
