//! Whether we are root, and how to become it.

use std::path::PathBuf;
use std::process::Command;

use crate::toolchain;

/// Whether this process may change the system and load eBPF programs.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Where `sudo` is, if anywhere.
pub(crate) fn sudo() -> Option<PathBuf> {
    toolchain::on_path("sudo")
}

/// A command that runs `program` as root: itself when we are, through `sudo` when it is there, else `None`.
///
/// Variables for the program are set with `variables`, as sudo passes on none of its own.
pub(crate) fn as_root(program: &str, variables: &[(&str, &str)]) -> Option<Command> {
    if is_root() {
        let mut command = Command::new(program);
        command.envs(variables.iter().copied());
        return Some(command);
    }
    let mut command = Command::new(sudo()?);
    command.arg("env").args(variables.iter().map(|(name, value)| format!("{name}={value}"))).arg(program);
    Some(command)
}
