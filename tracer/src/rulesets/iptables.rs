//! Which versions of iptables are installed on the node. They are read, not run: a program by that name may be a wrapper
//! that loads modules to find out which back end is in use.

use std::{
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::state::{Machine, State};

/// What a fact's name begins with; the program's path follows.
const FACT: &str = "iptables ";

/// Where distributions put it.
const DIRECTORIES: [&str; 6] = ["usr/sbin", "sbin", "usr/bin", "bin", "usr/local/sbin", "usr/local/bin"];

/// What it is called: without a back end first, for that is the one that scripts run.
const NAMES: [&str; 3] = ["iptables", "iptables-nft", "iptables-legacy"];

/// Below here k3s and RKE2 unpack their own, each version in a directory.
const BUNDLED: [&str; 2] = ["var/lib/rancher/k3s/data", "var/lib/rancher/rke2/data"];

/// Directories looked at below each of these, and programs told, at most.
const MOST: usize = 8;

/// A program is not longer than this.
const PROGRAM_BYTES: u64 = 8 << 20;

/// Links followed to a program.
const LINKS: usize = 8;

/// An installed program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: String,
    pub(crate) version: String,
    /// Whether it makes rules of nftables; `None` where that is not known.
    pub(crate) is_nft: Option<bool>,
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.path, self.value())
    }
}

impl Program {
    /// The version and the back end, as the program itself would tell.
    fn value(&self) -> String {
        let backend = match self.is_nft {
            Some(true) => " (nf_tables)",
            Some(false) => " (legacy)",
            None => "",
        };
        format!("{}{backend}", self.version)
    }

    /// Its version, to compare.
    pub(crate) fn number(&self) -> Option<[u32; 3]> {
        number(&self.version)
    }

    fn of_fact(name: &str, value: &str) -> Option<Self> {
        let path = name.strip_prefix(FACT)?.to_owned();
        let (version, backend) = value.split_once(' ').unwrap_or((value, ""));
        let is_nft = match backend {
            "(nf_tables)" => Some(true),
            "(legacy)" => Some(false),
            _ => None,
        };
        Some(Self { path, version: version.to_owned(), is_nft })
    }
}

/// Those that were told of a node.
pub(crate) fn programs(state: &State, node: u16) -> impl Iterator<Item = Program> + use<'_> {
    let facts = state.machines.of(node).into_iter().flat_map(Machine::facts);
    facts.filter_map(|(name, value)| Program::of_fact(name.as_str(), value.as_str()))
}

/// The programs installed below `root`, as facts.
pub(crate) fn facts(root: &Path) -> Vec<(String, String)> {
    let told = |program: Program| (format!("{FACT}{}", program.path), program.value());
    installed(root).into_iter().map(told).collect()
}

fn installed(root: &Path) -> Vec<Program> {
    let mut directories: Vec<PathBuf> = DIRECTORIES.iter().map(PathBuf::from).collect();
    for data in BUNDLED {
        let listed = fs::read_dir(root.join(data)).into_iter().flatten().flatten();
        // The name of the version in use, where there is one, is a link to another of them.
        let versions = listed.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut versions: Vec<_> = versions.map(|entry| entry.file_name()).take(MOST).collect();
        versions.sort_unstable();
        directories.extend(versions.iter().map(|version| Path::new(data).join(version).join("bin/aux")));
    }
    let mut seen = Vec::new();
    let mut programs = Vec::new();
    for directory in directories {
        for name in NAMES {
            let place = directory.join(name);
            let Some(file) = resolved(root, &place).filter(|file| !seen.contains(file)) else { continue };
            let program = look_into(&place, &file);
            seen.push(file);
            programs.extend(program);
            if programs.len() == MOST {
                return programs;
            }
        }
    }
    programs
}

