//! Services and real servers of IPVS in every network namespace.
//!
//! Every namespace is listed when it appears, and from then on in intervals: what hooks tell in between may be lost, and
//! nothing tells edits of services. Where hooks tell the changes, a listing only mends the state. Where they do not (no
//! types of the module, no kprobes), two listings in a row tell the changes between them.

mod attributes;
mod generic_netlink;
mod listing;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use tracer_common::{
    hook::HookId,
    record::{IpvsChangeRecord, ipvs_change_kind, ipvs_listed_why},
};

use self::listing::{Difference, Listing, Row};
use super::{
    encode::Stamp,
    watch::{Records, Watch},
};
use crate::{event::HookStatus, kernel::Paths, namespaces::Namespace, netlink::Refusal};

/// How long between two listings where hooks tell the changes, and how many times what a round of listings takes.
const MEND_INTERVAL: Duration = Duration::from_secs(30);
const MEND_SHARE: u32 = 200;

/// The same where listings tell them: every round, but never more than a twentieth of one CPU.
const COMPARE_SHARE: u32 = 20;

/// How long between two tellings of connections and totals.
const COUNTS_INTERVAL: Duration = Duration::from_secs(30);

/// Which changes hooks tell, as far as that is settled; shared with whoever attaches the hooks.
#[derive(Clone, Debug, Default)]
pub(super) struct ToldByHooks(Arc<AtomicU8>);

impl ToldByHooks {
    const SERVICE_ADDED: u8 = 1;
    const SERVICE_REMOVED: u8 = 2;
    const DESTINATION_UPDATED: u8 = 4;
    const DESTINATION_REMOVED: u8 = 8;
    const ALL: u8 = 15;
    const SETTLED: u8 = 128;

    /// Every hook has been tried, or will be only once the module comes: then it is not settled.
    pub(super) fn settle<'a>(&self, statuses: impl Iterator<Item = &'a HookStatus>, is_module_awaited: bool) {
        if is_module_awaited {
            return;
        }
        let told = statuses.filter(|status| status.attached.is_some()).map(|status| match status.hook {
            Some(HookId::IpvsAddService) => Self::SERVICE_ADDED,
            Some(HookId::IpvsUnlinkService | HookId::IpvsDeleteService) => Self::SERVICE_REMOVED,
            Some(HookId::IpvsUpdateDestination) => Self::DESTINATION_UPDATED,
            Some(HookId::IpvsDeleteDestination) => Self::DESTINATION_REMOVED,
            _ => 0,
        });
        self.0.store(told.fold(Self::SETTLED, |all, one| all | one), Ordering::SeqCst);
    }

    /// What hooks tell; `None` while that is not settled.
    fn now(&self) -> Option<u8> {
        let told = self.0.load(Ordering::SeqCst);
        (told & Self::SETTLED != 0).then_some(told & Self::ALL)
    }

    /// The bit of a change.
    fn bit(change: &IpvsChangeRecord) -> u8 {
        match (change.has_real != 0, change.change) {
            (false, ipvs_change_kind::ADDED) => Self::SERVICE_ADDED,
            (false, _) => Self::SERVICE_REMOVED,
            (true, ipvs_change_kind::REMOVED) => Self::DESTINATION_REMOVED,
            (true, _) => Self::DESTINATION_UPDATED,
        }
    }
}

/// What was listed of one namespace.
struct Known {
    listing: Listing,
    /// Whether it was settled by then what hooks tell.
    was_settled: bool,
    listed: Instant,
    counts_told: Instant,
    took: Duration,
}

/// The watch.
pub(super) struct IpvsWatch {
    module: PathBuf,
    told: ToldByHooks,
    namespaces: BTreeMap<u32, Known>,
}

impl IpvsWatch {
    pub(super) fn new(paths: &Paths, told: ToldByHooks) -> Self {
        Self { module: paths.sys.join("module/ip_vs"), told, namespaces: BTreeMap::new() }
    }

    /// Whether IPVS is in the kernel and ready. A module that is built in has no state.
    fn is_live(&self) -> bool {
        match fs::read_to_string(self.module.join("initstate")) {
            Ok(state) => state.trim_end() == "live",
            Err(_) => self.module.is_dir(),
        }
    }

