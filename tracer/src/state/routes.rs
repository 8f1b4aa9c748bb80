//! How peers are reached, and what routing depends on: addresses, devices and settings.

use std::net::IpAddr;

use super::bounded::Bounded;
use crate::event::{
    Address, Change, HardwareAddress, Link, LookupResult, NeighbourState, Netns, Route, RouteLookup, Sysctl,
    Text, Timestamp,
};

/// What tells one look-up's subject from another: a peer, seen from a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey {
    /// The network namespace.
    pub netns: Netns,
    /// The peer.
    pub peer: IpAddr,
}

/// How a peer is reached, by the newest look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// When that was asked.
    pub time: Timestamp,
    /// From which address that was asked.
    pub source: IpAddr,
    /// What the kernel answered.
    pub result: LookupResult,
    /// The next hop, where there is one between.
    pub gateway: Option<IpAddr>,
    /// The device.
    pub device: Option<Text>,
    /// State of the next hop's neighbour entry.
    pub neighbour_state: Option<NeighbourState>,
    /// The hardware address of that entry.
    pub neighbour: Option<HardwareAddress>,
    /// When the answer last became another, if it did.
    pub changed: Option<Timestamp>,
    /// The device of the answer before that.
    pub previous_device: Option<Text>,
}

/// What routing depends on.
#[derive(Clone, Debug)]
pub struct Routes {
    /// How peers of retransmitting flows are reached.
    pub peers: Bounded<PeerKey, Reached>,
    /// Addresses, by namespace, index of the device, address and length of the prefix, as last told: those that are gone
    /// say so.
    pub addresses: Bounded<(Netns, u32, IpAddr, u8), Address>,
    /// When an address of a namespace last came or went, of those that did.
    pub settled: Bounded<(Netns, IpAddr), Timestamp>,
    /// When an address of a namespace last went, by itself or with its namespace, of those that did.
    pub left: Bounded<(Netns, IpAddr), Timestamp>,
    /// Addresses of a node, by its number, that went with their namespace, and when that was told.
    pub ended: Bounded<(u16, IpAddr), Timestamp>,
    /// Devices, by namespace and index, as last told.
    pub links: Bounded<(Netns, u32), Link>,
    /// Settings, by namespace and name.
    pub sysctls: Bounded<(Netns, Text), Sysctl>,
    /// Routes added, removed and replaced, of all namespaces.
    pub changes: RouteChanges,
}

/// How many routes changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteChanges {
    /// Routes added.
    pub added: u64,
    /// Routes removed.
    pub removed: u64,
    /// Routes replaced.
    pub replaced: u64,
}

impl Routes {
    /// At most so many peers, and so many of each of the others.
    pub(super) fn new(peers: usize, others: usize) -> Self {
        Self {
            peers: Bounded::new(peers),
            addresses: Bounded::new(others),
            settled: Bounded::new(others),
            left: Bounded::new(others),
            ended: Bounded::new(others),
            links: Bounded::new(others),
            sysctls: Bounded::new(others),
            changes: RouteChanges::default(),
        }
    }

    /// How a peer is reached from a namespace, if that was asked.
    pub fn reached(&self, netns: Netns, peer: IpAddr) -> Option<&Reached> {
        self.peers.get(&PeerKey { netns, peer })
    }

    /// The value of a setting, by its name as sysctl(8) writes it.
    pub fn sysctl(&self, netns: Netns, name: &str) -> Option<&Text> {
        self.sysctls.get(&(netns, Text::new(name))).map(|sysctl| &sysctl.value)
    }

    /// Whether an answer may be about the address it was asked from, which went about then, in place of the peer. That an
    /// address went is told later than the kernel knows it.
    pub fn may_be_about_source(&self, netns: Netns, reached: &Reached) -> bool {
        const TOLD_WITHIN_NS: u64 = 2_000_000_000;
        let left = self.left.get(&(netns, reached.source));
        left.is_some_and(|left| left.boot_ns + TOLD_WITHIN_NS >= reached.time.boot_ns)
    }

    /// Entries given up for newer ones.
    pub(super) fn evicted(&self) -> u64 {
        self.peers.evicted()
            + self.addresses.evicted()
            + self.settled.evicted()
            + self.left.evicted()
            + self.ended.evicted()
            + self.links.evicted()
            + self.sysctls.evicted()
    }

    pub(super) fn route(&mut self, route: &Route) {
        match route.change {
            Change::Removed => self.changes.removed += 1,
            Change::Replaced => self.changes.replaced += 1,
            Change::Present | Change::Added | Change::Up | Change::Down => self.changes.added += 1,
        }
    }

