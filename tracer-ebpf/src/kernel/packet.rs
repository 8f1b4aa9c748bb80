//! Packets (`struct sk_buff`).

use super::{Device, Pointer, Probed, offset, read};

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
