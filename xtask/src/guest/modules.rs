//! Which kernel modules a guest gets: the wanted ones and everything they need.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};

use super::{command, kernel, kernel::Kernel};

/// Directories taken whole: netfilter, iptables and IPVS, whose modules the kernel asks for by itself, a rule at a time.
const DIRECTORIES: [&str; 3] =
    ["kernel/net/netfilter/", "kernel/net/ipv4/netfilter/", "kernel/net/ipv6/netfilter/"];

/// Single modules, by the names of the newest series; one that a kernel lacks is built in or does not exist there.
const NAMES: &[&str] = &[
    // Devices of the virtual machine, and the directory shared with the host.
    "9p",
    "9pnet_virtio",
    "virtio_pci",
    "virtio_net",
    "virtio_rng",
    "e1000",
    // Links.
    "bonding",
    "br_netfilter",
    "bridge",
    "dummy",
    "geneve",
    "gre",
    "ifb",
    "ip_gre",
    "ip6_tunnel",
    "ipip",
    "ipvlan",
    "macvlan",
    "nlmon",
    "sit",
    "tun",
    "veth",
    "vrf",
    "vxlan",
    "wireguard",
    "8021q",
    // Traffic control.
    "act_gact",
    "act_mirred",
    "cls_bpf",
    "cls_matchall",
    "cls_u32",
    "sch_fq",
    "sch_fq_codel",
    "sch_htb",
    "sch_ingress",
    "sch_netem",
    "sch_prio",
    "sch_tbf",
    // Sockets.
    "af_packet_diag",
    "inet_diag",
    "netlink_diag",
    "sctp",
    "tcp_bbr",
    "tcp_diag",
    "udp_diag",
    "unix_diag",
    // Asked for by name through the crypto interface, not through a dependency.
    "crc32c_generic",
    "crc32c_intel",
    "crc32c_cryptoapi",
];

/// What depmod wrote about a tree of modules.
#[derive(Debug, Default)]
struct Index {
    /// Name → path below `lib/modules/RELEASE` and the paths of everything it needs.
    modules: BTreeMap<String, Module>,
    builtin: BTreeSet<String>,
    /// Name → names or aliases that should be loaded before or after it.
    soft: HashMap<String, Vec<String>>,
    /// Alias without wildcards → names.
    aliases: HashMap<String, Vec<String>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Module {
    path: String,
    needs: Vec<String>,
}

/// The modules of a guest, as paths below `lib/modules/RELEASE`.
#[derive(Debug, PartialEq, Eq)]
struct Selection {
    paths: BTreeSet<String>,
    /// Wanted names that this kernel has neither as a module nor built in.
    absent: Vec<String>,
}

/// A directory with `lib/modules/RELEASE` that holds the guest's modules uncompressed, with depmod's files for exactly
/// these. Made once a kernel, however many guests of it start at once.
pub(super) fn stage(kernel: &Kernel) -> Result<PathBuf> {
    static STAGING: Mutex<()> = Mutex::new(());
    let _alone = STAGING.lock().unwrap_or_else(PoisonError::into_inner);
    let staged = kernel.directory.join(format!(".modules-{:016x}", selection_key()));
    if staged.is_dir() {
        return Ok(staged);
    }
    let source = kernel.directory.join("lib/modules").join(&kernel.release);
    let selection = Index::read(&source)?.select(&DIRECTORIES, NAMES);
    super::note(&format!("{}: packing {} modules", kernel.release, selection.paths.len()));
    if !selection.absent.is_empty() {
        super::note(&format!("{}: this kernel has no {}", kernel.release, selection.absent.join(", ")));
    }
    let partial = kernel.directory.join(format!(".stage-{}", process::id()));
    let result =
        fill(&partial, &source, kernel, &selection).and_then(|()| kernel::publish(&partial, &staged));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("remove {}", partial.display()))?;
    }
    result.map(|()| staged)
}

fn selection_key() -> u64 {
    let mut hasher = DefaultHasher::new();
    (DIRECTORIES, NAMES).hash(&mut hasher);
    hasher.finish()
}

fn fill(partial: &Path, source: &Path, kernel: &Kernel, selection: &Selection) -> Result<()> {
    let target = partial.join("lib/modules").join(&kernel.release);
    for path in &selection.paths {
        let content = decompressed(&source.join(path))?;
        let file = target.join(uncompressed_name(path));
        let parent = file.parent().context("a module lies in a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        fs::write(&file, content).with_context(|| format!("write {}", file.display()))?;
    }
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        let from = source.join(list);
        if from.exists() {
            fs::copy(&from, target.join(list)).with_context(|| format!("copy {}", from.display()))?;
        }
    }
    command::text(Command::new("depmod").arg("-b").arg(partial).arg(&kernel.release)).map(drop)
}

fn decompressed(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => return fs::read(path).with_context(|| format!("read {}", path.display())),
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => bail!("{} is compressed in a way not known here", path.display()),
    };
    command::bytes(Command::new(program).arg("-dcq").arg(path))
}

/// The path without the suffix of its compression.
fn uncompressed_name(path: &str) -> &str {
    path.rfind(".ko").map_or(path, |at| &path[..at + ".ko".len()])
}

/// The name modprobe knows a path by.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

