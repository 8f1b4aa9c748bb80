//! Retransmitted segments.

use aya_ebpf::{
    helpers::bpf_skc_to_tcp_sock,
    macros::{btf_tracepoint, fexit, kprobe, kretprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext},
};
use tracer_common::{
    hook::HookId,
    record::{RetransmitRecord, retransmit_source},
};

use crate::{
    emit::emit,
    hooks::{call, owner},
    kernel::{Access, Direct, Pointer, Probed, bits, offset, read, socket},
    maps::setting,
};

/// What a hook saw: a connection, a segment of it, and what became of the attempt.
struct Attempt {
    /// The socket's own address, by which its owner is known.
    sock: Pointer,
    /// The same socket, through a pointer by which all of it can be read.
    connection: Pointer,
    segment: Pointer,
    error: i32,
    source: u8,
}

#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn segment_btf(context: BtfTracePointContext) -> i32 {
    let sock: Pointer = context.arg(0);
    // A typed `struct sock` reaches no further than its own size; the cast gives the whole connection.
    // SAFETY: the argument is the tracepoint's socket; the helper checks that it is a TCP connection.
    let connection = unsafe { bpf_skc_to_tcp_sock(sock.cast_mut().cast()) };
    if connection.is_null() {
        return 0;
    }
    let error = if setting!(retransmit_tells_error) == 0 { 0 } else { context.arg(2) };
    let connection = connection.cast_const().cast();
    let attempt =
        Attempt { sock, connection, segment: context.arg(1), error, source: retransmit_source::SEGMENT };
    emit_attempt::<Direct>(HookId::RetransmitSegment, &attempt);
    0
}

#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
fn segment_raw(context: RawTracePointContext) -> i32 {
    let sock: Pointer = context.arg(0);
    let error = if setting!(retransmit_tells_error) == 0 { 0 } else { context.arg(2) };
    let attempt = Attempt {
        sock,
        connection: sock,
        segment: context.arg(1),
        error,
        source: retransmit_source::SEGMENT,
    };
    emit_attempt::<Probed>(HookId::RetransmitSegment, &attempt);
    0
}

/// `int tcp_retransmit_skb(struct sock *, struct sk_buff *, int segs)`.
#[fexit(function = "tcp_retransmit_skb")]
fn failed_fexit(context: FExitContext) -> i32 {
    emit_failure(context.arg(0), context.arg(1), context.arg(3));
    0
}

#[kprobe(function = "tcp_retransmit_skb")]
fn failed_entry(context: ProbeContext) -> u32 {
    if let (Some(sock), Some(segment)) = (context.arg(0), context.arg(1)) {
        call::keep::<RetransmitRecord>(&context, [sock, segment, 0, 0]);
    }
    0
}

#[kretprobe(function = "tcp_retransmit_skb")]
fn failed_return(context: RetProbeContext) -> u32 {
    if let Some([sock, segment, ..]) = call::take(&context) {
        emit_failure(sock as Pointer, segment as Pointer, context.ret());
    }
    0
}

#[inline(always)]
fn emit_failure(sock: Pointer, segment: Pointer, error: i32) {
    if error != 0 {
        let attempt =
            Attempt { sock, connection: sock, segment, error, source: retransmit_source::FAILED_CALL };
        emit_attempt::<Probed>(HookId::RetransmitFailed, &attempt);
    }
}

#[inline(always)]
fn emit_attempt<A: Access>(hook: HookId, attempt: &Attempt) {
    let netns = socket::netns::<A>(attempt.connection);
    emit(hook, netns, |record| fill::<A>(record, attempt));
}

