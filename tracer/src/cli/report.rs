//! `tracer report`: what a session tells, for those who were not there.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{
    judging::FailOn,
    playback::{Playback, Shifts},
    scope::View,
    tell,
};
use crate::output::report::Report;

/// `tracer report`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The sessions: parts of one recording, or of several nodes; needs no root.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    #[command(flatten)]
    fail_on: FailOn,
    #[command(flatten)]
    shifts: Shifts,
    #[command(flatten)]
    view: View,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Text to paste, with tables
    Markdown,
    /// A page with charts that needs nothing else
    Html,
    /// One object, for programs; docs/report.md says what is in it
    Json,
}

/// Reads the session and prints the report on standard output.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut playback = Playback::open(&arguments.files, &arguments.shifts, &arguments.view.scope)?;
    let clocks = playback.clocks();
    for sentence in &clocks {
        tell(sentence);
    }
    let mut report = Report::judged_in(arguments.view.scope.state()?, arguments.view.for_session()?);
    report.note_clocks(clocks);
    for block in &mut playback {
        report.take(&block?);
    }
    let damage = playback.damage();
    for sentence in &damage {
        tell(sentence);
    }
    report.note_damage(damage);
    let mut output = io::stdout().lock();
    match arguments.format {
        Format::Markdown => write!(output, "{}", report.markdown())?,
        Format::Html => output.write_all(report.html().as_bytes())?,
        Format::Json => writeln!(output, "{}", report.json().context("cannot write the report as JSON")?)?,
    }
    output.flush()?;
    arguments.fail_on.verdict(report.opened())
}
