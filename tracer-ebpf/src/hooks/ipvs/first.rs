//! First packets: which packets ask for a connection.
//!
//! TCP and SCTP mark them (SYN, INIT). Of other protocols, any packet that has no entry is one.

use crate::kernel::{Access, Pointer, Probed, mapped, offset, packet, read};

const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
const IPPROTO_SCTP: u8 = 132;

/// Bits of `ip_vs_iphdr.hdr_flags`: the addresses are those of the other direction, or of what an ICMP message is about.
const HEADER_INVERSE: u32 = 1;
const HEADER_ICMP: u32 = 2;

/// The protocol of a packet, from its `struct ip_vs_iphdr`.
#[inline(always)]
pub(super) fn protocol<A: Access>(header: Pointer) -> u8 {
    read::<A, u16>(header, offset!(ipvs_header_protocol)) as u8
}

/// Whether a protocol's first packets tell themselves.
#[inline(always)]
pub(super) fn has_mark(protocol: u8) -> bool {
    protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP
}

/// Whether a packet that met an entry may be one to tell, as far as can be said without the entry.
#[inline(always)]
pub(super) fn may_matter<A: Access>(skb: Pointer, header: Pointer) -> bool {
    let protocol = protocol::<A>(header);
    !has_mark(protocol) || is_marked::<A>(skb, header, protocol)
}

/// Whether a packet travels from client to server itself, whole or as its first fragment.
#[inline(always)]
pub(super) fn is_forward<A: Access>(header: Pointer) -> bool {
    read::<A, u32>(header, offset!(ipvs_header_flags)) & (HEADER_INVERSE | HEADER_ICMP) == 0
        && read::<A, u16>(header, offset!(ipvs_header_fragment)) == 0
}

/// Whether the packet is what an ICMP message is about.
#[inline(always)]
pub(super) fn is_in_icmp<A: Access>(header: Pointer) -> bool {
    read::<A, u32>(header, offset!(ipvs_header_flags)) & HEADER_ICMP != 0
}

/// Whether a packet of a protocol that [has a mark](has_mark) bears it.
#[inline(always)]
pub(super) fn is_marked<A: Access>(skb: Pointer, header: Pointer, protocol: u8) -> bool {
    let transport = read::<A, u32>(header, offset!(ipvs_header_length));
    let linear =
        read::<A, u32>(skb, offset!(skb_length)).wrapping_sub(read::<A, u32>(skb, offset!(skb_paged_length)));
    // A header that does not lie in one piece with the buffer is that of a large packet.
    transport.wrapping_add(MARK_END) <= linear
        && bears_mark(read::<A, Pointer>(skb, offset!(skb_data)).wrapping_add(transport as usize), protocol)
        && is_forward::<A>(header)
}

/// Bytes of a transport header up to where its mark has been seen.
const MARK_END: u32 = 14;

#[inline(always)]
fn bears_mark(transport: Pointer, protocol: u8) -> bool {
    const TCP_FLAGS: usize = 13;
    const FLAG_SYN: u8 = 2;
    const FLAG_RST: u8 = 4;
    const FLAG_ACK: u8 = 16;
    const SCTP_CHUNK_TYPE: usize = 12;
    const CHUNK_INIT: u8 = 1;

    if protocol == IPPROTO_TCP {
        let flags = Probed::load::<u8>(transport.wrapping_add(TCP_FLAGS));
        flags & (FLAG_SYN | FLAG_RST | FLAG_ACK) == FLAG_SYN
    } else {
        Probed::load::<u8>(transport.wrapping_add(SCTP_CHUNK_TYPE)) == CHUNK_INIT
    }
}

/// Where a packet is from and to.
pub(super) struct Ends {
    pub(super) source: [u8; 16],
    pub(super) destination: [u8; 16],
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
}

/// The ends of a first packet, read from the packet alone; `None` for any other, and behind IPv6 extension headers.
#[inline(always)]
pub(super) fn ends_of_first_packet(skb: Pointer) -> Option<Ends> {
    const FRAGMENT_OFFSET: u16 = 0x1fff;
    let network = packet::network_header(skb);
    let byte = |place: usize| Probed::load::<u8>(network.wrapping_add(place));
    let word = |place: usize| Probed::load::<u32>(network.wrapping_add(place));
    let sixteen = |place: usize| Probed::load::<[u8; 16]>(network.wrapping_add(place));
    let first = byte(0);
    let (source, destination, protocol, length) = if first >> 4 == 6 {
        (sixteen(8), sixteen(24), byte(6), 40)
    } else {
        let fragment = u16::from_be(Probed::load::<u16>(network.wrapping_add(6)));
        if fragment & FRAGMENT_OFFSET != 0 {
            return None;
        }
        (mapped(word(12)), mapped(word(16)), byte(9), usize::from(first & 15) * 4)
    };
    let transport = network.wrapping_add(length);
    let is_first = if has_mark(protocol) { bears_mark(transport, protocol) } else { protocol == IPPROTO_UDP };
    is_first.then(|| Ends {
        source,
        destination,
        source_port: u16::from_be(Probed::load::<u16>(transport)),
        destination_port: u16::from_be(Probed::load::<u16>(transport.wrapping_add(2))),
        protocol,
    })
}
