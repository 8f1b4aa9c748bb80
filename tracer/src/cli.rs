//! The command line: what is asked, and the exit status that answers.

mod doctor;
mod events;
mod export;
mod flight;
mod judging;
mod keyboard;
mod limits;
mod live;
mod log;
mod netns;
mod node;
mod playback;
mod privileges;
mod record;
mod recording;
mod replay;
mod report;
mod scope;
mod screens;
mod status;
mod tally;
#[cfg(test)]
mod tests;
mod thresholds;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};

/// Live tracer for a misbehaving Linux node: what is going wrong, for whom, and why.
///
/// Without a command it shows the live screens. Needs root; replay, report, export, events of a session and every
/// --help do not.
#[derive(Debug, Parser)]
#[command(name = "tracer", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    live: live::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The live screens; what tracer does without a command.
    Live(live::Arguments),
    /// Record to a session file, without screens.
    Record(record::Arguments),
    /// The same screens on a session; needs no root.
    Replay(replay::Arguments),
    /// What a session tells, to hand on; needs no root.
    Report(report::Arguments),
    /// A line for each event, as it happens or from a session.
    Events(events::Arguments),
    /// A session's events for other programs: JSON lines, Parquet, pcapng; needs no root.
    Export(export::Arguments),
    /// Which hooks work on this kernel, which do not and why; risky settings of this node.
    Doctor(doctor::Arguments),
}

/// Runs the command of this process's command line. The exit status is 0 when it is done, 1 when it failed and 2 when
/// it was asked wrongly.
pub fn main() -> ExitCode {
    log::init();
    // Wrong use makes clap print what is wrong and exit with status 2.
    let command = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let result = match command {
        Command::Live(arguments) => live::run(&arguments),
        Command::Record(arguments) => record::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Reads a command line. The screens' options may stand before `live`, or without it; before another command they are
/// wrong.
fn parse<T: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = T>) -> Result<Command, clap::Error> {
    let CommandLine { command, live: before } = CommandLine::try_parse_from(arguments)?;
    match command {
        None => Ok(Command::Live(before)),
        Some(Command::Live(after)) => Ok(Command::Live(after.over(before))),
        Some(command) if before == live::Arguments::default() => Ok(command),
        Some(_) => Err(CommandLine::command().error(
            ErrorKind::ArgumentConflict,
            "options before a command are those of the screens: put them behind the command",
        )),
    }
}

/// Whether whoever reads the output has gone, which ends a command quietly.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Says something to the user, on standard error.
fn tell(message: &str) {
    // Nobody is left to tell that standard error is closed.
    let _ = writeln!(io::stderr(), "tracer: {message}");
}
