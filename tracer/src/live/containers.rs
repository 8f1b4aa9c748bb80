//! Which container and pod the sockets of records belong to.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rustc_hash::{FxHashMap, FxHashSet};
use tracer_common::{
    budget::KindBudget,
    record::{ContainerRecord, OwnerRecord, Record as _, RetransmitRecord},
};
use zerocopy::FromBytes as _;

use super::encode::{Stamp, append_record};
use crate::{
    containers::{Asked, Finder, Identity},
    decode,
    event::{Container, Pod, Runtime},
};

/// The least time between two walks through all cgroups, where the kernel does not lead to one by its id: a walk takes
/// tens of milliseconds on a busy node.
const WALK_INTERVAL: Duration = Duration::from_millis(500);

/// Processes asked for their cgroups in a second.
const PROCESSES_PER_SECOND: u32 = 200;

/// Cgroups, sockets and processes remembered as told or as nobody's, each, before memory is cleared.
const REMEMBERED: usize = 65_536;

/// The kubelet writes some names only once a container runs. As long as one is missing it is looked for again.
const TRIES: u8 = 5;
const TRY_INTERVAL: Duration = Duration::from_secs(2);

/// Containers behind the sockets of records.
pub(super) struct Containers {
    finder: Finder,
    /// Whose cgroups are, of those found so far.
    cgroups: FxHashMap<u64, Identity>,
    last_walk: Option<Instant>,
    wanted: FxHashSet<u64>,
    /// Told already, or looked for in vain.
    settled: FxHashSet<u64>,
    /// Cgroups told with names missing.
    incomplete: FxHashMap<u64, Incomplete>,
    processes: Processes,
}

struct Incomplete {
    told: Container,
    tries: u8,
    next: Instant,
}

/// Where hierarchies of version 1 tell of containers, only a process leads there.
struct Processes {
    budget: KindBudget,
    /// Sockets of which the cgroup is to be looked at first; with that, and the process, 0 if it is not known.
    undecided: FxHashMap<u64, (u64, u32)>,
    /// Sockets whose cgroup does not tell, and whose process is not known yet.
    without_process: FxHashSet<u64>,
    /// Sockets whose process was looked at.
    settled_sockets: FxHashSet<u64>,
    wanted: FxHashSet<u32>,
    told: FxHashMap<u32, Identity>,
}

impl Containers {
    pub(super) fn new(proc: PathBuf) -> Self {
        Self {
            finder: Finder::new(proc),
            cgroups: FxHashMap::default(),
            last_walk: None,
            wanted: FxHashSet::default(),
            settled: FxHashSet::default(),
            incomplete: FxHashMap::default(),
            processes: Processes {
                budget: KindBudget::default(),
                undecided: FxHashMap::default(),
                without_process: FxHashSet::default(),
                settled_sockets: FxHashSet::default(),
                wanted: FxHashSet::default(),
                told: FxHashMap::default(),
            },
        }
    }

    /// Appends to `told` the containers of the sockets that records in `records` name. `told` may hold owners of sockets
    /// already, which count.
    pub(super) fn look_up(&mut self, records: &[u8], told: &mut BytesMut) {
        for (header, record) in decode::records(records) {
            if header.kind == RetransmitRecord::KIND as u16
                && let Ok((record, _)) = RetransmitRecord::read_from_prefix(record)
            {
                self.note(&record);
            }
        }
        let Ok(stamp) = Stamp::now() else { return };
        self.tell_cgroups(stamp, told);
        self.decide();
        self.note_owners(told);
        self.tell_processes(stamp, told);
        self.forget();
    }

    fn note(&mut self, record: &RetransmitRecord) {
        let cgroup_id = record.cgroup_id;
        if cgroup_id != 0 && !self.settled.contains(&cgroup_id) {
            self.wanted.insert(cgroup_id);
        }
        if let Some(incomplete) = self.incomplete.get(&cgroup_id)
            && incomplete.next <= Instant::now()
        {
            self.wanted.insert(cgroup_id);
        }
        let may_tell_more = cgroup_id == 0 || self.finder.has_separate_hierarchies();
        if may_tell_more
            && record.socket_inode != 0
            && !self.processes.settled_sockets.contains(&record.socket_inode)
        {
            self.processes.undecided.insert(record.socket_inode, (cgroup_id, record.process_id));
        }
    }

    /// Of sockets whose cgroup turned out to tell nothing, wants the process.
    fn decide(&mut self) {
        let Self { processes, cgroups, .. } = self;
        for (socket_inode, (cgroup_id, process_id)) in processes.undecided.drain() {
            if cgroups.contains_key(&cgroup_id) {
                processes.settled_sockets.insert(socket_inode);
            } else if process_id == 0 {
                processes.without_process.insert(socket_inode);
            } else {
                processes.wanted.insert(process_id);
                processes.settled_sockets.insert(socket_inode);
            }
        }
    }

    fn note_owners(&mut self, told: &[u8]) {
        for (header, record) in decode::records(told) {
            if header.kind == OwnerRecord::KIND as u16
                && let Ok((record, _)) = OwnerRecord::read_from_prefix(record)
                && self.processes.without_process.remove(&record.socket_inode)
            {
                self.processes.wanted.insert(record.process_id);
                self.processes.settled_sockets.insert(record.socket_inode);
            }
        }
    }

