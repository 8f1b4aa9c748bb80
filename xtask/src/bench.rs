//! `cargo xtask bench`: what tracer costs, in the kernel and in the program. Measured and told, never judged: machines
//! differ, so figures are compared within one run.

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

/// Measures and prints tables to stdout.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.subject {
        Subject::Kernel(arguments) => kernel(arguments),
        Subject::Program(arguments) => program(arguments),
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
