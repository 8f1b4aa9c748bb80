//! From a hook to the ring: count, budget, reserve, fill, submit; or count what became of it instead.

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
};
use tracer_common::{
    counters::KindCounters,
    hook::HookId,
    record::{Record, RecordHeader},
};

use crate::maps::{BUDGETS, COUNTERS, RECORDS, setting};

/// Whether records of that namespace are wanted.
#[inline(always)]
pub(crate) fn is_wanted(netns: u32) -> bool {
    let only_netns = setting!(only_netns);
    only_netns == 0 || only_netns == netns
}

/// One kind's counters on this CPU.
#[derive(Clone, Copy)]
struct Counts(*mut KindCounters);

impl Counts {
    #[inline(always)]
    fn of<R: Record>() -> Option<Self> {
        let counters = COUNTERS.get_ptr_mut(0)?;
        // SAFETY: points to this CPU's value, which lives as long as the map; the kind is one of the kernel side's.
        Some(Self(unsafe { &raw mut (*counters).kinds[R::KIND as usize] }))
    }

    /// Adds one to a counter. Atomically: an interrupt on this CPU may count the same kind in between.
    #[inline(always)]
    fn count(self, counter: impl FnOnce(*mut KindCounters) -> *mut u64) {
        // SAFETY: the counter lies in this CPU's value, aligned, and every writer goes through here.
        unsafe { atomic_add(counter(self.0), 1) };
    }

    #[inline(always)]
    fn seen(self) {
        // SAFETY: a field of the value the pointer is to.
        self.count(|counters| unsafe { &raw mut (*counters).seen });
    }

    #[inline(always)]
    fn delivered(self) {
        // SAFETY: a field of the value the pointer is to.
        self.count(|counters| unsafe { &raw mut (*counters).delivered });
    }

    #[inline(always)]
    fn suppressed(self) {
        // SAFETY: a field of the value the pointer is to.
        self.count(|counters| unsafe { &raw mut (*counters).suppressed });
    }

    #[inline(always)]
    fn lost(self) {
        // SAFETY: a field of the value the pointer is to.
        self.count(|counters| unsafe { &raw mut (*counters).lost });
    }
}

/// Adds to a number in a map. The core library has no atomic addition for this target, the instruction set has.
///
/// # Safety
///
/// The number lies in a value of a map, aligned, and is written to in this way only.
#[inline(always)]
pub(crate) unsafe fn atomic_add(number: *mut u64, change: u64) {
    // SAFETY: as the caller says.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({number} + 0) += {change}",
            number = in(reg) number,
            change = in(reg) change,
        );
    }
}

/// Counts an event that was seen but cannot be told.
#[inline(always)]
pub(crate) fn count_lost<R: Record>() {
    if let Some(counts) = Counts::of::<R>() {
        counts.seen();
        counts.lost();
    }
}

/// Counts an event that was seen and left out for want of a budget of its hook's own.
#[inline(always)]
pub(crate) fn count_suppressed<R: Record>() {
    if let Some(counts) = Counts::of::<R>() {
        counts.seen();
        counts.suppressed();
    }
}

/// Takes one record of a kind out of this CPU's budget; `false` if it is spent.
#[inline(always)]
fn take_budget<R: Record>(time_ns: u64) -> bool {
    let Some(budgets) = BUDGETS.get_ptr_mut(0) else { return false };
    // SAFETY: points to this CPU's value, which lives as long as the map. An interrupt may take in between, which
    // misplaces one record of the budget and nothing else.
    let budget = unsafe { &mut (*budgets).kinds[R::KIND as usize] };
    budget.take(time_ns, setting!(budget_per_second[R::KIND as usize]))
}

/// Writes a record that `fill` completes. The budget is checked before `fill` runs, so that the expensive reads belong
/// in there. It gets the record in the ring itself, for the stack is small, with the header done and the rest zero:
/// nothing of the ring's old contents can reach user space.
#[inline(always)]
pub(crate) fn emit<R: Record + 'static>(hook: HookId, netns: u32, fill: impl FnOnce(&mut R)) {
    if !is_wanted(netns) {
        return;
    }
    let Some(counts) = Counts::of::<R>() else { return };
    counts.seen();
    // SAFETY: the helper has no preconditions.
    let time_ns = unsafe { bpf_ktime_get_boot_ns() };
    if !take_budget::<R>(time_ns) {
        counts.suppressed();
        return;
    }
    let Some(mut entry) = RECORDS.reserve::<R>(0) else {
        counts.lost();
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is one whole `R`, exclusively ours until submitted, a multiple of 8 bytes long and aligned so;
    // all zero is an `R` (`FromBytes`), and every record begins with its header.
    let record = unsafe {
        // Volatile, or the compiler calls its own memset, which goes byte by byte.
        for word in 0..size_of::<R>() / 8 {
            record.cast::<u64>().add(word).write_volatile(0);
        }
        record.cast::<RecordHeader>().write(RecordHeader {
            time_ns,
            netns,
            kind: R::KIND as u16,
            length_bytes: size_of::<R>() as u16,
            cpu: bpf_get_smp_processor_id() as u16,
            hook: hook as u16,
            node: 0,
            reserved: 0,
        });
        &mut *record
    };
    fill(record);
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    counts.delivered();
}
