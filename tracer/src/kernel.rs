//! Facts of the running kernel, read before any hook is attached.
//!
//! Everything here reads files below a directory the caller names, so tests read saved copies and the program reads
//! `/proc` and `/sys`.

pub mod btf;
pub mod facts;
pub mod machine;
pub mod modules;
pub mod offsets;
pub mod symbols;

use std::path::PathBuf;

/// Where the kernel shows itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `/proc`, or a saved copy of what tracer reads of it.
    pub proc: PathBuf,
    /// `/sys`, or a saved copy of what tracer reads of it.
    pub sys: PathBuf,
}

impl Default for Paths {
    /// The running kernel's own.
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }
}

impl Paths {
    /// The directory with the BTF of the kernel image and of each loaded module, one file each.
    pub fn btf(&self) -> PathBuf {
        self.sys.join("kernel/btf")
    }

    /// The kernel's symbol table.
    pub fn symbols(&self) -> PathBuf {
        self.proc.join("kallsyms")
    }
}
