//! The end of the screens.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::nobody;
use crate::{case::Setting, screen::Screen, topology::Pair};

/// By a key, and by every signal that asks a program to end.
pub(super) fn every_way(setting: &Setting) -> Result<()> {
    type Way = fn(&Screen) -> Result<()>;
    const WAYS: [(&str, Way); 5] = [
        ("q", |screen| screen.press("q")),
        ("Ctrl-C", |screen| screen.press("C-c")),
        ("SIGINT", |screen| screen.signal(Signal::SIGINT)),
        ("SIGTERM", |screen| screen.signal(Signal::SIGTERM)),
        ("SIGHUP", |screen| screen.signal(Signal::SIGHUP)),
    ];
    let pair = Pair::new()?;
    for (name, leave) in WAYS {
        let mut screen = nobody::begin(setting, &pair)?;
        leave(&screen)?;
        screen.left()?.is_clean().context(name)?;
        is_whole(&screen, &pair).context(name)?;
    }
    Ok(())
}

/// The terminal goes away under the program.
pub(super) fn hung_up(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let mut screen = nobody::begin(setting, &pair)?;
    screen.hang_up()?;
    is_whole(&screen, &pair)
}

/// Whether the session has everything to the last accounting.
fn is_whole(screen: &Screen, pair: &Pair) -> Result<()> {
    let events = screen.recorded()?;
    for port in nobody::FLOWS {
        nobody::told(&events, pair, port).at_least(1)?;
    }
    events.accounting("retransmit")?.balances()?;
    let last = events.all().last().context("an empty session")?;
    ensure!(last["type"] == "stats", "the session does not end with `stats` but {last}");
    Ok(())
}
