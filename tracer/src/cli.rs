//! The command line: what is asked, and the exit status that answers.

mod doctor;
mod events;
mod netns;
mod privileges;
mod scope;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Live tracer for a misbehaving Linux node: what is going wrong, for whom, and why.
///
/// Without a command it shows the live screens. Needs root; replaying, reporting and every --help do not.
#[derive(Debug, Parser)]
#[command(name = "tracer", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A line for each event, as it happens.
    Events(events::Arguments),
    /// Which hooks work on this kernel, which do not and why.
    Doctor(doctor::Arguments),
}

/// Runs the command of this process's command line. The exit status is 0 when it is done, 1 when it failed and 2 when
/// it was asked wrongly.
pub fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    // Wrong use makes clap print what is wrong and exit with status 2.
    let command_line = CommandLine::parse();
    let result = match command_line.command {
        None => Err(anyhow::anyhow!("no screens yet")),
        Some(Command::Events(arguments)) => events::run(&arguments),
        Some(Command::Doctor(arguments)) => doctor::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether whoever reads the output has gone, which ends a command quietly.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[expect(clippy::print_stderr, reason = "an error's place is standard error")]
fn report(error: &anyhow::Error) {
    eprintln!("tracer: {error:#}");
}
