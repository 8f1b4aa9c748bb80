//! Boots a Debian kernel in QEMU and runs test cases inside.

use anyhow::{Result, bail};

use crate::tally::Tally;

/// What to boot and what to run there.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The kernel to boot: 5.10, 6.1, 6.12 or 6.18
    #[arg(long)]
    kernel: String,
}

/// Held open for the guest branch, which brings this file.
pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    bail!("no guest runner in this tree: cannot boot {}", arguments.kernel)
}
