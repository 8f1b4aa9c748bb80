//! Builds the eBPF object that the program embeds, whenever something it is made of changed.

#[path = "../xtask/src/toolchain.rs"]
mod toolchain;

use std::error::Error;
use std::path::{Path, PathBuf};

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

fn main() {
    // Cargo shows this error, and nothing else, of a build script that ends well.
    if let Err(error) = build() {
        println!("cargo::error={error}");
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_KERNEL_SIDE").is_none() {
        return Ok(());
    }
    let toolchain =
        toolchain::detect(&Places::of_this_machine()).map_err(|missing| no_toolchain(&missing))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out =
        PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: cargo runs this program")?);
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    for program in toolchain.programs() {
        println!("cargo::rerun-if-changed={}", program.display());
    }
    compile(&toolchain, &root, &out)
}

/// Builds the object and leaves it as `tracer-ebpf.o` in `out`.
fn compile(toolchain: &Toolchain, root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let target_directory = out.join("ebpf");
    let output = toolchain
        .cargo("build", root, &target_directory, &[])
        .arg("--quiet")
        .output()
        .map_err(|error| format!("cannot start cargo to build the eBPF object: {error}"))?;
    if !output.status.success() {
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            println!("cargo::error={line}");
        }
        return Err(format!("cannot build the eBPF object with {toolchain}").into());
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
