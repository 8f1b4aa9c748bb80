//! SYNs that meet an entry, which `nf_conntrack_tcp_packet` decides about.
//!
//! The function's entry keeps such a SYN with the facts the call may change; its return tells what came of it. Other
//! packets leave at the test of their flags, and at the return, while no SYN is kept, at the test of one counter.

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe, map},
    maps::LruHashMap,
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use tracer_common::{
    hook::HookId,
    record::{ConntrackRecord, conntrack_event},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{IPS_CONFIRMED, NF_ACCEPT, NF_DROP, entry_netns, fill_tuple, reopening};
use crate::{
    emit::{emit, is_wanted},
    hooks::call::{self, Call, Group, RunningCalls},
    kernel::{Access, Direct, Pointer, Probed, offset, packet, read},
};

const NF_REPEAT_NEGATED: i32 = -4;

/// Entries whose last SYN is remembered.
const ENTRIES: u32 = 16_384;

/// A SYN on a confirmed entry, as it was before the kernel looked at it.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
pub(super) struct Syn {
    /// The packet.
    pub(super) skb: u64,
    pub(super) entry: u64,
    pub(super) status: u32,
    pub(super) sequence: u32,
    pub(super) last_end: u32,
    pub(super) tcp_state: u16,
    /// 1 if it goes against the direction the entry began in.
    pub(super) is_reply: u16,
}

impl Call for Syn {
    const GROUP: Group = Group::Conntrack;
    type Record = ConntrackRecord;
}

/// SYNs on their way through the function.
#[map]
static PENDING_SYNS: RunningCalls<Syn> = RunningCalls::new();

/// The sequence number of the last SYN that met an entry, by the entry.
#[map]
static LAST_SYNS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(ENTRIES, 0);

/// `int nf_conntrack_tcp_packet(struct nf_conn *, struct sk_buff *, unsigned int dataoff, enum ip_conntrack_info,
/// const struct nf_hook_state *)`.
#[fentry(function = "nf_conntrack_tcp_packet")]
fn cttcp_fentry(context: FEntryContext) -> i32 {
    if let Some(syn) = on_entry::<Direct>(context.arg(0), context.arg(1), context.arg(2), context.arg(3)) {
        PENDING_SYNS.begin(&syn);
    }
    0
}

#[fexit(function = "nf_conntrack_tcp_packet")]
fn cttcp_fexit(context: FExitContext) -> i32 {
    let skb: u64 = context.arg(1);
    if let Some(syn) = PENDING_SYNS.end(|syn| syn.skb == skb) {
        decide(&syn, context.arg(5));
    }
    0
}

#[kprobe(function = "nf_conntrack_tcp_packet")]
fn cttcp_entry(context: ProbeContext) -> u32 {
    let (Some(entry), Some(skb), Some(data_offset), Some(relation)) =
        (context.arg(0), context.arg(1), context.arg(2), context.arg(3))
    else {
        return 0;
    };
    match on_entry::<Probed>(entry, skb, data_offset, relation) {
        Some(syn) => call::keep::<ConntrackRecord>(&context, zerocopy::transmute!(syn)),
        None => call::pass::<ConntrackRecord>(&context),
    }
    0
}

#[kretprobe(function = "nf_conntrack_tcp_packet")]
fn cttcp_return(context: RetProbeContext) -> u32 {
    if let Some(kept) = call::take(&context) {
        let syn: Syn = zerocopy::transmute!(kept);
        decide(&syn, context.ret());
    }
    0
}

/// A pure SYN on a confirmed entry.
#[inline(always)]
fn on_entry<A: Access>(entry: Pointer, skb: Pointer, data_offset: u32, relation: u32) -> Option<Syn> {
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
        return None;
    }
    let status: u32 = read::<Probed, u32>(entry, offset!(conntrack_status));
    if status & IPS_CONFIRMED == 0 || !is_linear(skb, data_offset + FLAGS as u32) {
        return None;
    }
    Some(Syn {
        skb: skb as u64,
        entry: entry as u64,
        status,
        sequence: u32::from_be(Probed::load::<u32>(header.wrapping_add(SEQUENCE))),
        last_end: read::<Probed, u32>(entry, offset!(conntrack_tcp_end)),
        tcp_state: u16::from(read::<Probed, u8>(entry, offset!(conntrack_tcp_state))),
        is_reply: u16::from(relation >= RELATION_REPLY),
    })
}

/// Whether the byte so far behind [`packet::data`] lies in the part of the packet that is in one piece.
#[inline(always)]
fn is_linear(skb: Pointer, place: u32) -> bool {
    let in_pages: u32 = read::<Probed, u32>(skb, offset!(skb_paged_length));
    place < packet::length(skb).wrapping_sub(in_pages)
}

/// Tells what became of a SYN.
#[inline(always)]
fn decide(syn: &Syn, verdict: i32) {
    let netns = entry_netns(syn.entry as Pointer);
    if !is_wanted(netns) {
        return;
    }
    match verdict {
        NF_REPEAT_NEGATED => reopening::begin(syn, netns),
        NF_DROP => emit_syn(syn, netns, verdict, conntrack_event::REOPEN_FAILED, false),
        NF_ACCEPT if syn.is_reply == 0 => {
            // SAFETY: one word, copied at once.
            let last = unsafe { LAST_SYNS.get(&syn.entry).copied() };
            let is_again = last == Some(syn.sequence);
            if !is_again {
                // Without room a repeat of this SYN may be told as a new connection.
                let _ = LAST_SYNS.insert(&syn.entry, &syn.sequence, 0);
            }
            emit_syn(syn, netns, verdict, conntrack_event::SYN_ON_ENTRY, is_again);
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
