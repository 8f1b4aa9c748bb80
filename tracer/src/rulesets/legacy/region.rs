//! Memory to receive a table in, of which only a window is real.
//!
//! The kernel copies all entries of a table in one call, from the first to the last, and a leaking node has hundreds of
//! megabytes of them. So the call is repeated, a window further each time. Before the window every page is the same
//! scratch memory, mapped again and again, where entries already seen are thrown away; behind it nothing is mapped,
//! which ends the call with `EFAULT` (`copy_entries_to_user`, `net/ipv4/netfilter/ip_tables.c`, 5.10 to 6.18).
//!
//! Each place that scratch memory is mapped at counts as resident memory of the process that writes there, though it is
//! the same memory. Limits and those who watch tracer's size would take it for real, so such a call is made by a child
//! process that lives for this call only.

use std::{
    ffi::c_void,
    io,
    num::NonZeroUsize,
    ops::Range,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    ptr::NonNull,
    slice,
};

use nix::{
    errno::Errno,
    sys::{
        memfd::{MFdFlags, memfd_create},
        mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, ftruncate},
};

use super::layout::ENTRIES_HEADER_BYTES;

/// Real memory at once.
const WINDOW_BYTES: usize = 32 << 20;

/// Scratch memory: as much is mapped as one piece.
const SCRATCH_BYTES: usize = 1 << 20;

/// The largest page of the architectures tracer runs on; the sizes above are multiples.
const ALIGNMENT_BYTES: usize = 1 << 16;

/// Room for a table's entries behind the question for them.
pub(super) struct Region {
    base: NonNull<c_void>,
    mapped_bytes: usize,
    header: [u8; ENTRIES_HEADER_BYTES],
    /// Header and entries.
    asked_bytes: libc::socklen_t,
    /// What is real, from the beginning of the region.
    window: Range<usize>,
    /// What is mapped there.
    real: OwnedFd,
    scratch: OwnedFd,
}

impl Region {
    /// Room for `size` bytes of entries, none of it real yet.
    pub(super) fn new(header: [u8; ENTRIES_HEADER_BYTES], size: usize) -> io::Result<Self> {
        let asked_bytes = i32::try_from(ENTRIES_HEADER_BYTES + size)
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "a table of more than 2 GiB"))?;
        let mapped_bytes = (ENTRIES_HEADER_BYTES + size).next_multiple_of(ALIGNMENT_BYTES);
        let length = NonZeroUsize::new(mapped_bytes).ok_or(Errno::EINVAL)?;
        let (real, scratch) =
            (memory("tracer-window", WINDOW_BYTES)?, memory("tracer-scratch", SCRATCH_BYTES)?);
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
        Ok(Self { base, mapped_bytes, header, asked_bytes, window: 0..0, real, scratch })
    }

    /// Moves the window, never back, to where it begins with the entry at `offset` of the table.
    pub(super) fn move_to(&mut self, offset: usize) -> io::Result<()> {
        let start = (ENTRIES_HEADER_BYTES + offset) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        let end = (start + WINDOW_BYTES).min(self.mapped_bytes);
        if start < self.window.start || start >= end {
            return Err(Errno::EINVAL.into());
        }
        for place in (self.window.start..start).step_by(SCRATCH_BYTES) {
            self.map(place..(place + SCRATCH_BYTES).min(start), &self.scratch)?;
        }
        // Zeros again: where the kernel leaves gaps in an entry, equal rules stay equal.
        ftruncate(&self.real, 0)?;
        ftruncate(&self.real, length_of_file(WINDOW_BYTES)?)?;
        self.map(start..end, &self.real)?;
        self.window = start..end;
        Ok(())
    }

    fn map(&self, place: Range<usize>, file: impl AsFd) -> io::Result<()> {
        let (address, length) = self.place(&place)?;
        // SAFETY: the place lies within the region, which nobody else uses and nothing borrows now.
        unsafe {
            mmap(
                Some(address),
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                file,
                0,
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
        if self.window.start == 0 {
            return Errno::result(self.call(socket, level, option)).map(drop);
        }
        // SAFETY: the child makes system calls only, by functions that are safe after a fork, and ends.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => wait_for(child),
            ForkResult::Child => {
                // SAFETY: the child's own descriptors and attributes. What fails here is not needed for the call: it
                // lets go of the hooks at once, and goes when tracer goes.
                unsafe {
                    let socket = socket.as_raw_fd().cast_unsigned();
                    libc::syscall(libc::SYS_close_range, 0, socket.saturating_sub(1), 0);
                    libc::syscall(libc::SYS_close_range, socket + 1, u32::MAX, 0);
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                }
                let answer = self.call(socket, level, option);
                let status = if answer == 0 { 0 } else { Errno::last_raw() };
                // SAFETY: ends the child at once, without what the parent has set up for its own end.
                unsafe { libc::_exit(status) }
            }
        }
    }

    fn call(&self, socket: BorrowedFd<'_>, level: i32, option: i32) -> i32 {
        let mut length = self.asked_bytes;
        let region = self.base.as_ptr();
        // SAFETY: the kernel writes to the region only, which is `asked_bytes` long and borrowed mutably by the caller,
        // and stops where it is not mapped.
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, region, &raw mut length) }
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

/// Waits for the child and gives what its call came to.
fn wait_for(child: Pid) -> nix::Result<()> {
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            // With ECHILD whoever started tracer has it forget its children: what came of the call shows in the entries.
            Err(Errno::ECHILD) | Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
            Err(error) => return Err(error),
            Ok(WaitStatus::Exited(_, error)) => return Err(Errno::from_raw(error)),
            // Killed, by whoever found it too much.
            Ok(_) => return Err(Errno::ECANCELED),
        }
    }
}

/// Memory that can be mapped at several places.
fn memory(name: &str, length: usize) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
    ftruncate(&file, length_of_file(length)?)?;
    Ok(file)
}

fn length_of_file(length: usize) -> nix::Result<i64> {
    i64::try_from(length).map_err(|_| Errno::EFBIG)
}
