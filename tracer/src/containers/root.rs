//! The node's files, as seen from wherever tracer runs.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::DirEntryExt as _,
    path::{Component, Path, PathBuf},
};

/// Symbolic links followed in one path, as the kernel follows.
const LINKS_FOLLOWED: usize = 40;

/// The longest file read: a runtime's file about a container has some ten kilobytes, up to hundreds with long
/// environments.
const FILE_BYTES: u64 = 4 << 20;

/// Directories of the cgroup hierarchy visited, and their depth, at most. A busy node has some thousands.
const CGROUPS_VISITED: usize = 65_536;
const CGROUP_DEPTH: usize = 16;

/// The root directory of the node's first process. tracer may run in a container that sees the node's processes but
/// has files of its own.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    /// By `/proc`. Where the first process's root may not be looked into, it is taken for this process's own.
    pub(super) fn new(proc: &Path) -> Self {
        let first = proc.join("1/root");
        Self(if fs::read_dir(&first).is_ok() { first } else { "/".into() })
    }

    /// Where a path of the node is found from here: links are followed below this root, not below the process's own.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        let mut found = PathBuf::new();
        let mut left: Vec<OsString> = names(Path::new(path));
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name == ".." {
                found.pop();
                continue;
            }
            found.push(name);
            match fs::read_link(self.0.join(&found)) {
                Ok(target) if links < LINKS_FOLLOWED => {
                    links += 1;
                    if target.is_absolute() {
                        found.clear();
                    } else {
                        found.pop();
                    }
                    left.extend(names(&target));
                }
                _ => {}
            }
        }
        self.0.join(found)
    }

    /// A file's text; `None` if it cannot be read or is too long.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut text = String::new();
        File::open(self.path(path)).ok()?.take(FILE_BYTES).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The names in a directory, those that are UTF-8; none if it cannot be read.
    pub(super) fn names(&self, path: &str) -> impl Iterator<Item = String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    }

    /// Calls `visit` with the inode and the path of every cgroup below that mount point. An inode number is the cgroup's
    /// id (`kernfs_ino`, from 5.5 on).
    pub(super) fn visit_cgroups(&self, mount_point: &str, mut visit: impl FnMut(u64, &str)) {
        let top = self.path(mount_point);
        let mut left = vec![(String::new(), 0)];
        let mut visited = 0;
        while let Some((path, depth)) = left.pop() {
            let Ok(entries) = fs::read_dir(top.join(path.trim_start_matches('/'))) else { continue };
            for entry in entries.flatten() {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let (true, Ok(name)) = (is_directory, entry.file_name().into_string()) else { continue };
                let below = format!("{path}/{name}");
                visit(entry.ino(), &below);
                visited += 1;
                if depth < CGROUP_DEPTH && visited < CGROUPS_VISITED {
                    left.push((below, depth + 1));
                }
            }
        }
    }
}

/// The names a path consists of, the last first.
fn names(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// Where hierarchies of cgroups are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    /// Mount point of the unified hierarchy, version 2.
    pub(super) unified: Option<String>,
    /// Whether there are hierarchies of version 1, where containers may be instead.
    pub(super) has_separate: bool,
}

impl Hierarchies {
    /// Of the first process, or where that is not to be known, of this one.
    pub(super) fn find(proc: &Path) -> Self {
        let read = |process| fs::read_to_string(proc.join(process).join("mountinfo"));
        read("1").or_else(|_| read("self")).map(|lines| Self::read(&lines)).unwrap_or_default()
    }

    /// From lines of mountinfo, `31 24 0:27 / /sys/fs/cgroup rw … - cgroup2 cgroup2 rw`.
    fn read(lines: &str) -> Self {
        let mut found = Self::default();
        for line in lines.lines() {
            let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
            match filesystem.split(' ').next() {
                Some("cgroup2") if found.unified.is_none() => {
                    found.unified = mount.split(' ').nth(4).map(ToOwned::to_owned);
                }
                Some("cgroup") => found.has_separate = true,
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::{Hierarchies, Root};

    #[test]
    fn links_stay_below_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        fs::create_dir_all(top.join("1/root/data/kubelet/pods")).unwrap();
        fs::create_dir_all(top.join("1/root/var/lib")).unwrap();
        for (target, link) in [
            ("/data/kubelet", "var/lib/kubelet"),
            ("../../data", "var/lib/relative"),
            ("/var/lib/loop", "var/lib/loop"),
            ("../../../../../../etc", "var/lib/outside"),
        ] {
            symlink(target, top.join("1/root").join(link)).unwrap();
        }
        let root = Root::new(top);
        for (path, expected) in [
            ("/var/lib/kubelet/pods", "data/kubelet/pods"),
            ("/var/lib/relative/kubelet", "data/kubelet"),
            ("/var/lib/outside/passwd", "etc/passwd"),
            ("/var/lib/loop/x", "var/lib/loop/x"),
            ("/no/such/file", "no/such/file"),
        ] {
            assert_eq!(root.path(path), top.join("1/root").join(expected), "{path}");
        }
        assert_eq!(root.names("/var/lib/kubelet").collect::<Vec<_>>(), ["pods"]);
        assert_eq!((root.text("/no/such/file"), root.names("/no/such").count()), (None, 0));
    }

    #[test]
    fn a_first_process_that_hides_its_root_has_this_ones() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Root::new(directory.path()).path("/etc/../etc"), std::path::Path::new("/etc"));
    }

    #[test]
    fn mounts_tell_which_hierarchies_there_are() {
        let unified = "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let memory = "36 30 0:33 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n";
        let hybrid = "41 30 0:38 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n";
        for (lines, mount_point, has_separate) in [
            (unified.to_owned(), Some("/sys/fs/cgroup"), false),
            (format!("{memory}{hybrid}"), Some("/sys/fs/cgroup/unified"), true),
            (memory.to_owned(), None, true),
            ("nonsense\n1 2 - \n - cgroup2".to_owned(), None, false),
        ] {
            let expected = Hierarchies { unified: mount_point.map(ToOwned::to_owned), has_separate };
            assert_eq!(Hierarchies::read(&lines), expected, "{lines}");
        }
    }
}
