//! Which Debian packages each kind of work needs, and how to see that what they bring is there.

use std::path::Path;

use crate::{dist, toolchain};

/// LLVM as packaged, which bpf-linker is built with.
pub(super) const LLVM_PREFIX: &str = "/usr/lib/llvm-22";
/// The package that brings it.
pub(super) const LLVM_PACKAGE: &str = "llvm-22-dev";
/// What shows that the package is there.
pub(super) const LLVM_CONFIG: Probe = Probe::File("/usr/lib/llvm-22/bin/llvm-config");

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Building the program.
    Build,
    /// Linting the eBPF crate.
    Lint,
    /// Scenarios in network namespaces of this machine.
    Scenarios,
    /// Booting other kernels in QEMU.
    Guests,
    /// Measuring beside another tool.
    Bench,
}

/// A Debian package and what it is for.
#[derive(Debug)]
pub(super) struct Need {
    /// The package's name.
    pub(super) package: &'static str,
    /// What shows that it, or something as good, is there.
    pub(super) probe: Probe,
    /// What it is needed for.
    pub(super) reason: &'static str,
}

/// How to see that something is there, wherever it came from.
#[derive(Debug)]
pub(super) enum Probe {
    /// A program on PATH, or where root's PATH leads.
    Program(&'static str),
    /// A program that needs no shared library.
    StaticProgram(&'static str),
    /// A file.
    File(&'static str),
    /// A file in the directory of this machine's libraries.
    Library(&'static str),
    /// Clippy beside the compiler of the eBPF object.
    KernelSideClippy,
}

impl Probe {
    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Program(name) => toolchain::on_path(name).is_some(),
            Self::StaticProgram(name) => toolchain::on_path(name)
                .is_some_and(|path| dist::needs_interpreter(&path).is_ok_and(|needs| !needs)),
            Self::File(path) => Path::new(path).exists(),
            Self::Library(name) => {
                let debian = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
                [debian.as_str(), "/usr/lib64", "/usr/lib"]
                    .iter()
                    .any(|path| Path::new(path).join(name).exists())
            }
            Self::KernelSideClippy => match toolchain::detect(&toolchain::Places::of_this_machine()) {
                Ok(toolchain) => toolchain.clippy().is_some(),
                Err(_) => Path::new("/usr/bin/clippy-driver").exists(),
            },
        }
    }
}

impl Group {
    /// What building, checking and testing need; benchmarks ask for theirs by themselves.
    pub(super) const ALL: [Self; 4] = [Self::Build, Self::Lint, Self::Scenarios, Self::Guests];

    /// What the group needs besides the toolchain for the eBPF object.
    pub(super) fn needs(self) -> &'static [Need] {
        match self {
            Self::Build => &BUILD,
            Self::Lint => &LINT,
            Self::Scenarios => &SCENARIOS,
            Self::Guests => &GUESTS,
            Self::Bench => &BENCH,
        }
    }
}

const fn program(package: &'static str, name: &'static str, reason: &'static str) -> Need {
    Need { package, probe: Probe::Program(name), reason }
}

static BUILD: [Need; 2] = [
    program("gcc", "cc", "linking programs"),
    Need { package: "libc6-dev", probe: Probe::Library("libc.a"), reason: "linking, statically for `dist`" },
];

static LINT: [Need; 1] =
    [Need { package: "rust-web-clippy", probe: Probe::KernelSideClippy, reason: "linting the eBPF crate" }];

static SCENARIOS: [Need; 10] = [
    program("iproute2", "ip", "scenarios: namespaces, links, routes"),
    program("nftables", "nft", "scenarios: dropped packets, connection tracking"),
    program("iptables", "iptables-nft-restore", "scenarios: tables of rules, by both of its back ends"),
    program("iputils-arping", "arping", "scenarios: answers for an address"),
    program("iputils-ping", "ping", "scenarios: neighbours"),
    program("tcpdump", "tcpdump", "scenarios: what was on the wire"),
    program("conntrack", "conntrack", "scenarios: entries of connection tracking"),
    program("tmux", "tmux", "scenarios: a terminal for the screens"),
    program("tshark", "tshark", "scenarios: what Wireshark makes of an export"),
    program("bpftool", "bpftool", "scenarios: that nothing stays loaded"),
];

static GUESTS: [Need; 7] = [
    program("qemu-system-x86", "qemu-system-x86_64", "guests: the machine"),
    Need {
        package: "busybox-static",
        probe: Probe::StaticProgram("busybox"),
        reason: "guests: the shell and its tools",
    },
    program("kmod", "depmod", "guests: the order of modules"),
    program("ipvsadm", "ipvsadm", "guests: IPVS services"),
    program("cpio", "cpio", "guests: the initial file system"),
    program("xz-utils", "xz", "guests: packed modules"),
    program("dpkg", "dpkg-deb", "guests: kernels out of their packages"),
];

static BENCH: [Need; 1] = [program("bpftrace", "bpftrace", "benchmarks: what tracer is compared with")];
