//! Finds what can build the eBPF object, and makes the cargo command that does.
//!
//! Two toolchains can: a rustup nightly with the `rust-src` component, which compiles the BPF target's core library
//! along, or Debian's own compiler with its prebuilt one. Both need bpf-linker, whose LLVM must not be older than the
//! compiler's. tracer's build script includes this file too, so it uses the standard library only.

#![allow(dead_code, reason = "xtask and tracer's build script each use their own part")]

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target the object is built for. Its byte order is the machine's, and both machines we run on are little-endian.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// Flags of every build of the object: type information for the kernel needs debug information and the linker's word.
const FLAGS: [&str; 2] = ["-Cdebuginfo=2", "-Clink-arg=--btf"];

/// Debian's compiler, which `rustup`'s hides on PATH.
const DEBIAN_COMPILER: &str = "/usr/bin/rustc";

/// A version of LLVM: major, minor. LLVM reads the bitcode of the same and of older ones.
pub(crate) type LlvmVersion = (u32, u32);

/// A compiler, its core library and a linker that can build the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// Where the compiler comes from.
    pub(crate) origin: Origin,
    /// The compiler.
    pub(crate) compiler: PathBuf,
    /// bpf-linker.
    pub(crate) linker: PathBuf,
}

/// Where a compiler comes from; decides how the core library is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// rustup's nightly: builds the core library from `rust-src`.
    Nightly,
    /// Debian's package `rustc-web`: finds the one of `libstd-rust-web-dev-bpf`.
    Debian,
}

/// Something without which the object cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Neither a nightly with `rust-src` nor Debian's compiler.
    Compiler,
    /// Debian's compiler is there, its core library for BPF is not.
    Core,
    /// No bpf-linker on PATH or among cargo's programs.
    Linker,
    /// The linker found cannot read what the compiler writes.
    LinkerTooOld {
        /// The linker.
        linker: PathBuf,
        /// Its LLVM.
        has: LlvmVersion,
        /// The compiler's LLVM.
        needs: LlvmVersion,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler => formatter.write_str("a Rust compiler for BPF"),
            Self::Core => formatter.write_str("the core library of Debian's Rust for BPF"),
            Self::Linker => formatter.write_str("bpf-linker"),
            Self::LinkerTooOld { linker, has, needs } => write!(
                formatter,
                "a bpf-linker with LLVM {}.{} or later ({} has {}.{})",
                needs.0,
                needs.1,
                linker.display(),
                has.0,
                has.1
            ),
        }
    }
}

/// Where to look; the machine's own places, or a test's.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Holds one directory a rustup toolchain.
    pub(crate) toolchains: Option<PathBuf>,
    /// Debian's compiler.
    pub(crate) debian_compiler: PathBuf,
    /// Directories that may hold bpf-linker, in order.
    pub(crate) linkers: Vec<PathBuf>,
}

impl Places {
    /// The places of this machine and user, from the environment.
    pub(crate) fn of_this_machine() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let under_home = |name| home.as_ref().map(|home| home.join(name));
        let set = |name| std::env::var_os(name).map(PathBuf::from);
        let cargo_home = set("CARGO_HOME").or_else(|| under_home(".cargo"));
        let rustup_home = set("RUSTUP_HOME").or_else(|| under_home(".rustup"));
        Self {
            toolchains: rustup_home.map(|directory| directory.join("toolchains")),
            debian_compiler: PathBuf::from(DEBIAN_COMPILER),
            linkers: path_directories().chain(cargo_home.map(|directory| directory.join("bin"))).collect(),
        }
    }
}

/// What can build the object here, the nightly first; or all that is missing, Debian's way taken.
pub(crate) fn detect(places: &Places) -> Result<Toolchain, Vec<Missing>> {
    let linker = in_directories("bpf-linker", places.linkers.iter().cloned());
    if let (Some(compiler), Some(linker)) = (nightly(places), &linker)
        && too_old(&compiler, linker).is_none()
    {
        return Ok(Toolchain { origin: Origin::Nightly, compiler, linker: linker.clone() });
    }
    let compiler = places.debian_compiler.clone();
    let mut missing = Vec::new();
    if !compiler.is_file() {
        missing.push(Missing::Compiler);
    } else if !has_core(&compiler) {
        missing.push(Missing::Core);
    }
    match linker {
        None => missing.push(Missing::Linker),
        Some(linker) => {
            missing.extend(too_old(&compiler, &linker));
            if missing.is_empty() {
                return Ok(Toolchain { origin: Origin::Debian, compiler, linker });
            }
        }
    }
    Err(missing)
}

impl Toolchain {
    /// `cargo SUBCOMMAND` for the eBPF crate of the workspace at `root`, in a target directory of its own.
    ///
    /// `lints` are more flags for the compiler (`-Dwarnings`). Nothing that the calling cargo set for its own build
    /// script or target reaches the command.
    pub(crate) fn cargo(
        &self,
        subcommand: &str,
        root: &Path,
        target_directory: &Path,
        lints: &[&str],
    ) -> Command {
        let mut command = Command::new(self.cargo_program());
        command
            .current_dir(root)
            .args([subcommand, "--locked", "--release", "--package", "tracer-ebpf", "--target", TARGET])
            .arg("--target-dir")
            .arg(target_directory);
        for (name, _) in std::env::vars_os() {
            if !may_inherit(&name) {
                command.env_remove(name);
            }
        }
        let architecture = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
        let mut linker = OsString::from("-Clinker=");
        linker.push(&self.linker);
        let flags: Vec<&OsStr> = FLAGS.iter().chain(lints).map(OsStr::new).collect();
        let flags = [flags.as_slice(), &[architecture.as_ref(), linker.as_os_str()]].concat();
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\u{1f}"))).env("RUSTC", &self.compiler);
        match self.origin {
            Origin::Nightly => command.args(["-Z", "build-std=core"]),
            // aya-ebpf uses one unstable feature: assembly for BPF.
            Origin::Debian => command.env("RUSTC_BOOTSTRAP", "aya_ebpf,tracer_ebpf"),
        };
        command
    }

