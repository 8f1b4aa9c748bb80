//! Everything that is known of one thing, opened by Enter.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::nobody;
use crate::{
    case::Setting,
    screen::{Picture, SMALL, Screen, WIDE},
    topology::{Pair, repeat_syns},
};

/// A flow, opened from its row on a small and on a wide terminal. Truth: the run's recording, every retransmit of it.
pub(super) fn flow(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    // Few enough that each is listed.
    repeat_syns(&pair.near, 2)?;
    let mut screen = Screen::live(&setting.program, SMALL, &["--netns", pair.near.name()])?;
    screen.see_live()?;
    screen.show(2, "Retransmits")?;
    nobody::play(&pair, &screen)?;
    screen.press("Home")?;
    let from = screen.see("the first flow", |picture| {
        let table = picture.table(&nobody::COLUMNS)?;
        Ok(table.rows().first().context("no flow")?.text("from")?.to_owned())
    })?;
    screen.press("Enter")?;
    let title = format!("{from} → {}", nobody::to());
    let small = screen.see("the flow", |picture| opened(picture, &title))?;
    screen.resize(WIDE)?;
    let wide = screen.see("the flow on a wide terminal", |picture| opened(picture, &title))?;
    screen.press("Escape")?;
    screen.see("the flow closed", |picture| picture.table(&nobody::COLUMNS).map(drop))?;
    screen.press("q")?;
    screen.left()?.is_clean()?;

    let port = from.rsplit(':').next().and_then(|port| port.parse().ok()).context("a port")?;
    let events = screen.recorded()?;
    let told = nobody::told(&events, &pair, port);
    told.at_least(1)?;
    let expected = told.events().iter().map(|event| in_log(event)).collect::<Result<Vec<_>>>()?;
    for (size, shown) in [("small", small), ("wide", wide)] {
        ensure!(shown == expected, "the {size} terminal shows {shown:?}, expected {expected:?}");
    }
    Ok(())
}

/// Time of day and attempt of every retransmit in what is opened, from the top.
fn opened(picture: &Picture, title: &str) -> Result<Vec<(String, String)>> {
    picture.has(title)?;
    let retransmits = picture.lines().iter().filter_map(|line| {
        let (time, what) = line.trim_start_matches(['▸', ' ']).split_once("  retransmit ")?;
        let (_, attempt) = what.split_once("attempt ")?;
        Some((time.to_owned(), attempt.split_whitespace().next()?.to_owned()))
    });
    let retransmits: Vec<_> = retransmits.collect();
    ensure!(!retransmits.is_empty(), "no retransmits");
    Ok(retransmits)
}

fn in_log(event: &Value) -> Result<(String, String)> {
    let time = event["time"].as_str().and_then(|time| time.get(11..23)).context("a time")?;
    Ok((time.to_owned(), event["attempt"].to_string()))
}