    fn tell_cgroups(&mut self, stamp: Stamp, told: &mut BytesMut) {
        if self.wanted.is_empty() {
            return;
        }
        let wanted: Vec<u64> = self.wanted.drain().collect();
        let mut needs_walk = false;
        for &id in &wanted {
            if self.cgroups.contains_key(&id) {
                continue;
            }
            match self.finder.cgroup(id) {
                Asked::Found(identity) => drop(self.cgroups.insert(id, identity)),
                Asked::Nobody => drop(self.settled.insert(id)),
                Asked::Unanswered => needs_walk = true,
            }
        }
        let has_walked = needs_walk && self.last_walk.is_none_or(|last| last.elapsed() >= WALK_INTERVAL);
        if has_walked {
            self.cgroups = self.finder.cgroups();
            self.last_walk = Some(Instant::now());
        }
        for id in wanted {
            match self.cgroups.get(&id) {
                Some(identity) => {
                    let container = Container { cgroup_id: Some(id), ..self.finder.describe(identity) };
                    self.tell_cgroup(stamp, id, container, told);
                }
                // It is no container's, or gone.
                None if has_walked || self.settled.contains(&id) => {
                    self.settled.insert(id);
                    self.incomplete.remove(&id);
                }
                None => {
                    self.wanted.insert(id);
                }
            }
        }
    }

    fn tell_cgroup(&mut self, stamp: Stamp, id: u64, container: Container, told: &mut BytesMut) {
        self.settled.insert(id);
        let before = self.incomplete.remove(&id);
        if before.as_ref().is_none_or(|before| before.told != container) {
            append_container(told, stamp, &container);
        }
        let tries = before.map_or(0, |before| before.tries + 1);
        if is_incomplete(&container) && tries < TRIES {
            let next = Instant::now() + TRY_INTERVAL;
            self.incomplete.insert(id, Incomplete { told: container, tries, next });
        }
    }

    fn tell_processes(&mut self, stamp: Stamp, told: &mut BytesMut) {
        let Processes { budget, wanted, told: known, .. } = &mut self.processes;
        for process_id in wanted.drain().collect::<Vec<_>>() {
            if !budget.take(stamp.boot_ns(), PROCESSES_PER_SECOND) {
                wanted.insert(process_id);
                continue;
            }
            let Some(identity) = self.finder.process(process_id) else {
                // The number may have been another's, in a container.
                if known.remove(&process_id).is_some() {
                    let nobody = Container { process_id: Some(process_id), ..Container::default() };
                    append_container(told, stamp, &nobody);
                }
                continue;
            };
            if known.get(&process_id) != Some(&identity) {
                let container = Container { process_id: Some(process_id), ..self.finder.describe(&identity) };
                append_container(told, stamp, &container);
                known.insert(process_id, identity);
            }
        }
    }

    fn forget(&mut self) {
        let Processes { without_process, settled_sockets, told, wanted, .. } = &mut self.processes;
        for set in [&mut self.settled, &mut self.wanted, without_process, settled_sockets] {
            if set.len() > REMEMBERED {
                set.clear();
            }
        }
        if self.cgroups.len() > REMEMBERED {
            self.cgroups.clear();
        }
        if told.len() > REMEMBERED {
            told.clear();
        }
        if wanted.len() > REMEMBERED {
            wanted.clear();
        }
        if self.incomplete.len() > REMEMBERED {
            self.incomplete.clear();
        }
    }
}

/// Whether the kubelet or a runtime may still write a name that is missing.
fn is_incomplete(container: &Container) -> bool {
    let is_named = container.id.is_empty() || !container.name.is_empty();
    !is_named || container.pod.as_ref().is_some_and(|pod| !pod.is_named())
}

/// Appends which container and pod a cgroup or a process belongs to.
pub(super) fn append_container(buffer: &mut BytesMut, stamp: Stamp, container: &Container) {
    let Container { cgroup_id, process_id, runtime, id, name, pod } = container;
    let record = ContainerRecord {
        cgroup_id: cgroup_id.unwrap_or_default(),
        process_id: process_id.unwrap_or_default(),
        runtime: Runtime::number(*runtime),
        ..ContainerRecord::default()
    };
    let names = format!("{id}\n{name}\n{}", pod_lines(pod.as_ref()));
    append_record(buffer, stamp, 0, &record, names.as_bytes());
}

