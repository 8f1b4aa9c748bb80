//! A session that comes through a pipe, and one whose terminal goes.

use std::{fs, thread};

use anyhow::{Context, Result, anyhow, ensure};

use super::nobody;
use crate::{
    case::Setting,
    screen::{Screen, WIDE},
    topology::Pair,
};

pub(super) fn shown(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let mut screen = nobody::begin(setting, &pair)?;
    screen.press("q")?;
    screen.left()?.is_clean()?;
    let events = screen.recorded()?;

    let directory = tempfile::tempdir().context("make a directory")?;
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).context("make a pipe")?;
    let mut replay = thread::scope(|scope| -> Result<Screen> {
        let session = fs::read(screen.session()).context("read the session")?;
        let writer = scope.spawn(|| fs::write(&pipe, session));
        let replay = Screen::replay_of(&screen, WIDE, &pipe)?;
        writer.join().map_err(|_| anyhow!("the writer panicked"))?.context("write to the pipe")?;
        Ok(replay)
    })?;
    replay.see("the end of the session", |picture| picture.has("END OF SESSION").map(drop))?;
    replay.show(2, "Retransmits")?;
    for port in nobody::FLOWS {
        let row = replay.see("the flow", |picture| {
            picture.table(&nobody::COLUMNS)?.row(&[("from", &nobody::from(port))]).cloned()
        })?;
        nobody::agree(&row, &nobody::told(&events, &pair, port))?;
    }
    // What it is kept in has no name that could be left behind.
    let mut kept = fs::read_dir(format!("/proc/{}/fd", replay.id()?))?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    ensure!(
        kept.any(|file| file.to_string_lossy().ends_with(" (deleted)")),
        "the session is kept in no file without a name"
    );
    replay.press("q")?;
    replay.left()?.is_clean()
}

/// The terminal of a replay goes away: the program ends, also where it was told to survive that.
pub(super) fn hung_up(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let mut screen = nobody::begin(setting, &pair)?;
    screen.press("q")?;
    screen.left()?.is_clean()?;
    for mut replay in [Screen::replay(&screen, WIDE)?, Screen::replay_without_hang_up(&screen, WIDE)?] {
        replay.see("the end of the session", |picture| picture.has("END OF SESSION").map(drop))?;
        replay.hang_up()?;
    }
    Ok(())
}
