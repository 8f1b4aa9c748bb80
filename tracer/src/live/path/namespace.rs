//! One namespace: what it has, what the kernel tells of it, and what is told of that.

use std::os::fd::{AsFd, BorrowedFd};

use tracer_common::record::{
    AddressRecord, DEVICE_NAME_BYTES, LinkRecord, NeighbourEntryRecord, NextHopRecord, RuleRecord, change,
};
use zerocopy::IntoBytes as _;

use super::{
    parse::{self, Route},
    tables::{Routes, Table},
    told::Told,
    wire::{
        self, AF_INET, AF_INET6, AF_UNSPEC, AddressHeader, LinkHeader, NETLINK_ROUTE, NeighbourHeader,
        RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_DELRULE, RTM_GETADDR, RTM_GETLINK, RTM_GETNEIGH,
        RTM_GETROUTE, RTM_GETRULE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_NEWRULE,
        RouteHeader, RuleHeader, group,
    },
};
use crate::{
    live::watch::Records,
    netlink::{ANSWER_SECONDS, Asking, Listening, Message, Refusal, Request},
};

/// Room for changes that are not read yet, in bytes of the kernel's count: some thousand routes. It is memory only while
/// they wait.
const RECEIVE_BYTES: usize = 8 << 20;

/// Messages read at once, so that a flood in one namespace lets the others be heard.
const MESSAGES_AT_ONCE: usize = 4_096;

/// Devices, addresses and neighbours of one namespace that are looked at, each.
const ENTRIES_KEPT: usize = 16_384;

/// How often a list that changes while it is read is read again before it is taken as it is.
const ATTEMPTS: usize = 3;

const GROUPS: u32 = group::LINK
    | group::IPV4_ADDRESS
    | group::IPV4_ROUTE
    | group::IPV4_RULE
    | group::IPV6_ADDRESS
    | group::IPV6_ROUTE
    | group::IPV6_RULE;

/// A namespace and its socket.
#[derive(Debug, Default)]
pub(super) struct Watched {
    inode: u32,
    listening: Option<Listening>,
    links: Table<LinkRecord>,
    addresses: Table<AddressRecord>,
    rules: Table<RuleRecord>,
    /// `None` if there are more than are kept.
    routes: Option<Routes>,
    needs: Needs,
}

/// What has to be compared with the kernel's tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Needs {
    /// IPv4 routes: the kernel takes out those of a device or an address that is gone without a word.
    routes: bool,
    /// Everything: changes were lost.
    all: bool,
}

/// The tables of a namespace, read anew.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) links: Table<LinkRecord>,
    pub(super) addresses: Table<AddressRecord>,
    pub(super) rules: Table<RuleRecord>,
    pub(super) routes: Option<Routes>,
}

impl Watched {
    /// Begins to listen in the calling thread's namespace, then reads what is there and tells the devices and addresses.
    /// `routes_kept` is how many routes may be kept of it.
    pub(super) fn begin(inode: u32, routes_kept: usize, records: &mut Records) -> Self {
        let mut watched = Self { inode, ..Self::default() };
        match Listening::open(NETLINK_ROUTE, GROUPS, RECEIVE_BYTES) {
            Ok(listening) => watched.listening = Some(listening),
            Err(error) => log::warn!("changes of routes in network namespace {inode} are not seen: {error}"),
        }
        match read_tables(routes_kept) {
            Ok(tables) => {
                let Tables { links, addresses, rules, routes } = tables;
                (watched.links, watched.addresses) = (links, addresses);
                (watched.rules, watched.routes) = (rules, routes);
            }
            Err(error) => log::warn!("the routes of network namespace {inode} cannot be read: {error}"),
        }
        for link in watched.links.values() {
            records.append(inode, &LinkRecord { change: change::PRESENT, ..*link }, &[]);
        }
        for address in watched.addresses.values() {
            let device = watched.device(address.interface_index);
            let record = AddressRecord { change: change::PRESENT, device, ..*address };
            records.append(inode, &record, &[]);
        }
        watched
    }

