//! Static binaries that run on any kernel without libraries beside them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds `binary` of `package` as a static executable and returns its path.
pub(crate) fn build_static(package: &str, binary: &str) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace's directory")?;
    let status = Command::new("cargo")
        .current_dir(workspace)
        // The target is named so that procedural macros are still built for the host as they must be.
        .args(["build", "--release", "--target", TARGET, "--package", package, "--bin", binary])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "cargo could not build {binary} of {package} statically");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    Ok(target.join(TARGET).join("release").join(binary))
}
