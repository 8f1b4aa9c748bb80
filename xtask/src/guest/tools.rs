//! The host's programs that a guest gets, with the libraries they need.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{command, cpio::Archive};

/// Busybox's shell, and its applets that start another program, prefer their own applets to what is on the path: `timeout 1
/// ip …` would run busybox's ip. So the guest has the real ones.
const STARTERS: &[&str] = &[
    "bash", "env", "find", "nice", "nohup", "nsenter", "setsid", "stdbuf", "taskset", "timeout", "unshare",
    "xargs",
];
/// Programs the scenarios and an engineer at the guest's shell use; one that is not installed here is left out.
const TOOLS: &[&str] = &[
    "arping",
    "bpftool",
    "bridge",
    "conntrack",
    "ethtool",
    "ip",
    "ip6tables",
    "ip6tables-legacy",
    "ip6tables-legacy-restore",
    "ip6tables-legacy-save",
    "ip6tables-nft",
    "ip6tables-restore",
    "ip6tables-save",
    "iptables",
    "iptables-legacy",
    "iptables-legacy-restore",
    "iptables-legacy-save",
    "iptables-nft",
    "iptables-nft-restore",
    "iptables-nft-save",
    "iptables-restore",
    "iptables-save",
    "ipvsadm",
    "nft",
    "nstat",
    "ping",
    "ss",
    "sysctl",
    "tc",
    "tcpdump",
    "tmux",
];
/// Names under which kmod loads modules. The kernel itself runs `/sbin/modprobe`.
const KMOD: &[&str] = &["depmod", "insmod", "lsmod", "modinfo", "modprobe", "rmmod"];
/// Extensions of iptables, loaded by name at run time.
const PLUGINS: &str = "/usr/lib/x86_64-linux-gnu/xtables";
/// Names of protocols, services and routing tables that the tools look up, and the one locale there always is, without
/// which tmux does not start.
const DATABASES: &[&str] =
    &["/etc/ethertypes", "/etc/iproute2", "/etc/protocols", "/etc/services", "/usr/lib/locale/C.utf8"];

/// Where programs lie, in the guest too.
const PROGRAM_DIRECTORIES: [&str; 2] = ["/usr/sbin", "/usr/bin"];

/// Adds busybox, kmod and the tools. Fails when busybox or kmod is missing, and names the packages then.
pub(super) fn add<W: Write>(archive: &mut Archive<W>) -> Result<()> {
    let kmod = locate("kmod").context("kmod is not installed; apt-get install kmod")?;
    let kmod = program(archive, &kmod)?;
    for name in KMOD {
        archive.symlink(&format!("usr/sbin/{name}"), &format!("/{kmod}"))?;
    }
    let shell = program(archive, &locate("dash").context("dash is not installed; apt-get install dash")?)?;
    archive.symlink("usr/bin/sh", &format!("/{shell}"))?;
    let mut missing = Vec::new();
    for name in STARTERS.iter().chain(TOOLS) {
        let Some(path) = locate(name) else {
            missing.push(*name);
            continue;
        };
        let target = program(archive, &path)?;
        archive.symlink(&guest_path(&path), &format!("/{target}"))?;
    }
    if !missing.is_empty() {
        super::note(&format!("not installed here, so not in the guest: {}", missing.join(", ")));
    }
    if Path::new(PLUGINS).is_dir() {
        tree(archive, Path::new(PLUGINS))?;
    }
    for database in DATABASES {
        tree(archive, Path::new(database))?;
    }
    // Last, so that a real tool stands before the applet of its name.
    busybox(archive)
}

/// Adds an executable with the libraries it is linked to, and returns its path in the guest, without leading slash.
pub(super) fn program<W: Write>(archive: &mut Archive<W>, path: &Path) -> Result<String> {
    let real = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
    let target = guest_path(&real);
    if !archive.contains(&target) {
        copy(archive, &real, &target)?;
        libraries(archive, &real)?;
    }
    Ok(target)
}