/// Where a path below `root` leads, by links as they are meant there.
fn resolved(root: &Path, place: &Path) -> Option<PathBuf> {
    let mut place = place.to_owned();
    for _ in 0..LINKS {
        let path = root.join(&place);
        let Ok(target) = fs::read_link(&path) else {
            return path.is_file().then(|| fs::canonicalize(&path).unwrap_or(path));
        };
        place = match target.strip_prefix("/") {
            Ok(target) => target.to_owned(),
            Err(_) => place.parent()?.join(target),
        };
    }
    None
}

/// What a program says of itself: among its texts is its version.
fn look_into(place: &Path, file: &Path) -> Option<Program> {
    let mut content = Vec::new();
    fs::File::open(file).ok()?.take(PROGRAM_BYTES).read_to_end(&mut content).ok()?;
    let mut texts = content.split(|&byte| byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
    let version = texts.find_map(|text| {
        let text = text.strip_prefix('v').unwrap_or(text);
        number(text).map(|_| text.to_owned())
    })?;
    let name = file.file_name()?.to_string_lossy();
    let is_nft = match (name.contains("nft"), name.contains("legacy")) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    };
    let path = Path::new("/").join(place).to_string_lossy().into_owned();
    Some(Program { path, version, is_nft })
}

/// A version of iptables: all there are begin with 1.
fn number(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 2));
    let version = [parts.next()??, parts.next()??, parts.next()??];
    (parts.next().is_none() && version[0] == 1).then_some(version)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(root: &Path, path: &str, content: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn each_program_is_told_once_by_the_name_that_scripts_run() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "usr/sbin/xtables-nft-multi", b"\x7fELF\0xtables\0v1.8.4\x001.8.4 (nf_tables)\0");
        write(root, "usr/sbin/xtables-legacy-multi", b"\x7fELF\x001.8.9\0");
        write(root, "usr/local/sbin/iptables", b"#!/bin/sh\nexec other\n");
        write(root, "var/lib/rancher/k3s/data/abc/bin/aux/xtables-legacy-multi", b"\x7fELF\x001.8.8\0");
        symlink("abc", root.join("var/lib/rancher/k3s/data/current")).unwrap();
        symlink("xtables-legacy-multi", root.join("var/lib/rancher/k3s/data/abc/bin/aux/iptables")).unwrap();
        symlink("xtables-nft-multi", root.join("usr/sbin/iptables-nft")).unwrap();
        symlink("xtables-legacy-multi", root.join("usr/sbin/iptables-legacy")).unwrap();
        // A link that means the node's own directory, not that of whoever looks.
        fs::create_dir_all(root.join("etc/alternatives")).unwrap();
        symlink("/etc/alternatives/iptables", root.join("usr/sbin/iptables")).unwrap();
        symlink("/usr/sbin/iptables-nft", root.join("etc/alternatives/iptables")).unwrap();
        symlink("usr/sbin", root.join("sbin")).unwrap();
        let expected = [
            ("iptables /usr/sbin/iptables", "1.8.4 (nf_tables)"),
            ("iptables /usr/sbin/iptables-legacy", "1.8.9 (legacy)"),
            ("iptables /var/lib/rancher/k3s/data/abc/bin/aux/iptables", "1.8.8 (legacy)"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(facts(root), expected);
        let read: Vec<Option<Program>> =
            expected.iter().map(|(name, value)| Program::of_fact(name, value)).collect();
        assert_eq!(read, installed(root).into_iter().map(Some).collect::<Vec<_>>());
        assert_eq!(read[0].as_ref().and_then(Program::number), Some([1, 8, 4]));
        assert_eq!(facts(&root.join("nothing")), []);
    }

    #[test]
    fn only_versions_are_versions() {
        for (text, expected) in [
            ("1.8.9", Some([1, 8, 9])),
            ("1.8.10", Some([1, 8, 10])),
            ("1.8", None),
            ("2.0.1", None),
            ("1.8.9.1", None),
            ("1.200.1", None),
            ("1.8.x", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        assert_eq!(Program::of_fact("cpus", "4"), None);
    }
}
