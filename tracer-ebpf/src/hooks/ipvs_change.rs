//! Administration of IPVS: services and real servers added and removed, weights changed.
//!
//! Each function hooked here runs only after everything that can fail has been done, and under IPVS's own mutex, in
//! the order of the changes.

use aya_ebpf::{
    helpers::bpf_probe_read_kernel_str_bytes,
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use tracer_common::{
    hook::HookId,
    record::{IpvsChangeRecord, IpvsServiceKey, ipvs_change_kind},
};

use crate::{
    emit::emit,
    hooks::call,
    kernel::{AF_INET6, Access as _, Pointer, Probed, mapped, netns_inode, offset, read, read_16_bytes},
};

/// `void __ip_vs_update_dest(struct ip_vs_service *, struct ip_vs_dest *, struct ip_vs_dest_user_kern *, int add)`.
#[fentry(function = "__ip_vs_update_dest")]
fn vsupdest_fentry(context: FEntryContext) -> i32 {
    updated(context.arg(0), context.arg(1), context.arg(2), context.arg(3));
    0
}

#[kprobe(function = "__ip_vs_update_dest")]
fn vsupdest_kprobe(context: ProbeContext) -> u32 {
    if let (Some(service), Some(destination), Some(wanted), Some(add)) =
        (context.arg(0), context.arg(1), context.arg(2), context.arg(3))
    {
        updated(service, destination, wanted, add);
    }
    0
}

/// `void __ip_vs_del_dest(struct netns_ipvs *, struct ip_vs_dest *, bool cleanup)`.
#[fentry(function = "__ip_vs_del_dest")]
fn vsrmdest_fentry(context: FEntryContext) -> i32 {
    destination_removed(context.arg(0), context.arg(1), context.arg(2));
    0
}

#[kprobe(function = "__ip_vs_del_dest")]
fn vsrmdest_kprobe(context: ProbeContext) -> u32 {
    if let (Some(ipvs), Some(destination), Some(cleanup)) = (context.arg(0), context.arg(1), context.arg(2)) {
        destination_removed(ipvs, destination, cleanup);
    }
    0
}

/// `int ip_vs_add_service(struct netns_ipvs *, struct ip_vs_service_user_kern *, struct ip_vs_service **)`.
#[fexit(function = "ip_vs_add_service")]
fn vsaddsvc_fexit(context: FExitContext) -> i32 {
    service_added(context.arg(0), context.arg(2), context.arg(3));
    0
}

#[kprobe(function = "ip_vs_add_service")]
fn vsaddsvc_entry(context: ProbeContext) -> u32 {
    if let (Some(ipvs), Some(place)) = (context.arg(0), context.arg(2)) {
        call::keep::<IpvsChangeRecord>(&context, [ipvs, place, 0, 0]);
    }
    0
}

#[kretprobe(function = "ip_vs_add_service")]
fn vsaddsvc_return(context: RetProbeContext) -> u32 {
    if let Some([ipvs, place, ..]) = call::take(&context) {
        service_added(ipvs as Pointer, place as Pointer, context.ret());
    }
    0
}

/// `void ip_vs_unlink_service(struct ip_vs_service *, bool cleanup)`.
#[fentry(function = "ip_vs_unlink_service")]
fn vsunlink_fentry(context: FEntryContext) -> i32 {
    service_removed(HookId::IpvsUnlinkService, context.arg(0), context.arg(1));
    0
}

#[kprobe(function = "ip_vs_unlink_service")]
fn vsunlink_kprobe(context: ProbeContext) -> u32 {
    if let (Some(service), Some(cleanup)) = (context.arg(0), context.arg(1)) {
        service_removed(HookId::IpvsUnlinkService, service, cleanup);
    }
    0
}

/// `void __ip_vs_del_service(struct ip_vs_service *, bool cleanup)`.
#[fentry(function = "__ip_vs_del_service")]
fn vsdelsvc_fentry(context: FEntryContext) -> i32 {
    service_removed(HookId::IpvsDeleteService, context.arg(0), context.arg(1));
    0
}

#[kprobe(function = "__ip_vs_del_service")]
fn vsdelsvc_kprobe(context: ProbeContext) -> u32 {
    if let (Some(service), Some(cleanup)) = (context.arg(0), context.arg(1)) {
        service_removed(HookId::IpvsDeleteService, service, cleanup);
    }
    0
}

/// A real server is about to be what it is `wanted` to be. One added may come out of the trash, with the weight it
/// had before it was removed. An edit that leaves the weight as it is tells nothing.
#[inline(always)]
fn updated(service: Pointer, destination: Pointer, wanted: Pointer, add: i32) {
    let to = read::<Probed, i32>(wanted, offset!(ipvs_wanted_weight));
    let from = if add == 0 { read::<Probed, i32>(destination, offset!(ipvs_destination_weight)) } else { 0 };
    if add == 0 && from == to {
        return;
    }
    emit(HookId::IpvsUpdateDestination, service_netns(service), |record: &mut IpvsChangeRecord| {
        fill_service(&mut record.service, service);
        let is_ipv6 = is_ipv6(wanted, offset!(ipvs_wanted_family));
        record.real = address(wanted, offset!(ipvs_wanted_address), is_ipv6);
        record.real_port = port(wanted, offset!(ipvs_wanted_port));
        record.has_real = 1;
        record.connection_flags = read::<Probed, u32>(wanted, offset!(ipvs_wanted_connection_flags));
        record.change = if add == 0 { ipvs_change_kind::WEIGHT } else { ipvs_change_kind::ADDED };
        record.from = from;
        record.to = to;
    });
}

#[inline(always)]
fn destination_removed(ipvs: Pointer, destination: Pointer, cleanup: u64) {
    let netns = netns_inode::<Probed>(read::<Probed, Pointer>(ipvs, offset!(ipvs_net)));
    emit(HookId::IpvsDeleteDestination, netns, |record: &mut IpvsChangeRecord| {
        // Still bound: a destination keeps its service until it leaves the trash.
        fill_service(
            &mut record.service,
            read::<Probed, Pointer>(destination, offset!(ipvs_destination_service)),
        );
        let is_ipv6 = is_ipv6(destination, offset!(ipvs_destination_family));
        record.real = address(destination, offset!(ipvs_destination_address), is_ipv6);
        record.real_port = port(destination, offset!(ipvs_destination_port));
        record.has_real = 1;
        record.connection_flags =
            read::<Probed, u32>(destination, offset!(ipvs_destination_connection_flags));
        record.change = ipvs_change_kind::REMOVED;
        record.from = read::<Probed, i32>(destination, offset!(ipvs_destination_weight));
        record.namespace_ends = is_true(cleanup);
    });
}

/// `place` is where the function put the new service, if it returned 0.
#[inline(always)]
fn service_added(ipvs: Pointer, place: Pointer, result: i32) {
    if result != 0 {
        return;
    }
    let service = Probed::load::<Pointer>(place);
    let netns = netns_inode::<Probed>(read::<Probed, Pointer>(ipvs, offset!(ipvs_net)));
    emit(HookId::IpvsAddService, netns, |record: &mut IpvsChangeRecord| {
        fill_service(&mut record.service, service);
        fill_scheduler(record, service);
        record.change = ipvs_change_kind::ADDED;
    });
}

#[inline(always)]
fn service_removed(hook: HookId, service: Pointer, cleanup: u64) {
    emit(hook, service_netns(service), |record: &mut IpvsChangeRecord| {
        fill_service(&mut record.service, service);
        fill_scheduler(record, service);
        record.change = ipvs_change_kind::REMOVED;
        record.namespace_ends = is_true(cleanup);
    });
}

#[inline(always)]
fn service_netns(service: Pointer) -> u32 {
    let ipvs = read::<Probed, Pointer>(service, offset!(ipvs_service_namespace));
    netns_inode::<Probed>(read::<Probed, Pointer>(ipvs, offset!(ipvs_net)))
}

/// A service known by its mark has no address, and a protocol that means nothing.
#[inline(always)]
fn fill_service(key: &mut IpvsServiceKey, service: Pointer) {
    let is_ipv6 = is_ipv6(service, offset!(ipvs_service_family));
    key.is_ipv6 = u8::from(is_ipv6);
    key.firewall_mark = read::<Probed, u32>(service, offset!(ipvs_service_mark));
    if key.firewall_mark != 0 {
        return;
    }
    key.address = address(service, offset!(ipvs_service_address), is_ipv6);
    key.port = port(service, offset!(ipvs_service_port));
    key.protocol = read::<Probed, u16>(service, offset!(ipvs_service_protocol)) as u8;
}

#[inline(always)]
fn fill_scheduler(record: &mut IpvsChangeRecord, service: Pointer) {
    let scheduler = read::<Probed, Pointer>(service, offset!(ipvs_service_scheduler));
    if scheduler.is_null() {
        return;
    }
    let name = read::<Probed, Pointer>(scheduler, offset!(ipvs_scheduler_name));
    // SAFETY: the helper checks the address and writes no more than the field holds. A name it cannot read stays empty.
    let _ = unsafe { bpf_probe_read_kernel_str_bytes(name, &mut record.scheduler) };
}

/// An argument of type `bool`: the lowest byte of its register counts.
#[inline(always)]
fn is_true(argument: u64) -> u8 {
    u8::from(argument as u8 != 0)
}

/// 16 bits in the types of 6.18; the low byte holds the family in any.
#[inline(always)]
fn is_ipv6(base: Pointer, field: u16) -> bool {
    u16::from(read::<Probed, u8>(base, field)) == AF_INET6
}

#[inline(always)]
fn address(base: Pointer, field: u16, is_ipv6: bool) -> [u8; 16] {
    if is_ipv6 { read_16_bytes::<Probed>(base, field) } else { mapped(read::<Probed, u32>(base, field)) }
}

#[inline(always)]
fn port(base: Pointer, field: u16) -> u16 {
    u16::from_be(read::<Probed, u16>(base, field))
}
