//! What one namespace has of routes, addresses, links and rules: by it a message is told to be news, and after a loss
//! the tables are compared with what the kernel has then.

use std::{collections::hash_map::Entry, hash::Hash, mem};

use rustc_hash::FxHashMap;
use tracer_common::record::{
    AddressRecord, DEVICE_NAME_BYTES, LinkRecord, NextHopRecord, RouteRecord, RuleRecord, change,
};

use super::{
    parse::Route,
    wire::{IFF_NOARP, IFF_RUNNING, IFF_UP},
};

/// One table: at most one entry a key.
#[derive(Debug)]
pub(super) struct Table<T: Kept>(FxHashMap<T::Key, T>);

/// An entry of a table.
pub(super) trait Kept: Clone {
    /// What tells it from others.
    type Key: Eq + Hash;

    fn key(&self) -> Self::Key;

    /// What became of it, where `self` came after `old`; `None` if nothing worth telling.
    fn change_from(&self, old: &Self) -> Option<u8>;
}

impl<T: Kept> Default for Table<T> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<T: Kept> Table<T> {
    /// Takes an entry in; what changed by it, if anything.
    pub(super) fn insert(&mut self, new: &T) -> Option<u8> {
        match self.0.entry(new.key()) {
            Entry::Vacant(place) => {
                place.insert(new.clone());
                Some(change::ADDED)
            }
            Entry::Occupied(mut place) => new.change_from(&place.insert(new.clone())),
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, gone: &T) -> Option<T> {
        self.0.remove(&gone.key())
    }

    /// Becomes `now`, and calls `tell` with each entry that differs and what became of it.
    pub(super) fn become_table(&mut self, now: Self, mut tell: impl FnMut(&T, u8)) {
        let mut before = mem::replace(self, now);
        for (key, new) in &self.0 {
            match before.0.remove(key) {
                None => tell(new, change::ADDED),
                Some(old) => {
                    if let Some(change) = new.change_from(&old) {
                        tell(new, change);
                    }
                }
            }
        }
        for old in before.0.values() {
            tell(old, change::REMOVED);
        }
    }

    pub(super) fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.values()
    }

    pub(super) fn get(&self, key: &T::Key) -> Option<&T> {
        self.0.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Kept for LinkRecord {
    type Key = u32;

    fn key(&self) -> u32 {
        self.interface_index
    }

    fn change_from(&self, old: &Self) -> Option<u8> {
        const TOLD: u32 = IFF_UP | IFF_RUNNING | IFF_NOARP;
        let works = |link: &Self| link.flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING;
        let facts = |link: &Self| {
            let hardware = (link.hardware_address, link.hardware_address_length);
            (link.device, hardware, link.mtu_bytes, link.master_index, link.flags & TOLD)
        };
        match (works(old), works(self)) {
            (false, true) => Some(change::UP),
            (true, false) => Some(change::DOWN),
            _ => (facts(self) != facts(old)).then_some(change::REPLACED),
        }
    }
}

impl Kept for AddressRecord {
    type Key = (u32, [u8; 16], u8);

    fn key(&self) -> Self::Key {
        (self.interface_index, self.address, self.prefix_bits)
    }

    fn change_from(&self, old: &Self) -> Option<u8> {
        let facts = |address: &Self| (address.peer, address.flags, address.scope);
        (facts(self) != facts(old)).then_some(change::REPLACED)
    }
}

impl Kept for RuleRecord {
    /// A rule is all that it says.
    type Key = Vec<u8>;

    fn key(&self) -> Vec<u8> {
        zerocopy::IntoBytes::as_bytes(self).to_vec()
    }

    fn change_from(&self, _: &Self) -> Option<u8> {
        None
    }
}

/// What the kernel takes for one route: a new one replaces it or stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RouteKey {
    prefix: [u8; 16],
    table: u32,
    metric: u32,
    prefix_bits: u8,
    type_of_service: u8,
}

impl RouteKey {
    fn of(route: &RouteRecord) -> Self {
        let &RouteRecord { prefix, table, metric, prefix_bits, type_of_service, .. } = route;
        Self { prefix, table, metric, prefix_bits, type_of_service }
    }
}

/// The routes of a namespace. Of IPv4, several may have one key.
#[derive(Debug, Default)]
pub(super) struct Routes {
    routes: FxHashMap<RouteKey, Vec<Route>>,
    count: usize,
}

impl Routes {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.values().flatten()
    }