    /// Where a build into `target_directory` leaves the object.
    pub(crate) fn object(target_directory: &Path) -> PathBuf {
        target_directory.join(TARGET).join("release/tracer-ebpf")
    }

    /// The compiler's own clippy, if installed. Another compiler's cannot read this one's core library.
    pub(crate) fn clippy(&self) -> Option<PathBuf> {
        self.beside("clippy-driver")
    }

    /// Programs whose change asks for a new build.
    pub(crate) fn programs(&self) -> [&Path; 2] {
        [&self.compiler, &self.linker]
    }

    fn cargo_program(&self) -> PathBuf {
        let own = if self.origin == Origin::Nightly { self.beside("cargo") } else { None };
        own.or_else(|| std::env::var_os("CARGO").map(PathBuf::from)).unwrap_or_else(|| "cargo".into())
    }

    fn beside(&self, name: &str) -> Option<PathBuf> {
        Some(self.compiler.with_file_name(name)).filter(|path| path.is_file())
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match self.origin {
            Origin::Nightly => "rustup's nightly",
            Origin::Debian => "Debian's Rust",
        };
        write!(formatter, "{origin} ({}) with {}", self.compiler.display(), self.linker.display())
    }
}

/// What a build of the object may see of cargo's and rustc's variables: where things are, not what to build for whom.
fn may_inherit(name: &OsStr) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    const DROPPED: [&str; 6] =
        ["CARGO_", "CLIPPY_", "LD_LIBRARY_PATH", "RUSTC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"];
    let name = name.to_string_lossy();
    let begins = |prefix: &&str| name.starts_with(prefix);
    KEPT.iter().any(begins) || !DROPPED.iter().any(begins)
}

/// A program by its name on PATH, or where only root's PATH leads.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let for_root = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    in_directories(name, path_directories().chain(for_root))
}

fn path_directories() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn in_directories(name: &str, mut directories: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    directories.find_map(|directory| Some(directory.join(name)).filter(|program| program.is_file()))
}

/// The compiler of the nightly with `rust-src`; of several, the undated one, else the latest.
fn nightly(places: &Places) -> Option<PathBuf> {
    let has_sources = |toolchain: &PathBuf| {
        toolchain.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file()
            && toolchain.join("bin/rustc").is_file()
    };
    let mut found: Vec<PathBuf> = fs::read_dir(places.toolchains.as_ref()?)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"nightly-")))
        .filter(has_sources)
        .collect();
    // Digits sort before letters, so `nightly-x86_64-…` comes after every `nightly-2026-…`.
    found.sort();
    found.pop().map(|toolchain| toolchain.join("bin/rustc"))
}

fn has_core(compiler: &Path) -> bool {
    let Some(root) = answer(compiler, &["--print", "sysroot"]) else { return false };
    let libraries = Path::new(root.trim()).join("lib/rustlib").join(TARGET).join("lib");
    let is_core = |name: OsString| {
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    };
    fs::read_dir(libraries).is_ok_and(|entries| entries.flatten().any(|entry| is_core(entry.file_name())))
}

/// Says so if the linker's LLVM is older than the compiler's. One whose LLVM cannot be told passes: the build will say.
fn too_old(compiler: &Path, linker: &Path) -> Option<Missing> {
    let needs = compiler_llvm(&answer(compiler, &["-vV"])?)?;
    let has = linked_llvm(&fs::read(linker).ok()?)?;
    (has < needs).then(|| Missing::LinkerTooOld { linker: linker.to_path_buf(), has, needs })
}

/// The LLVM of a compiler, from what `rustc -vV` prints.
fn compiler_llvm(verbose: &str) -> Option<LlvmVersion> {
    version(verbose.lines().find_map(|line| line.strip_prefix("LLVM version: "))?)
}

/// The LLVM a program is linked with, from the name of the shared library in it: `libLLVM.so.22.1`, `libLLVM-21.so`.
fn linked_llvm(program: &[u8]) -> Option<LlvmVersion> {
    const LIBRARY: &[u8] = b"libLLVM";
    program.windows(LIBRARY.len()).enumerate().filter(|(_, window)| *window == LIBRARY).find_map(|(at, _)| {
        let rest = program.get(at + LIBRARY.len()..)?;
        let rest = rest.strip_prefix(b".so.").or_else(|| rest.strip_prefix(b"-"))?;
        let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(rest.len());
        version(std::str::from_utf8(rest.get(..end)?).ok()?)
    })
}

fn version(text: &str) -> Option<LlvmVersion> {
    let mut numbers = text.trim().split('.').map(str::parse);
    let major = numbers.next()?.ok()?;
    Some((major, numbers.next().and_then(Result::ok).unwrap_or(0)))
}

fn answer(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).env_remove("LD_LIBRARY_PATH").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
#[path = "toolchain/tests.rs"]
mod tests;