#[inline(always)]
fn fill<A: Access>(record: &mut RetransmitRecord, attempt: &Attempt) {
    let Attempt { sock, connection, segment, error, source } = *attempt;
    // `TCP_SKB_CB`: the segment's control block lies in the packet's `cb`.
    let control = offset!(skb_control);
    let device = socket::route_device::<A>(connection);
    socket::fill_flow::<A>(&mut record.flow, connection);
    fill_owner::<A>(record, sock, connection);
    record.cgroup_id = socket::cgroup_id::<A>(connection);
    record.sequence = read::<A, u32>(segment, control + offset!(segment_sequence));
    record.end_sequence = read::<A, u32>(segment, control + offset!(segment_end_sequence));
    record.unacknowledged = read::<A, u32>(connection, offset!(tcp_unacknowledged));
    record.send_window_bytes = read::<A, u32>(connection, offset!(tcp_send_window));
    record.rto_jiffies = read::<A, u32>(connection, offset!(connection_rto));
    record.srtt_eighth_us = read::<A, u32>(connection, offset!(tcp_srtt));
    record.congestion_window = read::<A, u32>(connection, offset!(tcp_congestion_window));
    record.segments = u32::from(read::<A, u16>(segment, control + offset!(segment_gso_segments)));
    record.error = error;
    record.interface_index = device.index::<A>();
    record.tcp_state = read::<A, u8>(connection, offset!(sock_state));
    record.congestion_state = bits!(A, connection, connection_congestion_state);
    record.pending_timer = bits!(A, connection, connection_pending);
    // The field grew to 16 bits in 6.16; its low byte holds the classic flags in both.
    record.tcp_flags = read::<A, u8>(segment, control + offset!(segment_tcp_flags));
    record.retransmits = bits!(A, connection, connection_retransmits);
    record.sacked = read::<A, u8>(segment, control + offset!(segment_sacked));
    record.source = source;
    record.device = device.name::<A>();
    record.mark = read::<A, u32>(connection, offset!(sock_mark));
    record.bound_interface_index = read::<A, u32>(connection, offset!(sock_bound_device));
}

/// Fills in who owns a socket: known by its address `sock`, else to be found by the inode, read through `readable`.
#[inline(always)]
fn fill_owner<A: Access>(record: &mut RetransmitRecord, sock: Pointer, readable: Pointer) {
    if let Some(owner) = owner::of(sock) {
        record.process_id = owner.process_id;
        record.command = owner.command;
        record.socket_inode = owner.socket_inode;
    }
    // The file is far from all else that is read here: two misses of the cache in a storm of many sockets.
    if record.socket_inode == 0 {
        record.socket_inode = socket::file_inode::<A>(readable);
    }
}

#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn synack_btf(context: BtfTracePointContext) -> i32 {
    emit_syn_ack::<Direct>(context.arg(0), context.arg(1));
    0
}

#[raw_tracepoint(tracepoint = "tcp_retransmit_synack")]
fn synack_raw(context: RawTracePointContext) -> i32 {
    emit_syn_ack::<Probed>(context.arg(0), context.arg(1));
    0
}

/// A SYN-ACK has no connection yet: its ends are the request's, the rest is the listener's.
#[inline(always)]
fn emit_syn_ack<A: Access>(listener: Pointer, request: Pointer) {
    const SYN_ACK_FLAGS: u8 = 0x12;
    let netns = socket::netns::<A>(listener);
    emit(HookId::RetransmitSynAck, netns, |record: &mut RetransmitRecord| {
        // `struct inet_request_sock` and `struct tcp_request_sock` are longer than the `struct request_sock` the
        // pointer's type knows.
        let sequence = read::<Probed, u32>(request, offset!(request_send_sequence));
        record.mark = read::<Probed, u32>(request, offset!(request_mark));
        record.bound_interface_index = read::<A, u32>(request, offset!(sock_bound_device));
        socket::fill_flow::<A>(&mut record.flow, request);
        fill_owner::<A>(record, listener, listener);
        record.cgroup_id = socket::cgroup_id::<A>(listener);
        record.sequence = sequence;
        record.end_sequence = sequence.wrapping_add(1);
        record.unacknowledged = sequence;
        // `tcp_rtx_synack` counts one segment for each.
        record.segments = 1;
        record.tcp_state = read::<A, u8>(request, offset!(sock_state));
        record.tcp_flags = SYN_ACK_FLAGS;
        record.retransmits = read::<A, u8>(request, offset!(request_retransmits));
        record.source = retransmit_source::SYN_ACK;
    });
}
