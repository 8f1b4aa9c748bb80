//! A finding on the screens: listed, opened, left for what it is about, copied, over, and found again in a replay.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    case::Setting,
    screen::{Picture, SMALL, Screen, WIDE},
    topology::{FAR, Family, NEAR, Segment, hardware_address},
    traffic,
};

const ID: &str = "duplicate-address";
/// What the list says of it, on a small terminal too.
const LISTED: &str = "2 MACs answer";

/// Two hosts answer for one address until one of them gives it up. Truth: who has the address, and the finding's lines in
/// the JSON of the same run.
pub(super) fn duplicate_address(setting: &Setting) -> Result<()> {
    let segment = Segment::new(&[NEAR, FAR, FAR])?;
    let (asking, owners) = segment.hosts.split_first().context("three hosts were asked for")?;
    let macs =
        owners.iter().map(|owner| hardware_address(owner, Segment::DEVICE)).collect::<Result<Vec<_>>>()?;
    // Who has an entry for good never asks, which would be one more sign of life after what is copied below.
    let mac = hardware_address(asking, Segment::DEVICE)?;
    for owner in owners {
        let entry = format!("{} lladdr {mac} dev {} nud permanent", Family::V4.host(NEAR), Segment::DEVICE);
        owner.ip(&format!("neigh replace {entry}"))?;
    }
    let address = Family::V4.host(FAR).to_string();
    let knock = || traffic::knock(asking, Family::V4.at(NEAR, 0), Family::V4.at(FAR, 9));
    let mut screen = Screen::live(&setting.program, SMALL, &["--netns", asking.name()])?;
    screen.see_live()?;
    knock()?;
    screen.see("the finding on the Overview", |picture| listed(picture, &address).map(drop))?;
    screen.press("Home")?;
    open(&screen, &address)?;
    screen.see("who answers", |picture| macs.iter().try_for_each(|mac| picture.has(mac).map(drop)))?;
    screen.press("Enter")?;
    screen.see("the address it is about, and there the finding", |picture| {
        picture.lacks(&title(&address))?;
        picture.has("finding")?;
        picture.has(LISTED).map(drop)
    })?;
    screen.press("Escape")?;
    screen.see("the finding again", |picture| picture.has(&title(&address)).map(drop))?;
    screen.press("Y")?;
    let copied = screen.see("all of it in the clipboard", |_| {
        let copied = screen.clipboard()?;
        ensure!(copied.contains(&title(&address)), "copied `{copied}`");
        Ok(copied)
    })?;

    owners[1].ip(&format!("address del {address}/24 dev {}", Segment::DEVICE))?;
    asking.ip(&format!("neigh del {address} dev {}", Segment::DEVICE))?;
    knock()?;
    screen.see("that it is over", |picture| picture.has("closed at").map(drop))?;
    screen.resize(WIDE)?;
    screen.press("Escape")?;
    screen.see("when it opened and closed, on the axis", |picture| {
        let lane = picture.lines().iter().find(|line| line.trim_start().starts_with("findings"));
        let lane = lane.context("no lane of findings")?;
        ensure!(lane.contains('!') && lane.contains('='), "no marks: {lane}");
        listed(picture, &address).map(drop)
    })?;
    screen.press("q")?;
    screen.left()?.is_clean()?;

    let events = screen.recorded()?;
    events.only_findings(&[(ID, &address)])?;
    let findings = events.findings(ID);
    let told = findings.events();
    let says_so = |line: &&&Value| {
        let texts = ["evidence", "advice"].into_iter().filter_map(|list| line[list].as_array()).flatten();
        texts.filter_map(Value::as_str).all(|text| copied.contains(text))
    };
    ensure!(told.iter().any(|line| says_so(&line)), "no line of {told:?} says what was copied: {copied}");
    replayed(&screen, &address)
}

/// Its session opens at the end, where the finding is over, and goes back to where it closed and opened.
fn replayed(recorded: &Screen, address: &str) -> Result<()> {
    let mut replay = Screen::replay(recorded, SMALL)?;
    replay.see("the finding at the end of the session", |picture| {
        picture.has("END OF SESSION")?;
        listed(picture, address).map(drop)
    })?;
    replay.press("Home")?;
    open(&replay, address)?;
    replay.see("that it is over", |picture| picture.has("closed at").map(drop))?;
    replay.press("N")?;
    replay.see("where it closed", |picture| {
        picture.has(" AT 00:")?;
        picture.has("closed at").map(drop)
    })?;
    replay.press("N")?;
    replay.see("where it opened", |picture| {
        picture.lacks("closed at")?;
        picture.has("goes on").map(drop)
    })?;
    replay.press("q")?;
    replay.left()?.is_clean()
}

fn listed<'a>(picture: &'a Picture, address: &str) -> Result<&'a str> {
    let line = picture.has(LISTED)?;
    ensure!(line.contains(address), "about another address: {line}");
    Ok(line)
}

fn title(address: &str) -> String {
    format!("{ID}: {address} on {}", Segment::DEVICE)
}

fn open(screen: &Screen, address: &str) -> Result<()> {
    screen.press("Enter")?;
    screen.see("the finding opened", |picture| {
        picture.has(&title(address))?;
        picture.has("how sure").map(drop)
    })
}
