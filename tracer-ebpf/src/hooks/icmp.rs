//! ICMP errors, sent and received, with the packet they quote.

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext},
};
use tracer_common::{
    hook::HookId,
    offsets::ABSENT,
    record::{IcmpRecord, icmp_direction, icmp_part},
};

use crate::{
    emit::emit,
    kernel::{
        Access as _, Device, Pointer, Probed,
        ip::{self, Version},
        mapped, offset,
        packet::{self, Bytes},
        read, socket,
    },
    maps::setting,
};

/// An error, and where the packet it quotes lies.
struct Message {
    hook: HookId,
    version: Version,
    direction: u8,
    netns: u32,
    device: Device,
    icmp_type: u8,
    icmp_code: u8,
    sender: [u8; 16],
    mtu_bytes: u32,
    quoted: Bytes,
}

/// `icmp_send(const struct sk_buff *, int type, int code)`.
#[btf_tracepoint(function = "icmp_send")]
fn icmpsend_btf(context: BtfTracePointContext) -> i32 {
    emit_sent(HookId::IcmpSend, context.arg(0), context.arg::<u32>(1) as u8, context.arg::<u32>(2) as u8, 0);
    0
}

#[raw_tracepoint(tracepoint = "icmp_send")]
fn icmpsend_raw(context: RawTracePointContext) -> i32 {
    emit_sent(HookId::IcmpSend, context.arg(0), context.arg::<u32>(1) as u8, context.arg::<u32>(2) as u8, 0);
    0
}

/// `void icmp_push_reply(struct sock *, struct icmp_bxm *, …)`, without the socket up to 5.10. Replies to echo
/// requests pass here too.
#[fentry(function = "icmp_push_reply")]
fn icmppush_fentry(context: FEntryContext) -> i32 {
    // Both are read first: a choice of the place to read from would be arithmetic on the context, which the verifier
    // forbids.
    let (first, second): (Pointer, Pointer) = (context.arg(0), context.arg(1));
    emit_pushed(if setting!(icmp_push_message) == 0 { first } else { second });
    0
}

#[kprobe(function = "icmp_push_reply")]
fn icmppush_kprobe(context: ProbeContext) -> u32 {
    if let (Some(first), Some(second)) = (context.arg::<Pointer>(0), context.arg::<Pointer>(1)) {
        emit_pushed(if setting!(icmp_push_message) == 0 { first } else { second });
    }
    0
}

/// `struct icmp_bxm`: the packet that gave cause, and the header of the message.
#[inline(always)]
fn emit_pushed(message: Pointer) {
    if offset!(icmp_message_header) == ABSENT {
        return;
    }
    let header = message.wrapping_add(offset!(icmp_message_header) as usize);
    let [icmp_type, icmp_code] = Probed::load::<[u8; 2]>(header);
    let skb = read::<Probed, Pointer>(message, offset!(icmp_message_packet));
    let mtu_bytes = mtu_of(icmp_type, icmp_code, header);
    emit_sent(HookId::IcmpPush, skb, icmp_type, icmp_code, mtu_bytes);
}

#[inline(always)]
fn emit_sent(hook: HookId, skb: Pointer, icmp_type: u8, icmp_code: u8, mtu_bytes: u32) {
    if !is_error_v4(icmp_type) {
        return;
    }
    // A packet of this node that finds no route or neighbour may have no device yet.
    let device = packet::device(skb);
    let netns = match device.netns::<Probed>() {
        0 => packet::route_device(skb).netns::<Probed>(),
        netns => netns,
    };
    emit_message(Message {
        hook,
        version: Version::V4,
        direction: icmp_direction::OUT,
        netns,
        device,
        icmp_type,
        icmp_code,
        sender: [0; 16],
        mtu_bytes,
        quoted: Bytes::from(skb, packet::network_header(skb)),
    });
}

/// `void icmpv6_push_pending_frames(struct sock *, struct flowi6 *, struct icmp6hdr *, int len)`: the message waits in
/// the socket's queue, its header still to be filled in with this one. Echoes pass here too.
#[fentry(function = "icmpv6_push_pending_frames")]
fn icmp6out_fentry(context: FEntryContext) -> i32 {
    emit_pushed_v6(context.arg(0), context.arg(2));
    0
}

#[kprobe(function = "icmpv6_push_pending_frames")]
fn icmp6out_kprobe(context: ProbeContext) -> u32 {
    if let (Some(sock), Some(header)) = (context.arg(0), context.arg(2)) {
        emit_pushed_v6(sock, header);
    }
    0
}

#[inline(always)]
fn emit_pushed_v6(sock: Pointer, header: Pointer) {
    const HEADER_BYTES: usize = 8;
    if offset!(sock_write_queue) == ABSENT {
        return;
    }
    let [icmp_type, icmp_code] = Probed::load::<[u8; 2]>(header);
    // An empty queue's first entry is the queue.
    let queue = sock.wrapping_add(offset!(sock_write_queue) as usize);
    let skb = read::<Probed, Pointer>(sock, offset!(sock_write_queue));
    if !is_error_v6(icmp_type) || skb == queue {
        return;
    }
    emit_message(Message {
        hook: HookId::Icmp6Push,
        version: Version::V6,
        direction: icmp_direction::OUT,
        netns: socket::netns::<Probed>(sock),
        device: Device(core::ptr::null()),
        icmp_type,
        icmp_code,
        sender: [0; 16],
        mtu_bytes: mtu_of_v6(icmp_type, header),
        quoted: Bytes::from(skb, packet::transport_header(skb).wrapping_add(HEADER_BYTES)),
    });
}

