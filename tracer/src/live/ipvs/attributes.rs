//! Attributes of the family `IPVS` (`include/uapi/linux/ip_vs.h`): services and real servers.
//!
//! Numbers and names are in the byte order of the machine, but for ports and addresses, which are as on the wire.

use tracer_common::record::{IpvsCounts, IpvsDestinationRecord, IpvsServiceKey, IpvsServiceRecord};

use crate::netlink::{append_attribute, attributes as attributes_of};

/// `IPVS_CMD_ATTR_SERVICE` and `IPVS_CMD_ATTR_DEST`, around all others.
pub(super) const SERVICE: u16 = 1;
const DESTINATION: u16 = 2;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// `IPVS_SVC_ATTR_*`.
mod of_service {
    pub(super) const FAMILY: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const ADDRESS: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const MARK: u16 = 5;
    pub(super) const SCHEDULER: u16 = 6;
    pub(super) const FLAGS: u16 = 7;
    pub(super) const TIMEOUT: u16 = 8;
    pub(super) const COUNTS: u16 = 12;
}

/// `IPVS_DEST_ATTR_*`.
mod of_destination {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const PORT: u16 = 2;
    pub(super) const FORWARDING: u16 = 3;
    pub(super) const WEIGHT: u16 = 4;
    pub(super) const ACTIVE: u16 = 7;
    pub(super) const INACTIVE: u16 = 8;
    pub(super) const PERSISTENT: u16 = 9;
    pub(super) const FAMILY: u16 = 11;
    pub(super) const COUNTS: u16 = 12;
}

/// The content of [`SERVICE`] that asks for the real servers of that service.
pub(super) fn service_key(key: &IpvsServiceKey) -> Vec<u8> {
    let mut inner = Vec::new();
    let family = if key.is_ipv6 == 0 { AF_INET } else { AF_INET6 };
    append_attribute(&mut inner, of_service::FAMILY, &family.to_ne_bytes());
    if key.firewall_mark == 0 {
        append_attribute(&mut inner, of_service::PROTOCOL, &u16::from(key.protocol).to_ne_bytes());
        append_attribute(&mut inner, of_service::ADDRESS, &wire_address(key));
        append_attribute(&mut inner, of_service::PORT, &key.port.to_be_bytes());
    } else {
        append_attribute(&mut inner, of_service::MARK, &key.firewall_mark.to_ne_bytes());
    }
    inner
}

/// A `union nf_inet_addr`: IPv4 in the first four bytes.
fn wire_address(key: &IpvsServiceKey) -> [u8; 16] {
    if key.is_ipv6 != 0 {
        return key.address;
    }
    let [.., a, b, c, d] = key.address;
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&[a, b, c, d]);
    bytes
}

/// An address as records hold it; `None` for one of a family that is none.
fn record_address(value: &[u8], family: u16) -> Option<[u8; 16]> {
    match family {
        AF_INET => {
            let &[a, b, c, d] = value.first_chunk()?;
            Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
        }
        AF_INET6 => value.first_chunk().copied(),
        _ => None,
    }
}

fn inner(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes_of(attributes).find_map(|(kind, value)| (kind == wanted).then_some(value))
}

fn number_16(value: &[u8]) -> u16 {
    value.first_chunk().map_or(0, |bytes| u16::from_ne_bytes(*bytes))
}

fn number_32(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn port(value: &[u8]) -> u16 {
    value.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

/// The service of a message; `None` if it tells none that can be told from others.
pub(super) fn service(attributes: &[u8]) -> Option<IpvsServiceRecord> {
    let mut record = IpvsServiceRecord::default();
    let (mut family, mut address) = (0, None);
    for (kind, value) in attributes_of(inner(attributes, SERVICE)?) {
        match kind {
            of_service::FAMILY => family = number_16(value),
            of_service::PROTOCOL => record.service.protocol = u8::try_from(number_16(value)).ok()?,
            of_service::ADDRESS => address = Some(value),
            of_service::PORT => record.service.port = port(value),
            of_service::MARK => record.service.firewall_mark = number_32(value),
            of_service::SCHEDULER => record.scheduler = scheduler(value),
            of_service::FLAGS => record.flags = number_32(value),
            of_service::TIMEOUT => record.persistence_timeout_s = number_32(value),
            of_service::COUNTS => record.counts = counts(value),
            _ => {}
        }
    }
    record.service.is_ipv6 = u8::from(family == AF_INET6);
    if record.service.firewall_mark == 0 {
        record.service.address = record_address(address?, family)?;
    }
    Some(record)
}

/// A name, cut to what a record holds. A service without a scheduler says `none`.
fn scheduler<const N: usize>(value: &[u8]) -> [u8; N] {
    let name = value.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut bytes = [0; N];
    if name != b"none" {
        let length = name.len().min(N - 1);
        bytes[..length].copy_from_slice(&name[..length]);
    }
    bytes
}

/// The real server of a message about this service.
pub(super) fn destination(service: &IpvsServiceKey, attributes: &[u8]) -> Option<IpvsDestinationRecord> {
    let mut record = IpvsDestinationRecord { service: *service, ..IpvsDestinationRecord::default() };
    // Told from 3.18 on, when real servers could be of another family.
    let mut family = if service.is_ipv6 == 0 { AF_INET } else { AF_INET6 };
    let mut address = None;
    for (kind, value) in attributes_of(inner(attributes, DESTINATION)?) {
        match kind {
            of_destination::ADDRESS => address = Some(value),
            of_destination::PORT => record.real_port = port(value),
            of_destination::FORWARDING => record.forwarding = number_32(value),
            of_destination::WEIGHT => record.weight = number_32(value).cast_signed(),
            of_destination::ACTIVE => record.active_connections = number_32(value),
            of_destination::INACTIVE => record.inactive_connections = number_32(value),
            of_destination::PERSISTENT => record.persistent_connections = number_32(value),
            of_destination::FAMILY => family = number_16(value),
            of_destination::COUNTS => record.counts = counts(value),
            _ => {}
        }
    }
    record.real = record_address(address?, family)?;
    Some(record)
}

/// `IPVS_STATS_ATTR_*` in 64 bits (4.1 and later).
fn counts(attributes: &[u8]) -> IpvsCounts {
    let mut counts = IpvsCounts::default();
    for (kind, value) in attributes_of(attributes) {
        let place = match kind {
            1 => &mut counts.connections,
            2 => &mut counts.packets_in,
            3 => &mut counts.packets_out,
            4 => &mut counts.bytes_in,
            5 => &mut counts.bytes_out,
            _ => continue,
        };
        *place = value.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    }
    counts
}

#[cfg(test)]
mod tests;
