//! Recordings that do not end well, have no room, or are of several files. Truth: what the run printed.

mod disks;
mod nodes;
mod parts;

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Case, Setting};
use crate::{
    topology::{Family, NEAR, NOBODY, Pair},
    traffic, wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "record-killed",
        proves: "of a recording that is killed everything is read but the last second, and it is told that its end is missing",
        needs: &[],
        run: killed,
    },
    Case {
        name: "record-full-disk",
        proves: "a recording waits while its disk is full, goes on when there is room, and has everything",
        needs: &[],
        run: full_disk,
    },
    Case {
        name: "record-slow-disk",
        proves: "while a disk takes nothing the lines go on, and once it does the recording has everything",
        needs: &[],
        run: disks::slow,
    },
    Case {
        name: "record-no-place",
        proves: "a recording onto a read-only disk is refused with the reason, and one whose directory vanishes ends with it",
        needs: &[],
        run: disks::no_place,
    },
    Case {
        name: "record-parts",
        proves: "the parts of a recording tell together what was printed, and with --max-files the newest are kept",
        needs: &[],
        run: parts::rotated,
    },
    Case {
        name: "record-two-nodes",
        proves: "the sessions of two nodes are told as one, each line with its node, on clocks that --shift corrects",
        needs: &[],
        run: nodes::merged,
    },
];

/// Starts `tracer events --json`, which prints to a file and records to another.
fn start(setting: &Setting, printed: &Path, session: &Path) -> Result<Child> {
    start_with(setting, printed, session, &[])
}

/// The same with more arguments.
fn start_with(setting: &Setting, printed: &Path, session: &Path, arguments: &[&str]) -> Result<Child> {
    let output = fs::File::create(printed).context("make the file to print to")?;
    Command::new(&setting.program)
        .args(["events", "--json", "--only", "retransmit", "--record"])
        .arg(session)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .context("start tracer")
}

/// Ends it, and returns what it said on standard error and its exit status.
fn stop(child: Child) -> Result<(String, ExitStatus)> {
    crate::command::run("kill", &format!("-INT {}", child.id()))?;
    let output = child.wait_with_output().context("wait for tracer")?;
    Ok((String::from_utf8_lossy(&output.stderr).into_owned(), output.status))
}

/// What a session tells, and what is said of it on standard error.
fn told(setting: &Setting, session: &Path) -> Result<(String, String)> {
    told_by(setting, &[session], &[])
}

