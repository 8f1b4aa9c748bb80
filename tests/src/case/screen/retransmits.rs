//! Flows that retransmit, on their own screen, on the Timeline and on the Overview; live, and in a replay.

use anyhow::{Context, Result, ensure};

use super::nobody;
use crate::{
    case::{Setting, note},
    expect::Events,
    screen::{SMALL, Screen, Table, WIDE},
    topology::{Family, NEAR_DEVICE, NOBODY, Pair},
};

/// What is looked at of one run.
struct Looked {
    small: Table,
    wide: Table,
    timeline: Table,
}

/// Three clients dial an address nobody has. Truth: the run's own recording as JSON.
pub(super) fn flows(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let mut screen = Screen::live(&setting.program, SMALL, &["--netns", pair.near.name()])?;
    let first = screen.see_first()?;
    note(&format!("screen: the first picture came {} ms after the start", first.as_millis()));
    screen.see_live()?;
    screen.show(2, "Retransmits")?;
    nobody::play(&pair, &screen)?;
    let live = look(&screen)?;
    screen.press("q")?;
    screen.left()?.is_clean()?;
    let events = screen.recorded()?;
    agree(&live, &events, &pair).context("live")?;

    let mut replay = Screen::replay(&screen, SMALL)?;
    replay.see("the end of the session", |picture| picture.has("END OF SESSION").map(drop))?;
    replay.show(2, "Retransmits")?;
    let replayed = look(&replay)?;
    agree(&replayed, &events, &pair).context("in a replay")?;
    // A hook that is not needed any more may have been told of between the last look and the end.
    let shown = |looked: &Looked| {
        let rows = looked.timeline.rows().iter();
        rows.filter(|row| row.get("kind") == Some("retransmit")).cloned().collect::<Vec<_>>()
    };
    ensure!(shown(&replayed) == shown(&live), "the replay's timeline differs from the live one");
    replay.press("q")?;
    replay.left()?.is_clean()
}

/// Looks at the Retransmits screen, which has to be shown on a small terminal, and at others on a wide one.
fn look(screen: &Screen) -> Result<Looked> {
    let small = screen.see("flows on a small terminal", |picture| picture.table(&nobody::COLUMNS))?;
    screen.resize(WIDE)?;
    let wide = screen.see("flows on a wide terminal", |picture| {
        picture.table(&[&nobody::COLUMNS[..], &["owner", "dev"]].concat())
    })?;
    screen.show(6, "Timeline")?;
    let timeline = screen
        .see("the timeline", |picture| Ok(picture.table(&["time (UTC)", "kind", "what"])?.without("ago")))?;
    screen.show(1, "Overview")?;
    screen.see("the peer on the Overview", |picture| {
        picture.has(&Family::V4.host(NOBODY).to_string()).map(drop)
    })?;
    Ok(Looked { small, wide, timeline })
}

fn agree(looked: &Looked, events: &Events, pair: &Pair) -> Result<()> {
    for port in nobody::FLOWS {
        let told = nobody::told(events, pair, port);
        let from = nobody::from(port);
        let flow = [("from", from.as_str())];
        nobody::agree(looked.small.row(&flow)?, &told)?;
        let row = looked.wide.row(&flow)?;
        nobody::agree(row, &told)?;
        let event = told.first()?;
        let (process, id) = (event["process"].as_str(), event["pid"].as_u64());
        let (process, id) = process.zip(id).context("a retransmit without its process")?;
        row.says("owner", &format!("{process}/{id}"))?.says("dev", NEAR_DEVICE)?;

        let shown = looked
            .timeline
            .rows()
            .iter()
            .filter(|row| row.get("what").is_some_and(|what| what.contains(&from)));
        let shown: Vec<_> = shown.map(|row| (row.get("kind"), row.get("time (UTC)"))).collect();
        let expected: Vec<_> = told
            .events()
            .iter()
            .rev()
            .map(|event| (Some("retransmit"), time_of_day(&event["time"])))
            .collect();
        ensure!(shown == expected, "the timeline shows {shown:?} of {from}, expected {expected:?}");
    }
    Ok(())
}

/// `10:15:25.123` of `2026-11-21T10:15:25.123456789Z`.
fn time_of_day(time: &serde_json::Value) -> Option<&str> {
    time.as_str()?.get(11..23)
}
