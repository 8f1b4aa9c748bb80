//! A disk that is full when the flight recorder is triggered.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::{FLIGHT, PORT, learned, triggered};
use crate::{
    case::{Setting, record::Disk},
    screen::{Screen, WIDE},
    topology::{FAR, Family, NEAR, Pair},
    traffic,
};

pub(super) fn full(setting: &Setting) -> Result<()> {
    const KIBIBYTES: u32 = 64;
    let pair = Pair::new()?;
    let directory = tempfile::tempdir().context("make a directory")?;
    let place = directory.path().join("disk");
    fs::create_dir(&place).context("make a directory")?;
    let _disk = Disk::new(&place, KIBIBYTES)?;
    let ballast = place.join("ballast");
    ensure!(fs::write(&ballast, vec![1; KIBIBYTES as usize * 1024 + 1]).is_err(), "the disk is not full");

    let arguments = [&FLIGHT[..], &["--trigger", "signal"]].concat();
    let mut screen = Screen::record_to(&setting.program, WIDE, &place.join("session.trace"), &arguments)?;
    screen.see("the flight recorder to be armed", |picture| picture.has("armed: SIGUSR1").map(drop))?;
    traffic::knock(&pair.near, Family::V4.at(NEAR, 0), Family::V4.at(FAR, PORT))?;
    screen.signal(Signal::SIGUSR1)?;
    // Also when all has come that shall be in the file.
    screen.see("the file to wait for room", |picture| {
        let line = picture.has("waiting: No space left on device")?;
        ensure!(line.contains("armed: SIGUSR1") && line.contains(" 0 written"), "{line}");
        Ok(())
    })?;
    fs::remove_file(&ballast).context("make room")?;
    screen.see("the file to be written", |picture| picture.has(" 1 written").map(drop))?;
    let mut files = fs::read_dir(&place)?;
    let file = files.next().context("no file")??.path();
    ensure!(files.next().is_none(), "more than one file");
    let events = screen.told_by(&file)?;
    // Whoever has the address may have answered after the signal.
    learned(&events, Family::V4)?;
    triggered(&events, "SIGUSR1")?;
    screen.signal(Signal::SIGINT)?;
    screen.left()?.is_clean()
}
