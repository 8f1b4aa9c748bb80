//! SYNs that meet an entry, which `nf_conntrack_tcp_packet` decides about.
//!
//! The function's entry keeps such a SYN with the facts the call may change; its return tells what came of it. Other
//! packets leave at the test of their flags, and at the return, while no SYN is kept, at the test of one counter.

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe, map},
    maps::{Array, LruHashMap},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use tracer_common::{
    hook::HookId,
    record::{ConntrackRecord, conntrack_event},
};

use super::{IPS_CONFIRMED, NF_ACCEPT, NF_DROP, entry_netns, fill_tuple, reopening};
use crate::{
    emit::{count_lost, emit, is_wanted},
    hooks::call::kept_arguments,
    kernel::{Access, Direct, Pointer, Probed, offset, packet, read},
};

const NF_REPEAT_NEGATED: i32 = -4;

/// SYNs that are within the function at once, over all CPUs.
const CALLS: u32 = 1_024;

/// Entries whose last SYN is remembered.
const ENTRIES: u32 = 16_384;

/// A SYN on a confirmed entry, as it was before the kernel looked at it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Syn {
    pub(super) entry: u64,
    pub(super) status: u32,
    pub(super) sequence: u32,
    pub(super) last_end: u32,
    pub(super) tcp_state: u16,
    /// 1 if it goes against the direction the entry began in.
    pub(super) is_reply: u16,
}

/// By the packet: one is in one call at a time. What a missed return leaves behind is taken over or falls out.
#[map]
static PENDING_SYNS: LruHashMap<u64, Syn> = LruHashMap::with_max_entries(CALLS, 0);

/// How many SYNs are kept, or a few more: a miss of a return leaves it too high, which costs time and no more.
#[map]
static PENDING_SYN_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// The sequence number of the last SYN that met an entry, by the entry.
#[map]
static LAST_SYNS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(ENTRIES, 0);

/// `int nf_conntrack_tcp_packet(struct nf_conn *, struct sk_buff *, unsigned int dataoff, enum ip_conntrack_info,
/// const struct nf_hook_state *)`.
#[fentry(function = "nf_conntrack_tcp_packet")]
fn cttcp_fentry(context: FEntryContext) -> i32 {
    let skb: Pointer = context.arg(1);
    keep::<Direct>(context.arg(0), skb, context.arg(2), context.arg(3));
    0
}

#[fexit(function = "nf_conntrack_tcp_packet")]
fn cttcp_fexit(context: FExitContext) -> i32 {
    if are_pending() {
        decide(context.arg(1), context.arg(5));
    }
    0
}

kept_arguments!(TCP_PACKET_CALL);

#[kprobe(function = "nf_conntrack_tcp_packet")]
fn cttcp_entry(context: ProbeContext) -> u32 {
    if let (Some(entry), Some(skb), Some(data_offset), Some(relation)) =
        (context.arg(0), context.arg(1), context.arg(2), context.arg(3))
        && keep::<Probed>(entry, skb, data_offset, relation)
    {
        TCP_PACKET_CALL.keep([skb as u64, 0, 0]);
    }
    0
}

#[kretprobe(function = "nf_conntrack_tcp_packet")]
fn cttcp_return(context: RetProbeContext) -> u32 {
    if are_pending()
        && let Some([skb, ..]) = TCP_PACKET_CALL.take()
    {
        decide(skb, context.ret());
    }
    0
}

/// Keeps a pure SYN on a confirmed entry; whether it did. Another packet at the address of one that was kept and never
/// returned takes its place.
#[inline(always)]
fn keep<A: Access>(entry: Pointer, skb: Pointer, data_offset: u32, relation: u32) -> bool {
    const SEQUENCE: usize = 4;
    const FLAGS: usize = 13;
    const FLAG_FIN: u8 = 1;
    const FLAG_SYN: u8 = 2;
    const FLAG_RST: u8 = 4;
    const FLAG_ACK: u8 = 16;
    /// `IP_CT_IS_REPLY`: the first of the relations that go against the direction of the entry.
    const RELATION_REPLY: u32 = 3;

    let header = read::<A, Pointer>(skb, offset!(skb_data)).wrapping_add(data_offset as usize);
    let flags = Probed::load::<u8>(header.wrapping_add(FLAGS));
    if flags & (FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_ACK) != FLAG_SYN {
        if are_pending() {
            forget(skb);
        }
        return false;
    }
    let status: u32 = read::<Probed, u32>(entry, offset!(conntrack_status));
    if status & IPS_CONFIRMED == 0 || !is_linear(skb, data_offset + FLAGS as u32) {
        return false;
    }
    let syn = Syn {
        entry: entry as u64,
        status,
        sequence: u32::from_be(Probed::load::<u32>(header.wrapping_add(SEQUENCE))),
        last_end: read::<Probed, u32>(entry, offset!(conntrack_tcp_end)),
        tcp_state: u16::from(read::<Probed, u8>(entry, offset!(conntrack_tcp_state))),
        is_reply: u16::from(relation >= RELATION_REPLY),
    };
    forget(skb);
    if PENDING_SYNS.insert(&(skb as u64), &syn, 0).is_err() {
        count_lost::<ConntrackRecord>();
        return false;
    }
    count_pending(1);
    true
}

