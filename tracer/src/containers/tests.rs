//! Whose cgroups and processes are on nodes of several makes, from listings of their files (`testdata/nodes`): a line for
//! each file, link or directory, the text of a file indented below.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Finder, Identity};
use crate::event::{Container, Runtime};

const NODES: [&str; 9] = [
    "containerd-systemd-v2",
    "containerd-cgroupfs-v1",
    "containerd-systemd-hybrid",
    "containerd-mixed-drivers",
    "k3s-cgroupfs-v2",
    "crio-systemd-v2",
    "docker-systemd-v2",
    "podman-nerdctl-v2",
    "kubelet-only",
];

/// A node's files below a directory of their own, with `/proc/1/root` leading there.
pub(crate) struct Node {
    directory: TempDir,
}

impl Node {
    pub(crate) fn lay_out(name: &str) -> Self {
        let listing = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/nodes/{name}.txt"));
        let node = Self { directory: tempfile::tempdir().unwrap() };
        let mut file = PathBuf::new();
        for line in fs::read_to_string(listing).unwrap().lines() {
            if let Some(text) = line.strip_prefix("    ") {
                let before = fs::read_to_string(&file).unwrap();
                fs::write(&file, format!("{before}{text}\n")).unwrap();
                continue;
            }
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["file", path] => {
                    file = node.path(path);
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(&file, "").unwrap();
                }
                ["link", path, target] => {
                    let path = node.path(path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    symlink(target, path).unwrap();
                }
                ["dir", path] => fs::create_dir_all(node.path(path)).unwrap(),
                ["#", ..] => {}
                _ => panic!("{name}: {line}"),
            }
        }
        fs::create_dir_all(node.path("/proc/1")).unwrap();
        symlink(node.directory.path(), node.path("/proc/1/root")).unwrap();
        node
    }

    pub(crate) fn proc(&self) -> PathBuf {
        self.path("/proc")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    /// All directories of cgroups, by their inodes.
    pub(crate) fn cgroups(&self) -> BTreeMap<u64, String> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.path("/sys/fs/cgroup")];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    let shown = path.strip_prefix(self.directory.path()).unwrap().display().to_string();
                    found.insert(fs::metadata(&path).unwrap().ino(), format!("/{shown}"));
                    left.push(path);
                }
            }
        }
        found
    }

    /// Ids of the processes there are, but the first.
    fn processes(&self) -> Vec<u32> {
        let entries = fs::read_dir(self.proc()).unwrap();
        let mut ids: Vec<u32> =
            entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).collect();
        ids.sort_unstable();
        ids.retain(|&id| id != 1);
        ids
    }
}

/// `containerd nginx in shop/web-1 (3fa0…)`.
fn told(container: &Container) -> String {
    let mut text = container.runtime.map_or("-", Runtime::name).to_owned();
    let name = if container.name.is_empty() { "unnamed" } else { container.name.as_str() };
    if container.id.is_empty() {
        text.push_str(" no container");
    } else {
        write!(text, " {name} {}", container.id.as_str().get(..8).unwrap()).unwrap();
    }
    if let Some(pod) = &container.pod {
        write!(text, " in {pod} ({})", pod.uid).unwrap();
    }
    text
}

#[test]
fn cgroups_and_processes_are_known_by_name() {
    let mut text = String::new();
    for name in NODES {
        let node = Node::lay_out(name);
        let finder = Finder::new(node.proc());
        let describe = |identity: Option<&Identity>| {
            identity.map_or_else(|| "nobody's".to_owned(), |identity| told(&finder.describe(identity)))
        };
        writeln!(text, "{name}").unwrap();
        let known = finder.cgroups();
        let mut cgroups: Vec<(String, u64)> =
            node.cgroups().into_iter().map(|(id, path)| (path, id)).collect();
        cgroups.sort();
        for (path, id) in cgroups {
            let end: String = path.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
            writeln!(text, "  …{end:40} {}", describe(known.get(&id))).unwrap();
        }
        for process_id in node.processes() {
            let found = finder.process(process_id);
            writeln!(text, "  process {process_id} {:27} {}", "", describe(found.as_ref())).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_node_without_any_of_it_tells_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let finder = Finder::new(directory.path().join("proc"));
    assert!(finder.cgroups().is_empty() && finder.process(1).is_none());
    assert!(!finder.has_separate_hierarchies());
}
