//! What a record says of an entry, a packet and the settings.

use tracer_common::{offsets::ABSENT, record::IpvsRecord};

use super::first;
use crate::kernel::{AF_INET6, Access, Pointer, Probed, mapped, offset, packet, read, read_16_bytes};

/// What an entry, and its real server at this moment, tell.
#[inline(always)]
pub(super) fn connection<A: Access>(record: &mut IpvsRecord, connection: Pointer) {
    // 16 bits in the types of 6.18 and 8 in those of 7.2; the low byte holds the family in both.
    let is_family_6 = |field| u16::from(read::<A, u8>(connection, field)) == AF_INET6;
    let is_ipv6 = is_family_6(offset!(ipvs_connection_family));
    let real_is_ipv6 = if offset!(ipvs_connection_real_family) == ABSENT {
        is_ipv6
    } else {
        is_family_6(offset!(ipvs_connection_real_family))
    };
    record.client = address::<A>(connection, offset!(ipvs_connection_client), is_ipv6);
    record.virtual_address = address::<A>(connection, offset!(ipvs_connection_virtual), is_ipv6);
    record.client_port = port::<A>(connection, offset!(ipvs_connection_client_port));
    record.virtual_port = port::<A>(connection, offset!(ipvs_connection_virtual_port));
    record.protocol = read::<A, u16>(connection, offset!(ipvs_connection_protocol)) as u8;
    record.connection_flags = read::<A, u32>(connection, offset!(ipvs_connection_flags));
    record.persistent = u8::from(has_template::<A>(connection));
    record.real = address::<A>(connection, offset!(ipvs_connection_real), real_is_ipv6);
    record.real_port = port::<A>(connection, offset!(ipvs_connection_real_port));
    // Without one the entry bypasses the real servers, or came from another director that knows more of them.
    let destination: Pointer = read::<A, Pointer>(connection, offset!(ipvs_connection_destination));
    record.has_destination = u8::from(!destination.is_null());
    if !destination.is_null() {
        record.weight = read::<A, i32>(destination, offset!(ipvs_destination_weight));
        record.available = u8::from(is_available::<A>(destination));
        record.firewall_mark = read::<A, u32>(destination, offset!(ipvs_destination_mark));
    }
}

/// Whether an entry follows a persistence template.
#[inline(always)]
fn has_template<A: Access>(connection: Pointer) -> bool {
    const FLAG_TEMPLATE: u32 = 0x1000;
    let control: Pointer = read::<A, Pointer>(connection, offset!(ipvs_connection_control));
    !control.is_null() && read::<A, u32>(control, offset!(ipvs_connection_flags)) & FLAG_TEMPLATE != 0
}

/// Whether an entry's real server is no longer configured.
#[inline(always)]
pub(super) fn has_lost_its_destination<A: Access>(connection: Pointer) -> bool {
    let destination: Pointer = read::<A, Pointer>(connection, offset!(ipvs_connection_destination));
    !destination.is_null() && !is_available::<A>(destination)
}

/// `IP_VS_DEST_F_AVAILABLE`, which some versions keep in a word of its own.
#[inline(always)]
fn is_available<A: Access>(destination: Pointer) -> bool {
    const AVAILABLE: u32 = 1;
    let flags = if offset!(ipvs_destination_configured) == ABSENT {
        read::<A, u32>(destination, offset!(ipvs_destination_flags))
    } else {
        read::<A, u32>(destination, offset!(ipvs_destination_configured))
    };
    flags & AVAILABLE != 0
}

/// The settings of a `struct netns_ipvs`.
#[inline(always)]
pub(super) fn sysctls<A: Access>(record: &mut IpvsRecord, namespace: Pointer) {
    record.reuse_mode = read::<A, i32>(namespace, offset!(ipvs_reuse_mode));
    record.expire_nodest = read::<A, i32>(namespace, offset!(ipvs_expire_nodest));
}

/// A packet that got no entry tells its own ends, and the service the rest.
#[inline(always)]
pub(super) fn packet<A: Access>(record: &mut IpvsRecord, skb: Pointer, header: Pointer, service: Pointer) {
    const DESTINATION_PORT: usize = 2;
    const SERVICE_PERSISTENT: u32 = 1;
    let is_ipv6 = u16::from(read::<A, u8>(service, offset!(ipvs_service_family))) == AF_INET6;
    let ports = packet::data(skb).wrapping_add(read::<A, u32>(header, offset!(ipvs_header_length)) as usize);
    record.client = address::<A>(header, offset!(ipvs_header_source), is_ipv6);
    record.virtual_address = address::<A>(header, offset!(ipvs_header_destination), is_ipv6);
    record.client_port = u16::from_be(Probed::load::<u16>(ports));
    record.virtual_port = u16::from_be(Probed::load::<u16>(ports.wrapping_add(DESTINATION_PORT)));
    record.protocol = first::protocol::<A>(header);
    record.firewall_mark = read::<A, u32>(service, offset!(ipvs_service_mark));
    record.persistent =
        u8::from(read::<A, u32>(service, offset!(ipvs_service_flags)) & SERVICE_PERSISTENT != 0);
    record.real = [0; 16];
    record.real_port = 0;
    record.weight = 0;
    record.available = 0;
    record.connection_flags = 0;
    record.has_destination = 0;
}

#[inline(always)]
fn address<A: Access>(base: Pointer, field: u16, is_ipv6: bool) -> [u8; 16] {
    if is_ipv6 { read_16_bytes::<A>(base, field) } else { mapped(read::<A, u32>(base, field)) }
}

#[inline(always)]
fn port<A: Access>(base: Pointer, field: u16) -> u16 {
    u16::from_be(read::<A, u16>(base, field))
}
