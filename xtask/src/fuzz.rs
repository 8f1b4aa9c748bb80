//! `cargo xtask fuzz`: hostile session files, made by libFuzzer, for as long as one likes.
//!
//! The fuzzer is a program of its own (`tests/fuzz`) and needs neither a nightly compiler nor `cargo fuzz`: what that
//! tells the compiler is told here, all of it stable.

use std::fs;

use anyhow::{Context, Result};

use crate::command::run as run_command;
use crate::{build, setup};

/// For how long to try.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not install what is missing: print the commands and stop
    #[arg(long)]
    no_install: bool,
    /// How long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
}

/// Counters of the edges taken and of what was compared, by which libFuzzer finds its way.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// What the fuzzer may take: memory in MiB, seconds for one input, bytes of one.
const LIMITS: [&str; 3] = ["-rss_limit_mb=512", "-timeout=10", "-max_len=65536"];

/// Builds the fuzzer and runs it. Inputs that led somewhere are kept for the next run.
///
/// Fails if the reader panics, hangs or takes too much memory; the input that made it do so is named.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::for_build(arguments.no_install)?;
    let target = build::target_directory()?.join("fuzz");
    let [corpus, failures] = ["corpus", "failures"].map(|name| target.join(name));
    for directory in [&corpus, &failures] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let host = build::host()?;
    let manifest = build::root().join("tests/fuzz/Cargo.toml");
    // With a target named, build scripts and macros are built without the flags.
    let mut command = build::cargo();
    command.args(["build", "--release", "--locked", "--target", &host, "--manifest-path"]);
    run_command(command.arg(manifest).env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &target))?;
    let fuzzer = target.join(&host).join("release/tracer-fuzz");
    run_command(std::process::Command::new(&fuzzer).env("TRACER_FUZZ_SEEDS", &corpus))?;
    let mut command = std::process::Command::new(fuzzer);
    command.arg(format!("-max_total_time={}", u64::from(arguments.minutes) * 60));
    command.arg(format!("-artifact_prefix={}/", failures.display())).args(LIMITS).arg("-print_final_stats=1");
    run_command(command.arg(corpus))
}
