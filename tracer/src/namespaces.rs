//! Network namespaces: finding those in use, and working inside one.
//!
//! Nothing here keeps a namespace alive: its file is open only while a thread is inside.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use rustc_hash::FxHashMap;

/// Processes told of a namespace, at most.
const PROCESSES_TOLD: usize = 4;

/// Namespaces looked at, at most.
pub const NAMESPACES_KEPT: usize = 512;

/// Where `ip netns`, CNI plugins and container runtimes keep namespaces by name.
const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];

/// How often the processes are asked for their namespaces. Names are looked at each time: they are few, and the
/// namespaces of pods have one.
const PROCESSES_INTERVAL: Duration = Duration::from_secs(5);

/// A network namespace in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its inode number, by which events name it.
    pub inode: u32,
    /// A file that leads to it, for now.
    pub path: PathBuf,
    /// The name somebody gave it, if any.
    pub name: Option<String>,
    /// Ids of some of its processes, the lowest first.
    pub processes: Vec<u32>,
    /// Whether it is the one of the node's first process.
    pub is_of_node: bool,
}

/// Which namespaces are in use, kept up to date by looking again. One that is held only by an open descriptor or a
/// socket, or by a thread whose process is elsewhere, is not found.
#[derive(Debug)]
pub struct Census {
    proc: PathBuf,
    named: Vec<PathBuf>,
    only: Option<u32>,
    of_processes: Vec<Namespace>,
    processes_asked: Option<Instant>,
}

impl Census {
    /// Of the whole node, or of the one namespace `only`.
    pub fn new(proc: PathBuf, only: Option<u32>) -> Self {
        Self {
            proc,
            named: NAMED.map(PathBuf::from).into(),
            only,
            of_processes: Vec::new(),
            processes_asked: None,
        }
    }

    /// The namespaces in use, the first process's before all, and how many more there are than are looked at.
    pub fn look(&mut self, now: Instant) -> (Vec<Namespace>, usize) {
        if self.processes_asked.is_none_or(|asked| now.duration_since(asked) >= PROCESSES_INTERVAL) {
            self.processes_asked = Some(now);
            self.of_processes = of_processes(&self.proc);
        }
        let (first, others) = self.of_processes.split_at(self.of_processes.len().min(1));
        let all = first
            .iter()
            .cloned()
            .chain(self.named.iter().flat_map(|directory| named(directory, &self.proc)))
            .chain(others.iter().cloned())
            .filter(|namespace| self.only.is_none_or(|only| only == namespace.inode));
        let mut places: FxHashMap<u32, usize> = FxHashMap::default();
        let mut found: Vec<Namespace> = Vec::new();
        for namespace in all {
            let place = *places.entry(namespace.inode).or_insert(found.len());
            match found.get_mut(place) {
                None => found.push(namespace),
                // The same by another way, which tells what the first did not.
                Some(known) if known.processes.is_empty() => known.processes = namespace.processes,
                Some(known) => known.name = known.name.take().or(namespace.name),
            }
        }
        let left_out = found.len().saturating_sub(NAMESPACES_KEPT);
        found.truncate(NAMESPACES_KEPT);
        (found, left_out)
    }
}

/// The file's inode, if it is on the filesystem of namespaces.
fn namespace_inode(path: &Path, device: u64) -> Option<u32> {
    let metadata = fs::metadata(path).ok()?;
    (metadata.dev() == device).then(|| u32::try_from(metadata.ino()).ok()).flatten()
}

/// The filesystem all namespaces are on.
fn namespace_device(proc: &Path) -> Option<u64> {
    fs::metadata(proc.join("self/ns/net")).ok().map(|metadata| metadata.dev())
}

/// Each namespace a process is in, once, by the oldest process.
fn of_processes(proc: &Path) -> Vec<Namespace> {
    const FIRST: u32 = 1;
    let (Some(device), Ok(entries)) = (namespace_device(proc), fs::read_dir(proc)) else { return Vec::new() };
    let mut ids: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    let mut places: FxHashMap<u32, usize> = FxHashMap::default();
    let mut found: Vec<Namespace> = Vec::new();
    for id in ids {
        let path = proc.join(id.to_string()).join("ns/net");
        let Some(inode) = namespace_inode(&path, device) else { continue };
        let place = *places.entry(inode).or_insert(found.len());
        match found.get_mut(place) {
            None => found.push(Namespace {
                inode,
                path,
                name: None,
                processes: vec![id],
                is_of_node: id == FIRST,
            }),
            Some(known) if known.processes.len() < PROCESSES_TOLD => known.processes.push(id),
            Some(_) => {}
        }
    }
    found
}