/// The three lines that records have of a pod. `Text` has no line feeds.
pub(super) fn pod_lines(pod: Option<&Pod>) -> String {
    pod.map(|Pod { namespace, name, uid }| format!("{namespace}\n{name}\n{uid}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        slice,
        time::{Duration, Instant},
    };

    use bytes::BytesMut;
    use tracer_common::record::{OwnerRecord, Record, RecordHeader, RetransmitRecord};
    use zerocopy::IntoBytes as _;

    use super::Containers;
    use crate::{
        block::Block,
        containers::tests::Node,
        decode::Decoder,
        event::{Body, Container},
    };

    fn header<R: Record>() -> RecordHeader {
        RecordHeader {
            kind: R::KIND as u16,
            length_bytes: u16::try_from(size_of::<R>()).unwrap(),
            ..RecordHeader::default()
        }
    }

    fn retransmit(cgroup_id: u64, socket_inode: u64, process_id: u32) -> RetransmitRecord {
        let header = header::<RetransmitRecord>();
        RetransmitRecord { header, cgroup_id, socket_inode, process_id, ..RetransmitRecord::default() }
    }

    /// What is told before these records, with these owners of sockets found.
    fn told(
        containers: &mut Containers,
        records: &[RetransmitRecord],
        owners: &[OwnerRecord],
    ) -> Vec<Container> {
        let records: Vec<u8> = records.iter().flat_map(|record| record.as_bytes().to_vec()).collect();
        let mut told = BytesMut::new();
        for owner in owners {
            told.extend_from_slice(owner.as_bytes());
        }
        containers.look_up(&records, &mut told);
        let mut found = Vec::new();
        Decoder::default().decode(&Block(told.freeze()), |event| {
            if let Body::Container(container) = event.body {
                found.push((*container).clone());
            }
        });
        found
    }

    fn names(found: &[Container]) -> Vec<(Option<u64>, Option<u32>, &str, String)> {
        let pod = |container: &Container| container.pod.as_ref().map(ToString::to_string).unwrap_or_default();
        found
            .iter()
            .map(|container| {
                (container.cgroup_id, container.process_id, container.name.as_str(), pod(container))
            })
            .collect()
    }

    const POD: &str = "shop/web-6d4b75cb6d-w4b72";

    #[test]
    fn the_container_of_a_cgroup_is_told_once() {
        let node = Node::lay_out("containerd-systemd-v2");
        let cgroups = node.cgroups();
        let id = |end: &str| *cgroups.iter().find(|(_, path)| path.ends_with(end)).unwrap().0;
        let (container, service) = (
            id("4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2.scope"),
            id("kubelet.service"),
        );
        let mut containers = Containers::new(node.proc());
        let records =
            [retransmit(container, 1, 4_200), retransmit(service, 2, 700), retransmit(container, 3, 0)];
        let found = told(&mut containers, &records, &[]);
        assert_eq!(names(&found), [(Some(container), None, "nginx", POD.to_owned())]);
        containers.last_walk = None;
        assert_eq!(told(&mut containers, &records, &[]), []);
        assert!(containers.last_walk.is_none(), "nothing is looked for twice");
    }

    #[test]
    fn a_missing_name_is_looked_for_again() {
        let node = Node::lay_out("kubelet-only");
        let cgroups = node.cgroups();
        let id = *cgroups.iter().find(|(_, path)| path.ends_with("168a.scope")).unwrap().0;
        let [record] = [retransmit(id, 1, 0)];
        let mut containers = Containers::new(node.proc());
        let pod = "kube-system/coredns-6799fbcd5-x7k2p".to_owned();
        assert_eq!(names(&told(&mut containers, &[record], &[])), [(Some(id), None, "", pod.clone())]);
        std::os::unix::fs::symlink(
            "/var/log/pods/x",
            node.proc().join("1/root/var/log/containers/coredns-6799fbcd5-x7k2p_kube-system_coredns-dd75a9d6fb309c4399fe425cd5f90ff95eba135d6924fb91766ee5d3726b168a.log"),
        )
        .unwrap();
        containers.incomplete.get_mut(&id).unwrap().next = Instant::now() + Duration::from_hours(1);
        assert_eq!(told(&mut containers, &[record], &[]), [], "not at once");
        containers.incomplete.get_mut(&id).unwrap().next = Instant::now();
        assert_eq!(names(&told(&mut containers, &[record], &[])), [(Some(id), None, "coredns", pod)]);
        assert!(containers.incomplete.is_empty());
    }

    #[test]
    fn without_a_unified_hierarchy_processes_tell() {
        let node = Node::lay_out("containerd-cgroupfs-v1");
        let mut containers = Containers::new(node.proc());
        let by_process = (None, Some(4_200), "nginx", POD.to_owned());
        // The root of the unified hierarchy, which is there though nobody mounted it; then none.
        let records = [retransmit(1, 1, 4_200), retransmit(0, 2, 700), retransmit(1, 3, 9_999)];
        assert_eq!(names(&told(&mut containers, &records, &[])), slice::from_ref(&by_process));
        assert_eq!(told(&mut containers, &records, &[]), []);
        // The process is found later, by the socket.
        let mut containers = Containers::new(node.proc());
        let record = retransmit(1, 4, 0);
        assert_eq!(told(&mut containers, &[record], &[]), []);
        let owner = OwnerRecord {
            header: header::<OwnerRecord>(),
            socket_inode: 4,
            process_id: 4_200,
            ..OwnerRecord::default()
        };
        assert_eq!(names(&told(&mut containers, &[], &[owner])), [by_process]);
        assert_eq!(told(&mut containers, &[record], &[owner]), []);
    }
}