    /// The descriptor that can be read when something changed.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.listening.as_ref().map(AsFd::as_fd)
    }

    /// How many routes are kept.
    pub(super) fn routes_kept(&self) -> usize {
        self.routes.as_ref().map_or(0, Routes::len)
    }

    /// The name of a device, all zero if it is not known.
    pub(super) fn device(&self, interface_index: u32) -> [u8; DEVICE_NAME_BYTES] {
        self.links.get(&interface_index).map_or([0; DEVICE_NAME_BYTES], |link| link.device)
    }

    /// The device that has an address, if one has.
    pub(super) fn holds(&self, address: [u8; 16]) -> Option<u32> {
        self.addresses.values().find(|held| held.address == address).map(|held| held.interface_index)
    }

    /// The device that has a hardware address, if one has.
    pub(super) fn holds_hardware(&self, wanted: &[u8]) -> Option<u32> {
        let has_it = |link: &LinkRecord| {
            let length = usize::from(link.hardware_address_length);
            link.hardware_address.get(..length) == Some(wanted)
        };
        self.links.values().find(|link| has_it(link)).map(|link| link.interface_index)
    }

    /// Tells what the kernel told meanwhile.
    pub(super) fn read(&mut self, routes_kept: usize, told: &mut Told, records: &mut Records) {
        let Some(mut listening) = self.listening.take() else { return };
        let mut messages = 0;
        while messages < MESSAGES_AT_ONCE {
            match listening.next() {
                Ok(None) => break,
                Ok(Some(datagram)) => {
                    for message in Message::all(datagram) {
                        messages += 1;
                        self.take_in(&message, told, records);
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.note_loss(&mut listening, told);
                }
                Err(error) => {
                    log::warn!("changes in network namespace {} are no longer seen: {error}", self.inode);
                    return;
                }
            }
        }
        if self.routes_kept() > routes_kept {
            log::warn!(
                "network namespace {} has more routes than are kept: what changes while messages are lost is not told",
                self.inode
            );
            self.routes = None;
        }
        self.listening = Some(listening);
    }

    fn note_loss(&mut self, listening: &mut Listening, told: &mut Told) {
        told.lose_routes(listening.drops().max(1));
        self.needs.all = true;
    }

    fn take_in(&mut self, message: &Message<'_>, told: &mut Told, records: &mut Records) {
        match message.kind {
            RTM_NEWROUTE | RTM_DELROUTE => {
                if let Some(route) = parse::route(message) {
                    self.route(message, route, told, records);
                }
            }
            RTM_NEWLINK | RTM_DELLINK => {
                if let Some(link) = parse::link(message) {
                    self.link(message.kind == RTM_NEWLINK, link, records);
                }
            }
            RTM_NEWADDR | RTM_DELADDR => {
                if let Some(address) = parse::address(message) {
                    self.address(message.kind == RTM_NEWADDR, address, records);
                }
            }
            RTM_NEWRULE | RTM_DELRULE => {
                if let Some(rule) = parse::rule(message) {
                    self.rule(message.kind == RTM_NEWRULE, rule, records);
                }
            }
            _ => {}
        }
    }

    fn route(&mut self, message: &Message<'_>, mut route: Route, told: &mut Told, records: &mut Records) {
        self.name_devices(&mut route);
        let is_replacing = message.flags & wire::NLM_F_REPLACE != 0;
        route.record.change = match message.kind {
            RTM_DELROUTE => change::REMOVED,
            _ if is_replacing => change::REPLACED,
            _ => change::ADDED,
        };
        if told.may_tell_route() {
            append_route(self.inode, &route, records);
        }
        let Some(routes) = &mut self.routes else { return };
        route.record.change = change::PRESENT;
        if message.kind == RTM_DELROUTE {
            routes.remove(&route);
        } else {
            routes.insert(route, is_replacing);
        }
    }

    fn link(&mut self, is_there: bool, link: LinkRecord, records: &mut Records) {
        let change = if is_there {
            self.links.insert(&link)
        } else {
            self.links.remove(&link);
            Some(change::REMOVED)
        };
        let Some(change) = change else { return };
        records.append(self.inode, &LinkRecord { change, ..link }, &[]);
        if matches!(change, change::DOWN | change::REMOVED | change::REPLACED) {
            let gone = link.interface_index;
            self.needs.routes |=
                self.routes.as_ref().is_some_and(|routes| routes.has_ipv4(|index, _| index == gone));
        }
    }

    fn address(&mut self, is_there: bool, address: AddressRecord, records: &mut Records) {
        let change = if is_there {
            self.addresses.insert(&address)
        } else {
            self.addresses.remove(&address);
            Some(change::REMOVED)
        };
        let Some(change) = change else { return };
        let device = self.device(address.interface_index);
        records.append(self.inode, &AddressRecord { change, device, ..address }, &[]);
        if change == change::REMOVED {
            let gone = address.address;
            self.needs.routes |=
                self.routes.as_ref().is_some_and(|routes| routes.has_ipv4(|_, source| source == gone));
        }
    }

    fn rule(&mut self, is_there: bool, rule: RuleRecord, records: &mut Records) {
        let change = if is_there { change::ADDED } else { change::REMOVED };
        if is_there {
            self.rules.insert(&rule);
        } else {
            self.rules.remove(&rule);
        }
        records.append(self.inode, &RuleRecord { change, ..rule }, &[]);
    }

    fn name_devices(&self, route: &mut Route) {
        route.record.device = self.device(route.record.interface_index);
        for next_hop in &mut route.next_hops {
            next_hop.device = self.device(next_hop.interface_index);
        }
    }

    /// Where something may have changed without a word, compares the tables with the kernel's and tells what differs.
    /// Runs inside the namespace.
    pub(super) fn catch_up(&mut self, routes_kept: usize, told: &mut Told, records: &mut Records) {
        if self.needs == Needs::default() || self.listening.is_none() {
            return;
        }
        // What waits to be read would be told twice.
        self.read(routes_kept, told, records);
        let tables = match read_tables(routes_kept) {
            Ok(tables) => tables,
            Err(error) => {
                log::warn!("the routes of network namespace {} cannot be read: {error}", self.inode);
                return;
            }
        };
        self.needs = Needs::default();
        let inode = self.inode;
        self.links.become_table(tables.links, |link, change| {
            records.append(inode, &LinkRecord { change, is_found_later: 1, ..*link }, &[]);
        });
        let links = &self.links;
        let device = |index| links.get(&index).map_or([0; DEVICE_NAME_BYTES], |link| link.device);
        self.addresses.become_table(tables.addresses, |address, change| {
            let device = device(address.interface_index);
            records.append(inode, &AddressRecord { change, is_found_later: 1, device, ..*address }, &[]);
        });
        self.rules.become_table(tables.rules, |rule, change| {
            records.append(inode, &RuleRecord { change, is_found_later: 1, ..*rule }, &[]);
        });
        match (&mut self.routes, tables.routes) {
            (Some(routes), Some(now)) => routes.become_routes(now, |route, change| {
                if told.may_tell_route() {
                    let mut route = route.clone();
                    (route.record.change, route.record.is_found_later) = (change, 1);
                    append_route(inode, &route, records);
                }
            }),
            (routes, now) => *routes = now,
        }
    }
}

