//! `cargo xtask`: everything a developer runs here, one file a subcommand.

mod bench;
mod build;
mod command;
mod dist;
mod facts;
mod failures;
mod findings_table;
mod fuzz;
mod guest;
mod lint;
mod root;
mod run;
mod setup;
mod tally;
mod test;
mod tidy;
mod toolchain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, builds, runs, tests and checks tracer")]
struct Program {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building, testing and guests need, or say what is missing
    Setup(setup::Arguments),
    /// Set up, build and run tracer: the live screens, or the arguments after `--`
    Run(run::Arguments),
    /// Set up, then run every check and test; the last line is the sum
    Test(test::Arguments),
    /// Measure what tracer costs, in the kernel and in the program
    Bench(bench::Arguments),
    /// Build one static binary that runs anywhere; its path is the last line
    Dist(dist::Arguments),
    /// Check formatting and run clippy, on the host's crates and on the eBPF crate
    Lint(lint::Arguments),
    /// Check the repository's own rules on its text
    Tidy(tidy::Arguments),
    /// Save a kernel's types, reduced, for the tests
    Facts(facts::Arguments),
    /// Print what every rule finds in recorded sessions, in one table
    FindingsTable(findings_table::Arguments),
    /// Feed hostile session files to the reader until the time is up or it fails
    Fuzz(fuzz::Arguments),
    /// Boot a Debian kernel in QEMU and run test cases inside
    Guest(guest::Arguments),
}

fn main() -> ExitCode {
    let result = match Program::parse().task {
        Task::Setup(arguments) => setup::run(&arguments),
        Task::Run(arguments) => run::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::Lint(arguments) => lint::run(&arguments),
        Task::Tidy(arguments) => tidy::run(&arguments),
        Task::Facts(arguments) => facts::run(&arguments),
        Task::FindingsTable(arguments) => findings_table::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Guest(arguments) => {
            guest::run(&arguments, &mut failures::Failures::default()).and_then(tally::Tally::into_result)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
