//! The flight recorder. Truth: what was done before and after it was triggered.

mod disk;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::{Case, Setting};
use crate::{
    expect::Events,
    need::Need,
    screen::{Screen, WIDE},
    topology::{FAR, Family, NEAR, Pair, Segment},
    traffic,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "flight-signal",
        proves: "SIGUSR1 writes what came before it and a tail, and the next one all of that again and what came since",
        needs: &[Need::Terminal],
        run: |setting| by_hand(setting, "signal", "SIGUSR1", |screen| screen.signal(Signal::SIGUSR1)),
    },
    Case {
        name: "flight-key",
        proves: "so does the key f, and the terminal is as it was afterwards",
        needs: &[Need::Terminal],
        run: |setting| by_hand(setting, "key", "key f", |screen| screen.press("f")),
    },
    Case {
        name: "flight-finding",
        proves: "a finding that opens writes the records that made it open, once",
        needs: &[Need::Terminal],
        run: by_finding,
    },
    Case {
        name: "flight-full-disk",
        proves: "a flight recorder that is triggered while its disk is full writes everything once there is room",
        needs: &[Need::Terminal],
        run: disk::full,
    },
];

/// A port nobody listens at: what is sent there only makes the sender's kernel look for the hardware address.
const PORT: u16 = 9;

/// Long enough for every case, in an emulated guest too: the tail is counted from the last sample before the trigger.
const FLIGHT: [&str; 6] = ["--only", "neighbour", "--flight", "1h", "--tail", "5s"];

fn record(setting: &Setting, trigger: &str, armed: &str) -> Result<Screen> {
    let screen = Screen::record(&setting.program, WIDE, &[&FLIGHT[..], &["--trigger", trigger]].concat())?;
    let armed = format!("armed: {armed}");
    screen.see("the flight recorder to be armed", |picture| picture.has(&armed).map(drop))?;
    Ok(screen)
}

/// What the file of that number tells, once it is written.
fn written(screen: &Screen, number: usize) -> Result<Events> {
    let count = format!(" {number} written");
    screen.see("the file to be written", |picture| picture.has(&count).map(drop))?;
    let files = screen.sessions()?;
    ensure!(files.len() == number, "{number} files are told of, and there are {files:?}");
    screen.told_by(files.last().context("no file")?)
}

/// Where an event stands among all.
fn place(events: &Events, what: &str, is_it: impl Fn(&serde_json::Value) -> bool) -> Result<usize> {
    events
        .all()
        .iter()
        .position(is_it)
        .with_context(|| format!("{what} is not in the file: {}", events.summary()))
}

fn learned(events: &Events, family: Family) -> Result<usize> {
    let address = family.host(FAR).to_string();
    place(events, &address, |event| {
        event["type"] == "neighbour" && event["verdict"] == "learned" && event["address"] == address
    })
}

fn triggered(events: &Events, why: &str) -> Result<usize> {
    let text = format!("flight recorder: {why}");
    place(events, &text, |event| {
        event["type"] == "marker" && event["text"].as_str().is_some_and(|it| it.starts_with(&text))
    })
}

fn by_hand(
    setting: &Setting,
    trigger: &str,
    armed: &str,
    pull: impl Fn(&Screen) -> Result<()>,
) -> Result<()> {
    let pair = Pair::new()?;
    let mut screen = record(setting, trigger, armed)?;
    let knock = |family: Family| traffic::knock(&pair.near, family.at(NEAR, 0), family.at(FAR, PORT));
    let why = if trigger == "key" { "key pressed" } else { armed };
    knock(Family::V4)?;
    pull(&screen)?;
    let first = written(&screen, 1)?;
    learned(&first, Family::V4)?;
    triggered(&first, why)?;
    ensure!(learned(&first, Family::V6).is_err(), "the first file tells what came later");

    knock(Family::V6)?;
    pull(&screen)?;
    let second = written(&screen, 2)?;
    let (before, at) = (learned(&second, Family::V4)?, triggered(&second, why)?);
    ensure!(before < at, "what came before the trigger stands behind its marker");
    learned(&second, Family::V6)?;
    ensure!(
        second.all().first().is_some_and(|event| event["type"] == "ready"),
        "the file does not begin with `ready`"
    );

    // Not by Ctrl-C, which would end the shell behind it too.
    screen.signal(Signal::SIGINT)?;
    screen.left()?.is_clean()?;
    ensure!(screen.sessions()?.len() == 2, "there are more files than triggers");
    Ok(())
}

fn by_finding(setting: &Setting) -> Result<()> {
    let segment = Segment::new(&[NEAR, FAR, FAR])?;
    let asking = segment.hosts.first().context("three hosts were asked for")?;
    let mut screen = record(setting, "finding:duplicate-address", "duplicate-address")?;
    traffic::knock(asking, Family::V4.at(NEAR, 0), Family::V4.at(FAR, PORT))?;
    let events = written(&screen, 1)?;
    let ignored = place(&events, "the second answer", |event| {
        event["type"] == "neighbour" && event["verdict"] == "ignored"
    })?;
    let at = triggered(&events, &format!("duplicate-address {}", Family::V4.host(FAR)))?;
    ensure!(ignored < at, "the finding opened before what made it open");
    screen.signal(Signal::SIGINT)?;
    screen.left()?.is_clean()?;
    ensure!(screen.sessions()?.len() == 1, "the finding that stays open was written again");
    Ok(())
}
