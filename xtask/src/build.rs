//! Where the workspace is, and building one of its programs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// The cargo that runs us, or the one on PATH.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The directory of the workspace.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The directory that builds go to.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata =
        command::output(cargo().args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("cannot read what `cargo metadata` prints")?;
    let directory =
        metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(directory))
}

/// The target triple that the compiler builds for by itself.
pub(crate) fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let verbose = command::output(Command::new(rustc).arg("-vV"))?;
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Builds one program for release and returns its path. Nothing goes to stdout.
///
/// `more` are further arguments of `cargo build`, `variables` more of its environment.
pub(crate) fn program(
    package: &str,
    name: &str,
    more: &[&str],
    variables: &[(&str, &str)],
) -> Result<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--locked", "--release", "--package", package, "--bin", name])
        .arg("--message-format=json-render-diagnostics")
        .args(more)
        .envs(variables.iter().copied());
    let mut built = None;
    let success = command::each_line(&mut command, |line| built = executable(line, name).or(built.take()))?;
    anyhow::ensure!(success, "cannot build {name} of package {package}: see above");
    built.with_context(|| format!("cargo built package {package} but no program {name}"))
}

/// The program's path from one of cargo's messages, if that is what it is about.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let about = message["target"]["name"].as_str()?;
    Some(PathBuf::from(message["executable"].as_str()?)).filter(|_| about == name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{executable, root};

    #[test]
    fn takes_the_path_of_the_program_asked_for() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"tracer"},"executable":"/t/tracer"}"#;
        assert_eq!(executable(message, "tracer"), Some(PathBuf::from("/t/tracer")));
        assert_eq!(executable(message, "scenarios"), None);
        let library = r#"{"reason":"compiler-artifact","target":{"name":"tracer"},"executable":null}"#;
        assert_eq!(executable(library, "tracer"), None);
        assert_eq!(executable("not of cargo", "tracer"), None);
    }

    #[test]
    fn the_root_holds_the_lock_file() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
