//! What IPVS decides about first packets: look-up, expiry, scheduling and verdict of one packet, joined.
//!
//! `ip_vs_in_hook` runs these in turn for one packet. What the look-up found waits among the running calls; the
//! scheduler's choice, or else the verdict, completes it and writes the record. Only a first packet that met an entry
//! waits, and one the scheduler had nothing for: established traffic leaves at the first tests of the look-up, and at
//! the count of waiting calls on its way out.
//!
//! The steps are also logged for developers (`RUST_LOG=tracer=debug`). The level is a constant to the verifier, so
//! that the statements cost nothing when it is lower.

mod fill;
mod first;

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe, map},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;
use tracer_common::{
    hook::HookId,
    record::{IpvsRecord, ipvs_step},
};

use crate::{
    emit::{emit, is_wanted},
    hooks::call::{self, Call, Group, RunningCalls},
    kernel::{Access, Direct, Pointer, Probed, netns_inode, offset, read},
};

/// A first packet on its way through `ip_vs_in_hook`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pending {
    skb: u64,
    /// `struct net` of the hook.
    net: u64,
    /// `struct ip_vs_iphdr` on the stack of `ip_vs_in_hook`, which no other running call has.
    header: u64,
    /// The entry found, 0 for none.
    connection: u64,
    record: IpvsRecord,
}

impl Call for Pending {
    const GROUP: Group = Group::Ipvs;
    type Record = IpvsRecord;
}

#[map]
static PENDING_IPVS: RunningCalls<Pending> = RunningCalls::new();

/// `struct ip_vs_conn *ip_vs_conn_in_get_proto(struct netns_ipvs *, int af, const struct sk_buff *,
/// const struct ip_vs_iphdr *)`.
#[fexit(function = "ip_vs_conn_in_get_proto")]
fn vslookup_fexit(context: FExitContext) -> i32 {
    found::<Direct>(&Lookup {
        namespace: context.arg(0),
        skb: context.arg(2),
        header: context.arg(3),
        connection: context.arg(4),
    });
    0
}

#[kprobe(function = "ip_vs_conn_in_get_proto")]
fn vslookup_entry(context: ProbeContext) -> u32 {
    if let (Some(namespace), Some(skb), Some(header)) = (context.arg(0), context.arg(2), context.arg(3)) {
        if first::may_matter::<Probed>(skb as Pointer, header as Pointer) {
            call::keep::<IpvsRecord>(&context, [namespace, skb, header, 0]);
        } else {
            call::pass::<IpvsRecord>(&context);
        }
    }
    0
}

