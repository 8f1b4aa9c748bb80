//! Who claims an address: ARP and IPv6 neighbour advertisements, in and out.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use tracer_common::{
    hook::HookId,
    record::{ClaimRecord, claim_direction, claim_source},
};

use crate::{
    emit::emit,
    kernel::{Access as _, Pointer, Probed, packet},
};

/// `int arp_process(struct net *, struct sock *, struct sk_buff *)`.
#[fentry(function = "arp_process")]
fn arpin_fentry(context: FEntryContext) -> i32 {
    emit_arp(HookId::ArpProcess, context.arg(2), claim_direction::IN);
    0
}

#[kprobe(function = "arp_process")]
fn arpin_kprobe(context: ProbeContext) -> u32 {
    if let Some(skb) = context.arg(2) {
        emit_arp(HookId::ArpProcess, skb, claim_direction::IN);
    }
    0
}

/// `void arp_xmit(struct sk_buff *)`.
#[fentry(function = "arp_xmit")]
fn arpout_fentry(context: FEntryContext) -> i32 {
    emit_arp(HookId::ArpTransmit, context.arg(0), claim_direction::OUT);
    0
}

#[kprobe(function = "arp_xmit")]
fn arpout_kprobe(context: ProbeContext) -> u32 {
    if let Some(skb) = context.arg(0) {
        emit_arp(HookId::ArpTransmit, skb, claim_direction::OUT);
    }
    0
}

/// `ndisc_recv_na(struct sk_buff *)`; called with `skb->data` at the message.
#[fentry(function = "ndisc_recv_na")]
fn ndin_fentry(context: FEntryContext) -> i32 {
    emit_advertisement(HookId::NdiscReceive, context.arg(0), claim_direction::IN);
    0
}

#[kprobe(function = "ndisc_recv_na")]
fn ndin_kprobe(context: ProbeContext) -> u32 {
    if let Some(skb) = context.arg(0) {
        emit_advertisement(HookId::NdiscReceive, skb, claim_direction::IN);
    }
    0
}

/// `void ndisc_send_skb(struct sk_buff *, const struct in6_addr *daddr, const struct in6_addr *saddr)`.
#[fentry(function = "ndisc_send_skb")]
fn ndout_fentry(context: FEntryContext) -> i32 {
    emit_sent_advertisement(context.arg(0), context.arg(1));
    0
}

#[kprobe(function = "ndisc_send_skb")]
fn ndout_kprobe(context: ProbeContext) -> u32 {
    if let (Some(skb), Some(destination)) = (context.arg(0), context.arg(1)) {
        emit_sent_advertisement(skb, destination);
    }
    0
}

/// Emits an ARP message for IPv4 over Ethernet that tells its sender's address. Probes (RFC 5227), which tell none,
/// claim nothing.
#[inline(always)]
fn emit_arp(hook: HookId, skb: Pointer, direction: u8) {
    // Hardware type 1, protocol 0x0800, 6 and 4 bytes of address: the only layout the offsets below are of.
    const ETHERNET_IPV4: u64 = u64::from_ne_bytes([0, 1, 8, 0, 6, 4, 0, 0]);
    const LAYOUT: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    const OPERATION: usize = 6;
    const SENDER_HARDWARE: usize = 8;
    const SENDER: usize = 14;
    const TARGET: usize = 24;

    let message = packet::network_header(skb);
    let at = |distance: usize| message.wrapping_add(distance);
    let sender = Probed::load::<u32>(at(SENDER));
    if Probed::load::<u64>(message) & LAYOUT != ETHERNET_IPV4 || sender == 0 {
        return;
    }
    let device = packet::device(skb);
    emit(hook, device.netns::<Probed>(), |record: &mut ClaimRecord| {
        let mut hardware_address = Probed::load::<[u8; 8]>(at(SENDER_HARDWARE));
        hardware_address[6] = 0;
        hardware_address[7] = 0;
        record.address = crate::kernel::mapped(sender);
        record.target = crate::kernel::mapped(Probed::load::<u32>(at(TARGET)));
        record.hardware_address = hardware_address;
        record.device = device.name::<Probed>();
        record.interface_index = device.index::<Probed>();
        record.operation = u16::from_be(Probed::load::<u16>(at(OPERATION)));
        record.direction = direction;
        record.source = claim_source::ARP;
    });
}

#[inline(always)]
fn emit_advertisement(hook: HookId, skb: Pointer, direction: u8) {
    // The destination of the IPv6 header in front of the message.
    const DESTINATION: usize = 24;
    emit_advertisement_to(hook, skb, packet::network_header(skb).wrapping_add(DESTINATION), direction);
}

/// Emits a message on its way out if it is an advertisement. Its IPv6 header is not there yet.
#[inline(always)]
fn emit_sent_advertisement(skb: Pointer, destination: Pointer) {
    const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    if Probed::load::<u8>(packet::transport_header(skb)) == NEIGHBOUR_ADVERTISEMENT {
        emit_advertisement_to(HookId::NdiscSend, skb, destination, claim_direction::OUT);
    }
}

/// `struct nd_msg`: ICMPv6 header with the flags in its fifth byte, the target, options.
#[inline(always)]
fn emit_advertisement_to(hook: HookId, skb: Pointer, destination: Pointer, direction: u8) {
    const FLAGS: usize = 4;
    const TARGET: usize = 8;
    const OPTIONS: usize = 24;
    const OPTION_BYTES: u32 = 8;
    const OPTION_TARGET_ADDRESS: u8 = 2;

    let message = packet::transport_header(skb);
    let device = packet::device(skb);
    emit(hook, device.netns::<Probed>(), |record: &mut ClaimRecord| {
        let option = Probed::load::<[u8; 8]>(message.wrapping_add(OPTIONS));
        let has_address =
            packet::length(skb) >= OPTIONS as u32 + OPTION_BYTES && option[0] == OPTION_TARGET_ADDRESS;
        let hardware_address = if has_address {
            [option[2], option[3], option[4], option[5], option[6], option[7], 0, 0]
        } else {
            [0; 8]
        };
        record.address = Probed::load::<[u8; 16]>(message.wrapping_add(TARGET));
        record.target = Probed::load::<[u8; 16]>(destination);
        record.hardware_address = hardware_address;
        record.device = device.name::<Probed>();
        record.interface_index = device.index::<Probed>();
        record.operation = u16::from(Probed::load::<u8>(message.wrapping_add(FLAGS)));
        record.direction = direction;
        record.source = claim_source::ADVERTISEMENT;
    });
}