/// Whether the byte so far behind [`packet::data`] lies in the part of the packet that is in one piece.
#[inline(always)]
fn is_linear(skb: Pointer, place: u32) -> bool {
    let in_pages: u32 = read::<Probed, u32>(skb, offset!(skb_data_length));
    place < packet::length(skb).wrapping_sub(in_pages)
}

#[inline(always)]
fn are_pending() -> bool {
    PENDING_SYN_COUNT.get(0).is_some_and(|count| *count != 0)
}

#[inline(always)]
fn count_pending(difference: i64) {
    let Some(count) = PENDING_SYN_COUNT.get_ptr_mut(0) else { return };
    // SAFETY: points to the map's value, which lives as long as the map, is aligned, and changes only here. The core
    // library has no atomic addition for this target, the instruction set has.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({count} + 0) += {difference}",
            count = in(reg) count,
            difference = in(reg) difference,
        );
    }
}

#[inline(always)]
fn forget(skb: Pointer) {
    if PENDING_SYNS.remove(&(skb as u64)).is_ok() {
        count_pending(-1);
    }
}

/// Tells what became of the SYN kept for this packet, if there is one.
#[inline(always)]
fn decide(skb: u64, verdict: i32) {
    // SAFETY: the value is copied at once; nobody else changes that of a packet within the function.
    let Some(syn) = (unsafe { PENDING_SYNS.get(&skb).copied() }) else { return };
    forget(skb as Pointer);
    let netns = entry_netns(syn.entry as Pointer);
    if !is_wanted(netns) {
        return;
    }
    match verdict {
        NF_REPEAT_NEGATED => reopening::begin(skb, &syn, netns),
        NF_DROP => emit_syn(&syn, netns, verdict, conntrack_event::REOPEN_FAILED, false),
        NF_ACCEPT if syn.is_reply == 0 => {
            // SAFETY: one word, copied at once.
            let last = unsafe { LAST_SYNS.get(&syn.entry).copied() };
            let is_again = last == Some(syn.sequence);
            if !is_again {
                // Without room a repeat of this SYN may be told as a new connection.
                let _ = LAST_SYNS.insert(&syn.entry, &syn.sequence, 0);
            }
            emit_syn(&syn, netns, verdict, conntrack_event::SYN_ON_ENTRY, is_again);
        }
        // Invalid, or the other half of a simultaneous open: no decision about a first packet.
        _ => {}
    }
}

#[inline(always)]
fn emit_syn(syn: &Syn, netns: u32, verdict: i32, event: u8, is_again: bool) {
    emit(HookId::ConntrackTcpPacket, netns, |record: &mut ConntrackRecord| {
        fill_syn(record, syn);
        fill_tuple(&mut record.reply, syn.entry as Pointer, offset!(conntrack_reply));
        record.verdict = verdict;
        record.event = event;
        record.is_again = u8::from(is_again);
    });
}

/// What the SYN and its entry tell, but for the mapping. The original tuple is that of the direction of the SYN.
#[inline(always)]
pub(super) fn fill_syn(record: &mut ConntrackRecord, syn: &Syn) {
    let entry = syn.entry as Pointer;
    let tuple = if syn.is_reply == 0 { offset!(conntrack_original) } else { offset!(conntrack_reply) };
    fill_tuple(&mut record.original, entry, tuple);
    record.status = syn.status;
    record.mark = read::<Probed, u32>(entry, offset!(conntrack_mark));
    record.sequence = syn.sequence;
    record.last_end = syn.last_end;
    record.zone = read::<Probed, u16>(entry, offset!(conntrack_zone));
    record.tcp_state = syn.tcp_state as u8;
}
