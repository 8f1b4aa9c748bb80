//! The way packets take: changes of routes, addresses, devices and rules of every namespace, what there was at the
//! start, and how the peers of flows that retransmit would be reached.
//!
//! rtnetlink tells changes only to sockets inside a namespace, so one is kept open in each, and closed when nobody else
//! is in it any more. Everything else is asked with a socket that is closed again.

mod asked;
mod lookup;
mod namespace;
mod onward;
mod parse;
mod surroundings;
mod sysctls;
mod tables;
mod told;
mod wire;

pub(super) use self::asked::{Asked, Unasked};
#[cfg(test)]
pub(crate) use self::surroundings::Device;
pub(crate) use self::{
    surroundings::Surroundings,
    sysctls::{Settings, read_all as read_settings},
};

use std::{collections::BTreeMap, os::fd::BorrowedFd};

use tracer_common::record::RetransmitRecord;

use self::{namespace::Watched, sysctls::Sysctls, told::Told};
use super::watch::{Question, Records, Watch};
use crate::{
    kernel::Paths,
    namespaces::{Door, EnterError, Namespace},
    probe::{Options, table::Family},
};

/// Routes kept of all namespaces together, about 200 bytes each. Changes are told all the same where there are more, but
/// not what changed while tracer missed some.
const ROUTES_KEPT: usize = 131_072;

/// Questions kept that came from a namespace before it was seen.
const QUESTIONS_KEPT: usize = 256;

/// Watches the way packets take.
pub(super) struct PathWatch {
    tells_path: bool,
    tells_neighbours: bool,
    sysctls: Sysctls,
    namespaces: BTreeMap<u32, (Namespace, Watched)>,
    told: Told,
    early: Vec<RetransmitRecord>,
}

impl PathWatch {
    /// Of the families wanted; `None` if none of it is.
    pub(super) fn new(paths: &Paths, options: &Options, unasked: Unasked) -> Option<Self> {
        let tells_path = options.families.contains(&Family::Path);
        let tells_neighbours = options.families.contains(&Family::Neighbour);
        let sysctls = Sysctls::new(&paths.proc, &options.families);
        (tells_path || tells_neighbours || sysctls.has_any()).then(|| Self {
            tells_path,
            tells_neighbours,
            sysctls,
            namespaces: BTreeMap::new(),
            told: Told::new(unasked),
            early: Vec::new(),
        })
    }

    /// How many routes a namespace may keep, by what the others have.
    fn room_for_routes(&self, inode: u32) -> usize {
        let others = self.namespaces.values().filter(|(namespace, _)| namespace.inode != inode);
        ROUTES_KEPT.saturating_sub(others.map(|(_, watched)| watched.routes_kept()).sum())
    }

    /// Looks up how a flow's peer is reached, or counts it where that cannot be.
    fn look_up(
        &mut self,
        retransmit: &RetransmitRecord,
        door: &Door,
        records: &mut Records,
    ) -> Result<(), EnterError> {
        let inode = retransmit.header.netns;
        let Some((namespace, watched)) = self.namespaces.get(&inode) else {
            if self.early.len() < QUESTIONS_KEPT {
                self.early.push(*retransmit);
            } else {
                self.told.lose_lookup();
            }
            return Ok(());
        };
        if !self.told.may_look_up() {
            return Ok(());
        }
        match door.within(namespace, || lookup::look_up(retransmit, |index| watched.device(index))) {
            Ok(Ok(found)) => {
                records.append(inode, &found, &[]);
                return self.follow(inode, &found, door, records);
            }
            Ok(Err(error)) => {
                self.told.take_back_lookup();
                log::debug!(
                    "cannot look up {} in network namespace {inode}: {error}",
                    lookup::peer(retransmit)
                );
            }
            Err(error @ EnterError::Stranded { .. }) => return Err(error),
            Err(error) => {
                self.told.take_back_lookup();
                log::debug!("{error}");
            }
        }
        Ok(())
    }
}

impl Watch for PathWatch {
    fn appeared(&mut self, namespace: &Namespace, records: &mut Records) {
        let inode = namespace.inode;
        if self.tells_path {
            let watched = Watched::begin(inode, self.room_for_routes(inode), records);
            self.namespaces.insert(inode, (namespace.clone(), watched));
        }
        if self.tells_neighbours {
            namespace::tell_neighbours(inode, records);
        }
        self.sysctls.tell_all(inode, records);
    }

    fn sample(&mut self, namespace: &Namespace, records: &mut Records) {
        let inode = namespace.inode;
        let room = self.room_for_routes(inode);
        if let Some((known, watched)) = self.namespaces.get_mut(&inode) {
            // Whoever led to it may have ended while another is in it still.
            known.clone_from(namespace);
            watched.catch_up(room, &mut self.told, records);
        }
        self.sysctls.tell_changes(inode, records);
        self.told.append(records);
    }

    fn vanished(&mut self, inode: u32, _records: &mut Records) {
        // Its socket is closed with it, and nothing holds the namespace any more.
        self.namespaces.remove(&inode);
        self.sysctls.forget(inode);
        let before = self.early.len();
        self.early.retain(|retransmit| retransmit.header.netns != inode);
        (self.early.len()..before).for_each(|_| self.told.lose_lookup());
    }

    fn descriptors<'a>(&'a self, add: &mut dyn FnMut(u32, BorrowedFd<'a>)) {
        for (inode, (_, watched)) in &self.namespaces {
            if let Some(descriptor) = watched.descriptor() {
                add(*inode, descriptor);
            }
        }
    }

    fn readable(&mut self, inode: u32, records: &mut Records) {
        let room = self.room_for_routes(inode);
        if let Some((_, watched)) = self.namespaces.get_mut(&inode) {
            watched.read(room, &mut self.told, records);
        }
    }

    fn asked(&mut self, question: &Question, door: &Door, records: &mut Records) -> Result<(), EnterError> {
        let Question::Retransmit(retransmit) = question;
        if self.tells_path { self.look_up(retransmit, door, records) } else { Ok(()) }
    }

    fn went_round(&mut self, door: &Door, records: &mut Records) -> Result<(), EnterError> {
        for retransmit in std::mem::take(&mut self.early) {
            if self.namespaces.contains_key(&retransmit.header.netns) {
                self.look_up(&retransmit, door, records)?;
            } else {
                // A whole round found nobody in it: it is gone, or held by a descriptor only.
                self.told.lose_lookup();
            }
        }
        self.told.append(records);
        Ok(())
    }

    fn finish(&mut self, records: &mut Records) {
        self.told.append(records);
    }
}
