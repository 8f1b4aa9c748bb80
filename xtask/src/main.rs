//! Chores of the repository.

mod facts;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Chores of the repository")]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Saves a kernel's types for the tests.
    Facts(facts::Arguments),
}

fn main() -> anyhow::Result<()> {
    match CommandLine::parse().chore {
        Chore::Facts(arguments) => facts::run(&arguments),
    }
}
