//! What IPVS decides about first packets: look-up, expiry, scheduling and verdict of one packet, joined.
//!
//! `ip_vs_in_hook` runs these in turn for one packet on one CPU. What the look-up found waits in a per-CPU slot, the
//! later steps add to it if they are about the same packet or entry, and the verdict writes the record. Only a SYN
//! that met an entry, and a packet given to the scheduler, take the slot: established traffic leaves at the first
//! test of the look-up.
//!
//! The steps are also logged for developers (`RUST_LOG=tracer=debug`). The level is a constant to the verifier, so
//! that the statements cost nothing when it is lower.

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe, map},
    maps::PerCpuArray,
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;
use tracer_common::{
    hook::HookId,
    offsets::ABSENT,
    record::{IpvsRecord, ipvs_step},
};

use crate::{
    emit::{count_lost, emit},
    hooks::call::kept_arguments,
    kernel::{
        AF_INET6, Access as _, Pointer, Probed, mapped, netns_inode, offset, packet, read, read_16_bytes,
    },
};

const IPPROTO_TCP: u8 = 6;

/// A packet on its way through IPVS.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pending {
    /// The packet, 0 for none.
    skb: u64,
    /// The entry found, 0 for none.
    connection: u64,
    record: IpvsRecord,
}

/// The packet on its way through `ip_vs_in_hook` on this CPU.
#[map]
static PENDING_IPVS: PerCpuArray<Pending> = PerCpuArray::with_max_entries(1, 0);

/// `struct ip_vs_conn *ip_vs_conn_in_get_proto(struct netns_ipvs *, int af, const struct sk_buff *,
/// const struct ip_vs_iphdr *)`.
#[fexit(function = "ip_vs_conn_in_get_proto")]
fn vslookup_fexit(context: FExitContext) -> i32 {
    found(&Lookup {
        ipvs: context.arg(0),
        skb: context.arg(2),
        header: context.arg(3),
        connection: context.arg(4),
    });
    0
}

kept_arguments!(LOOKUP_CALL);

#[kprobe(function = "ip_vs_conn_in_get_proto")]
fn vslookup_entry(context: ProbeContext) -> u32 {
    if let (Some(ipvs), Some(skb), Some(header)) = (context.arg(0), context.arg(2), context.arg(3)) {
        LOOKUP_CALL.keep([ipvs, skb, header]);
    }
    0
}

#[kretprobe(function = "ip_vs_conn_in_get_proto")]
fn vslookup_return(context: RetProbeContext) -> u32 {
    if let Some([ipvs, skb, header]) = LOOKUP_CALL.take() {
        found(&Lookup {
            ipvs: ipvs as Pointer,
            skb: skb as Pointer,
            header: header as Pointer,
            connection: context.ret(),
        });
    }
    0
}

/// `void ip_vs_conn_expire_now(struct ip_vs_conn *)`.
#[fentry(function = "ip_vs_conn_expire_now")]
fn vsexpire_fentry(context: FEntryContext) -> i32 {
    debug!(&context, "ip_vs: entry {:x} expires", context.arg::<u64>(0));
    expired(context.arg(0));
    0
}

#[kprobe(function = "ip_vs_conn_expire_now")]
fn vsexpire_kprobe(context: ProbeContext) -> u32 {
    if let Some(connection) = context.arg(0) {
        expired(connection);
    }
    0
}

/// `struct ip_vs_conn *ip_vs_schedule(struct ip_vs_service *, struct sk_buff *, struct ip_vs_proto_data *,
/// int *ignored, struct ip_vs_iphdr *)`.
#[fexit(function = "ip_vs_schedule")]
fn vssched_fexit(context: FExitContext) -> i32 {
    debug!(
        &context,
        "ip_vs: packet {:x} scheduled, entry {:x}",
        context.arg::<u64>(1),
        context.arg::<u64>(5)
    );
    scheduled(context.arg(1), context.arg(3), context.arg(4), context.arg(5));
    0
}

kept_arguments!(SCHEDULE_CALL);

#[kprobe(function = "ip_vs_schedule")]
fn vssched_entry(context: ProbeContext) -> u32 {
    if let (Some(skb), Some(ignored), Some(header)) = (context.arg(1), context.arg(3), context.arg(4)) {
        SCHEDULE_CALL.keep([skb, ignored, header]);
    }
    0
}

#[kretprobe(function = "ip_vs_schedule")]
fn vssched_return(context: RetProbeContext) -> u32 {
    if let Some([skb, ignored, header]) = SCHEDULE_CALL.take() {
        scheduled(skb, ignored as Pointer, header as Pointer, context.ret());
    }
    0
}

