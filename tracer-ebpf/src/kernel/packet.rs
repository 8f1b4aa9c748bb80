//! Packets (`struct sk_buff`).

use super::{Access, Device, Plain, Pointer, Probed, offset, read};

/// The start of the network header.
#[inline(always)]
pub(crate) fn network_header(skb: Pointer) -> Pointer {
    header(skb, offset!(skb_network_header))
}

/// The start of the transport header.
#[inline(always)]
pub(crate) fn transport_header(skb: Pointer) -> Pointer {
    header(skb, offset!(skb_transport_header))
}

#[inline(always)]
fn header(skb: Pointer, distance_field: u16) -> Pointer {
    let head: Pointer = read::<Probed, Pointer>(skb, offset!(skb_head));
    head.wrapping_add(read::<Probed, u16>(skb, distance_field) as usize)
}

/// Where the data not yet taken off begins.
#[inline(always)]
pub(crate) fn data(skb: Pointer) -> Pointer {
    read::<Probed, Pointer>(skb, offset!(skb_data))
}

/// Bytes from [`data`] on.
#[inline(always)]
pub(crate) fn length(skb: Pointer) -> u32 {
    read::<Probed, u32>(skb, offset!(skb_length))
}

/// The device it came in by or goes out of.
#[inline(always)]
pub(crate) fn device(skb: Pointer) -> Device {
    Device(read::<Probed, Pointer>(skb, offset!(skb_device)))
}

/// The device of the route the packet takes.
#[inline(always)]
pub(crate) fn route_device(skb: Pointer) -> Device {
    /// The lowest bits of the pointer say whether a reference is held (`SKB_DST_NOREF`).
    const FLAGS: u64 = 7;
    let route = (read::<Probed, u64>(skb, offset!(skb_route)) & !FLAGS) as Pointer;
    Device(if route.is_null() { route } else { read::<Probed, Pointer>(route, offset!(route_device)) })
}

/// Bytes of a packet: from some header to the end of its linear part, which drivers and the protocols' own checks make
/// long enough for the headers. Nothing is read past that end.
pub(crate) struct Bytes {
    start: u64,
    end: u64,
}

impl Bytes {
    /// From `start`, which lies in the packet's buffer, on.
    #[inline(always)]
    pub(crate) fn from(skb: Pointer, start: Pointer) -> Self {
        let head: u64 = read::<Probed, u64>(skb, offset!(skb_head));
        // `sk_buff_data_t` is a distance from the head on 64-bit machines.
        Self { start: start as u64, end: head + u64::from(read::<Probed, u32>(skb, offset!(skb_tail))) }
    }

    /// The data not yet taken off.
    #[inline(always)]
    pub(crate) fn of_data<A: Access>(skb: Pointer) -> Self {
        let start: u64 = read::<A, u64>(skb, offset!(skb_data));
        let linear = read::<A, u32>(skb, offset!(skb_length))
            .wrapping_sub(read::<A, u32>(skb, offset!(skb_paged_length)));
        Self { start, end: start + u64::from(linear) }
    }

    /// The value at a distance from the start, if all of it is there.
    #[inline(always)]
    pub(crate) fn load<T: Plain>(&self, distance: u32) -> Option<T> {
        let at = self.start + u64::from(distance);
        if at + size_of::<T>() as u64 > self.end {
            return None;
        }
        Some(Probed::load::<T>(at as Pointer))
    }
}
