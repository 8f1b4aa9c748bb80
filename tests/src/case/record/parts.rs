//! A recording in several files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{repeat_syns, start_with, stop, told, told_by};
use crate::{case::Setting, topology::Pair, wait};

pub(super) fn rotated(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let (printed, parts, _directory) = record(setting, &pair, &["--max-time", "1s"], 4)?;
    // In whatever order they are named.
    let mut backwards = parts.clone();
    backwards.reverse();
    for files in [&parts, &backwards] {
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let (lines, damage) = told_by(setting, &files, &[])?;
        ensure!(damage.is_empty(), "{damage}");
        ensure!(lines == printed, "{} parts do not tell what was printed", files.len());
    }
    let mut has_begun = false;
    for part in &parts {
        let (lines, _) = told(setting, part)?;
        // The first ones may have ended before everything was attached.
        if lines.is_empty() && !has_begun {
            continue;
        }
        has_begun = true;
        is_stretch(&lines, &printed).with_context(|| part.display().to_string())?;
    }

    // Long enough that what was printed last is in one of the two parts left, even where the end takes seconds.
    let limits = ["--max-time", "5s", "--max-size", "1M", "--max-files", "2"];
    let (printed, parts, directory) = record(setting, &pair, &limits, 3)?;
    let names: BTreeSet<_> = fs::read_dir(directory.path())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(parts.len() == 2 && names.len() == 3, "not two parts and what was printed: {names:?}");
    ensure!(!names.contains("run.0001.tracer"), "the first part is still there");
    let files: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    let (lines, _) = told_by(setting, &files, &[])?;
    is_stretch(&lines, &printed)?;
    ensure!(!retransmits(&lines).is_empty(), "the parts that are left tell of no retransmit");
    ensure!(
        accounting(&lines)? == accounting(&printed)?,
        "the parts that are left do not end with the accounting of the run"
    );
    Ok(())
}

/// Records until there is a part of at least that number, for by then that one may be gone; what was printed, and the parts
/// there are, in their order.
fn record(
    setting: &Setting,
    pair: &Pair,
    arguments: &[&str],
    number: u32,
) -> Result<(String, Vec<PathBuf>, tempfile::TempDir)> {
    let directory = tempfile::tempdir().context("make a directory")?;
    let printed = directory.path().join("printed");
    let child = start_with(setting, &printed, &directory.path().join("run.tracer"), arguments)?;
    let newest = || Ok(parts_in(directory.path())?.last().and_then(|part| part_number(part)));
    let is_there = || newest().map(|newest| newest.filter(|&newest| newest >= number));
    let outcome = repeat_syns(pair, &printed, 2)
        .and_then(|()| wait::until("enough parts", is_there))
        .and_then(|_| repeat_syns(pair, &printed, 1));
    let (said, status) = stop(child)?;
    outcome?;
    ensure!(status.success(), "tracer ended with {status}: {said}");
    let printed = fs::read_to_string(&printed).context("read what was printed")?;
    let parts = parts_in(directory.path())?;
    Ok((printed, parts, directory))
}

/// The parts in a directory, in their order.
fn parts_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut parts: Vec<PathBuf> = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<PathBuf>| path.as_ref().map_or(true, |path| part_number(path).is_some()))
        .collect::<Result<_>>()?;
    parts.sort();
    Ok(parts)
}

/// Which part `run.0004.tracer` is.
fn part_number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("run.")?.strip_suffix(".tracer")?.parse().ok()
}

/// Fails unless what happened by a part is some of what happened in the run, one behind the other. A part by itself also
/// tells what held when it began.
fn is_stretch(lines: &str, printed: &str) -> Result<()> {
    ensure!(lines.starts_with("{\"type\":\"ready\""), "a part does not begin with `ready`");
    let (told, printed) = (retransmits(lines), retransmits(printed));
    let other = told.iter().find(|line| !printed.contains(line));
    ensure!(other.is_none(), "a part tells something else than was printed: {other:?} of {printed:#?}");
    let is_stretch = told.is_empty() || printed.windows(told.len()).any(|stretch| stretch == told);
    ensure!(is_stretch, "a part leaves something out, or tells it twice: {told:?}");
    Ok(())
}

/// The accounting at the end, without its time.
fn accounting(lines: &str) -> Result<Value> {
    let mut last: Value = serde_json::from_str(lines.lines().last().context("no line")?)?;
    ensure!(last["type"] == "stats", "not accounting: {last}");
    last.as_object_mut().map(|fields| fields.remove("time"));
    Ok(last)
}

/// The retransmits told, without their times: a part by itself goes by the clock as it was first compared, which may have
/// drifted by nanoseconds until the part began.
fn retransmits(lines: &str) -> Vec<Value> {
    let objects = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = objects.filter(|object| object["type"] == "retransmit");
    told.map(|mut object| {
        object.as_object_mut().map(|fields| fields.remove("time"));
        object
    })
    .collect()
}