/// Adds the libraries that the executable `path` is linked to; none for a static one or a script.
pub(super) fn libraries<W: Write>(archive: &mut Archive<W>, path: &Path) -> Result<()> {
    let output = Command::new("ldd").arg(path).env("LC_ALL", "C").output().context("start ldd")?;
    // ldd ends with an error for what is not dynamically linked, which then needs nothing.
    if !output.status.success() {
        return Ok(());
    }
    for library in linked(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("libraries of {}", path.display()))?
    {
        copy(archive, &library, &guest_path(&library))?;
    }
    Ok(())
}

/// The paths in what ldd printed.
fn linked(output: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for line in output.lines().map(str::trim) {
        let place = line.split_once(" => ").map_or(line, |(_, place)| place);
        anyhow::ensure!(place != "not found", "{line}");
        if place.starts_with('/') {
            paths.push(PathBuf::from(place.split(" (").next().unwrap_or(place)));
        }
    }
    Ok(paths)
}

fn locate(name: &str) -> Option<PathBuf> {
    PROGRAM_DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.exists())
}

/// Where a file of the host lies in the guest, whose `/bin`, `/sbin`, `/lib` and `/lib64` are links into `/usr`.
fn guest_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.trim_start_matches('/');
    let merged = ["bin/", "sbin/", "lib/", "lib64/"].iter().any(|directory| path.starts_with(directory));
    if merged { format!("usr/{path}") } else { path.to_owned() }
}

fn copy<W: Write>(archive: &mut Archive<W>, from: &Path, to: &str) -> Result<()> {
    if archive.contains(to) {
        return Ok(());
    }
    let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    archive.file(to, 0o755, &content).with_context(|| format!("pack {}", from.display()))
}

/// Adds a file or a directory with all below; nothing when there is none.
pub(super) fn tree<W: Write>(archive: &mut Archive<W>, path: &Path) -> Result<()> {
    tree_at(archive, path, &guest_path(path))
}

/// Like [`tree`], to another place in the guest.
pub(super) fn tree_at<W: Write>(archive: &mut Archive<W>, path: &Path, target: &str) -> Result<()> {
    if path.is_file() {
        return copy(archive, path, target);
    }
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    let mut entries =
        entries.collect::<Result<Vec<_>, _>>().with_context(|| format!("list {}", path.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        tree_at(archive, &entry.path(), &format!("{target}/{}", entry.file_name().to_string_lossy()))?;
    }
    Ok(())
}

fn busybox<W: Write>(archive: &mut Archive<W>) -> Result<()> {
    let path = locate("busybox").context("busybox is not installed; apt-get install busybox-static")?;
    let target = program(archive, &path)?;
    let applets = command::text(Command::new(&path).arg("--list"))?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        let taken = PROGRAM_DIRECTORIES
            .iter()
            .any(|directory| archive.contains(&format!("{}/{applet}", &directory[1..])));
        if !taken {
            archive.symlink(&format!("usr/bin/{applet}"), &format!("/{target}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let output = "\tlinux-vdso.so.1 (0x00007f159c561000)\n\
            \tlibelf.so.1 => /lib/x86_64-linux-gnu/libelf.so.1 (0x00007f159c3e5000)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f159c563000)\n";
        let paths = ["/lib/x86_64-linux-gnu/libelf.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(linked(output).expect("all found"), paths);
        assert_eq!(linked("\tstatically linked\n").expect("none"), Vec::<PathBuf>::new());
        let error = linked("\tlibgone.so.1 => not found\n").expect_err("a missing library");
        assert_eq!(error.to_string(), "libgone.so.1 => not found");
    }

    #[test]
    fn directories_outside_usr_are_merged_into_it() {
        let cases = [
            ("/lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
            ("/sbin/ip", "usr/sbin/ip"),
            ("/usr/sbin/ip", "usr/sbin/ip"),
            ("/etc/protocols", "etc/protocols"),
        ];
        for (host, guest) in cases {
            assert_eq!(guest_path(Path::new(host)), guest);
        }
    }
}