/// `icmp_unreach(struct sk_buff *)`: handles types 3, 4, 11 and 12. The data begins with the packet quoted.
#[fentry(function = "icmp_unreach")]
fn icmpin_fentry(context: FEntryContext) -> i32 {
    emit_received(context.arg(0));
    0
}

#[kprobe(function = "icmp_unreach")]
fn icmpin_kprobe(context: ProbeContext) -> u32 {
    if let Some(skb) = context.arg(0) {
        emit_received(skb);
    }
    0
}

#[inline(always)]
fn emit_received(skb: Pointer) {
    const SOURCE: usize = 12;
    let header = packet::transport_header(skb);
    let [icmp_type, icmp_code] = Probed::load::<[u8; 2]>(header);
    let sender = Probed::load::<u32>(packet::network_header(skb).wrapping_add(SOURCE));
    let device = packet::device(skb);
    emit_message(Message {
        hook: HookId::IcmpReceive,
        version: Version::V4,
        direction: icmp_direction::IN,
        netns: device.netns::<Probed>(),
        device,
        icmp_type,
        icmp_code,
        sender: mapped(sender),
        mtu_bytes: mtu_of(icmp_type, icmp_code, header),
        quoted: Bytes::of_data::<Probed>(skb),
    });
}

/// `icmpv6_notify(struct sk_buff *, u8 type, u8 code, __be32 info)`. The data begins with the packet quoted. Redirects
/// pass here too.
#[fentry(function = "icmpv6_notify")]
fn icmp6in_fentry(context: FEntryContext) -> i32 {
    emit_received_v6(context.arg(0), context.arg(1), context.arg(2));
    0
}

#[kprobe(function = "icmpv6_notify")]
fn icmp6in_kprobe(context: ProbeContext) -> u32 {
    if let (Some(skb), Some(icmp_type), Some(icmp_code)) = (context.arg(0), context.arg(1), context.arg(2)) {
        emit_received_v6(skb, icmp_type, icmp_code);
    }
    0
}

#[inline(always)]
fn emit_received_v6(skb: Pointer, icmp_type: u8, icmp_code: u8) {
    const SOURCE: usize = 8;
    if !is_error_v6(icmp_type) {
        return;
    }
    let device = packet::device(skb);
    emit_message(Message {
        hook: HookId::Icmp6Receive,
        version: Version::V6,
        direction: icmp_direction::IN,
        netns: device.netns::<Probed>(),
        device,
        icmp_type,
        icmp_code,
        sender: Probed::load::<[u8; 16]>(packet::network_header(skb).wrapping_add(SOURCE)),
        mtu_bytes: mtu_of_v6(icmp_type, packet::transport_header(skb)),
        quoted: Bytes::of_data::<Probed>(skb),
    });
}

/// Unreachable, source quench, time exceeded, parameter problem: those that quote a packet that was not delivered.
#[inline(always)]
fn is_error_v4(icmp_type: u8) -> bool {
    matches!(icmp_type, 3 | 4 | 11 | 12)
}

#[inline(always)]
fn is_error_v6(icmp_type: u8) -> bool {
    const FIRST_INFORMATIONAL: u8 = 128;
    icmp_type < FIRST_INFORMATIONAL
}

/// The largest size an ICMP header tells, 0 where it tells none.
#[inline(always)]
fn mtu_of(icmp_type: u8, icmp_code: u8, header: Pointer) -> u32 {
    const UNREACHABLE: u8 = 3;
    const FRAGMENTATION_NEEDED: u8 = 4;
    const MTU: usize = 6;
    if icmp_type != UNREACHABLE || icmp_code != FRAGMENTATION_NEEDED {
        return 0;
    }
    u32::from(u16::from_be(Probed::load::<u16>(header.wrapping_add(MTU))))
}

#[inline(always)]
fn mtu_of_v6(icmp_type: u8, header: Pointer) -> u32 {
    const TOO_BIG: u8 = 2;
    const MTU: usize = 4;
    if icmp_type != TOO_BIG {
        return 0;
    }
    u32::from_be(Probed::load::<u32>(header.wrapping_add(MTU)))
}

#[inline(always)]
fn emit_message(message: Message) {
    emit(message.hook, message.netns, |record: &mut IcmpRecord| {
        if let Some(header) = ip::header(message.version, &message.quoted, &mut record.flow) {
            record.ttl = header.ttl;
            record.parts = icmp_part::HEADER;
            if header.payload.is_some() {
                record.parts |= icmp_part::PORTS;
            }
            if message.version == Version::V4 {
                record.ip_id = header.identification as u16;
            }
        }
        record.sender = message.sender;
        record.mtu_bytes = message.mtu_bytes;
        record.interface_index = message.device.index::<Probed>();
        record.device = message.device.name::<Probed>();
        record.icmp_type = message.icmp_type;
        record.icmp_code = message.icmp_code;
        record.version = message.version as u8;
        record.direction = message.direction;
    });
}
