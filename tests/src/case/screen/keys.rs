//! What keys do, in quiet and amid a storm.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::nobody;
use crate::{
    case::{Setting, note},
    need::Need,
    screen::{Picture, SMALL, Screen, Size as Terminal, WIDE},
    storm::{Size, Storm},
    topology::{Pair, repeat_syns},
};

const SCREENS: [&str; 7] =
    ["Overview", "Retransmits", "Neighbours", "IPVS", "Conntrack", "Timeline", "Hooks"];

/// Down to one cell, and back.
const SIZES: [Terminal; 6] = [WIDE, (120, 40), (40, 10), (1, 1), (20, 5), SMALL];

/// Every screen by its number and by Tab, over rows of one flow; at every size the terminal may be given.
pub(super) fn every_screen(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    // The last client no more often than the first, who so stands above it.
    repeat_syns(&pair.near, 2)?;
    let mut screen = Screen::live(&setting.program, SMALL, &["--netns", pair.near.name()])?;
    screen.see_live()?;
    screen.show(2, "Retransmits")?;
    nobody::play(&pair, &screen)?;
    for (number, title) in (1..).zip(SCREENS) {
        screen.show(number, title)?;
    }
    for (number, title) in (1..).zip(SCREENS) {
        screen.press("Tab")?;
        see_screen(&screen, number, title)?;
    }
    screen.press("BTab")?;
    see_screen(&screen, 6, "Timeline")?;

    screen.press("?")?;
    screen.see("the help", |picture| picture.has("this help").map(drop))?;
    screen.press("Escape")?;
    screen.see("the help closed", |picture| picture.lacks("this help"))?;

    screen.show(2, "Retransmits")?;
    screen.press("Enter")?;
    let from = nobody::from(nobody::FLOWS[0]);
    screen.see("the details", |picture| {
        let lines = picture.lines().iter().filter(|line| line.contains(&from)).count();
        ensure!(lines > 1, "the flow is told of once only");
        Ok(())
    })?;
    screen.press("Escape")?;
    screen.see("the details closed", |picture| {
        picture.table(&["from", "to"])?.row(&[("from", &from)]).map(drop)
    })?;
    for size in SIZES {
        screen.resize(size)?;
        screen.see("a picture of that size", |picture| {
            ensure!(picture.lines().len() == usize::from(size.1), "{} lines", picture.lines().len());
            ensure!(picture.lines().iter().any(|line| !line.is_empty()), "nothing is shown");
            Ok(())
        })?;
    }
    screen.show(1, "Overview")?;
    screen.press("q")?;
    screen.left()?.is_clean()
}

fn see_screen(screen: &Screen, number: usize, title: &str) -> Result<()> {
    let tab = format!("[{number} {title}]");
    screen.see(&format!("the screen {title}"), |picture| picture.has(&tab).map(drop))
}

/// Keys while thousands of sockets dial an address nobody has. While it is paused, nothing of the picture moves but how
/// much it is behind. Truth of the end: the run's own accounting.
pub(super) fn amid_a_storm(setting: &Setting) -> Result<()> {
    const SEGMENTS: u64 = 4_000;
    let (size, segments) = match Need::RealProcessor.missing().or_else(|| Need::LinearSynTimeouts.missing()) {
        None => (Size::FULL, 10 * SEGMENTS),
        Some(_) => (Size::SHORT, SEGMENTS),
    };
    let storm = Storm::prepare(size)?;
    let mut screen = Screen::live(&setting.program, WIDE, &["--netns", storm.pair.near.name()])?;
    screen.see_live()?;
    let sockets = storm.begin()?;
    let mut slowest = std::time::Duration::ZERO;
    for (number, title) in (1..).zip(SCREENS) {
        let pressed = Instant::now();
        screen.show(number, title)?;
        slowest = slowest.max(pressed.elapsed());
    }
    note(&format!(
        "screen: amid the storm a screen was there {} ms after its key at most",
        slowest.as_millis()
    ));
    screen.show(2, "Retransmits")?;
    screen.press("p")?;
    let paused = screen.see("the pause", |picture| {
        ensure!(behind(picture)? > 0, "nothing is behind");
        Ok(picture.clone())
    })?;
    let later = screen.see("more to be behind", |picture| {
        ensure!(behind(picture)? > behind(&paused)?, "no more is behind");
        Ok(picture.clone())
    })?;
    ensure!(later.lines()[1..] == paused.lines()[1..], "a paused picture moved:\n{paused}\n{later}");
    screen.press("p")?;
    screen.see_live()?;
    storm.wait_for_segments(segments)?;
    drop(sockets);
    screen.press("q")?;
    screen.left()?.is_clean()?;

    let accounting = screen.recorded()?.accounting("retransmit")?;
    accounting.balances()?;
    ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
    let mut replay = Screen::replay(&screen, WIDE)?;
    replay.see("the end of the session", |picture| picture.has("END OF SESSION").map(drop))?;
    replay.show(7, "Hooks")?;
    replay.see("the accounting", |picture| {
        let table = picture.table(&["kind", "seen", "delivered", "suppressed", "lost"])?;
        let row = table.row(&[("kind", "retransmit")])?;
        row.counts("seen", accounting.seen)?.counts("delivered", accounting.delivered)?;
        row.counts("suppressed", 0)?.counts("lost", 0)?;
        Ok(())
    })?;
    replay.press("q")?;
    replay.left()?.is_clean()
}

/// How many events the paused picture is behind.
fn behind(picture: &Picture) -> Result<u64> {
    picture.has("PAUSED")?;
    picture.number_before(" events behind").context("the header says how much it is behind")
}
