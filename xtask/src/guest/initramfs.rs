//! The guest's whole file system, as one cpio archive.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{cpio::Archive, part::Part, tools};

const INIT: &str = include_str!("init.sh");
/// Mount points and directories that programs expect.
const DIRECTORIES: &[&str] =
    &["dev", "etc", "host", "proc", "root", "run", "sys", "tmp", "usr/lib/modules", "var/log", "var/run"];
/// Directories that are merged into `usr`, as on the host.
const LINKS: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];
/// tcpdump and others ask for their user; root's shell is busybox.
const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\ntcpdump:x:100:100::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n";
const GROUP: &str = "root:x:0:\ntcpdump:x:100:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 guest\n";

/// What goes into a guest.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    /// Holds `lib/modules/RELEASE`, uncompressed.
    pub(super) modules: &'a Path,
    pub(super) tracer: &'a Path,
    pub(super) scenarios: &'a Path,
    /// Arguments of `scenarios`: names of cases, all of them when empty.
    pub(super) cases: &'a [String],
    /// Which part of those cases, such as `1/2`; all if none is given.
    pub(super) part: Option<&'a Part>,
    /// How many of those cases are left out, because another guest told them.
    pub(super) told: u64,
    /// Wait at a shell on the console instead of running the scenarios.
    pub(super) shell: bool,
    /// Mount the host's shared directory at `/host`.
    pub(super) share: bool,
}

/// Writes the archive to `path`.
pub(super) fn write(content: &Content<'_>, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    fill(&mut archive, content).with_context(|| format!("write {}", path.display()))?;
    archive.finish().map(drop).with_context(|| format!("write {}", path.display()))
}

fn fill<W: Write>(archive: &mut Archive<W>, content: &Content<'_>) -> Result<()> {
    for (link, target) in LINKS {
        archive.symlink(link, target)?;
    }
    for directory in DIRECTORIES {
        archive.directory(directory)?;
    }
    // The kernel opens the console before /dev is mounted.
    archive.character_device("dev/console", (5, 1))?;
    archive.character_device("dev/null", (1, 3))?;
    archive.symlink("etc/mtab", "/proc/mounts")?;
    for (name, text) in [("passwd", PASSWD), ("group", GROUP), ("hosts", HOSTS), ("nsswitch.conf", "")] {
        archive.file(&format!("etc/{name}"), 0o644, text.as_bytes())?;
    }
    for (name, path) in [("tracer", content.tracer), ("scenarios", content.scenarios)] {
        tools::tree_at(archive, path, &format!("usr/bin/{name}"))?;
        tools::libraries(archive, path)?;
    }
    tools::add(archive)?;
    tools::tree_at(archive, &content.modules.join("lib/modules"), "usr/lib/modules")?;
    archive.file("etc/guest/settings", 0o644, settings(content).as_bytes())?;
    archive.file("etc/guest/command", 0o755, command_script(content).as_bytes())?;
    archive.file("init", 0o755, INIT.as_bytes())?;
    Ok(())
}

fn settings(content: &Content<'_>) -> String {
    let word = |set: bool| if set { "yes" } else { "no" };
    format!("shell={}\nshare={}\n", word(content.shell), word(content.share))
}

fn command_script(content: &Content<'_>) -> String {
    let mut script = "#!/bin/sh\nexec /bin/scenarios".to_owned();
    if content.share {
        script.push_str(" --sessions /host/sessions");
    }
    // Writing to a String cannot fail.
    if let Some(part) = content.part {
        let _ = write!(script, " --part {part}");
    }
    if content.told > 0 {
        let _ = write!(script, " --without-first {}", content.told);
    }
    for case in content.cases {
        let _ = write!(script, " {}", quoted(case));
    }
    script.push('\n');
    script
}

/// `text` as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(path: &Path) -> Content<'_> {
        Content {
            modules: path,
            tracer: path,
            scenarios: path,
            cases: &[],
            part: None,
            told: 0,
            shell: false,
            share: true,
        }
    }

    #[test]
    fn cases_reach_the_scenarios_as_they_were_given() {
        let cases = ["s2-reuse", "it's; $(x)"].map(str::to_owned);
        for (cases, told, share, expected) in [
            (&cases[..], 0, false, "'s2-reuse' 'it'\\''s; $(x)'\n"),
            (&cases[..1], 61, false, "--without-first 61 's2-reuse'\n"),
            (&cases[..1], 0, true, "--sessions /host/sessions 's2-reuse'\n"),
        ] {
            let script = command_script(&Content { cases, told, share, ..content(Path::new("")) });
            assert_eq!(script, format!("#!/bin/sh\nexec /bin/scenarios {expected}"));
        }
        let part: Part = "2/3".parse().unwrap();
        let shared = Content { share: false, part: Some(&part), told: 4, ..content(Path::new("")) };
        assert_eq!(command_script(&shared), "#!/bin/sh\nexec /bin/scenarios --part 2/3 --without-first 4\n");
        let nothing = Content { share: false, ..content(Path::new("")) };
        assert_eq!(command_script(&nothing), "#!/bin/sh\nexec /bin/scenarios\n");
    }

    #[test]
    fn an_archive_holds_the_init_script_and_the_binaries() {
        let directory = std::env::temp_dir().join(format!("tracer-initramfs-{}", std::process::id()));
        let modules = directory.join("lib/modules/6.1");
        std::fs::create_dir_all(&modules).expect("a directory");
        std::fs::write(modules.join("veth.ko"), "module").expect("a file");
        let binary = directory.join("binary");
        std::fs::write(&binary, "#!/bin/sh\n").expect("a file");
        let content = Content { modules: &directory, ..content(&binary) };
        let mut archive = Archive::new(Vec::new());
        fill(&mut archive, &content).expect("packed");
        for path in ["init", "usr/bin/tracer", "usr/bin/scenarios", "usr/sbin/modprobe", "usr/bin/sh"] {
            assert!(archive.contains(path), "{path}");
        }
        assert!(archive.contains("usr/lib/modules/6.1/veth.ko"));
        assert_eq!(settings(&content), "shell=no\nshare=yes\n");
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
