//! `cargo xtask dist`: one static binary that runs on any Linux of this architecture with nothing installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectKind};

use crate::{build, setup};

/// What `dist` may do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not install what is missing: print the commands and stop
    #[arg(long)]
    no_install: bool,
}

/// Builds the program and prints where it is.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::for_build(arguments.no_install)?;
    println!("{}", build_static("tracer", "tracer")?.display());
    Ok(())
}

/// Builds a program of a package without a need for shared libraries, and returns its path in `target/dist`.
///
/// Fails if it does not build, or needs an interpreter after all.
pub(crate) fn build_static(package: &str, binary: &str) -> Result<PathBuf> {
    // A target named outright keeps the flag away from build scripts and procedural macros.
    let target = build::host()?;
    let variables = [("RUSTFLAGS", "-C target-feature=+crt-static")];
    let built = build::program(package, binary, &["--target", &target], &variables)?;
    ensure!(
        !needs_interpreter(&built)?,
        "{} asks for shared libraries although linked statically",
        built.display()
    );
    let directory = build::target_directory()?.join("dist");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let copy = directory.join(binary);
    let beside = directory.join(format!(".{binary}.new"));
    // A running program cannot be written to, but its name can be given to another file.
    fs::copy(&built, &beside)
        .and_then(|_| fs::rename(&beside, &copy))
        .with_context(|| format!("cannot copy {} to {}", built.display(), copy.display()))?;
    Ok(copy)
}

/// Whether an ELF program names an interpreter, the loader of shared libraries.
///
/// Fails if the file cannot be read or is not an ELF program.
pub(crate) fn needs_interpreter(path: &Path) -> Result<bool> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    interpreter(&bytes).with_context(|| format!("cannot read {} as a program", path.display()))
}

fn interpreter(bytes: &[u8]) -> Result<bool> {
    use object::read::elf::{ElfFile64, ProgramHeader};
    let file: ElfFile64 = ElfFile64::parse(bytes)?;
    ensure!(matches!(file.kind(), ObjectKind::Executable | ObjectKind::Dynamic), "it is no program");
    let endian = file.endian();
    Ok(file.elf_program_headers().iter().any(|header| header.p_type(endian) == object::elf::PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::{interpreter, needs_interpreter};

    #[test]
    fn this_test_needs_an_interpreter_and_text_is_no_program() {
        assert!(needs_interpreter(&std::env::current_exe().unwrap()).unwrap());
        assert!(interpreter(b"#!/bin/sh\n").is_err());
    }
}
