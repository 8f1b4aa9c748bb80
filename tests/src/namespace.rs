//! Network namespaces.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use crate::command;

/// Where `ip netns` keeps the names.
const NAMES: &str = "/run/netns";

/// How the names of all namespaces begin.
const PREFIX: &str = "tracer-";

static COUNT: AtomicU32 = AtomicU32::new(0);
static KEEP: AtomicBool = AtomicBool::new(false);

/// From now on namespaces stay when they are dropped, for a look at them.
pub fn keep_all() {
    KEEP.store(true, Ordering::Relaxed);
}

/// How the names of all namespaces of this process begin.
fn own_prefix() -> String {
    format!("{PREFIX}{}-", process::id())
}

/// Whether a namespace of that name was made by scenarios of another process.
pub fn is_of_others(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.starts_with(&own_prefix())
}

/// A named network namespace with `lo` up; removed when dropped, with every device and rule in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    inode: u64,
}

impl Namespace {
    /// Makes a namespace; `role` becomes part of its unique name.
    pub fn new(role: &str) -> Result<Self> {
        // `ip netns` makes the last directory only.
        fs::create_dir_all(NAMES).with_context(|| format!("make {NAMES}"))?;
        let name = format!("{}{}-{role}", own_prefix(), COUNT.fetch_add(1, Ordering::Relaxed));
        command::run("ip", &format!("netns add {name}"))?;
        let mut namespace = Self { name, inode: 0 };
        namespace.inode = namespace.path().metadata().context("look at the new namespace")?.ino();
        namespace.ip("link set lo up")?;
        // Addresses are usable at once, and duplicate address detection sends nothing.
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/all/accept_dad", "0")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its inode number, by which events name it.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(NAMES).join(&self.name)
    }

    /// Runs `ip` on it; the arguments are split at white space.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        command::run("ip", &format!("-netns {} {arguments}", self.name))
    }

    /// Loads an nftables ruleset into it.
    pub fn nft(&self, ruleset: &str) -> Result<()> {
        self.enter(|| command::output_with_input(Command::new("nft").args(["-f", "-"]), ruleset))?;
        Ok(())
    }

    /// Runs a program in it; the arguments are split at white space.
    pub fn run(&self, program: &str, arguments: &str) -> Result<String> {
        self.enter(|| command::run(program, arguments))
    }

    /// Runs a program in it, with `input` on its standard input.
    pub fn feed(&self, program: &[&str], input: &str) -> Result<()> {
        let (name, arguments) = program.split_first().context("no program to run")?;
        self.enter(|| command::output_with_input(Command::new(name).args(arguments), input))?;
        Ok(())
    }

    /// Sets a kernel parameter of it, named by its path below `/proc/sys`.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        self.enter(|| {
            fs::write(format!("/proc/sys/{name}"), value).with_context(|| format!("set {name}={value}"))
        })
    }

    /// Whether it has such a kernel parameter.
    pub fn has_sysctl(&self, name: &str) -> Result<bool> {
        self.enter(|| Ok(fs::exists(format!("/proc/sys/{name}"))?))
    }

    /// Reads a file of `/proc/net` in it.
    pub fn proc_net(&self, name: &str) -> Result<String> {
        // `/proc/net` itself would be that of the process's first thread.
        self.enter(|| {
            fs::read_to_string(format!("/proc/thread-self/net/{name}"))
                .with_context(|| format!("read {name}"))
        })
    }

    /// Runs `work` on a thread that is in the namespace. Sockets and processes made there stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let handle = File::open(self.path()).with_context(|| format!("open namespace {}", self.name))?;
        thread::scope(|scope| {
            scope
                .spawn(move || {
                    setns(handle, CloneFlags::CLONE_NEWNET).context("enter a namespace")?;
                    work()
                })
                .join()
                .map_err(|_| anyhow!("the work in namespace {} panicked", self.name))?
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !KEEP.load(Ordering::Relaxed) {
            // There is nobody to tell; a namespace left behind harms nothing.
            let _ = command::run("ip", &format!("netns delete {}", self.name));
        }
    }
}