    /// Takes in what the kernel says to have added, or to have put in the place of another.
    pub(super) fn insert(&mut self, route: Route, is_replacing: bool) {
        let known = self.routes.entry(RouteKey::of(&route.record)).or_default();
        // Of IPv6, one message tells all next hops of a key, those that were there before too.
        if is_ipv6(&route.record) {
            self.count -= known.len();
            known.clear();
        } else if known.iter().any(|known| is_same(known, &route)) {
            return;
        } else if is_replacing && !known.is_empty() {
            known.remove(0);
            self.count -= 1;
        }
        known.push(route);
        self.count += 1;
    }

    /// Takes out what the kernel says to have removed.
    pub(super) fn remove(&mut self, gone: &Route) {
        let Entry::Occupied(mut place) = self.routes.entry(RouteKey::of(&gone.record)) else { return };
        let known = place.get_mut();
        let before = known.len();
        if is_ipv6(&gone.record) {
            // One next hop of several may go alone.
            known.retain_mut(|route| keep_other_next_hops(route, gone));
        } else if let Some(position) = known.iter().position(|route| is_same(route, gone)) {
            known.remove(position);
        } else {
            known.clear();
        }
        self.count -= before - known.len();
        if known.is_empty() {
            place.remove();
        }
    }

    /// Whether a route that the kernel would take out without a word (`fib_sync_down_dev`, `fib_sync_down_addr`) uses a
    /// device, or prefers a source address.
    pub(super) fn has_ipv4(&self, uses: impl Fn(u32, [u8; 16]) -> bool) -> bool {
        self.routes.values().flatten().filter(|route| !is_ipv6(&route.record)).any(|route| {
            let (record, next_hops) = (&route.record, &route.next_hops);
            uses(record.interface_index, record.source)
                || next_hops.iter().any(|next_hop| uses(next_hop.interface_index, record.source))
        })
    }

    /// Becomes `now`, and calls `tell` with each route that differs and what became of it.
    pub(super) fn become_routes(&mut self, now: Self, mut tell: impl FnMut(&Route, u8)) {
        let mut before = mem::replace(self, now);
        for (key, routes) in &self.routes {
            let old = before.routes.remove(key).unwrap_or_default();
            let is_known = |route: &&Route| old.iter().any(|old| is_same(old, route));
            let is_there = |route: &&Route| routes.iter().any(|new| is_same(new, route));
            let mut gone: Vec<&Route> = old.iter().filter(|route| !is_there(route)).collect();
            for route in routes.iter().filter(|route| !is_known(route)) {
                let change = if gone.pop().is_some() { change::REPLACED } else { change::ADDED };
                tell(route, change);
            }
            for route in gone {
                tell(route, change::REMOVED);
            }
        }
        for route in before.routes.values().flatten() {
            tell(route, change::REMOVED);
        }
    }
}

fn is_ipv6(route: &RouteRecord) -> bool {
    std::net::Ipv6Addr::from(route.prefix).to_ipv4_mapped().is_none()
}

/// Whether two are one route, whoever told of it and whatever their devices were called.
fn is_same(one: &Route, other: &Route) -> bool {
    fn facts(route: &Route) -> RouteRecord {
        RouteRecord { netlink_port: 0, device: [0; DEVICE_NAME_BYTES], ..route.record }
    }
    // Flags tell the state of the device (`RTNH_F_DEAD`, …), which changes without a word.
    let next_hop = |next_hop: &NextHopRecord| (next_hop.gateway, next_hop.interface_index, next_hop.weight);
    facts(one) == facts(other) && one.next_hops.iter().map(next_hop).eq(other.next_hops.iter().map(next_hop))
}

