//! The project's own tasks: `cargo xtask --help`.

use std::process::ExitCode;

use clap::Parser;

mod dist;
mod guest;
mod tally;

#[derive(clap::Parser)]
#[command(name = "xtask", about = "The project's own tasks")]
enum Task {
    Guest(guest::Arguments),
}

fn main() -> anyhow::Result<ExitCode> {
    let tally = match Task::parse() {
        Task::Guest(arguments) => guest::run(&arguments)?,
    };
    println!("{tally}");
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
