//! Asking for memory before it is needed.

/// The bytes that come from memory at once, on nearly every processor.
const LINE_BYTES: usize = 64;

/// Asks for all of a value to come near. This does not wait and cannot fail; the processor may ignore it.
pub(super) fn prefetch<T>(value: &T) {
    let begin = std::ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE_BYTES) {
        prefetch_line(begin.wrapping_add(offset));
    }
    // A value that begins within a line ends in one more.
    prefetch_line(begin.wrapping_add(size_of::<T>().saturating_sub(1)));
}

/// Asks for memory in large pages where a list has room. Rows that are read in no order are spread over thousands of small
/// ones, more than the processor knows the places of. A kernel without them does nothing.
pub(super) fn in_huge_pages<T>(list: &mut Vec<T>) {
    use nix::sys::mman::{MmapAdvise, madvise};
    const PAGE_BYTES: usize = 4_096;
    let room = list.spare_capacity_mut();
    let begin = room.as_mut_ptr().cast::<u8>();
    let offset = begin.align_offset(PAGE_BYTES);
    let length = size_of_val(room).saturating_sub(offset) / PAGE_BYTES * PAGE_BYTES;
    let Some(begin) = std::ptr::NonNull::new(begin.wrapping_add(offset)) else { return };
    if length > 0 {
        // SAFETY: the pages belong to the list, which nobody else has, and the advice changes nothing of what they hold.
        let _ = unsafe { madvise(begin.cast(), length, MmapAdvise::MADV_HUGEPAGE) };
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction changes nothing but caches, and takes any address without a fault.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[cfg(target_arch = "aarch64")]
pub(super) fn prefetch_line(address: *const u8) {
    // SAFETY: the instruction changes nothing but caches, and takes any address without a fault.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{address}]", address = in(reg) address, options(nostack, readonly, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn prefetch_line(_: *const u8) {}
