//! `cargo xtask run`: set up, build, and become tracer.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
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
    let needs_root = needs_root(&arguments.arguments, |argument| Path::new(argument).is_file());
    // Who only reads a session need not be able to install what an eBPF program is built with.
    let is_whole = needs_root || setup::is_ready_to_build();
    let more: &[&str] = if is_whole {
        setup::for_build(arguments.no_install)?;
        &[]
    } else {
        &["--no-default-features"]
    };
    let program = build::program("tracer", "tracer", more, &[])?;
    let mut command = Command::new(&program);
    if needs_root && !root::is_root() {
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

/// Whether these arguments make the program load something into the kernel; `is_file` tells which of them are files.
fn needs_root(arguments: &[OsString], is_file: impl Fn(&OsStr) -> bool) -> bool {
    let is = |names: &[&str]| arguments.iter().any(|argument| names.iter().any(|name| argument == name));
    let reads_files = match arguments.split_first() {
        Some((command, _)) if command == "replay" || command == "report" || command == "export" => true,
        Some((command, rest)) if command == "events" => {
            !is(&["--record"]) && rest.iter().any(|argument| is_file(argument))
        }
        _ => false,
    };
    !reads_files && !is(&["--help", "-h", "help", "--version", "-V"])
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

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
            ("export s --format jsonl", false),
            ("events session", false),
            ("events --json session", false),
            ("events --record session", true),
            ("events --help", false),
            ("--version", false),
        ] {
            let arguments: Vec<_> = line.split_whitespace().map(Into::into).collect();
            let is_file = |argument: &OsStr| argument == "session";
            assert_eq!(needs_root(&arguments, is_file), expected, "{line:?}");
        }
    }
}
