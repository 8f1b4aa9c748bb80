//! The maps, and the constants the program freezes before loading.

use aya_ebpf::{
    macros::map,
    maps::{LruHashMap, PerCpuArray, RingBuf},
};
use tracer_common::{
    budget::Budgets, counters::Counters, offsets::Offsets, record::COMMAND_NAME_BYTES, settings::Settings,
};

/// Where the running kernel keeps what is read; see [`crate::kernel::offset`].
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::ABSENT;

/// This run's choices; see [`setting`].
#[unsafe(no_mangle)]
pub(crate) static SETTINGS: Settings = Settings::DEFAULT;

/// A frozen setting. The read is volatile, so that the compiler does not put the default's value in its place; the
/// verifier then sees the frozen one as a constant.
macro_rules! setting {
    ($($name:tt)+) => {
        // SAFETY: reads a field of a static, in bounds and aligned.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::SETTINGS.$($name)+) }
    };
}
pub(crate) use setting;

/// Records on their way to the program. Sized by the program; it polls on a timer, so nothing here wakes it.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(16 << 20, 0);

/// What became of every event.
#[map]
pub(crate) static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// What may still be written in the running second.
#[map]
pub(crate) static BUDGETS: PerCpuArray<Budgets> = PerCpuArray::with_max_entries(1, 0);

/// Who opened a socket, by the socket's address.
#[map]
pub(crate) static OWNERS: LruHashMap<u64, SocketOwner> = LruHashMap::with_max_entries(65_536, 0);

/// A process that opened a socket.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct SocketOwner {
    /// Inode of the socket.
    pub(crate) socket_inode: u64,
    /// Its id.
    pub(crate) process_id: u32,
    /// Zero: the verifier wants no gap in what goes into a map.
    pub(crate) reserved: u32,
    /// Its command name at that moment.
    pub(crate) command: [u8; COMMAND_NAME_BYTES],
}
