//! `cargo xtask bench`: what tracer costs, in the kernel and in the program. Measured and told, never judged: machines
//! differ, so figures are compared within one run.

use std::path::{self, PathBuf};

use anyhow::{Context, Result};

use crate::command::run as run_command;
use crate::{build, root, setup};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(clap::Subcommand)]
enum Subject {
    /// Kernel time of a retransmit event, beside a bpftrace one-liner that prints it, on one storm
    Kernel(Kernel),
    /// Events a second and memory of the program: decoding, state, JSON, text
    Program(Program),
    /// Sessions: bytes an event, recording, reading, seeking
    Session(Session),
}

/// How long to measure the kernel side.
#[derive(clap::Args)]
struct Kernel {
    /// Do not install what is missing: print the commands and stop
    #[arg(long)]
    no_install: bool,
    /// Storms to measure; the two observers take turns in being attached first
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Length of each storm
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

/// How to measure the program.
#[derive(clap::Args)]
struct Program {
    /// Do not install what is missing: print the commands and stop
    #[arg(long)]
    no_install: bool,
}

/// How to measure sessions.
#[derive(clap::Args)]
struct Session {
    /// Do not install what is missing: print the commands and stop
    #[arg(long)]
    no_install: bool,
    /// Recorded sessions to measure with, besides those that are made up
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Measures and prints tables to stdout.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.subject {
        Subject::Kernel(arguments) => kernel(arguments),
        Subject::Program(arguments) => program(arguments),
        Subject::Session(arguments) => session(arguments),
    }
}

fn kernel(arguments: &Kernel) -> Result<()> {
    setup::for_bench(arguments.no_install)?;
    let tracer = build::program("tracer", "tracer", &[], &[])?;
    let bench = build::program("tracer-tests", "kernel-bench", &[], &[])?;
    let mut command = root::as_root(&bench.to_string_lossy(), &[])
        .context("measuring the kernel needs root and there is no sudo here")?;
    command.arg(tracer);
    command.args(["--rounds", &arguments.rounds.to_string()]);
    command.args(["--seconds", &arguments.seconds.to_string()]);
    run_command(&mut command)
}

fn program(arguments: &Program) -> Result<()> {
    setup::for_build(arguments.no_install)?;
    run_command(build::cargo().args(["bench", "--locked", "--package", "tracer", "--bench", "throughput"]))
}

fn session(arguments: &Session) -> Result<()> {
    setup::for_build(arguments.no_install)?;
    // The benchmark runs in its package's directory.
    let files: Vec<PathBuf> = arguments
        .files
        .iter()
        .map(|file| path::absolute(file).with_context(|| format!("cannot find {}", file.display())))
        .collect::<Result<_>>()?;
    for bench in ["session", "report", "seek"] {
        let mut command = build::cargo();
        command.args(["bench", "--locked", "--package", "tracer", "--bench", bench, "--"]);
        // Seeking is measured in sessions that are made up.
        let files: &[PathBuf] = if bench == "seek" { &[] } else { &files };
        run_command(command.args(files))?;
    }
    Ok(())
}