impl Index {
    /// Reads depmod's files in `directory` (`lib/modules/RELEASE`).
    fn read(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        Ok(Self::parse(
            &read("modules.dep")?,
            &read("modules.softdep")?,
            &read("modules.alias")?,
            &read("modules.builtin")?,
        ))
    }

    fn parse(dependencies: &str, soft_dependencies: &str, aliases: &str, builtin: &str) -> Self {
        let mut index = Self::default();
        for line in dependencies.lines() {
            let Some((path, needs)) = line.split_once(':') else { continue };
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            index.modules.insert(module_name(path), Module { path: path.to_owned(), needs });
        }
        for line in soft_dependencies.lines() {
            let mut words = line.split_whitespace();
            let (Some("softdep"), Some(name)) = (words.next(), words.next()) else { continue };
            let names = words.filter(|word| !word.ends_with(':')).map(str::to_owned);
            index.soft.entry(name.replace('-', "_")).or_default().extend(names);
        }
        for line in aliases.lines() {
            let mut words = line.split_whitespace();
            let (Some("alias"), Some(alias), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if !alias.contains(['*', '?', '[']) {
                index.aliases.entry(alias.to_owned()).or_default().push(name.to_owned());
            }
        }
        index.builtin = builtin.lines().map(module_name).collect();
        index
    }

    /// Everything below `directories`, and `names`, with what they need.
    fn select(&self, directories: &[&str], names: &[&str]) -> Selection {
        let mut selection = Selection { paths: BTreeSet::new(), absent: Vec::new() };
        for (name, module) in &self.modules {
            if directories.iter().any(|directory| module.path.starts_with(directory)) {
                self.add(name, &mut selection.paths);
            }
        }
        for name in names {
            if self.modules.contains_key(*name) {
                self.add(name, &mut selection.paths);
            } else if !self.builtin.contains(*name) {
                selection.absent.push((*name).to_owned());
            }
        }
        selection
    }

    fn add(&self, name: &str, paths: &mut BTreeSet<String>) {
        let Some(module) = self.modules.get(name) else { return };
        if !paths.insert(module.path.clone()) {
            return;
        }
        for need in &module.needs {
            self.add(&module_name(need), paths);
        }
        for soft in self.soft.get(name).into_iter().flatten() {
            self.add(&soft.replace('-', "_"), paths);
            for alias in self.aliases.get(soft).into_iter().flatten() {
                self.add(alias, paths);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "kernel/net/netfilter/nf_conntrack.ko.xz: kernel/lib/libcrc32c.ko.xz\n\
        kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/net/netfilter/nf_conntrack.ko.xz kernel/lib/libcrc32c.ko.xz\n\
        kernel/lib/libcrc32c.ko.xz:\n\
        kernel/arch/x86/crypto/crc32c-intel.ko.xz:\n\
        kernel/crypto/crc32c_generic.ko.xz:\n\
        kernel/drivers/net/veth.ko.xz:\n\
        kernel/drivers/net/unused.ko.xz:\n\
        kernel/drivers/net/one.ko.xz: kernel/drivers/net/two.ko.xz\n\
        kernel/drivers/net/two.ko.xz:\n";
    const SOFT: &str = "# Soft dependencies extracted from modules themselves.\nsoftdep libcrc32c pre: crc32c\n\
        softdep two post: one\n";
    const ALIASES: &str = "alias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias net-pf-* unused\n";

    fn selected(directories: &[&str], names: &[&str]) -> (Vec<String>, Vec<String>) {
        let index = Index::parse(DEPENDENCIES, SOFT, ALIASES, "kernel/net/802/psnap.ko\n");
        let Selection { paths, absent } = index.select(directories, names);
        (paths.iter().map(|path| module_name(path)).collect(), absent)
    }

    #[test]
    fn a_selection_is_closed_under_hard_and_soft_dependencies() {
        let ip_vs =
            ["crc32c_intel", "crc32c_generic", "libcrc32c", "ip_vs", "nf_conntrack"].map(str::to_owned);
        assert_eq!(selected(&[], &["ip_vs"]).0, ip_vs);
        assert_eq!(selected(&["kernel/net/netfilter/"], &[]).0, ip_vs);
        assert_eq!(selected(&[], &["veth"]).0, ["veth"]);
    }

    #[test]
    fn circles_of_dependencies_end() {
        assert_eq!(selected(&[], &["two"]).0, ["one", "two"]);
    }

    #[test]
    fn absent_is_what_is_neither_a_module_nor_built_in() {
        let (paths, absent) = selected(&[], &["psnap", "veth", "no_such_module"]);
        assert_eq!((paths, absent), (vec!["veth".to_owned()], vec!["no_such_module".to_owned()]));
    }

    #[test]
    fn names_of_modules() {
        let cases = [
            ("kernel/a/crc32c-intel.ko.xz", "crc32c_intel", "kernel/a/crc32c-intel.ko"),
            ("kernel/a/veth.ko", "veth", "kernel/a/veth.ko"),
            ("kernel/a/veth.ko.zst", "veth", "kernel/a/veth.ko"),
        ];
        for (path, name, uncompressed) in cases {
            assert_eq!((module_name(path).as_str(), uncompressed_name(path)), (name, uncompressed));
        }
    }
}