#[kretprobe(function = "ip_vs_conn_in_get_proto")]
fn vslookup_return(context: RetProbeContext) -> u32 {
    if let Some([namespace, skb, header, _]) = call::take(&context) {
        found::<Probed>(&Lookup {
            namespace: namespace as Pointer,
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
    asked::<Direct>(&Question {
        service: context.arg(0),
        skb: context.arg(1),
        ignored: context.arg(3),
        header: context.arg(4),
        connection: context.arg(5),
    });
    0
}

#[kprobe(function = "ip_vs_schedule")]
fn vssched_entry(context: ProbeContext) -> u32 {
    if let (Some(service), Some(skb), Some(ignored), Some(header)) =
        (context.arg(0), context.arg(1), context.arg(3), context.arg(4))
    {
        call::keep::<IpvsRecord>(&context, [service, skb, ignored, header]);
    }
    0
}

#[kretprobe(function = "ip_vs_schedule")]
fn vssched_return(context: RetProbeContext) -> u32 {
    if let Some([service, skb, ignored, header]) = call::take(&context) {
        asked::<Probed>(&Question {
            service: service as Pointer,
            skb: skb as Pointer,
            ignored: ignored as Pointer,
            header: header as Pointer,
            connection: context.ret(),
        });
    }
    0
}

/// `unsigned int ip_vs_in_hook(void *, struct sk_buff *, const struct nf_hook_state *)`.
#[fexit(function = "ip_vs_in_hook")]
fn vsdecide_fexit(context: FExitContext) -> i32 {
    let verdict: i32 = context.arg(3);
    if Group::Ipvs.waits() {
        let skb: u64 = context.arg(1);
        let net = read::<Direct, Pointer>(context.arg(2), offset!(hook_state_net)) as u64;
        // A packet passed on to another namespace may go through this function again before the first call returns.
        if let Some(pending) = PENDING_IPVS.end(|pending| pending.skb == skb && pending.net == net) {
            decided(&pending, verdict);
            return 0;
        }
    }
    if verdict == VERDICT_DROP {
        dropped_unasked(context.arg(1), read::<Direct, Pointer>(context.arg(2), offset!(hook_state_net)));
    }
    0
}

#[kretprobe(function = "ip_vs_in_hook")]
fn vsdecide_return(context: RetProbeContext) -> u32 {
    /// No kernel function has a larger frame (`CONFIG_FRAME_WARN`).
    const FRAME_BYTES: u64 = 2048;
    let frame = call::return_frame(&context);
    // The header lies in the frame of the call that returns, which begins where the caller's ends.
    let pending = PENDING_IPVS.end(|pending| frame.wrapping_sub(pending.header) < FRAME_BYTES);
    if let Some(pending) = pending {
        decided(&pending, context.ret());
    }
    0
}

const VERDICT_DROP: i32 = 0;
const VERDICT_ACCEPT: i32 = 1;

/// A look-up of a packet's entry.
struct Lookup {
    /// `struct netns_ipvs`.
    namespace: Pointer,
    skb: Pointer,
    /// `struct ip_vs_iphdr`.
    header: Pointer,
    /// The entry, null for none.
    connection: Pointer,
}

/// Lets a first packet that met an entry wait, and any other whose real server is gone.
#[inline(always)]
fn found<A: Access>(lookup: &Lookup) {
    let Lookup { namespace, skb, header, connection } = *lookup;
    if connection.is_null() {
        return;
    }
    let protocol = first::protocol::<A>(header);
    let steps = if first::has_mark(protocol) {
        if !first::is_marked::<A>(skb, header, protocol) {
            return;
        }
        ipvs_step::FOUND | ipvs_step::SYN
    } else {
        if !fill::has_lost_its_destination::<A>(connection) || !first::is_forward::<A>(header) {
            return;
        }
        ipvs_step::FOUND
    };
    let net = read::<A, Pointer>(namespace, offset!(ipvs_net));
    let netns = netns_inode::<A>(net);
    if !is_wanted(netns) {
        return;
    }
    let mut pending = Pending {
        skb: skb as u64,
        net: net as u64,
        header: header as u64,
        connection: connection as u64,
        record: IpvsRecord::EMPTY,
    };
    let record = &mut pending.record;
    record.header.netns = netns;
    record.steps = steps;
    fill::connection::<A>(record, connection);
    fill::sysctls::<A>(record, namespace);
    record.connection_state = read::<A, u16>(connection, offset!(ipvs_connection_state));
    PENDING_IPVS.begin(&pending);
}

#[inline(always)]
fn expired(connection: u64) {
    if let Some(pending) = PENDING_IPVS.find(|pending| pending.connection == connection) {
        pending.record.steps |= ipvs_step::EXPIRED;
    }
}

/// A packet given to the scheduler.
struct Question {
    /// `struct ip_vs_service`.
    service: Pointer,
    skb: Pointer,
    /// `int`: why there is no entry.
    ignored: Pointer,
    /// `struct ip_vs_iphdr`.
    header: Pointer,
    /// The new entry, null for none.
    connection: Pointer,
}

/// Tells the scheduler's choice. If it has none, the verdict is waited for.
#[inline(always)]
fn asked<A: Access>(question: &Question) {
    let Question { service, skb, ignored, header, connection } = *question;
    let namespace = read::<A, Pointer>(service, offset!(ipvs_service_namespace));
    let net = read::<A, Pointer>(namespace, offset!(ipvs_net));
    let netns = netns_inode::<A>(net);
    let (call, packet) = (header as u64, skb as u64);
    let is_this = |pending: &Pending| pending.header == call && pending.skb == packet;
    // 0: no real server; less: it failed; more: the packet turned out not to be meant for the service.
    let ignored = if connection.is_null() { Probed::load::<i32>(ignored) } else { 0 };
    if ignored > 0 {
        return;
    }
    if !connection.is_null() || ignored < 0 {
        let (met, state) = PENDING_IPVS
            .end(is_this)
            .map_or((0, 0), |pending| (pending.record.steps, pending.record.connection_state));
        emit(HookId::IpvsSchedule, netns, |record: &mut IpvsRecord| {
            fill::sysctls::<A>(record, namespace);
            record.connection_state = state;
            record.steps = met | ipvs_step::SCHEDULE_ASKED;
            if connection.is_null() {
                record.steps |= ipvs_step::SCHEDULE_FAILED;
                fill::packet::<A>(record, skb, header, service);
            } else {
                record.steps |= ipvs_step::SCHEDULED;
                fill::connection::<A>(record, connection);
            }
        });
        return;
    }
    // The scheduling of what an ICMP message speaks of is nobody's new connection.
    if !is_wanted(netns) || first::is_in_icmp::<A>(header) {
        return;
    }
    if let Some(pending) = PENDING_IPVS.find(is_this) {
        pending.record.steps |= ipvs_step::SCHEDULE_ASKED;
        fill::packet::<A>(&mut pending.record, skb, header, service);
        return;
    }
    let mut pending =
        Pending { skb: skb as u64, net: net as u64, header: call, connection: 0, record: IpvsRecord::EMPTY };
    pending.record.header.netns = netns;
    pending.record.steps = ipvs_step::SCHEDULE_ASKED;
    fill::sysctls::<A>(&mut pending.record, namespace);
    fill::packet::<A>(&mut pending.record, skb, header, service);
    PENDING_IPVS.begin(&pending);
}

/// Writes the record of a packet that waited for its verdict.
#[inline(always)]
fn decided(pending: &Pending, verdict: i32) {
    let steps = pending.record.steps;
    if steps & ipvs_step::SCHEDULE_ASKED != 0 && verdict == VERDICT_ACCEPT {
        // Left to the local stack: another port of a virtual FTP server.
        return;
    }
    emit(HookId::IpvsVerdict, pending.record.header.netns, |record: &mut IpvsRecord| {
        let header = record.header;
        *record = pending.record;
        record.header = header;
        record.verdict = verdict;
    });
}

/// Tells a first packet that was dropped before any scheduler was asked: there is too little memory (`drop_packet`).
#[inline(always)]
fn dropped_unasked(skb: Pointer, net: Pointer) {
    let Some(ends) = first::ends_of_first_packet(skb) else { return };
    emit(HookId::IpvsVerdict, netns_inode::<Direct>(net), |record: &mut IpvsRecord| {
        // The kernel image does not describe what the module keeps there, so it has no type.
        fill::sysctls::<Probed>(record, read::<Direct, Pointer>(net, offset!(net_ipvs)));
        record.steps = if first::has_mark(ends.protocol) { ipvs_step::SYN } else { 0 };
        record.client = ends.source;
        record.virtual_address = ends.destination;
        record.client_port = ends.source_port;
        record.virtual_port = ends.destination_port;
        record.protocol = ends.protocol;
        record.verdict = VERDICT_DROP;
    });
}