/// `unsigned int ip_vs_in_hook(void *, struct sk_buff *, const struct nf_hook_state *)`.
#[fexit(function = "ip_vs_in_hook")]
fn vsdecide_fexit(context: FExitContext) -> i32 {
    debug!(&context, "ip_vs: packet {:x} leaves, verdict {}", context.arg::<u64>(1), context.arg::<i32>(3));
    decided(context.arg(1), context.arg(2), context.arg(3));
    0
}

kept_arguments!(VERDICT_CALL);

#[kprobe(function = "ip_vs_in_hook")]
fn vsdecide_entry(context: ProbeContext) -> u32 {
    if let (Some(skb), Some(state)) = (context.arg(1), context.arg(2)) {
        VERDICT_CALL.keep([skb, state, 0]);
    }
    0
}

#[kretprobe(function = "ip_vs_in_hook")]
fn vsdecide_return(context: RetProbeContext) -> u32 {
    if let Some([skb, state, _]) = VERDICT_CALL.take() {
        decided(skb, state as Pointer, context.ret());
    }
    0
}

/// A look-up of a packet's entry.
struct Lookup {
    ipvs: Pointer,
    skb: Pointer,
    /// `struct ip_vs_iphdr`.
    header: Pointer,
    /// The entry, null for none.
    connection: Pointer,
}

/// Takes the slot for a SYN that met an entry.
#[inline(always)]
fn found(lookup: &Lookup) {
    if lookup.connection.is_null() || !is_first_packet(lookup.skb, lookup.header) {
        return;
    }
    let Some(slot) = slot() else { return };
    give_up_waiting(slot, lookup.skb as u64);
    slot.skb = lookup.skb as u64;
    slot.connection = lookup.connection as u64;
    slot.record = IpvsRecord::EMPTY;
    fill_connection(&mut slot.record, lookup.connection);
    fill_sysctls(&mut slot.record, lookup.ipvs);
    slot.record.steps = ipvs_step::FOUND | ipvs_step::SYN;
    slot.record.connection_state = read::<Probed, u16>(lookup.connection, offset!(ipvs_connection_state));
}

#[inline(always)]
fn expired(connection: u64) {
    let Some(slot) = slot() else { return };
    if slot.skb != 0 && slot.connection == connection {
        slot.record.steps |= ipvs_step::EXPIRED;
    }
}

/// Notes the scheduler's answer, taking the slot if the look-up did not.
#[inline(always)]
fn scheduled(skb: u64, ignored: Pointer, header: Pointer, connection: Pointer) {
    // 1 while the packet may still turn out not to be meant for a service.
    let is_ignored = connection.is_null() && Probed::load::<i32>(ignored) > 0;
    let Some(slot) = slot() else { return };
    if is_ignored {
        return;
    }
    if slot.skb != skb {
        give_up_waiting(slot, skb);
        slot.skb = skb;
        slot.connection = 0;
        slot.record = IpvsRecord::EMPTY;
    }
    slot.record.steps |= ipvs_step::SCHEDULE_ASKED;
    if connection.is_null() {
        fill_packet(&mut slot.record, skb as Pointer, header);
    } else {
        slot.record.steps |= ipvs_step::SCHEDULED;
        fill_connection(&mut slot.record, connection);
    }
}

/// Writes the record of the waiting packet.
#[inline(always)]
fn decided(skb: u64, state: Pointer, verdict: i32) {
    let Some(slot) = slot() else { return };
    if slot.skb == 0 || slot.skb != skb {
        return;
    }
    slot.skb = 0;
    let netns = netns_inode::<Probed>(read::<Probed, Pointer>(state, offset!(hook_state_net)));
    slot.record.verdict = verdict;
    let waiting: *const IpvsRecord = &raw const slot.record;
    emit(HookId::IpvsVerdict, netns, |record: &mut IpvsRecord| {
        let header = record.header;
        // SAFETY: points into this CPU's slot, which lives as long as the map.
        *record = unsafe { *waiting };
        record.header = header;
    });
}

#[inline(always)]
fn slot() -> Option<&'static mut Pending> {
    // SAFETY: points to this CPU's value, which lives as long as the map.
    PENDING_IPVS.get_ptr_mut(0).map(|slot| unsafe { &mut *slot })
}

/// A packet that still waits was overtaken by another on this CPU, and its verdict will find a stranger in the slot.
#[inline(always)]
fn give_up_waiting(slot: &Pending, skb: u64) {
    if slot.skb != 0 && slot.skb != skb {
        count_lost::<IpvsRecord>();
    }
}

