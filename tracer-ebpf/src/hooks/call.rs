//! Calls that run: what one hook of a call leaves for a later hook of the same call.
//!
//! A call that runs in a process may be preempted and go on elsewhere, softirqs run on top of it, and a packet it sends
//! may lead back into the same function before it returns. So nothing waits by CPU. Two things tell calls apart:
//!
//! - the current task ([`RunningCalls`]): what runs in its name, softirqs on top of it included, ends in reverse order
//!   of its beginning, so a task has a short stack of calls;
//! - the address of the stack frame ([`keep`], [`take`]): no two running calls share it, and a kprobe and a kretprobe
//!   both see it.
//!
//! The kernel may pass over a program (one that is already running on that CPU), and then a call's end is never heard
//! of. What such a call left is thrown away, and counted as lost, when its place is wanted again.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, pt_regs},
    helpers::bpf_get_current_task,
    macros::map,
    maps::{Array, HashMap},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_common::record::Record;

use crate::emit::{atomic_add, count_lost};

/// Calls of a group that may wait at once on the whole node: those running, and those preempted meanwhile.
pub(crate) const WAITING_CALLS: u32 = 1024;

/// Calls of a group that may run in one task's name at once.
const NESTED_CALLS: u64 = 4;

/// Calls that are counted together while they wait.
#[repr(u32)]
#[derive(Clone, Copy)]
pub(crate) enum Group {
    /// Of functions whose arguments are kept for a kretprobe.
    KeptArguments = 0,
    /// Of `ip_vs_in_hook`.
    Ipvs = 1,
    /// Of `nf_conntrack_tcp_packet`.
    Conntrack = 2,
}

/// How many calls of each group wait, a cache line each.
#[map]
static WAITING: Array<[u64; 8]> = Array::with_max_entries(3, 0);

impl Group {
    /// Whether any call of it waits: what hooks of functions that run for every packet look at first.
    ///
    /// The later hooks of a call see what its earlier ones counted, on whatever CPU they run.
    #[inline(always)]
    pub(crate) fn waits(self) -> bool {
        // SAFETY: points to the map's value, which lives as long as the map.
        WAITING.get_ptr(self as u32).is_some_and(|count| unsafe { count.cast::<u64>().read_volatile() } != 0)
    }

    #[inline(always)]
    fn count(self, change: i64) {
        if let Some(count) = WAITING.get_ptr_mut(self as u32) {
            // SAFETY: the count lies in the map's value, aligned, and every writer goes through here.
            unsafe { atomic_add(count.cast::<u64>(), change.cast_unsigned()) };
        }
    }
}

/// A call on its way, as one of its hooks leaves it for the later ones.
pub(crate) trait Call: Copy + 'static {
    /// What it is counted with.
    const GROUP: Group;
    /// What is lost if its hooks cannot be joined.
    type Record: Record;
}

/// The place of a call among those of its task.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Place {
    task: u64,
    /// 0 for the outermost.
    depth: u64,
}

impl Place {
    #[inline(always)]
    fn of_current_task() -> Self {
        // SAFETY: the helper has no preconditions.
        Self { task: unsafe { bpf_get_current_task() }, depth: 0 }
    }
}

/// Running calls, by the task in whose name they run.
#[repr(transparent)]
pub(crate) struct RunningCalls<C>(pub(crate) HashMap<Place, C>);

impl<C> RunningCalls<C> {
    pub(crate) const fn new() -> Self {
        Self(HashMap::with_max_entries(WAITING_CALLS, 0))
    }
}

impl<C: Call> RunningCalls<C> {
    /// Puts a call on top of its task's. Where no room is left, calls are lost, and counted.
    #[inline(always)]
    pub(crate) fn begin(&self, call: &C) {
        let mut place = Place::of_current_task();
        while place.depth < NESTED_CALLS {
            if self.0.insert(place, call, u64::from(BPF_NOEXIST)).is_ok() {
                C::GROUP.count(1);
                return;
            }
            place.depth += 1;
        }
        // That many do not run: they are left over from calls whose end was not heard of. Or the map is full.
        self.forget_above(place.task, 0);
        count_lost::<C::Record>();
    }

