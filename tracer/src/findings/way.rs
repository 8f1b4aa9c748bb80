//! The way packets to a peer take on this node: by the next hop of their own namespace, and where that is another namespace
//! of the node, as a pod's gateway is, by the next hop of that one.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::own;
use crate::{
    event::{HardwareAddress, Netns},
    state::{Reached, State},
};

/// A neighbour by namespace and address.
pub(super) type NextHop = (Netns, IpAddr);

/// Next hops that are gone through at most.
const MOST_HOPS: usize = 3;

/// Finds the next hops of flows.
pub(super) struct Ways<'a> {
    state: &'a State,
    /// By node and hardware address the namespace that has such a device; `None` where several have.
    devices: FxHashMap<(u16, HardwareAddress), Option<Netns>>,
}

impl<'a> Ways<'a> {
    pub(super) fn of(state: &'a State) -> Self {
        let mut devices: FxHashMap<_, Option<Netns>> = FxHashMap::default();
        for (netns, link) in own::links(state) {
            let Some(hardware_address) = link.hardware_address else { continue };
            devices
                .entry((netns.node, hardware_address))
                .and_modify(|known| *known = known.filter(|&known| known == netns))
                .or_insert(Some(netns));
        }
        Self { state, devices }
    }

    /// The next hops of packets from a namespace to a peer, in their order, as far as they were looked up. The first is
    /// always there: without a look-up it is the peer.
    pub(super) fn hops(&self, netns: Netns, peer: IpAddr) -> impl Iterator<Item = NextHop> {
        let mut at = Some(netns);
        (0..MOST_HOPS).map_while(move |place| {
            let netns = at.take()?;
            let reached = self.state.routes.reached(netns, peer);
            let is_first = place == 0;
            at = reached.and_then(|reached| self.namespace_of(netns, reached));
            (is_first || reached.is_some())
                .then(|| (netns, reached.and_then(|reached| reached.gateway).unwrap_or(peer)))
        })
    }

    /// The other namespace of the node that the next hop is in, if it is in one and that is certain.
    fn namespace_of(&self, netns: Netns, reached: &Reached) -> Option<Netns> {
        let by_address = |gateway: IpAddr| {
            let holders = self.state.names.holders_of(gateway);
            let mut others = holders.iter().filter(|other| other.node == netns.node && **other != netns);
            others.next().filter(|_| others.next().is_none()).copied()
        };
        match reached.neighbour {
            Some(hardware_address) => self.devices.get(&(netns.node, hardware_address)).copied().flatten(),
            None => reached.gateway.and_then(by_address),
        }
        .filter(|&next| next != netns)
    }
}

#[cfg(test)]
mod tests;
