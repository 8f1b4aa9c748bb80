//! Where the way to a peer ends, as far as the routes of this node tell: in the namespace that sends, or in one that
//! forwards for it.

use std::net::IpAddr;

use crate::{
    event::{Address, Change, Link, LookupResult, Netns, RouteType, Text},
    findings::sums::PeerKey,
    state::{Reached, State},
};

/// Namespaces that forward, one after another.
const HOPS: usize = 3;

/// Nanoseconds by which the answer of a namespace that forwards may be older than that of the one before it: they are
/// asked at once.
const TOGETHER_NS: u64 = 1_000_000_000;

/// A way that does not lead to the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Astray<'a> {
    /// The namespace where it ends.
    pub(super) netns: Netns,
    /// What the kernel answered there, where it was asked.
    pub(super) reached: Option<&'a Reached>,
    /// How it ends.
    pub(super) end: End<'a>,
}

/// How a way ends before the peer.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    /// The address is local there: on a device, or by a route alone.
    Local(Option<&'a Address>),
    /// It goes round by the loopback device.
    Loopback,
    /// It is sent by a device that drops all it is given.
    Dropped(&'a Text),
    /// The route refuses it, or there is none.
    Refused,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Everything known.
    pub(super) state: &'a State,
    /// Where the peer certainly is, if that is known: what is local there is right.
    pub(super) home: Option<Netns>,
    /// Whether the peer dialled.
    pub(super) is_dialler: bool,
    /// Whether an address was on this node and ended.
    pub(super) is_gone: &'a dyn Fn(IpAddr) -> bool,
}

impl<'a> Way<'a> {
    /// Where what is for a peer ends, if not at the peer.
    pub(super) fn astray(&self, (netns, peer): PeerKey) -> Option<Astray<'a>> {
        let mut at = netns;
        let mut reached = self.state.routes.reached(at, peer)?;
        let mut came_by = None;
        for _ in 0..=HOPS {
            if self.home == Some(at) {
                return None;
            }
            if let Some(end) = self.end(at, peer, reached, came_by) {
                return Some(Astray { netns: at, reached: Some(reached), end });
            }
            let gateway = reached.gateway.filter(|_| reached.result == UNICAST)?;
            let further = next_hop(self.state, at, gateway).and_then(|next| {
                let answer = self.state.routes.reached(next, peer)?;
                (answer.time.boot_ns + TOGETHER_NS >= reached.time.boot_ns).then_some((next, answer))
            });
            let Some((next, answer)) = further else { return self.by_addresses(at, peer, gateway) };
            (at, reached, came_by) = (next, answer, Some(gateway));
        }
        None
    }

    /// How it ends in a namespace; `came_by` is the address of that one that led there.
    fn end(&self, at: Netns, peer: IpAddr, reached: &'a Reached, came_by: Option<IpAddr>) -> Option<End<'a>> {
        match reached.result {
            UNICAST => match reached.device.as_ref()? {
                device if device.as_str() == LOOPBACK => Some(End::Loopback),
                device => self.drops_all(at, device).then_some(End::Dropped(device)),
            },
            LookupResult::Route(RouteType::LOCAL) => {
                let own = rows(self.state, at, peer);
                if own.clone().count() == 0 {
                    return Some(End::Local(None));
                }
                // Once nobody has it any more, it is local no longer, whatever was answered last.
                let mut there = own.filter(|address| address.change != Change::Removed);
                let captured = match came_by {
                    Some(came_by) => captured(self.state, at, peer, came_by),
                    None => there.next(),
                };
                captured.map(|address| End::Local(Some(address)))
            }
            LookupResult::Route(_) | LookupResult::Refused(..) | LookupResult::Error(libc::ENETUNREACH) => {
                // Where the peer was on this node and ended, or a device went and took its routes with it, nothing is
                // routed wrongly.
                let has_ended = (self.is_gone)(peer) || self.has_lost_device(at, reached);
                let is_error = !matches!(reached.result, LookupResult::Route(_));
                let is_about_source = is_error && self.state.routes.may_be_about_source(at, reached);
                (!has_ended && !is_about_source).then_some(End::Refused)
            }
            LookupResult::Error(_) => None,
        }
    }

    /// Whether a device is a dummy: `dummy_xmit` of `drivers/net/dummy.c` counts a packet as sent and frees it.
    fn drops_all(&self, at: Netns, device: &Text) -> bool {
        let is_dummy = |link: &Link| link.link_type.as_ref().is_some_and(|name| name.as_str() == "dummy");
        let mut links = self.state.routes.links.iter();
        links.any(|((netns, _), link)| {
            *netns == at && link.device == *device && link.change != Change::Removed && is_dummy(link)
        })
    }

    /// Whether the device of the answer before was removed or, where there is no route, any was taken down.
    fn has_lost_device(&self, at: Netns, reached: &Reached) -> bool {
        let is_none = reached.result == LookupResult::Error(libc::ENETUNREACH);
        let is_previous = |device: &Text| reached.previous_device.as_ref() == Some(device);
        let links = self.state.routes.links.iter().filter(|((netns, _), _)| *netns == at);
        links.into_iter().any(|(_, link)| match link.change {
            Change::Removed => is_none || is_previous(&link.device),
            Change::Down => is_none,
            _ => false,
        })
    }

    /// Where the next hop was not asked, its addresses may tell that it has the peer's.
    fn by_addresses(&self, at: Netns, peer: IpAddr, gateway: IpAddr) -> Option<Astray<'a>> {
        let next_hops = self.state.names.holders_of(gateway);
        let is_next =
            |holder: &&Netns| **holder != at && Some(**holder) != self.home && next_hops.contains(holder);
        let holders = self.state.names.holders_of(peer);
        let next = *holders.iter().find(is_next).filter(|_| self.is_dialler)?;
        let address = captured(self.state, next, peer, gateway)?;
        Some(Astray { netns: next, reached: None, end: End::Local(Some(address)) })
    }
}

const UNICAST: LookupResult = LookupResult::Route(RouteType::UNICAST);

/// The loopback device of every namespace.
pub(super) const LOOPBACK: &str = "lo";

/// The one other namespace of the node that has an address.
pub(super) fn next_hop(state: &State, at: Netns, address: IpAddr) -> Option<Netns> {
    let holders = state.names.holders_of(address).iter();
    let is_there = |holder: &&Netns| holder.node == at.node && !state.names.has_ended(**holder);
    let mut others = holders.filter(|holder| **holder != at).filter(is_there);
    let only = *others.next()?;
    others.next().is_none().then_some(only)
}

/// What was told of an address in a namespace, a row for each device.
fn rows(state: &State, netns: Netns, address: IpAddr) -> impl Iterator<Item = &Address> + Clone {
    let all = state.routes.addresses.iter();
    all.filter(move |(key, _)| key.0 == netns && key.2 == address).map(|(_, row)| row)
}

/// The peer's address in a namespace, if that has it on another device than the one that was come by: a router is dialled
/// from behind that one.
fn captured(state: &State, netns: Netns, peer: IpAddr, came_by: IpAddr) -> Option<&Address> {
    let has_it = |row: &&Address| row.change != Change::Removed;
    let towards: Vec<u32> =
        rows(state, netns, came_by).filter(has_it).map(|row| row.interface_index).collect();
    rows(state, netns, peer).filter(has_it).find(|row| !towards.contains(&row.interface_index))
}
