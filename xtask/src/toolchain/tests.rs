//! Toolchains made of files and shell scripts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Missing, Origin, Places, Toolchain, compiler_llvm, detect, linked_llvm, may_inherit};

/// A machine in a directory that goes away with it.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("xtask-toolchain-{}-{name}", std::process::id()));
        // Left over from a run that was killed.
        let _ = fs::remove_dir_all(&directory);
        Self(directory)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn compiler(&self, path: &str, llvm: &str) {
        let root = self.0.join("usr");
        let text = format!(
            "#!/bin/sh\ncase $1 in -vV) echo 'LLVM version: {llvm}';; --print) echo '{}';; esac\n",
            root.display()
        );
        self.file(path, &text);
    }

    fn debian(&self) {
        self.compiler("usr/bin/rustc", "22.1.8");
        self.file("usr/lib/rustlib/bpfel-unknown-none/lib/libcore-0.rlib", "");
    }

    fn nightly(&self, name: &str, llvm: &str) {
        self.compiler(&format!("toolchains/{name}/bin/rustc"), llvm);
    }

    fn sources(&self, name: &str) {
        self.file(&format!("toolchains/{name}/lib/rustlib/src/rust/library/core/src/lib.rs"), "");
    }

    fn linker(&self, library: &str) {
        self.file("bin/bpf-linker", &format!("\u{7f}ELF\0{library}\0"));
    }

    fn detect(&self) -> Result<(Origin, PathBuf), Vec<Missing>> {
        let places = Places {
            toolchains: Some(self.0.join("toolchains")),
            debian_compiler: self.0.join("usr/bin/rustc"),
            linkers: vec![self.0.join("absent"), self.0.join("bin")],
        };
        detect(&places).map(|found| (found.origin, found.compiler.strip_prefix(&self.0).unwrap().into()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_bare_machine_lacks_compiler_and_linker() {
    let machine = Machine::new("bare");
    assert_eq!(machine.detect(), Err(vec![Missing::Compiler, Missing::Linker]));
}

#[test]
fn debian_needs_its_core_library_and_a_linker() {
    let machine = Machine::new("debian");
    machine.compiler("usr/bin/rustc", "22.1.8");
    assert_eq!(machine.detect(), Err(vec![Missing::Core, Missing::Linker]));
    machine.debian();
    assert_eq!(machine.detect(), Err(vec![Missing::Linker]));
    machine.linker("libLLVM.so.22.1");
    assert_eq!(machine.detect(), Ok((Origin::Debian, "usr/bin/rustc".into())));
}

#[test]
fn a_linker_with_an_older_llvm_does_not_do() {
    let machine = Machine::new("older");
    machine.debian();
    machine.linker("libLLVM-21.so");
    let missing = machine.detect().unwrap_err();
    let linker = machine.0.join("bin/bpf-linker");
    assert_eq!(missing, [Missing::LinkerTooOld { linker, has: (21, 0), needs: (22, 1) }]);
    machine.linker("no name in it: LLVM may be linked statically");
    assert!(machine.detect().is_ok());
}

#[test]
fn a_nightly_counts_only_with_sources_and_goes_first_then() {
    let machine = Machine::new("nightly");
    machine.debian();
    machine.linker("libLLVM.so.22.1");
    machine.nightly("nightly-x86_64-unknown-linux-gnu", "22.1.4");
    assert_eq!(machine.detect(), Ok((Origin::Debian, "usr/bin/rustc".into())));
    machine.nightly("nightly-2026-01-02-x86_64-unknown-linux-gnu", "22.1.4");
    machine.sources("nightly-2026-01-02-x86_64-unknown-linux-gnu");
    let dated = "toolchains/nightly-2026-01-02-x86_64-unknown-linux-gnu/bin/rustc";
    assert_eq!(machine.detect(), Ok((Origin::Nightly, dated.into())));
    machine.sources("nightly-x86_64-unknown-linux-gnu");
    let undated = "toolchains/nightly-x86_64-unknown-linux-gnu/bin/rustc";
    assert_eq!(machine.detect(), Ok((Origin::Nightly, undated.into())));
    machine.nightly("nightly-x86_64-unknown-linux-gnu", "23.1.0");
    assert_eq!(
        machine.detect(),
        Ok((Origin::Debian, "usr/bin/rustc".into())),
        "its LLVM is newer than the linker's"
    );
}

#[test]
fn versions_are_read_from_what_programs_print_and_hold() {
    for (text, expected) in [
        ("rustc 1.96.0\nhost: x\nLLVM version: 22.1.8\n", Some((22, 1))),
        ("LLVM version: 23", Some((23, 0))),
        ("rustc 1.96.0", None),
    ] {
        assert_eq!(compiler_llvm(text), expected, "{text:?}");
    }
    for (bytes, expected) in [
        (&b"\0libLLVM.so.22.1\0"[..], Some((22, 1))),
        (b"libLLVM-21.so", Some((21, 0))),
        (b"libLLVMCore libLLVM.so.21.1", Some((21, 1))),
        (b"libLLVM", None),
        (b"", None),
    ] {
        assert_eq!(linked_llvm(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn the_build_sees_where_things_are_but_not_whom_cargo_builds_for() {
    for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_TOKEN", "RUSTUP_HOME"]
    {
        assert!(may_inherit(OsStr::new(name)), "{name}");
    }
    for name in [
        "CARGO_BUILD_TARGET",
        "CARGO_CFG_TARGET_ARCH",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        assert!(!may_inherit(OsStr::new(name)), "{name}");
    }
}

#[test]
fn the_command_names_compiler_linker_and_target() {
    let toolchain =
        |origin| Toolchain { origin, compiler: "/c/rustc".into(), linker: "/l/bpf-linker".into() };
    let command = toolchain(Origin::Debian).cargo("build", Path::new("/r"), Path::new("/t"), &["-Dwarnings"]);
    let shown = crate::command::shown(&command);
    for part in [
        "RUSTC=/c/rustc ",
        "RUSTC_BOOTSTRAP=aya_ebpf,tracer_ebpf ",
        "-Clinker=/l/bpf-linker",
        "-Dwarnings",
        " build --locked --release --package tracer-ebpf --target bpfel-unknown-none --target-dir /t",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown:?}");
    }
    assert!(!shown.contains("build-std"), "{shown}");
    let nightly = toolchain(Origin::Nightly).cargo("build", Path::new("/r"), Path::new("/t"), &[]);
    let shown = crate::command::shown(&nightly);
    assert!(shown.ends_with(" -Z build-std=core") && !shown.contains("BOOTSTRAP"), "{shown}");
}