    /// Whether a namespace is to be listed now. While it is not settled what hooks tell, only a first time: what
    /// differs later could be told by nobody, or twice.
    fn is_due(&self, inode: u32, told: Option<u8>, now: Instant) -> bool {
        match (self.namespaces.get(&inode), told) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(known), Some(told)) => {
                !known.was_settled || now.duration_since(known.listed) >= self.interval(told)
            }
        }
    }

    /// How long between two listings of a namespace.
    fn interval(&self, told: u8) -> Duration {
        let round: Duration = self.namespaces.values().map(|known| known.took).sum();
        if told == ToldByHooks::ALL { MEND_INTERVAL.max(round * MEND_SHARE) } else { round * COMPARE_SHARE }
    }

    /// What is configured in the calling thread's namespace: nothing, if IPVS is not there. Asking loads nothing.
    fn list(&self, before: &Listing) -> Result<Listing, Refusal> {
        if self.is_live() { Listing::ask(before) } else { Ok(Listing::default()) }
    }

    fn look(&mut self, namespace: &Namespace, records: &mut Records) {
        let now = Instant::now();
        let told = self.told.now();
        if !self.is_due(namespace.inode, told, now) {
            return;
        }
        let Ok(asked) = Stamp::now() else { return };
        let nothing = Listing::default();
        let known = self.namespaces.get(&namespace.inode);
        let before = known.map_or(&nothing, |known| &known.listing);
        let listing = match self.list(before) {
            Ok(listing) => listing,
            Err(error) => {
                log::warn!("IPVS cannot be listed in network namespace {}: {error}", namespace.inode);
                return;
            }
        };
        let counts_told = known.map_or(now, |known| known.counts_told);
        let with_counts = now.duration_since(counts_told) >= COUNTS_INTERVAL;
        let difference = listing.since(before, with_counts);
        // What is there at first has not changed. Hooks attached meanwhile may have told what differs.
        let untold = told.filter(|_| known.is_some() && told == self.told.now()).map_or(0, |told| !told);
        tell(namespace.inode, asked, &difference, untold, records);
        let known = Known {
            listing,
            was_settled: told.is_some(),
            listed: now,
            counts_told: if with_counts { now } else { counts_told },
            took: now.elapsed(),
        };
        self.namespaces.insert(namespace.inode, known);
    }
}

impl Watch for IpvsWatch {
    fn appeared(&mut self, namespace: &Namespace, records: &mut Records) {
        self.look(namespace, records);
    }

    fn sample(&mut self, namespace: &Namespace, records: &mut Records) {
        self.look(namespace, records);
    }

    fn vanished(&mut self, inode: u32, records: &mut Records) {
        let Some(known) = self.namespaces.remove(&inode) else { return };
        let Ok(now) = Stamp::now() else { return };
        let mut difference = Listing::default().since(&known.listing, false);
        for change in &mut difference.changes {
            change.namespace_ends = 1;
        }
        tell(inode, now, &difference, self.told.now().map_or(0, |told| !told), records);
    }
}

/// Writes what differs: the rows, as old as the question, and the changes of the `untold` kinds. A removal that is
/// told as a change needs no row.
fn tell(netns: u32, asked: Stamp, difference: &Difference, untold: u8, records: &mut Records) {
    let is_gone = |why, bit| why == ipvs_listed_why::GONE && untold & bit != 0;
    for row in &difference.rows {
        match row {
            Row::Service(row) if !is_gone(row.why, ToldByHooks::SERVICE_REMOVED) => {
                records.append_at(asked, netns, row, &[]);
            }
            Row::Destination(row) if !is_gone(row.why, ToldByHooks::DESTINATION_REMOVED) => {
                records.append_at(asked, netns, row, &[]);
            }
            Row::Service(_) | Row::Destination(_) => {}
        }
    }
    for change in difference.changes.iter().filter(|change| untold & ToldByHooks::bit(change) != 0) {
        records.append(netns, change, &[]);
    }
}