/// The same of several files, with more arguments.
fn told_by(setting: &Setting, sessions: &[&Path], arguments: &[&str]) -> Result<(String, String)> {
    let output = Command::new(&setting.program)
        .arg("events")
        .args(sessions)
        .arg("--json")
        .args(arguments)
        .output()
        .context("read the session")?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok((String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// How many objects of a type there are.
fn count(lines: &str, kind: &str) -> usize {
    let objects = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter(|object| object["type"] == kind).count()
}

/// Dials an address nobody has until so many SYNs more are printed as repeated, and the accounting after them.
fn repeat_syns(pair: &Pair, printed: &Path, more: usize) -> Result<()> {
    let read = || fs::read_to_string(printed).context("read what is printed");
    wait::until("tracer to be ready", || Ok((count(&read()?, "ready") == 1).then_some(())))?;
    let before = count(&read()?, "retransmit");
    let dialling = traffic::dial(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(NOBODY, 80))?;
    wait::until("SYNs that are repeated", || {
        Ok((count(&read()?, "retransmit") >= before + more).then_some(()))
    })?;
    drop(dialling);
    let sampled = count(&read()?, "stats");
    wait::until("the accounting", || Ok((count(&read()?, "stats") > sampled).then_some(())))
}

fn killed(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let directory = tempfile::tempdir().context("make a directory")?;
    let (printed, session) = (directory.path().join("printed"), directory.path().join("session"));
    // What happens elsewhere on this machine in the last second is nobody's concern.
    let netns = pair.near.inode().to_string();
    let here = ["--netns", &netns];
    let told = || told_by(setting, &[&session], &here);
    let mut child = start_with(setting, &printed, &session, &here)?;
    let outcome = repeat_syns(&pair, &printed, 2);
    // A second later at the latest it is in the file, though nothing else happens.
    let syns = count(&fs::read_to_string(&printed)?, "retransmit");
    let written = outcome.and_then(|()| {
        wait::until("the SYNs to be in the file", || {
            Ok((count(&told()?.0, "retransmit") >= syns).then_some(()))
        })
    });
    child.kill().context("kill tracer")?;
    child.wait().context("wait for tracer")?;
    written?;

    let (lines, damage) = told()?;
    let printed = fs::read_to_string(&printed)?;
    ensure!(printed.starts_with(&lines) || lines.starts_with(&printed), "the session tells something else");
    let missing = printed.lines().count().saturating_sub(lines.lines().count());
    ensure!(missing <= 2, "{missing} lines are missing: more than the accounting of a second");
    ensure!(damage.contains("without an index"), "it is not told that the end is missing: {damage:?}");
    Ok(())
}

/// A small file system of its own; gone when dropped.
pub(super) struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    pub(super) fn new(place: &'a Path, kibibytes: u32) -> Result<Self> {
        Self::with(place, &format!("size={kibibytes}k"))
    }

    fn with(place: &'a Path, options: &str) -> Result<Self> {
        let options = format!("-t tmpfs -o {options} tracer-test {}", place.display());
        crate::command::run("mount", &options)?;
        Ok(Self(place))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // What is left goes with the mount namespace or the guest.
        let _ = crate::command::run("umount", &format!("-l {}", self.0.display()));
    }
}

fn full_disk(setting: &Setting) -> Result<()> {
    const KIBIBYTES: u32 = 64;
    /// Samples of the accounting, one a second, that a recording which goes on is never behind by.
    const BEHIND: usize = 3;
    let pair = Pair::new()?;
    let directory = tempfile::tempdir().context("make a directory")?;
    let printed = directory.path().join("printed");
    let place = directory.path().join("disk");
    fs::create_dir(&place).context("make a directory")?;
    let _disk = Disk::new(&place, KIBIBYTES)?;
    let (session, ballast) = (place.join("session"), place.join("ballast"));
    let mut child = start(setting, &printed, &session)?;
    let outcome = repeat_syns(&pair, &printed, 1).and_then(|()| {
        // As many bytes as find room.
        let filled = fs::write(&ballast, vec![1; KIBIBYTES as usize * 1024]);
        ensure!(filled.is_err(), "the disk is not full");
        // The file's last page may have room for some seconds.
        wait::until("the recording to wait", || {
            let sampled = count(&fs::read_to_string(&printed)?, "stats");
            Ok((sampled > count(&told(setting, &session)?.0, "stats") + BEHIND).then_some(()))
        })?;
        repeat_syns(&pair, &printed, 2)?;
        let held = count(&told(setting, &session)?.0, "retransmit");
        let syns = count(&fs::read_to_string(&printed)?, "retransmit");
        ensure!(held < syns, "a full disk has taken all {syns} retransmits");
        fs::remove_file(&ballast).context("make room")?;
        wait::until("the recording to go on", || {
            Ok((count(&told(setting, &session)?.0, "retransmit") >= syns).then_some(()))
        })
    });
    crate::command::run("kill", &format!("-INT {}", child.id()))?;
    let status = child.wait().context("wait for tracer")?;
    outcome?;
    ensure!(status.success(), "tracer ended with {status}");
    let (lines, damage) = told(setting, &session)?;
    ensure!(lines == fs::read_to_string(&printed)?, "the session is not what was printed");
    ensure!(damage.is_empty(), "{damage}");
    Ok(())
}
