//! Memory to receive a table in, of which only a window is real.
//!
//! The kernel copies all entries of a table in one call, from the first to the last, and a leaking node has hundreds of
//! megabytes of them. So the call is repeated, a window further each time. Before the window every page is the same
//! scratch page range, mapped again and again, where entries already seen are thrown away; behind it nothing is mapped,
//! which ends the call with `EFAULT` (`copy_entries_to_user`, `net/ipv4/netfilter/ip_tables.c`, 5.10 to 6.18).

use std::{
    ffi::c_void,
    io,
    num::NonZeroUsize,
    ops::Range,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        memfd::{MFdFlags, memfd_create},
        mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap},
    },
    unistd::ftruncate,
};

use super::layout::ENTRIES_HEADER_BYTES;

/// Real memory at once.
const WINDOW_BYTES: usize = 24 << 20;

/// Scratch memory: as much is mapped as one piece.
const SCRATCH_BYTES: usize = 1 << 20;

/// The largest page of the architectures tracer runs on; the sizes above are multiples.
const ALIGNMENT_BYTES: usize = 1 << 16;

/// How often pages of the scratch memory are taken out of the page table while the kernel fills them.
const UNMAP_INTERVAL: Duration = Duration::from_millis(1);

/// Room for a table's entries behind the question for them.
pub(super) struct Region {
    base: NonNull<c_void>,
    mapped_bytes: usize,
    header: [u8; ENTRIES_HEADER_BYTES],
    /// Header and entries.
    asked_bytes: libc::socklen_t,
    /// What is real, from the beginning of the region.
    window: Range<usize>,
    scratch: OwnedFd,
}

impl Region {
    /// Room for `size` bytes of entries, none of it real yet.
    pub(super) fn new(header: [u8; ENTRIES_HEADER_BYTES], size: usize) -> io::Result<Self> {
        let asked_bytes = i32::try_from(ENTRIES_HEADER_BYTES + size)
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "a table of more than 2 GiB"))?;
        let mapped_bytes = (ENTRIES_HEADER_BYTES + size).next_multiple_of(ALIGNMENT_BYTES);
        let length = NonZeroUsize::new(mapped_bytes).ok_or(Errno::EINVAL)?;
        let scratch = memfd_create("tracer-scratch", MFdFlags::MFD_CLOEXEC)?;
        ftruncate(&scratch, i64::try_from(SCRATCH_BYTES).map_err(|_| Errno::EINVAL)?)?;
        // SAFETY: a new mapping at a place of the kernel's choice touches no other memory.
        let base = unsafe {
            mmap_anonymous(
                None,
                length,
                ProtFlags::PROT_NONE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            )
        }?;
        let asked_bytes = asked_bytes.cast_unsigned();
        Ok(Self { base, mapped_bytes, header, asked_bytes, window: 0..0, scratch })
    }

    /// Moves the window, never back, to where it begins with the entry at `offset` of the table.
    pub(super) fn move_to(&mut self, offset: usize) -> io::Result<()> {
        let start = (ENTRIES_HEADER_BYTES + offset) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        let end = (start + WINDOW_BYTES).min(self.mapped_bytes);
        if start < self.window.start || start >= end {
            return Err(Errno::EINVAL.into());
        }
        for place in (self.window.start..start).step_by(SCRATCH_BYTES) {
            self.map_scratch(place..(place + SCRATCH_BYTES).min(start))?;
        }
        self.map_window(start..end)?;
        self.window = start..end;
        Ok(())
    }

    fn map_scratch(&self, place: Range<usize>) -> io::Result<()> {
        let (address, length) = self.place(&place)?;
        // SAFETY: the place lies within the region, which nobody else uses and nothing borrows now.
        unsafe {
            mmap(
                Some(address),
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                &self.scratch,
                0,
            )
        }?;
        Ok(())
    }

    /// Maps pages of zeros: where the kernel leaves gaps in an entry, equal rules stay equal.
    fn map_window(&self, place: Range<usize>) -> io::Result<()> {
        let (address, length) = self.place(&place)?;
        // SAFETY: the place lies within the region, which nobody else uses and nothing borrows now.
        unsafe {
            mmap_anonymous(
                Some(address),
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED,
            )
        }?;
        Ok(())
    }

    fn place(&self, place: &Range<usize>) -> Result<(NonZeroUsize, NonZeroUsize), Errno> {
        let address = self.base.addr().checked_add(place.start).ok_or(Errno::EINVAL)?;
        let length = NonZeroUsize::new(place.len()).ok_or(Errno::EINVAL)?;
        if place.end > self.mapped_bytes { Err(Errno::EINVAL) } else { Ok((address, length)) }
    }

    /// Asks for the entries. `EFAULT` if the window is not the last one.
    pub(super) fn fill(&mut self, socket: BorrowedFd<'_>, level: i32, option: i32) -> nix::Result<()> {
        // SAFETY: the window or the scratch memory is at the region's beginning, and either is longer than the header.
        unsafe { self.base.cast::<[u8; ENTRIES_HEADER_BYTES]>().write(self.header) };
        let is_filled = &AtomicBool::new(false);
        thread::scope(|scope| {
            let unmapping = (self.window.start > 0).then(|| {
                let scratch = Mapping { base: self.base, length: self.window.start };
                scope.spawn(move || scratch.keep_unmapping(is_filled)).thread().clone()
            });
            let mut length = self.asked_bytes;
            // SAFETY: the kernel writes to the region only, which is `asked_bytes` long and borrowed by nobody, and
            // stops where it is not mapped.
            let answer = unsafe {
                let region = self.base.as_ptr();
                libc::getsockopt(socket.as_raw_fd(), level, option, region, &raw mut length)
            };
            let answer = Errno::result(answer).map(drop);
            is_filled.store(true, Ordering::Release);
            if let Some(unmapping) = unmapping {
                unmapping.unpark();
            }
            answer
        })
    }

    /// What of the table is in the window, and at which offset of the table it begins.
    pub(super) fn entries(&self) -> (usize, &[u8]) {
        let start = self.window.start.max(ENTRIES_HEADER_BYTES);
        let end = self.window.end.min(self.asked_bytes as usize);
        // SAFETY: the window is mapped, and written to only by calls that borrow the region mutably.
        let entries = unsafe {
            slice::from_raw_parts(self.base.cast::<u8>().add(start).as_ptr(), end.saturating_sub(start))
        };
        (start - ENTRIES_HEADER_BYTES, entries)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the region was mapped as a whole, and nothing borrows it any more.
        // It cannot fail for a mapping that is there.
        let _ = unsafe { munmap(self.base, self.mapped_bytes) };
    }
}

/// The part of a region that is scratch memory.
#[derive(Clone, Copy)]
struct Mapping {
    base: NonNull<c_void>,
    length: usize,
}

// SAFETY: it is only used to name addresses to the kernel.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Takes the pages out of the page table while the kernel writes to them. They are the same few pages whatever the
    /// length, but each place they are mapped at counts as resident memory of the process, and so to those who watch
    /// or limit it. What was written stays in the file.
    fn keep_unmapping(&self, is_filled: &AtomicBool) {
        while !is_filled.load(Ordering::Acquire) {
            // SAFETY: the pages are of a shared mapping: nothing is lost when they are taken out. A failure leaves
            // them in, which costs nothing but the number.
            let _ = unsafe { madvise(self.base, self.length, MmapAdvise::MADV_DONTNEED) };
            thread::park_timeout(UNMAP_INTERVAL);
        }
    }
}
