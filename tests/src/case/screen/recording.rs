//! Sessions that are begun by a key. Truth: a second run of the program, which prints everything.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::nobody;
use crate::{
    case::Setting,
    expect::Events,
    screen::{Picture, Screen, WIDE},
    topology::{Pair, repeat_syns},
    tracer::Tracer,
};

/// The ports of clients that dial before, while and after something is recorded.
const BEFORE: u16 = 41_201;
const MEANWHILE: u16 = 41_202;
const AFTER: u16 = 41_203;

/// The screens, and beside them what prints.
struct Run {
    pair: Pair,
    directory: TempDir,
    screen: Screen,
    tracer: Tracer,
}

impl Run {
    fn new(setting: &Setting) -> Result<Self> {
        let pair = Pair::new()?;
        // Once: nothing is told of a client any more once its repeated SYN is.
        repeat_syns(&pair.near, 1)?;
        let directory = tempfile::tempdir().context("make a directory for sessions")?;
        let near = pair.near.name();
        let tracer = setting.trace(&["--netns", near])?;
        let place = directory.path().to_string_lossy();
        let screen = Screen::watch(&setting.program, WIDE, &["--netns", near, "--record-dir", &place])?;
        screen.see_live()?;
        screen.show(2, "Retransmits")?;
        Ok(Self { pair, directory, screen, tracer })
    }

    /// A client dials until its repeated SYN is printed and shown.
    fn play(&self, port: u16) -> Result<()> {
        let dialling = nobody::dial(&self.pair, port)?;
        self.tracer.wait_for("repeated SYNs", |events| !nobody::told(events, &self.pair, port).is_empty())?;
        drop(dialling);
        self.screen.see("the flow", |picture| row(picture, port))
    }

    /// The only file there is.
    fn file(&self) -> Result<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.directory.path())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        ensure!(files.len() == 1, "not one file: {files:?}");
        files.pop().context("no file")
    }

    /// Fails unless the file has of these clients what was printed, and nothing of the others.
    fn compare(mut self, here: &[u16], not_here: &[u16]) -> Result<()> {
        let told = self.screen.told_by(&self.file()?)?;
        self.screen.press("q")?;
        self.screen.left()?.is_clean()?;
        let printed = self.tracer.stop()?.events;
        for &port in here {
            let (told, printed) = (segments(&told, &self.pair, port), segments(&printed, &self.pair, port));
            ensure!(!told.is_empty() && told == printed, "{port}: told {told:?}, printed {printed:?}");
        }
        for &port in not_here {
            let told = segments(&told, &self.pair, port);
            ensure!(told.is_empty(), "{port} is told, and it was not the time: {told:?}");
        }
        Ok(())
    }
}

fn row(picture: &Picture, port: u16) -> Result<()> {
    picture.table(&nobody::COLUMNS)?.row(&[("from", nobody::from(port).as_str())]).map(drop)
}

/// What tells a client's segments from each other; their times differ by how long one hook runs after the other.
fn segments(events: &Events, pair: &Pair, port: u16) -> Vec<[Value; 3]> {
    let told = nobody::told(events, pair, port);
    told.events()
        .iter()
        .map(|event| ["sequence", "attempt", "state"].map(|field| event[field].clone()))
        .collect()
}

/// `r` begins a session, and ends it.
pub(super) fn by_key(setting: &Setting) -> Result<()> {
    let run = Run::new(setting)?;
    run.play(BEFORE)?;
    run.screen.press("r")?;
    run.screen.see("a recording under way", |picture| picture.has("REC 00:").map(drop))?;
    run.play(MEANWHILE)?;
    run.screen.press("r")?;
    run.screen.see("the recording's end", |picture| {
        picture.has("recorded to ")?;
        picture.lacks("REC 00:")
    })?;
    run.play(AFTER)?;
    run.compare(&[MEANWHILE], &[BEFORE, AFTER])
}

/// `f` writes what is kept.
pub(super) fn flight_by_key(setting: &Setting) -> Result<()> {
    let run = Run::new(setting)?;
    run.play(BEFORE)?;
    run.screen.press("f")?;
    run.screen.see("the file to be written", |picture| picture.has("written: ").map(drop))?;
    let events = run.screen.told_by(&run.file()?)?;
    let last = events.all().last().context("an empty file")?;
    ensure!(
        last["type"] == "marker" && last["text"] == "flight recorder: key pressed",
        "the file does not end with why it was written but with {last}"
    );
    run.play(AFTER)?;
    run.compare(&[BEFORE], &[AFTER])
}
