//! `cargo xtask lint`: formatting, and clippy with every warning an error, on both sides.

use anyhow::{Context, Result, anyhow};

use crate::build::{self, cargo};
use crate::command::{run_aside, say};
use crate::toolchain::{self, Places};

/// `lint` takes no arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// All three checks; fails at the first that does not hold.
pub(crate) fn run(_: &Arguments) -> Result<()> {
    format()?;
    host()?;
    kernel_side()
}

/// Whether every file is formatted as rustfmt would.
pub(crate) fn format() -> Result<()> {
    run_aside(cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")
}

/// Clippy on everything that is built for this machine.
pub(crate) fn host() -> Result<()> {
    let packages = ["--workspace", "--exclude", "tracer-ebpf"];
    run_aside(cargo().args(["clippy", "--locked"]).args(packages).args(["--all-targets", "--", "-Dwarnings"]))
}

/// Clippy on the eBPF crate, for its target; the compiler's warnings alone where its clippy is not installed.
pub(crate) fn kernel_side() -> Result<()> {
    let toolchain = toolchain::detect(&Places::of_this_machine())
        .map_err(|_| anyhow!("no toolchain for the eBPF object: run `cargo xtask setup`"))?;
    let target_directory = build::target_directory()?.join("ebpf-lint");
    let mut command = toolchain.cargo("check", build::root(), &target_directory, &["-Dwarnings"]);
    match toolchain.clippy() {
        Some(driver) => {
            command.env("RUSTC_WORKSPACE_WRAPPER", driver);
        }
        None => say("no clippy beside the compiler for BPF: its own warnings only"),
    }
    run_aside(&mut command)
}
