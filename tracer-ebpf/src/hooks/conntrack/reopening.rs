//! Entries that are recreated: the old mapping and the new one, joined.
//!
//! `nf_conntrack_tcp_packet` gives the old entry up. The same packet then gets a new entry, whose mapping is complete
//! when `__nf_conntrack_confirm` puts it into the table. In between the packet may be dropped. So the record waits by
//! the address of its packet: the confirmation completes it if its tuple is the same, and what waits too long is
//! collected by the program (`tracer/src/probe/reopenings.rs`) and tells the old mapping only.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_boot_ns, macros::map, maps::HashMap};
use tracer_common::{
    hook::HookId,
    record::{ConntrackRecord, Flow, Record as _, RecordHeader, conntrack_event},
};

use super::{
    NF_ACCEPT, entry_netns, entry_of, fill_tuple,
    syn::{Syn, fill_syn},
};
use crate::{
    emit::emit,
    kernel::{Pointer, Probed, offset, read},
};

/// Packets between the two functions, on all CPUs, and those dropped in between within the last seconds.
const REOPENINGS: u32 = 1_024;

/// The words of a record. The compiler copies its fields one by one, some of them byte by byte.
const WORDS: usize = size_of::<ConntrackRecord>() / 8;

/// A record as it waits.
type Waiting = [u64; WORDS];

/// Records that wait for their new mapping, by the address of the packet. Whoever removes one tells it.
#[map]
static REOPENINGS_WAITING: HashMap<u64, Waiting> = HashMap::with_max_entries(REOPENINGS, 0);

/// The entry of this SYN was given up.
#[inline(always)]
pub(super) fn begin(syn: &Syn, netns: u32) {
    // An earlier packet at this address was dropped.
    if let Some(waiting) = take(syn.skb) {
        tell(&waiting, HookId::ConntrackTcpPacket, netns_of(&waiting), |_| {});
    }
    let mut waiting = [0; WORDS];
    // SAFETY: a record is as long, needs no other alignment, and any words make one.
    let record = unsafe { &mut *(&raw mut waiting).cast::<ConntrackRecord>() };
    record.header = RecordHeader {
        // SAFETY: the helper has no preconditions.
        time_ns: unsafe { bpf_ktime_get_boot_ns() },
        netns,
        kind: ConntrackRecord::KIND as u16,
        length_bytes: size_of::<ConntrackRecord>() as u16,
        cpu: 0,
        hook: HookId::ConntrackTcpPacket as u16,
        node: 0,
        reserved: 0,
    };
    fill_syn(record, syn);
    let answers = if syn.is_reply == 0 { offset!(conntrack_reply) } else { offset!(conntrack_original) };
    fill_tuple(&mut record.previous_reply, syn.entry as Pointer, answers);
    record.event = conntrack_event::REOPENED;
    if REOPENINGS_WAITING.insert(&syn.skb, &waiting, u64::from(BPF_NOEXIST)).is_err() {
        tell(&waiting, HookId::ConntrackTcpPacket, netns, |_| {});
    }
}

/// The packet's new entry was put into the table, or not.
#[inline(always)]
pub(super) fn confirmed(skb: Pointer, verdict: i32) {
    let Some(waiting) = take(skb as u64) else { return };
    let netns = netns_of(&waiting);
    let entry = entry_of(skb);
    let is_inserted = verdict == NF_ACCEPT && entry_netns(entry) == netns;
    tell(&waiting, HookId::ConntrackConfirm, netns, |record| {
        let mut original = Flow::default();
        fill_tuple(&mut original, entry, offset!(conntrack_original));
        // Otherwise another packet has the address by now.
        if is_inserted && is_same(&original, &record.original) {
            fill_tuple(&mut record.reply, entry, offset!(conntrack_reply));
            record.mark = read::<Probed, u32>(entry, offset!(conntrack_mark));
            record.zone = read::<Probed, u16>(entry, offset!(conntrack_zone));
        }
    });
}

/// The record that waits for this packet, if nobody else takes it.
#[inline(always)]
fn take(skb: u64) -> Option<Waiting> {
    let waiting = REOPENINGS_WAITING.get_ptr(&skb)?;
    let mut words = [0; WORDS];
    for (place, word) in words.iter_mut().enumerate() {
        // SAFETY: within the value, which does not change while it waits; one that another takes meanwhile is not
        // ours to remove.
        *word = unsafe { waiting.cast::<u64>().add(place).read_volatile() };
    }
    REOPENINGS_WAITING.remove(&skb).ok()?;
    Some(words)
}

#[inline(always)]
fn tell(waiting: &Waiting, hook: HookId, netns: u32, complete: impl FnOnce(&mut ConntrackRecord)) {
    const HEADER_WORDS: usize = size_of::<RecordHeader>() / 8;
    emit(hook, netns, |record: &mut ConntrackRecord| {
        let words = (&raw mut *record).cast::<u64>();
        for (place, &word) in waiting.iter().enumerate().skip(HEADER_WORDS) {
            // SAFETY: within the record, which any words make; its header is left alone.
            unsafe { words.add(place).write_volatile(word) };
        }
        complete(record);
    });
}

/// The namespace in a waiting record's header.
#[inline(always)]
fn netns_of(waiting: &Waiting) -> u32 {
    const WORD: usize = core::mem::offset_of!(RecordHeader, netns) / 8;
    waiting[WORD] as u32
}

#[inline(always)]
fn is_same(one: &Flow, other: &Flow) -> bool {
    let [one, other]: [[u64; 5]; 2] = [zerocopy::transmute!(*one), zerocopy::transmute!(*other)];
    one[0] == other[0] && one[1] == other[1] && one[2] == other[2] && one[3] == other[3] && one[4] == other[4]
}
