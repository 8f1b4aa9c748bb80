//! Proposals to the neighbour table.

use aya_ebpf::{
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use tracer_common::{
    hook::HookId,
    record::{NeighbourRecord, neighbour_source},
};

use crate::{
    emit::emit,
    kernel::{AF_INET6, Device, Pointer, Probed, hardware_address, mapped, offset, read, read_16_bytes},
};

const NUD_FAILED: u8 = 0x20;

/// What is proposed for an entry.
struct Proposal {
    hook: HookId,
    entry: Pointer,
    /// Null if only a state is proposed.
    hardware_address: Pointer,
    new_state: u8,
    update_flags: u32,
    netlink_port: u32,
    source: u8,
}

/// `neigh_update(struct neighbour *, const u8 *lladdr, u8 new, u32 flags, u32 nlmsg_pid)`.
#[btf_tracepoint(function = "neigh_update")]
fn neighbour_btf(context: BtfTracePointContext) -> i32 {
    emit_update(context.arg(0), context.arg(1), context.arg(2), context.arg(3), context.arg(4));
    0
}

#[raw_tracepoint(tracepoint = "neigh_update")]
fn neighbour_raw(context: RawTracePointContext) -> i32 {
    emit_update(context.arg(0), context.arg(1), context.arg(2), context.arg(3), context.arg(4));
    0
}

#[inline(always)]
fn emit_update(
    entry: Pointer,
    hardware_address: Pointer,
    new_state: u8,
    update_flags: u32,
    netlink_port: u32,
) {
    emit_proposal(&Proposal {
        hook: HookId::NeighbourUpdate,
        entry,
        hardware_address,
        new_state,
        update_flags,
        netlink_port,
        source: neighbour_source::UPDATE,
    });
}

/// `neigh_timer_handler(struct neighbour *, int err)`, after the timer has done its work.
#[btf_tracepoint(function = "neigh_timer_handler")]
fn neightimer_btf(context: BtfTracePointContext) -> i32 {
    emit_if_failed(context.arg(0));
    0
}

#[raw_tracepoint(tracepoint = "neigh_timer_handler")]
fn neightimer_raw(context: RawTracePointContext) -> i32 {
    emit_if_failed(context.arg(0));
    0
}

#[inline(always)]
fn emit_if_failed(entry: Pointer) {
    let state: u8 = read::<Probed, u8>(entry, offset!(neighbour_state));
    if state & NUD_FAILED != 0 {
        emit_proposal(&Proposal {
            hook: HookId::NeighbourTimer,
            entry,
            hardware_address: core::ptr::null(),
            new_state: state,
            update_flags: 0,
            netlink_port: 0,
            source: neighbour_source::TIMER,
        });
    }
}

#[inline(always)]
fn emit_proposal(proposal: &Proposal) {
    let entry = proposal.entry;
    let device = Device(read::<Probed, Pointer>(entry, offset!(neighbour_device)));
    emit(proposal.hook, device.netns::<Probed>(), |record: &mut NeighbourRecord| {
        let length = device.hardware_address_length::<Probed>();
        let has_proposed = !proposal.hardware_address.is_null();
        let proposed =
            if has_proposed { hardware_address(proposal.hardware_address, length) } else { [0; 8] };
        record.address = key(entry);
        record.proposed = proposed;
        record.current = current_address(entry, length);
        record.device = device.name::<Probed>();
        record.interface_index = device.index::<Probed>();
        record.update_flags = proposal.update_flags;
        record.netlink_port = proposal.netlink_port;
        record.old_state = read::<Probed, u8>(entry, offset!(neighbour_state));
        record.new_state = proposal.new_state;
        record.has_proposed = u8::from(has_proposed);
        record.dead = read::<Probed, u8>(entry, offset!(neighbour_dead));
        record.hardware_address_length = length;
        record.source = proposal.source;
    });
}

/// The address an entry is for.
#[inline(always)]
fn key(entry: Pointer) -> [u8; 16] {
    let table: Pointer = read::<Probed, Pointer>(entry, offset!(neighbour_table));
    let family: u32 = read::<Probed, u32>(table, offset!(neighbour_table_family));
    if family == u32::from(AF_INET6) {
        read_16_bytes::<Probed>(entry, offset!(neighbour_key))
    } else {
        mapped(read::<Probed, u32>(entry, offset!(neighbour_key)))
    }
}

#[inline(always)]
fn current_address(entry: Pointer, length: u8) -> [u8; 8] {
    hardware_address(entry.wrapping_add(offset!(neighbour_hardware_address) as usize), length)
}
