//! Cgroups of the unified hierarchy, as container runtimes make them.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result};

/// Where the unified hierarchy is mounted, if it is.
pub fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let unified = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    unified.split(' ').nth(4).map(PathBuf::from)
}

/// A cgroup, and those above that were made with it; all removed when dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    /// The deepest first.
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes a cgroup by its path in the hierarchy.
    pub fn new(path: &str) -> Result<Self> {
        let top = mount_point().context("no unified hierarchy of cgroups is mounted")?;
        let mut cgroup = Self { path: top.join(path), made: Vec::new() };
        let mut below = top;
        for part in Path::new(path) {
            below.push(part);
            if !below.is_dir() {
                fs::create_dir(&below).with_context(|| format!("make the cgroup {}", below.display()))?;
                cgroup.made.insert(0, below.clone());
            }
        }
        Ok(cgroup)
    }

    /// Its id, as the kernel tells it.
    pub fn id(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path).context("look at a cgroup")?.ino())
    }

    /// Moves a process into it.
    pub fn take(&self, process_id: u32) -> Result<()> {
        join(&self.path, process_id)
    }

    /// Does the work with this process inside, whose sockets are the cgroup's from then on, and takes it out again.
    pub fn within<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.take(process::id())?;
        let worked = work();
        let top = mount_point().context("no unified hierarchy of cgroups is mounted")?;
        join(&top, process::id())?;
        worked
    }
}

fn join(cgroup: &Path, process_id: u32) -> Result<()> {
    fs::write(cgroup.join("cgroup.procs"), process_id.to_string())
        .with_context(|| format!("move process {process_id} into {}", cgroup.display()))
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for path in &self.made {
            // A cgroup that still has processes stays, and is told by its name.
            let _ = fs::remove_dir(path);
        }
    }
}
