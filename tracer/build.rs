//! Builds the eBPF object that the program embeds, whenever something it is made of changed.

#[path = "../xtask/src/toolchain.rs"]
mod toolchain;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use toolchain::{Missing, Places, Toolchain};

/// What the object is made of, from the root of the workspace. Cargo looks into directories.
const SOURCES: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "tracer-ebpf/Cargo.toml",
    "tracer-ebpf/src",
    "tracer-common/Cargo.toml",
    "tracer-common/src",
    "xtask/src/toolchain.rs",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let toolchain =
        toolchain::detect(&Places::of_this_machine()).map_err(|missing| no_toolchain(&missing))?;
    for program in toolchain.programs() {
        println!("cargo::rerun-if-changed={}", program.display());
    }
    let out =
        PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: cargo runs this program")?);
    let target_directory = out.join("ebpf");
    let status = toolchain
        .cargo("build", &root, &target_directory, &[])
        .status()
        .map_err(|error| format!("cannot start cargo to build the eBPF object: {error}"))?;
    if !status.success() {
        return Err(format!("cannot build the eBPF object with {toolchain}: see cargo's output below").into());
    }
    let object = Toolchain::object(&target_directory);
    std::fs::copy(&object, out.join("tracer-ebpf.o"))
        .map_err(|error| format!("cannot copy the eBPF object {}: {error}", object.display()))?;
    Ok(())
}

fn no_toolchain(missing: &[Missing]) -> String {
    let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
    format!("the eBPF object needs {}: run `cargo xtask setup`", missing.join(" and "))
}
