//! Disks that are slow, read-only or gone.

use std::{
    fs::{self, OpenOptions},
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use nix::fcntl::{FcntlArg, fcntl};

use super::{Disk, count, repeat_syns, start, stop, told};
use crate::{
    case::Setting,
    screen::{Screen, WIDE},
    topology::Pair,
    wait,
};

/// A pipe that nobody reads for a while.
pub(super) fn slow(setting: &Setting) -> Result<()> {
    /// Less than what a recording begins with.
    const PIPE_BYTES: i32 = 4096;
    let pair = Pair::new()?;
    let directory = tempfile::tempdir().context("make a directory")?;
    let (printed, pipe) = (directory.path().join("printed"), directory.path().join("pipe"));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).context("make a pipe")?;
    // Open at both ends, so that nobody waits for the other.
    let mut disk = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&pipe)
        .context("open the pipe")?;
    fcntl(&disk, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).context("make the pipe short")?;
    let child = super::start_with(setting, &printed, &pipe, &["--force"])?;
    // Nothing of this finds room, and nobody waits for it.
    let went_on = repeat_syns(&pair, &printed, 2).and_then(|()| repeat_syns(&pair, &printed, 2));
    let is_over = AtomicBool::new(false);
    let (session, ended) = thread::scope(|scope| {
        let reader = scope.spawn(|| -> Result<Vec<u8>> {
            let (mut session, mut part) = (Vec::new(), [0; 4096]);
            loop {
                // Asked before: what is written until then is read once more.
                let is_last = is_over.load(Ordering::Acquire);
                match disk.read(&mut part) {
                    Ok(length) => session.extend(&part[..length]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && is_last => break,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => thread::yield_now(),
                    Err(error) => return Err(error).context("read the pipe"),
                }
            }
            Ok(session)
        });
        let ended = stop(child);
        is_over.store(true, Ordering::Release);
        (reader.join(), ended)
    });
    went_on?;
    let (said, status) = ended?;
    ensure!(status.success(), "tracer ended with {status}: {said}");
    let copy = directory.path().join("copy");
    fs::write(&copy, session.map_err(|_| anyhow!("the reader panicked"))??).context("keep the session")?;
    let (lines, damage) = told(setting, &copy)?;
    ensure!(damage.is_empty(), "{damage}");
    ensure!(lines == fs::read_to_string(&printed)?, "the session is not what was printed");
    Ok(())
}

pub(super) fn no_place(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let directory = tempfile::tempdir().context("make a directory")?;
    let place = directory.path().join("read-only");
    fs::create_dir(&place).context("make a directory")?;
    let _disk = Disk::with(&place, "ro")?;
    refused(setting, directory.path(), &place)?;
    if crate::need::Need::Terminal.missing().is_none() {
        refused_by_key(setting, &place)?;
    }
    vanished(setting, &pair, directory.path())
}

fn refused(setting: &Setting, directory: &Path, place: &Path) -> Result<()> {
    let child = start(setting, &directory.join("nothing"), &place.join("session"))?;
    let output = child.wait_with_output().context("wait for tracer")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "tracer ended with {}: {said}", output.status);
    ensure!(said.contains("cannot create") && said.contains("Read-only file system"), "{said}");
    ensure!(
        fs::read(directory.join("nothing"))?.is_empty(),
        "lines are printed though nothing can be recorded"
    );
    Ok(())
}

/// The screens tell it and stay.
fn refused_by_key(setting: &Setting, place: &Path) -> Result<()> {
    let mut screen = Screen::watch(&setting.program, WIDE, &["--record-dir", &place.to_string_lossy()])?;
    screen.see_live()?;
    screen.press("r")?;
    screen.see("why nothing is recorded", |picture| {
        picture.has("cannot record: ")?;
        picture.has("Read-only file system").map(drop)
    })?;
    screen.press("f")?;
    screen.see("why nothing is written", |picture| picture.has("not written: ").map(drop))?;
    screen.press("q")?;
    screen.left()?.is_clean()
}

/// The directory goes while it is written to.
fn vanished(setting: &Setting, pair: &Pair, directory: &Path) -> Result<()> {
    let (printed, place) = (directory.join("printed"), directory.join("place"));
    fs::create_dir(&place).context("make a directory")?;
    let child = start(setting, &printed, &place.join("session"))?;
    let outcome = repeat_syns(pair, &printed, 1).and_then(|()| {
        fs::remove_dir_all(&place).context("remove the directory")?;
        // The lines go on.
        repeat_syns(pair, &printed, 2)?;
        let sampled = count(&fs::read_to_string(&printed)?, "stats");
        wait::until("more of the accounting", || {
            Ok((count(&fs::read_to_string(&printed)?, "stats") > sampled + 1).then_some(()))
        })
    });
    let (said, status) = stop(child)?;
    outcome?;
    ensure!(status.code() == Some(1), "tracer ended with {status}: {said}");
    ensure!(said.contains("the file was removed"), "{said}");
    ensure!(!place.exists(), "the directory is there again");
    Ok(())
}
