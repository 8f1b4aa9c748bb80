//! What rules about risky settings look at, read once.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use tracer_common::record::{AddressRecord, LinkRecord, RouteRecord, RuleRecord};

use super::{
    namespace::{self, Tables},
    wire::{IFF_NOARP, IFF_UP},
};
use crate::{event::Text, netlink::Refusal};

/// Routes looked at.
const ROUTES: usize = 131_072;

/// Priorities of the rules every namespace has.
const USUAL_RULES: [u32; 3] = [0, 32_766, 32_767];

/// A namespace's devices, addresses and ways.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Devices by their index.
    pub(crate) devices: BTreeMap<u32, Device>,
    /// Addresses and the index of their device.
    pub(crate) addresses: Vec<(u32, IpAddr)>,
    /// IPv4 rules beside those every namespace has.
    pub(crate) own_rules: usize,
    /// Devices by which IPv4 default routes of the main table lead.
    pub(crate) default_devices: usize,
    /// Entries of the IPv4 neighbour table.
    pub(crate) ipv4_neighbours: u64,
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its name.
    pub(crate) name: String,
    /// The name of its type; empty for hardware.
    pub(crate) link_type: String,
    /// Whether it is switched on.
    pub(crate) is_up: bool,
    /// Whether it answers and asks for hardware addresses.
    pub(crate) speaks_arp: bool,
}

impl Surroundings {
    /// Those of the calling thread's namespace.
    pub(crate) fn read() -> Result<Self, Refusal> {
        let Tables { links, addresses, rules, routes } = namespace::read_tables(ROUTES)?;
        let is_ipv4 = |address: [u8; 16]| Ipv6Addr::from(address).to_ipv4_mapped().is_some();
        let own = |rule: &&RuleRecord| rule.ip_version == 4 && !USUAL_RULES.contains(&rule.priority);
        let is_default =
            |route: &&RouteRecord| route.prefix_bits == 0 && route.table == 254 && is_ipv4(route.prefix);
        let mut ipv4_neighbours = 0;
        namespace::read_neighbours(|entry| ipv4_neighbours += u64::from(is_ipv4(entry.address)))?;
        let default_devices: BTreeSet<u32> = routes
            .iter()
            .flat_map(super::tables::Routes::iter)
            .map(|route| &route.record)
            .filter(is_default)
            .map(|route| route.interface_index)
            .collect();
        Ok(Self {
            devices: links.values().map(|link| (link.interface_index, device(link))).collect(),
            addresses: addresses.values().map(address).collect(),
            own_rules: rules.values().filter(own).count(),
            default_devices: default_devices.len(),
            ipv4_neighbours,
        })
    }
}

fn device(link: &LinkRecord) -> Device {
    Device {
        name: Text::from_bytes(&link.device).as_str().to_owned(),
        link_type: Text::from_bytes(&link.link_type).as_str().to_owned(),
        is_up: link.flags & IFF_UP != 0,
        speaks_arp: link.flags & IFF_NOARP == 0,
    }
}

fn address(record: &AddressRecord) -> (u32, IpAddr) {
    (record.interface_index, crate::event::address(record.address))
}

#[cfg(test)]
mod tests {
    use super::Surroundings;

    #[test]
    fn every_namespace_has_a_loopback_device() {
        let read = Surroundings::read().unwrap();
        assert!(read.devices.values().any(|device| device.name == "lo"), "{read:?}");
    }
}