/// Whether a packet that met an entry asks for a new connection: a TCP SYN, not in an ICMP message, no later fragment.
#[inline(always)]
fn is_first_packet(skb: Pointer, header: Pointer) -> bool {
    const HEADER_ICMP: i32 = 2;
    const FLAGS: usize = 13;
    const FLAG_SYN: u8 = 2;
    const FLAG_RST_ACK: u8 = 0x14;

    if read::<Probed, u16>(header, offset!(ipvs_header_protocol)) as u8 != IPPROTO_TCP {
        return false;
    }
    let flags = Probed::load::<u8>(transport(skb, header).wrapping_add(FLAGS));
    flags & FLAG_SYN != 0
        && flags & FLAG_RST_ACK == 0
        && read::<Probed, i32>(header, offset!(ipvs_header_flags)) & HEADER_ICMP == 0
        && read::<Probed, u16>(header, offset!(ipvs_header_fragment)) == 0
}

#[inline(always)]
fn transport(skb: Pointer, header: Pointer) -> Pointer {
    packet::data(skb).wrapping_add(read::<Probed, u32>(header, offset!(ipvs_header_length)) as usize)
}

#[inline(always)]
fn fill_connection(record: &mut IpvsRecord, connection: Pointer) {
    // 16 bits in the types of 6.18 and 8 in those of 7.2; the low byte holds the family in both.
    let is_family_6 = |field| u16::from(read::<Probed, u8>(connection, field)) == AF_INET6;
    let is_ipv6 = is_family_6(offset!(ipvs_connection_family));
    let real_is_ipv6 = if offset!(ipvs_connection_real_family) == ABSENT {
        is_ipv6
    } else {
        is_family_6(offset!(ipvs_connection_real_family))
    };
    record.client = address(connection, offset!(ipvs_connection_client), is_ipv6);
    record.virtual_address = address(connection, offset!(ipvs_connection_virtual), is_ipv6);
    record.real = address(connection, offset!(ipvs_connection_real), real_is_ipv6);
    record.client_port = port(connection, offset!(ipvs_connection_client_port));
    record.virtual_port = port(connection, offset!(ipvs_connection_virtual_port));
    record.real_port = port(connection, offset!(ipvs_connection_real_port));
    record.protocol = read::<Probed, u16>(connection, offset!(ipvs_connection_protocol)) as u8;
    record.connection_flags = read::<Probed, u32>(connection, offset!(ipvs_connection_flags));
    record.firewall_mark = read::<Probed, u32>(connection, offset!(ipvs_connection_mark));
    let destination: Pointer = read::<Probed, Pointer>(connection, offset!(ipvs_connection_destination));
    record.has_destination = u8::from(!destination.is_null());
    if destination.is_null() {
        record.weight = 0;
        record.available = 0;
        return;
    }
    record.weight = read::<Probed, i32>(destination, offset!(ipvs_destination_weight));
    record.available = u8::from(is_available(destination));
}

/// `IP_VS_DEST_F_AVAILABLE`, which some versions keep in a word of its own.
#[inline(always)]
fn is_available(destination: Pointer) -> bool {
    const AVAILABLE: u32 = 1;
    let flags = if offset!(ipvs_destination_configured) == ABSENT {
        read::<Probed, u32>(destination, offset!(ipvs_destination_flags))
    } else {
        read::<Probed, u32>(destination, offset!(ipvs_destination_configured))
    };
    flags & AVAILABLE != 0
}

#[inline(always)]
fn fill_sysctls(record: &mut IpvsRecord, ipvs: Pointer) {
    record.reuse_mode = read::<Probed, i32>(ipvs, offset!(ipvs_reuse_mode));
    record.expire_nodest = read::<Probed, i32>(ipvs, offset!(ipvs_expire_nodest));
}

/// A packet that got no entry tells its own ends.
#[inline(always)]
fn fill_packet(record: &mut IpvsRecord, skb: Pointer, header: Pointer) {
    const DESTINATION_PORT: usize = 2;
    const VERSION_6: u8 = 6;
    let is_ipv6 = Probed::load::<u8>(packet::network_header(skb)) >> 4 == VERSION_6;
    let ports = transport(skb, header);
    record.client = address(header, offset!(ipvs_header_source), is_ipv6);
    record.virtual_address = address(header, offset!(ipvs_header_destination), is_ipv6);
    record.client_port = u16::from_be(Probed::load::<u16>(ports));
    record.virtual_port = u16::from_be(Probed::load::<u16>(ports.wrapping_add(DESTINATION_PORT)));
    record.protocol = read::<Probed, u16>(header, offset!(ipvs_header_protocol)) as u8;
    record.real = [0; 16];
    record.real_port = 0;
    record.has_destination = 0;
}

#[inline(always)]
fn address(base: Pointer, field: u16, is_ipv6: bool) -> [u8; 16] {
    if is_ipv6 { read_16_bytes::<Probed>(base, field) } else { mapped(read::<Probed, u32>(base, field)) }
}

#[inline(always)]
fn port(base: Pointer, field: u16) -> u16 {
    u16::from_be(read::<Probed, u16>(base, field))
}