/// Takes the next hops of `gone` out of an IPv6 route; whether any are left.
fn keep_other_next_hops(route: &mut Route, gone: &Route) -> bool {
    let next_hops = |route: &Route| -> Vec<NextHopRecord> {
        if route.next_hops.is_empty() {
            let &RouteRecord { gateway, device, interface_index, .. } = &route.record;
            vec![NextHopRecord { gateway, device, interface_index, weight: 1, ..NextHopRecord::default() }]
        } else {
            route.next_hops.to_vec()
        }
    };
    let place = |next_hop: &NextHopRecord| (next_hop.gateway, next_hop.interface_index);
    let gone: Vec<_> = next_hops(gone).iter().map(place).collect();
    let mut left = next_hops(route);
    left.retain(|next_hop| !gone.contains(&place(next_hop)));
    // The kernel tells a single one as the route's own.
    if let [single] = left[..] {
        route.record.gateway = single.gateway;
        route.record.interface_index = single.interface_index;
        route.record.device = single.device;
        route.record.next_hops = 0;
        route.next_hops = Box::default();
        return true;
    }
    route.record.next_hops = u16::try_from(left.len()).unwrap_or(u16::MAX);
    route.next_hops = left.into();
    !route.next_hops.is_empty()
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{LinkRecord, NextHopRecord, RouteRecord, change};

    use super::{IFF_RUNNING, IFF_UP, Route, Routes, Table};

    /// Of IPv4; `last` tells next hops apart.
    fn v4(metric: u32, last: u8) -> Route {
        let mapped = |byte| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, byte];
        let record = RouteRecord {
            prefix: mapped(0),
            gateway: mapped(last),
            metric,
            prefix_bits: 24,
            ..RouteRecord::default()
        };
        Route { record, next_hops: Box::default() }
    }

    /// Of IPv6, with several next hops if there are.
    fn v6(gateways: &[u8]) -> Route {
        let address = |byte| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte];
        let mut record = RouteRecord { prefix: address(0), prefix_bits: 64, ..RouteRecord::default() };
        if let [single] = gateways {
            record.gateway = address(*single);
            return Route { record, next_hops: Box::default() };
        }
        record.next_hops = u16::try_from(gateways.len()).unwrap();
        let next_hops = gateways.iter().map(|&byte| NextHopRecord {
            gateway: address(byte),
            weight: 1,
            ..NextHopRecord::default()
        });
        Route { record, next_hops: next_hops.collect() }
    }

    fn of(routes: &[Route]) -> Routes {
        let mut table = Routes::default();
        for route in routes {
            table.insert(route.clone(), false);
        }
        table
    }

    /// What a comparison finds: its name, the routes before and now, and what is told.
    type Comparison<'a> = (&'a str, &'a [Route], &'a [Route], &'a [(Route, u8)]);

    /// What a comparison with the kernel's table tells.
    fn told(mut before: Routes, now: &[Route]) -> Vec<(Route, u8)> {
        let mut told = Vec::new();
        before.become_routes(of(now), |route, change| told.push((route.clone(), change)));
        assert_eq!(before.len(), of(now).len());
        told
    }

    #[test]
    fn a_comparison_tells_what_differs() {
        let table: [Comparison<'_>; 6] = [
            ("nothing", &[v4(0, 1), v4(1, 1)], &[v4(1, 1), v4(0, 1)], &[]),
            ("gone", &[v4(0, 1)], &[], &[(v4(0, 1), change::REMOVED)]),
            ("new", &[], &[v4(0, 1)], &[(v4(0, 1), change::ADDED)]),
            ("another next hop", &[v4(0, 1)], &[v4(0, 2)], &[(v4(0, 2), change::REPLACED)]),
            ("one beside it", &[v4(0, 1)], &[v4(0, 1), v4(0, 2)], &[(v4(0, 2), change::ADDED)]),
            ("a next hop less", &[v6(&[1, 2])], &[v6(&[1])], &[(v6(&[1]), change::REPLACED)]),
        ];
        for (name, before, now, expected) in table {
            assert_eq!(told(of(before), now), expected, "{name}");
        }
    }

    #[test]
    fn the_table_follows_what_the_kernel_tells() {
        let mut routes = of(&[v4(0, 1), v4(0, 2), v4(5, 1)]);
        routes.insert(v4(0, 1), false);
        assert_eq!(routes.len(), 3, "told twice, there once");
        routes.remove(&v4(0, 2));
        routes.insert(v4(5, 9), true);
        assert_eq!(told(routes, &[v4(0, 1), v4(5, 9)]), []);

        let mut routes = of(&[v6(&[1])]);
        // Adding a next hop tells the whole route, removing one only what goes.
        routes.insert(v6(&[1, 2, 3]), false);
        routes.remove(&v6(&[2]));
        assert_eq!(told(of(&[v6(&[1, 3])]), &[v6(&[1, 3])]), []);
        routes.remove(&v6(&[3]));
        assert_eq!(routes.len(), 1);
        assert_eq!(told(routes, &[v6(&[1])]), []);
        let mut routes = of(&[v6(&[1, 2])]);
        routes.remove(&v6(&[1, 2]));
        assert_eq!(routes.len(), 0);
    }

    #[test]
    fn a_device_is_told_when_it_begins_or_ceases_to_work_or_becomes_another() {
        let link =
            |flags, mtu_bytes| LinkRecord { interface_index: 2, flags, mtu_bytes, ..LinkRecord::default() };
        let works = IFF_UP | IFF_RUNNING;
        let mut table = Table::default();
        for (name, link, expected) in [
            ("new", link(0, 1500), Some(change::ADDED)),
            ("switched on, without a wire", link(IFF_UP, 1500), Some(change::REPLACED)),
            ("works", link(works, 1500), Some(change::UP)),
            ("counts something", link(works, 1500), None),
            ("smaller packets", link(works, 1400), Some(change::REPLACED)),
            ("wire pulled", link(IFF_UP, 1400), Some(change::DOWN)),
        ] {
            assert_eq!(table.insert(&link), expected, "{name}");
        }
    }
}