fn named(directory: &Path, proc: &Path) -> Vec<Namespace> {
    let (Some(device), Ok(entries)) = (namespace_device(proc), fs::read_dir(directory)) else {
        return Vec::new();
    };
    let mut namespaces: Vec<Namespace> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            let inode = namespace_inode(&path, device)?;
            let name = entry.file_name().into_string().ok();
            Some(Namespace { inode, path, name, processes: Vec::new(), is_of_node: false })
        })
        .collect();
    namespaces.sort_by(|one, other| one.path.cmp(&other.path));
    namespaces
}

/// Why work inside a namespace did not happen, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// Its file leads nowhere, or elsewhere, by now.
    #[error("network namespace {0} is gone")]
    Gone(u32),
    /// The kernel refused.
    #[error("cannot enter network namespace {inode}")]
    Refused {
        /// Which.
        inode: u32,
        /// Why.
        source: nix::Error,
    },
    /// The thread could not go back to its own namespace and must do nothing more.
    #[error("cannot return from network namespace {inode}")]
    Stranded {
        /// Where it is.
        inode: u32,
        /// Why.
        source: nix::Error,
    },
}

/// A thread's way into other namespaces and back. Only the thread that calls is moved.
#[derive(Debug)]
pub struct Door {
    home: File,
    home_inode: u64,
}

impl Door {
    /// Back to where the calling thread is now; fails if that cannot be opened.
    pub fn new() -> io::Result<Self> {
        let home = File::open("/proc/thread-self/ns/net")?;
        let home_inode = home.metadata()?.ino();
        Ok(Self { home, home_inode })
    }

    /// Does the work with the calling thread in that namespace, and returns.
    pub fn within<T>(&self, namespace: &Namespace, work: impl FnOnce() -> T) -> Result<T, EnterError> {
        let inode = namespace.inode;
        if u64::from(inode) == self.home_inode {
            return Ok(work());
        }
        let file = File::open(&namespace.path).map_err(|_| EnterError::Gone(inode))?;
        if !file.metadata().is_ok_and(|metadata| metadata.ino() == u64::from(inode)) {
            return Err(EnterError::Gone(inode));
        }
        setns(&file, CloneFlags::CLONE_NEWNET).map_err(|source| EnterError::Refused { inode, source })?;
        drop(file);
        let worked = work();
        setns(&self.home, CloneFlags::CLONE_NEWNET)
            .map_err(|source| EnterError::Stranded { inode, source })?;
        Ok(worked)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::Instant};

    use super::{Census, Door, EnterError, Namespace};

    #[test]
    fn this_process_is_in_a_namespace_that_is_found() {
        let own: u32 = {
            use std::os::unix::fs::MetadataExt as _;
            u32::try_from(fs::metadata("/proc/self/ns/net").unwrap().ino()).unwrap()
        };
        let (found, left_out) = Census::new("/proc".into(), Some(own)).look(Instant::now());
        assert_eq!((found.len(), left_out), (1, 0));
        assert_eq!(found[0].inode, own);
        assert_eq!(Door::new().unwrap().within(&found[0], || 7).unwrap(), 7);
    }

    #[test]
    fn a_saved_copy_of_proc_without_namespaces_has_none() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("12/ns")).unwrap();
        let mut census = Census::new(directory.path().into(), None);
        census.named = Vec::new();
        assert_eq!(census.look(Instant::now()), (Vec::new(), 0));
    }

    #[test]
    fn a_file_that_leads_elsewhere_is_not_entered() {
        let gone = Namespace {
            inode: 1,
            path: PathBuf::from("/proc/self/ns/net"),
            name: None,
            processes: Vec::new(),
            is_of_node: false,
        };
        let door = Door::new().unwrap();
        assert!(matches!(door.within(&gone, || ()), Err(EnterError::Gone(1))));
    }
}
