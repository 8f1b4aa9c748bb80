//! Arguments kept from a function's entry to its return, for kretprobes, which see only the return value.

use aya_ebpf::maps::PerCpuArray;

/// Calls of one function that may run on a CPU at once: some call themselves by way of a packet they send
/// (`ip_vs_in_hook` refuses with an ICMP message, which leaves through `ip_vs_in_hook`).
const CALLS: usize = 4;

/// Up to three arguments of each call of one function that runs on a CPU, the innermost last.
///
/// A call that moves to another CPU before it returns leaves its arguments behind and is missed. So is one whose
/// return probe the kernel had no room for; what it leaves is thrown away when the calls seem to be too many.
#[repr(transparent)]
pub(crate) struct KeptArguments(pub(crate) PerCpuArray<Kept>);

/// One CPU's running calls.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    running: u64,
    arguments: [[u64; 3]; CALLS],
}

impl KeptArguments {
    /// Keeps the arguments of the call that begins.
    #[inline(always)]
    pub(crate) fn keep(&self, arguments: [u64; 3]) {
        let Some(kept) = self.0.get_ptr_mut(0) else { return };
        // SAFETY: points to this CPU's value, which lives as long as the map.
        let kept = unsafe { &mut *kept };
        let mut innermost = kept.running as usize;
        if innermost >= CALLS {
            innermost = 0;
        }
        kept.arguments[innermost] = arguments;
        kept.running = innermost as u64 + 1;
    }

    /// The arguments of the innermost call, which ends.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<[u64; 3]> {
        // SAFETY: points to this CPU's value, which lives as long as the map.
        let kept = unsafe { &mut *self.0.get_ptr_mut(0)? };
        let innermost = (kept.running as usize).checked_sub(1)?;
        let arguments = kept.arguments.get(innermost).copied()?;
        kept.running = innermost as u64;
        Some(arguments)
    }
}

/// Declares the map in which one function's arguments are kept.
macro_rules! kept_arguments {
    ($name:ident) => {
        #[aya_ebpf::macros::map]
        static $name: $crate::hooks::call::KeptArguments =
            $crate::hooks::call::KeptArguments(aya_ebpf::maps::PerCpuArray::with_max_entries(1, 0));
    };
}
pub(crate) use kept_arguments;