    /// Takes in an answer; whether it is the first about this peer, or another than before.
    pub(super) fn lookup(&mut self, netns: Netns, time: Timestamp, lookup: &RouteLookup) -> bool {
        // The kernel refuses to route from an address that is not there, wherever to (`ip_route_output_key_hash_rcu`).
        if self.is_given_away(netns, lookup.flow.source.ip()) {
            return false;
        }
        let key = PeerKey { netns, peer: lookup.flow.destination.ip() };
        let new = || Reached {
            time,
            source: lookup.flow.source.ip(),
            result: lookup.result,
            gateway: lookup.gateway,
            device: lookup.device.clone(),
            neighbour_state: lookup.neighbour_state,
            neighbour: lookup.neighbour,
            changed: None,
            previous_device: None,
        };
        let mut is_news = false;
        let reached = self.peers.touch(key, || {
            is_news = true;
            new()
        });
        // Look-ups of several flows may come out of order; the newest counts.
        if time < reached.time {
            return false;
        }
        let answer = |reached: &Reached| (reached.result, reached.gateway, reached.device.clone());
        let is_other = answer(reached) != answer(&new());
        let (changed, previous_device) = if is_other {
            (Some(time), reached.device.take())
        } else {
            (reached.changed, reached.previous_device.take())
        };
        *reached = Reached { changed, previous_device, ..new() };
        is_news || is_other
    }

    /// Whether a namespace had an address and has it no more.
    fn is_given_away(&self, netns: Netns, address: IpAddr) -> bool {
        self.left.get(&(netns, address)).is_some()
            && !self
                .addresses
                .iter()
                .any(|(&(of, _, is, _), row)| (of, is) == (netns, address) && row.change != Change::Removed)
    }

    /// A namespace ended, and its devices and addresses with it: its number will be another's.
    pub(super) fn namespace_ended(&mut self, netns: Netns, time: Timestamp) {
        let Self { addresses, links, left, ended, .. } = self;
        for (_, link) in links.iter_mut().filter(|(key, _)| key.0 == netns) {
            link.change = Change::Removed;
        }
        for (&(_, _, address, _), row) in addresses.iter_mut().filter(|(key, _)| key.0 == netns) {
            if row.change != Change::Removed {
                row.change = Change::Removed;
                *left.touch((netns, address), || time) = time;
                *ended.touch((netns.node, address), || time) = time;
            }
        }
    }

    /// The number of a namespace that ended is another's now, to whom nothing applies that was looked up before.
    pub(super) fn number_given_on(&mut self, netns: Netns, until: Timestamp) {
        self.peers.retain(|key, reached| key.netns != netns || reached.time > until);
    }

    pub(super) fn address(&mut self, netns: Netns, time: Timestamp, address: &Address) {
        if address.change == Change::Removed {
            *self.left.touch((netns, address.address), || time) = time;
        }
        if address.change != Change::Present {
            *self.settled.touch((netns, address.address), || time) = time;
        }
        let key = (netns, address.interface_index, address.address, address.prefix_bits);
        *self.addresses.touch(key, || address.clone()) = address.clone();
    }

    pub(super) fn link(&mut self, netns: Netns, link: &Link) {
        let key = (netns, link.interface_index);
        *self.links.touch(key, || link.clone()) = link.clone();
    }

    pub(super) fn sysctl_told(&mut self, netns: Netns, sysctl: &Sysctl) {
        *self.sysctls.touch((netns, sysctl.name.clone()), || sysctl.clone()) = sysctl.clone();
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{Flow, RouteLookupRecord};

    use super::Routes;
    use crate::event::{LookupResult, Netns, RouteLookup, RouteType, Timestamp};

    fn lookup(route_type: u8) -> RouteLookup {
        let flow = Flow { source: [1; 16], destination: [2; 16], ..Flow::default() };
        RouteLookup::from(&RouteLookupRecord { flow, route_type, ..RouteLookupRecord::default() })
    }

    #[test]
    fn the_newest_answer_is_kept_and_when_it_became_another() {
        let mut routes = Routes::new(10, 10);
        let at = |boot_ns| Timestamp { boot_ns, wall_ns: 0 };
        let peer = lookup(1).flow.destination.ip();
        for (time, route_type, expected, changed) in [
            (10, 1, 1, None),
            (20, 1, 1, None),
            (30, 2, 2, Some(30)),
            (25, 1, 2, Some(30)),
            (40, 2, 2, Some(30)),
        ] {
            routes.lookup(Netns::here(7), at(time), &lookup(route_type));
            let reached = routes.reached(Netns::here(7), peer).unwrap();
            assert_eq!(reached.result, LookupResult::Route(RouteType(expected)), "at {time}");
            assert_eq!(reached.changed, changed.map(at), "at {time}");
        }
        assert!(routes.reached(Netns::here(8), peer).is_none());
    }
}