fn append_route(inode: u32, route: &Route, records: &mut Records) {
    // Whole next hops only: what is longer than the text behind a record may be, is cut.
    const NEXT_HOPS: usize = 1024 / size_of::<NextHopRecord>();
    let next_hops = &route.next_hops[..route.next_hops.len().min(NEXT_HOPS)];
    records.append(inode, &route.record, next_hops.as_bytes());
}

/// Reads the tables of the calling thread's namespace.
pub(super) fn read_tables(routes_kept: usize) -> Result<Tables, Refusal> {
    let mut asking = Asking::open(NETLINK_ROUTE, ANSWER_SECONDS)?;
    let mut tables = Tables::default();
    read_list(
        &mut asking,
        &Request::new(RTM_GETLINK, &LinkHeader::default()),
        &mut tables.links,
        |message| (message.kind == RTM_NEWLINK).then(|| parse::link(message)).flatten(),
    )?;
    let request = Request::new(RTM_GETADDR, &AddressHeader::default());
    read_list(&mut asking, &request, &mut tables.addresses, |message| {
        (message.kind == RTM_NEWADDR).then(|| parse::address(message)).flatten()
    })?;
    for family in [AF_INET, AF_INET6] {
        let request = Request::new(RTM_GETRULE, &RuleHeader { family, ..RuleHeader::default() });
        read_list(&mut asking, &request, &mut tables.rules, |message| {
            (message.kind == RTM_NEWRULE).then(|| parse::rule(message)).flatten()
        })?;
    }
    tables.routes = read_routes(&mut asking, routes_kept, &tables.links)?;
    Ok(tables)
}

