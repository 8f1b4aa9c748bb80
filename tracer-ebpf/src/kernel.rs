//! The one place that reads kernel memory.
//!
//! Every read goes through an offset found in the running kernel's BTF. An absent field reads as zero, and the
//! verifier, to which offsets are constants, prunes that branch away. There are two ways to read: [`Direct`] loads,
//! which cost next to nothing but need a typed pointer, and [`Probed`] reads, about 20 ns each, which take any.

pub(crate) mod ip;
pub(crate) mod packet;
pub(crate) mod socket;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use tracer_common::{
    offsets::ABSENT,
    record::{DEVICE_NAME_BYTES, HARDWARE_ADDRESS_BYTES},
};

/// An address in the kernel.
pub(crate) type Pointer = *const u8;

/// The offset of a field, a constant to the verifier. The read is volatile, so that the compiler does not put the
/// default's value in its place.
macro_rules! offset {
    ($name:ident) => {
        // SAFETY: reads a field of a static, in bounds and aligned.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::OFFSETS.$name.offset) }
    };
}
pub(crate) use offset;

/// A bitfield: the byte it starts in, shifted and masked.
macro_rules! bits {
    ($access:ty, $base:expr, $name:ident) => {{
        let byte: u8 = $crate::kernel::read::<$access, u8>($base, $crate::kernel::offset!($name));
        // SAFETY: reads fields of a static, in bounds and aligned.
        let (shift, width) = unsafe {
            (
                core::ptr::read_volatile(&raw const $crate::maps::OFFSETS.$name.bit_shift),
                core::ptr::read_volatile(&raw const $crate::maps::OFFSETS.$name.bit_width),
            )
        };
        if width == 0 { byte } else { (byte >> (shift & 7)) & (((1u16 << (width & 15)) - 1) as u8) }
    }};
}
pub(crate) use bits;

/// A value that any bytes make.
pub(crate) trait Plain: Copy {
    /// What an absent or unreadable field reads as.
    const ZERO: Self;
}

macro_rules! plain {
    ($($name:ty = $zero:expr,)*) => { $(impl Plain for $name { const ZERO: Self = $zero; })* };
}
plain! { u8 = 0, u16 = 0, u32 = 0, i32 = 0, u64 = 0, Pointer = core::ptr::null(), }

impl<const N: usize> Plain for [u8; N] {
    const ZERO: Self = [0; N];
}

impl<const N: usize> Plain for [u32; N] {
    const ZERO: Self = [0; N];
}

impl<const N: usize> Plain for [u64; N] {
    const ZERO: Self = [0; N];
}

/// How memory behind a pointer is read.
pub(crate) trait Access {
    /// The value at an address; zero if it cannot be read.
    fn load<T: Plain>(address: Pointer) -> T;
}

/// Plain loads through a pointer whose type the verifier knows (arguments of `tp_btf` and `fentry` programs, and
/// pointers loaded from there). It checks them against the kernel's types; a load that faults gives zero.
pub(crate) struct Direct;

impl Access for Direct {
    #[inline(always)]
    fn load<T: Plain>(address: Pointer) -> T {
        // SAFETY: the verifier admits the load only within a struct it knows, and makes a faulting one read zero.
        unsafe { core::ptr::read_volatile(address.cast::<T>()) }
    }
}

/// Reads through the helper that checks every address at run time.
pub(crate) struct Probed;

impl Access for Probed {
    #[inline(always)]
    fn load<T: Plain>(address: Pointer) -> T {
        // SAFETY: the helper checks the address and fails on a bad one.
        unsafe { bpf_probe_read_kernel(address.cast::<T>()) }.unwrap_or(T::ZERO)
    }
}

/// The field at `offset` behind `base`; zero if this kernel lacks it.
#[inline(always)]
pub(crate) fn read<A: Access, T: Plain>(base: Pointer, offset: u16) -> T {
    if offset == ABSENT {
        return T::ZERO;
    }
    A::load(base.wrapping_add(offset as usize))
}

/// 16 bytes as words, which is what direct loads can read.
#[inline(always)]
pub(crate) fn read_16_bytes<A: Access>(base: Pointer, offset: u16) -> [u8; 16] {
    if offset == ABSENT {
        return bytes_of([0, 0]);
    }
    let address = base.wrapping_add(offset as usize);
    bytes_of([A::load::<u64>(address), A::load::<u64>(address.wrapping_add(8))])
}

/// Two words as they lie in memory. Arrays of bytes made otherwise are set byte by byte.
#[inline(always)]
pub(crate) fn bytes_of(words: [u64; 2]) -> [u8; 16] {
    zerocopy::transmute!(words)
}

/// An IPv4 address, in network order, as an IPv4-mapped one.
#[inline(always)]
pub(crate) fn mapped(address: u32) -> [u8; 16] {
    const PREFIX: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
    zerocopy::transmute!([0, 0, PREFIX, address])
}

/// The address family of IPv6.
pub(crate) const AF_INET6: u16 = 10;

/// A network device, maybe none.
pub(crate) struct Device(pub(crate) Pointer);

impl Device {
    /// Its index, 0 for none.
    #[inline(always)]
    pub(crate) fn index<A: Access>(&self) -> u32 {
        if self.0.is_null() { 0 } else { read::<A, u32>(self.0, offset!(device_index)) }
    }

    /// Its name, empty for none.
    #[inline(always)]
    pub(crate) fn name<A: Access>(&self) -> [u8; DEVICE_NAME_BYTES] {
        if self.0.is_null() { bytes_of([0, 0]) } else { read_16_bytes::<A>(self.0, offset!(device_name)) }
    }

    /// Inode of its network namespace, 0 for none.
    #[inline(always)]
    pub(crate) fn netns<A: Access>(&self) -> u32 {
        if self.0.is_null() { 0 } else { netns_inode::<A>(read::<A, Pointer>(self.0, offset!(device_net))) }
    }

    /// Length of its hardware addresses.
    #[inline(always)]
    pub(crate) fn hardware_address_length<A: Access>(&self) -> u8 {
        if self.0.is_null() { 0 } else { read::<A, u8>(self.0, offset!(device_address_length)) }
    }
}

/// Inode of a `struct net`, 0 for none.
#[inline(always)]
pub(crate) fn netns_inode<A: Access>(net: Pointer) -> u32 {
    if net.is_null() { 0 } else { read::<A, u32>(net, offset!(net_inode)) }
}

/// The kept bytes of a hardware address of `length` bytes at `address`, the rest zero.
#[inline(always)]
pub(crate) fn hardware_address(address: Pointer, length: u8) -> [u8; HARDWARE_ADDRESS_BYTES] {
    let mut bytes = Probed::load::<[u8; HARDWARE_ADDRESS_BYTES]>(address);
    if length < 8 {
        bytes[7] = 0;
    }
    if length < 7 {
        bytes[6] = 0;
    }
    bytes
}
