//! `cargo xtask run`: set up, build, and become tracer.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{say, shown};
use crate::{build, root, setup};

/// How to run the program.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not install what is missing: print the commands and stop
    #[arg(long)]
    no_install: bool,
    /// The program's own arguments; without any it opens the live screens
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Builds the program and becomes it; only a failure returns. stdout is the program's alone.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::for_build(arguments.no_install)?;
    let program = build::program("tracer", "tracer", &[], &[])?;
    let mut command = Command::new(&program);
    if needs_root(&arguments.arguments) && !root::is_root() {
        let Some(sudo) = root::sudo() else {
            bail!(
                "loading eBPF programs needs root and there is no sudo here; as root, run {}",
                program.display()
            );
        };
        command = Command::new(sudo);
        command.arg(&program);
        say("loading eBPF programs needs root: going through sudo");
    }
    command.args(&arguments.arguments);
    say(&format!("$ {}", shown(&command)));
    Err(command.exec()).with_context(|| format!("cannot start `{}`", shown(&command)))
}

/// Whether these arguments make the program load something into the kernel.
fn needs_root(arguments: &[OsString]) -> bool {
    let is = |names: &[&str]| arguments.iter().any(|argument| names.iter().any(|name| argument == name));
    let reads_files = arguments.first().is_some_and(|first| first == "replay" || first == "report");
    !reads_files && !is(&["--help", "-h", "help", "--version", "-V"])
}

#[cfg(test)]
mod tests {
    use super::needs_root;

    #[test]
    fn only_what_loads_programs_needs_root() {
        for (line, expected) in [
            ("", true),
            ("live --record s", true),
            ("events --json", true),
            ("doctor", true),
            ("record -o replay", true),
            ("replay s", false),
            ("report s", false),
            ("events --help", false),
            ("--version", false),
        ] {
            let arguments: Vec<_> = line.split_whitespace().map(Into::into).collect();
            assert_eq!(needs_root(&arguments), expected, "{line:?}");
        }
    }
}
