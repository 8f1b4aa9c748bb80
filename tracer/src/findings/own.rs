//! What belongs to this node: its addresses, devices, hardware addresses and settings.

use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    event::{Address, Change, HardwareAddress, Link, Netns},
    state::State,
    words::owner::netns_name,
};

/// The addresses there are: namespace, device, address.
pub(super) fn addresses(state: &State) -> impl Iterator<Item = (Netns, u32, &Address)> {
    state
        .routes
        .addresses
        .iter()
        .filter(|(_, address)| address.change != Change::Removed)
        .map(|(&(netns, interface_index, ..), address)| (netns, interface_index, address))
}

/// The devices each of these addresses is on, by index.
pub(super) fn homes(
    state: &State,
    wanted: &FxHashSet<(Netns, IpAddr)>,
) -> FxHashMap<(Netns, IpAddr), Vec<(u32, u8)>> {
    let mut homes: FxHashMap<_, Vec<(u32, u8)>> = FxHashMap::default();
    if wanted.is_empty() {
        return homes;
    }
    for (netns, interface_index, address) in addresses(state) {
        if wanted.contains(&(netns, address.address)) {
            homes.entry((netns, address.address)).or_default().push((interface_index, address.prefix_bits));
        }
    }
    for devices in homes.values_mut() {
        devices.sort_unstable();
    }
    homes
}

/// A device there is.
pub(super) fn link(state: &State, netns: Netns, interface_index: u32) -> Option<&Link> {
    state.routes.links.get(&(netns, interface_index)).filter(|link| link.change != Change::Removed)
}

/// Whether a device of that namespace has that hardware address.
pub(super) fn is_own(state: &State, netns: Netns, hardware_address: HardwareAddress) -> bool {
    links(state).any(|(of, link)| of == netns && link.hardware_address == Some(hardware_address))
}

pub(super) fn links(state: &State) -> impl Iterator<Item = (Netns, &Link)> {
    let links = state.routes.links.iter().filter(|(_, link)| link.change != Change::Removed);
    links.map(|(&(netns, _), link)| (netns, link))
}

/// A hardware address, and the device that has it where that is on this node.
pub(super) fn hardware_words(state: &State, netns: Netns, hardware_address: HardwareAddress) -> String {
    let holders = links(state).filter(|(of, link)| {
        of.node == netns.node && link.hardware_address == Some(hardware_address) && !link.device.is_empty()
    });
    match holders.min_by_key(|(of, link)| (*of != netns, *of, link.interface_index)) {
        Some((of, link)) if of == netns => format!("{hardware_address} (this node's {})", link.device),
        Some((of, link)) => {
            format!("{hardware_address} ({} in {})", link.device, netns_name(state, of, state.now()))
        }
        None => hardware_address.to_string(),
    }
}

/// Of a setting that a device has and all devices have together, both values: the kernel goes by the greater.
pub(super) fn arp_setting(state: &State, netns: Netns, device: &str, name: &str) -> Option<ArpSetting> {
    // As sysctl(8) writes a device's name.
    let device = device.replace('.', "/");
    let value = |scope: &str| {
        let value = state.routes.sysctl(netns, &format!("net.ipv4.conf.{scope}.{name}"))?;
        value.to_string().trim().parse::<u32>().ok()
    };
    Some(ArpSetting { all: value("all")?, device: value(&device)? })
}

/// The two values of such a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArpSetting {
    /// Of all devices.
    pub(super) all: u32,
    /// Of the device.
    pub(super) device: u32,
}

impl ArpSetting {
    /// What the kernel goes by.
    pub(super) fn effective(self) -> u32 {
        self.all.max(self.device)
    }
}
