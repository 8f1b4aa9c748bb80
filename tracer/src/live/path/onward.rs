//! How packets of a flow go on where their next hop, or the peer itself, is another namespace of this node: a pod's leave
//! by the node's own, whose routes decide.

use tracer_common::record::{Flow, RetransmitRecord, RouteLookupRecord};

use super::{PathWatch, lookup, namespace::Watched};
use crate::{
    live::watch::Records,
    namespaces::{Door, EnterError},
};

/// Namespaces asked one after another, for one way.
const HOPS: usize = 3;

/// A question to another namespace.
struct Step {
    inode: u32,
    flow: Flow,
    /// The device packets come in by; `None` where they begin.
    came_in_by: Option<u32>,
}

impl PathWatch {
    /// Asks the namespaces that the way found leads through, and the peer's for the way back, as far as they are this
    /// node's.
    pub(super) fn follow(
        &mut self,
        inode: u32,
        found: &RouteLookupRecord,
        door: &Door,
        records: &mut Records,
    ) -> Result<(), EnterError> {
        self.follow_way(self.next_hop(inode, found), door, records)?;
        let back = self.only_holder(inode, found.flow.destination);
        let back = back.map(|(peer, _)| Step { inode: peer, flow: reversed(found.flow), came_in_by: None });
        self.follow_way(back, door, records)
    }

    fn follow_way(
        &mut self,
        mut step: Option<Step>,
        door: &Door,
        records: &mut Records,
    ) -> Result<(), EnterError> {
        for _ in 0..HOPS {
            let Some(next) = step else { return Ok(()) };
            step = self.ask(&next, door, records)?.and_then(|found| self.next_hop(next.inode, &found));
        }
        Ok(())
    }

    /// Who is next on the way found: the one other namespace that has the next hop's hardware address or, where that is
    /// not known, its address. A gateway that has no address of its own is known by the former only.
    fn next_hop(&self, inode: u32, found: &RouteLookupRecord) -> Option<Step> {
        if found.error != 0 || found.route_type != lookup::UNICAST {
            return None;
        }
        let is_direct = found.gateway == [0; 16];
        let (next, device) = match hardware_address(found) {
            Some(wanted) => self.only_other(inode, |watched| watched.holds_hardware(wanted))?,
            None if is_direct => return None,
            None => self.only_holder(inode, found.gateway)?,
        };
        // Who is reached without a gateway may be the peer itself.
        let (_, watched) = self.namespaces.get(&next)?;
        let is_peer = is_direct && watched.holds(found.flow.destination).is_some();
        (!is_peer).then_some(Step { inode: next, flow: found.flow, came_in_by: Some(device) })
    }

    /// The one namespace beside that one that has an address, and the device it is on.
    fn only_holder(&self, beside: u32, address: [u8; 16]) -> Option<(u32, u32)> {
        self.only_other(beside, |watched| watched.holds(address))
    }

    /// The one namespace beside that one that has a certain device, and the device.
    fn only_other(&self, beside: u32, device: impl Fn(&Watched) -> Option<u32>) -> Option<(u32, u32)> {
        let others = self.namespaces.iter().filter(|(inode, _)| **inode != beside);
        let mut holders = others.filter_map(|(inode, (_, watched))| Some((*inode, device(watched)?)));
        let only = holders.next()?;
        holders.next().is_none().then_some(only)
    }

    fn ask(
        &mut self,
        step: &Step,
        door: &Door,
        records: &mut Records,
    ) -> Result<Option<RouteLookupRecord>, EnterError> {
        let Step { inode, flow, came_in_by } = *step;
        let Some((namespace, watched)) = self.namespaces.get(&inode) else { return Ok(None) };
        if !self.told.may_look_up() {
            return Ok(None);
        }
        let device = |index| watched.device(index);
        let asked = door.within(namespace, || match came_in_by {
            Some(came_in_by) => lookup::look_up_onward(flow, came_in_by, device),
            None => lookup::look_up(&RetransmitRecord { flow, ..RetransmitRecord::default() }, device),
        });
        match asked {
            Ok(Ok(found)) => {
                records.append(inode, &found, &[]);
                return Ok(Some(found));
            }
            Ok(Err(error)) => log::debug!("cannot look up in network namespace {inode}: {error}"),
            Err(error @ EnterError::Stranded { .. }) => return Err(error),
            Err(error) => log::debug!("{error}"),
        }
        self.told.take_back_lookup();
        Ok(None)
    }
}

fn hardware_address(found: &RouteLookupRecord) -> Option<&[u8]> {
    let length = usize::from(found.hardware_address_length);
    found.hardware_address.get(..length).filter(|address| address.iter().any(|&byte| byte != 0))
}

/// The flow the other way.
fn reversed(flow: Flow) -> Flow {
    Flow {
        source: flow.destination,
        destination: flow.source,
        source_port: flow.destination_port,
        destination_port: flow.source_port,
        ..flow
    }
}
