//! Arguments kept from a function's entry to its return, for kretprobes, which see only the return value.

use aya_ebpf::maps::PerCpuArray;

/// Up to three arguments of one function's running call on each CPU.
///
/// A call that is preempted by another of the same function on the same CPU loses its arguments, and its return
/// finds none: such an event is missed, never mistaken.
#[repr(transparent)]
pub(crate) struct KeptArguments(pub(crate) PerCpuArray<Kept>);

/// One CPU's running call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    is_kept: u64,
    arguments: [u64; 3],
}

impl KeptArguments {
    /// Keeps the arguments of the call that begins.
    #[inline(always)]
    pub(crate) fn keep(&self, arguments: [u64; 3]) {
        if let Some(slot) = self.0.get_ptr_mut(0) {
            // SAFETY: points to this CPU's value, which lives as long as the map.
            unsafe { *slot = Kept { is_kept: 1, arguments } };
        }
    }

    /// The arguments of the call that ends.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<[u64; 3]> {
        let slot = self.0.get_ptr_mut(0)?;
        // SAFETY: points to this CPU's value, which lives as long as the map.
        let kept = unsafe { &mut *slot };
        if kept.is_kept == 0 {
            return None;
        }
        kept.is_kept = 0;
        Some(kept.arguments)
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