    /// The innermost of the task's calls that answers to a description.
    #[inline(always)]
    pub(crate) fn find(&self, is_it: impl Fn(&C) -> bool) -> Option<&'static mut C> {
        let call = self.0.get_ptr_mut(self.place(is_it)?)?;
        // SAFETY: only hooks of this call change the value, and it stays until one of them removes it.
        Some(unsafe { &mut *call })
    }

    /// Takes the innermost of the task's calls that answers to a description. What lies on top of it is left over.
    #[inline(always)]
    pub(crate) fn end(&self, is_it: impl Fn(&C) -> bool) -> Option<C> {
        let place = self.place(is_it)?;
        // SAFETY: only hooks of this call change the value.
        let call = *unsafe { self.0.get(place) }?;
        if self.0.remove(place).is_ok() {
            C::GROUP.count(-1);
        }
        self.forget_above(place.task, place.depth + 1);
        Some(call)
    }

    /// Where the innermost of the task's calls is that answers to a description.
    #[inline(always)]
    fn place(&self, is_it: impl Fn(&C) -> bool) -> Option<Place> {
        if !C::GROUP.waits() {
            return None;
        }
        let mut found = None;
        let mut place = Place::of_current_task();
        while place.depth < NESTED_CALLS {
            // No place is empty below one that is taken.
            // SAFETY: only hooks of this call change the value.
            let Some(call) = (unsafe { self.0.get(place) }) else { break };
            if is_it(call) {
                found = Some(place);
            }
            place.depth += 1;
        }
        found
    }

    /// Throws away a task's calls from a depth on.
    #[inline(always)]
    fn forget_above(&self, task: u64, depth: u64) {
        let mut place = Place { task, depth };
        while place.depth < NESTED_CALLS && self.0.remove(place).is_ok() {
            C::GROUP.count(-1);
            count_lost::<C::Record>();
            place.depth += 1;
        }
    }
}

/// Arguments of running calls, by stack frame, for kretprobes, which see only the return value.
#[map]
static KEPT_ARGUMENTS: HashMap<u64, [u64; 4]> = HashMap::with_max_entries(WAITING_CALLS, 0);

/// Keeps arguments of the call that begins. `R` is what is lost if that cannot be.
///
/// The entry of every call either keeps or [passes](pass), so that its return takes its own arguments, or none.
#[inline(always)]
pub(crate) fn keep<R: Record>(context: &ProbeContext, arguments: [u64; 4]) {
    pass::<R>(context);
    if KEPT_ARGUMENTS.insert(entry_frame(context), arguments, 0).is_ok() {
        Group::KeptArguments.count(1);
    } else {
        count_lost::<R>();
    }
}

/// Begins a call of which nothing is to be kept.
#[inline(always)]
pub(crate) fn pass<R: Record>(context: &ProbeContext) {
    // Nobody but this call has this frame now: what is found there is left over.
    if Group::KeptArguments.waits() && KEPT_ARGUMENTS.remove(entry_frame(context)).is_ok() {
        Group::KeptArguments.count(-1);
        count_lost::<R>();
    }
}

/// The arguments of the call that ends, if they were kept.
#[inline(always)]
pub(crate) fn take(context: &RetProbeContext) -> Option<[u64; 4]> {
    if !Group::KeptArguments.waits() {
        return None;
    }
    let frame = return_frame(context);
    // SAFETY: nobody but this call has this frame now, so nobody changes the value.
    let arguments = *unsafe { KEPT_ARGUMENTS.get(frame) }?;
    if KEPT_ARGUMENTS.remove(frame).is_ok() {
        Group::KeptArguments.count(-1);
    }
    Some(arguments)
}

/// The stack pointer of the caller, which is the same before a call and after it.
#[inline(always)]
fn entry_frame(context: &ProbeContext) -> u64 {
    /// What the call itself puts on the stack: x86-64's return address.
    const CALL_BYTES: u64 = if cfg!(bpf_target_arch = "x86_64") { 8 } else { 0 };
    stack_pointer(context.regs).wrapping_add(CALL_BYTES)
}

/// The stack pointer of the caller of the function that returned.
#[inline(always)]
pub(crate) fn return_frame(context: &RetProbeContext) -> u64 {
    stack_pointer(context.regs)
}

#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn stack_pointer(registers: *const pt_regs) -> u64 {
    // SAFETY: a probe's context is the registers.
    unsafe { (*registers).rsp }
}

#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn stack_pointer(registers: *const pt_regs) -> u64 {
    // SAFETY: a probe's context is the registers.
    unsafe { (*registers).sp }
}