/// Adds a list to a table. A family the kernel does without (IPv6 may be off) has none.
fn read_list<T: super::tables::Kept>(
    asking: &mut Asking,
    request: &Request,
    table: &mut Table<T>,
    parse: impl Fn(&Message<'_>) -> Option<T>,
) -> Result<(), Refusal> {
    for _ in 0..ATTEMPTS {
        let mut left_out = 0_u64;
        let listed = asking.dump(request, |message| match parse(message) {
            Some(_) if table.len() >= ENTRIES_KEPT => left_out += 1,
            Some(entry) => drop(table.insert(&entry)),
            None => {}
        });
        if left_out > 0 {
            log::debug!("{left_out} entries of a network namespace more than are kept");
        }
        match listed {
            Ok(true) => {}
            Ok(false) | Err(Refusal::Errno(libc::EOPNOTSUPP | libc::EAFNOSUPPORT) | Refusal::Said { .. }) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// All routes; `None` if there are more than may be kept.
fn read_routes(
    asking: &mut Asking,
    routes_kept: usize,
    links: &Table<LinkRecord>,
) -> Result<Option<Routes>, Refusal> {
    let device = |index| links.get(&index).map_or([0; DEVICE_NAME_BYTES], |link: &LinkRecord| link.device);
    let mut routes = Routes::default();
    for family in [AF_INET, AF_INET6] {
        let request = Request::new(RTM_GETROUTE, &RouteHeader { family, ..RouteHeader::default() });
        for _ in 0..ATTEMPTS {
            let listed = asking.dump(&request, |message| {
                let Some(mut route) = (message.kind == RTM_NEWROUTE).then(|| parse::route(message)).flatten()
                else {
                    return;
                };
                // A family the kernel does without is answered with all there are.
                let is_of_family = message.payload.first() == Some(&family);
                if is_of_family && routes.len() <= routes_kept {
                    route.record.netlink_port = 0;
                    route.record.device = device(route.record.interface_index);
                    for next_hop in &mut route.next_hops {
                        next_hop.device = device(next_hop.interface_index);
                    }
                    routes.insert(route, false);
                }
            });
            match listed {
                Ok(true) => {}
                Ok(false)
                | Err(Refusal::Errno(libc::EOPNOTSUPP | libc::EAFNOSUPPORT) | Refusal::Said { .. }) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok((routes.len() <= routes_kept).then_some(routes))
}

/// Tells every entry of the neighbour tables of the calling thread's namespace.
pub(super) fn tell_neighbours(inode: u32, records: &mut Records) {
    let mut left = ENTRIES_KEPT;
    let told = read_neighbours(|entry| {
        if left > 0 {
            left -= 1;
            records.append(inode, entry, &[]);
        }
    });
    if let Err(error) = told {
        log::warn!("the neighbours of network namespace {inode} cannot be read: {error}");
    }
}

/// Calls `take` with every entry of the neighbour tables of the calling thread's namespace.
pub(super) fn read_neighbours(mut take: impl FnMut(&NeighbourEntryRecord)) -> Result<(), Refusal> {
    let mut asking = Asking::open(NETLINK_ROUTE, ANSWER_SECONDS)?;
    let mut links = Table::<LinkRecord>::default();
    read_list(&mut asking, &Request::new(RTM_GETLINK, &LinkHeader::default()), &mut links, parse::link)?;
    let header = NeighbourHeader { family: AF_UNSPEC, ..NeighbourHeader::default() };
    asking.dump(&Request::new(RTM_GETNEIGH, &header), |message| {
        let entry = (message.kind == RTM_NEWNEIGH).then(|| parse::neighbour(message)).flatten();
        if let Some(mut entry) = entry {
            entry.device = links.get(&entry.interface_index).map_or(entry.device, |link| link.device);
            take(&entry);
        }
    })?;
    Ok(())
}
