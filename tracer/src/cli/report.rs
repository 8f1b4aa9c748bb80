//! `tracer report`: what a session tells, for those who were not there.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use super::{playback::Playback, scope::View, tell};
use crate::{decode::Decoder, filter::Sieve, output::report::Report};

/// `tracer report`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The session.
    file: PathBuf,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    #[command(flatten)]
    view: View,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Markdown,
}

/// Reads the session and prints the report on standard output.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut playback = Playback::open(&arguments.file, &arguments.view.scope)?;
    let mut sieve = Sieve::new(arguments.view.for_session()?);
    let mut decoder = Decoder::default();
    let mut report = Report::default();
    for block in &mut playback {
        decoder.decode(&block?, |event| {
            if sieve.passes(&event) {
                report.apply(&event);
            }
        });
    }
    report.note_damage(playback.reader().damage());
    for damage in playback.damage() {
        tell(&damage);
    }
    let mut output = io::stdout().lock();
    match arguments.format {
        Format::Markdown => write!(output, "{report}")?,
    }
    output.flush()?;
    Ok(())
}
