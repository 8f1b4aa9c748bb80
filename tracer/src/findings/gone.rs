//! Who was on this node and ended: a pod's address, after its namespace or its device has been taken away; and addresses
//! that a namespace gave away.

use std::net::IpAddr;

use rustc_hash::FxHashSet;

use super::finding::is_within;
use crate::{
    event::{Change, Netns},
    state::State,
};

/// The addresses that went with a device or a namespace, whose number another may have by now, and that nobody on the node
/// has. One that was only taken from its device may be missed.
pub(super) fn addresses(state: &State) -> FxHashSet<IpAddr> {
    let (mut gone, mut there) = (FxHashSet::default(), FxHashSet::default());
    gone.extend(state.routes.ended.iter().map(|(&(_, address), _)| address));
    for (&(netns, interface_index, address, _), row) in state.routes.addresses.iter() {
        let link = state.routes.links.get(&(netns, interface_index));
        if state.names.has_ended(netns) || link.is_some_and(|link| link.change == Change::Removed) {
            gone.insert(address);
        } else if row.change != Change::Removed {
            there.insert(address);
        }
    }
    gone.retain(|address| !there.contains(address));
    gone
}

/// Seconds for which one that ended may still be dialled by those who have not heard of it yet.
const FORGOTTEN_SECONDS: u32 = 120;

/// Those of them whose namespace ended lately: who dials one for longer misses it, or whoever has its address elsewhere.
pub(super) fn lately(state: &State) -> FxHashSet<IpAddr> {
    let mut gone = addresses(state);
    for (&(_, address), &time) in state.routes.ended.iter() {
        if !is_within(state.now(), time, FORGOTTEN_SECONDS) {
            gone.remove(&address);
        }
    }
    gone
}

/// The addresses that a namespace had and has no more, as one that moved to another host: what is left of its connections
/// here cannot send from it.
pub(super) fn given_away(state: &State) -> FxHashSet<(Netns, IpAddr)> {
    let (mut given_away, mut there) = (FxHashSet::default(), FxHashSet::default());
    for (&(netns, _, address, _), row) in state.routes.addresses.iter() {
        let set = if row.change == Change::Removed { &mut given_away } else { &mut there };
        set.insert((netns, address));
    }
    given_away.retain(|place| !there.contains(place));
    given_away
}
