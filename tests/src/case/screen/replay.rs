//! A session gone about in and played.

use anyhow::{Context, Result, ensure};

use super::nobody;
use crate::{
    case::Setting,
    expect::Events,
    screen::{Screen, WIDE},
    topology::Pair,
};

/// A recording with a mark in it, opened, taken back to the mark, played to its end and taken to its beginning. Truth:
/// the recording as JSON.
pub(super) fn played(setting: &Setting) -> Result<()> {
    const MARK: &str = "rollout begins";
    let pair = Pair::new()?;
    let mut screen = nobody::begin(setting, &pair)?;
    nobody::mark_and_dial_later(&pair, &screen, MARK)?;
    let later = nobody::from(nobody::LATER);
    screen.press("q")?;
    screen.left()?.is_clean()?;

    let mut replay = Screen::replay(&screen, WIDE)?;
    replay.see("the end of the session", |picture| picture.has("END OF SESSION").map(drop))?;
    replay.show(2, "Retransmits")?;
    replay.see("the later flow in the end", nobody::has_later)?;
    replay.press("[")?;
    let then = replay.see("the moment of the marker", |picture| {
        picture.has("AT 00:0")?;
        picture.has(MARK)?;
        picture.lacks(&later)?;
        let bar =
            picture.lines().iter().find(|line| line.contains('├')).context("no extent of the session")?;
        let (before, behind) = bar.split_once('●').context("the moment is not on it")?;
        ensure!(before.contains('━') && behind.contains('─'), "the moment is at the wrong place: {bar}");
        picture.table(&nobody::COLUMNS)
    })?;
    replay.type_text("+++ ")?;
    replay.see("it to have played to the end", |picture| {
        picture.has("END OF SESSION")?;
        nobody::has_later(picture)
    })?;
    replay.press("t")?;
    replay.type_text("0%")?;
    replay.press("Enter")?;
    replay.see("the beginning", |picture| {
        picture.has("AT 00:00:00 OF ")?;
        picture.lacks(&nobody::from(nobody::FLOWS[0])).map(drop)
    })?;
    replay.press("q")?;
    replay.left()?.is_clean()?;

    let events = screen.recorded()?;
    let place = events.all().iter().position(|event| event["type"] == "marker" && event["text"] == MARK);
    let before = Events::new(events.all()[..place.context("the marker is not recorded")?].to_vec());
    for port in nobody::FLOWS {
        nobody::agree(then.row(&[("from", &nobody::from(port))])?, &nobody::told(&before, &pair, port))?;
    }
    Ok(())
}
