//! Starts other programs: shows each on stderr first, and names it in every error.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Writes one line to stderr; stdout belongs to results.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell when stderr itself is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The command as one would type it, with the variables it sets.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.display(), quoted(value)));
        }
    }
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    // Flags joined for CARGO_ENCODED_RUSTFLAGS are held apart by a unit separator, which no terminal shows.
    let word = word.to_string_lossy().replace('\u{1f}', " ");
    let plain = |c: char| c.is_alphanumeric() || "-_=/.,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{word}'") }
}

/// Runs a command to its end. Its output goes where ours goes.
///
/// Fails if it cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say(&format!("$ {}", shown(command)));
    let status = command.status().with_context(|| not_started(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command to its end, its stdout sent to our stderr: for steps before the one whose output is the result.
///
/// Fails as [`run`] does.
pub(crate) fn run_aside(command: &mut Command) -> Result<()> {
    let stderr = io::stderr();
    let stderr = std::os::fd::AsFd::as_fd(&stderr).try_clone_to_owned().context("cannot duplicate stderr")?;
    run(command.stdout(stderr))
}

/// Runs a command quietly and returns what it wrote to stdout.
///
/// Fails as [`run`] does, or when the output is not UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| not_started(command))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something that is not UTF-8", shown(command)))
}

/// Runs a command and hands over every line of its stdout as it comes. Returns whether it exited with 0.
///
/// Fails if it cannot be started or its output cannot be read.
pub(crate) fn each_line(command: &mut Command, mut take: impl FnMut(&str)) -> Result<bool> {
    say(&format!("$ {}", shown(command)));
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| not_started(command))?;
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).with_context(|| unread(command))? > 0 {
            take(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }
    Ok(child.wait().with_context(|| unread(command))?.success())
}

fn not_started(command: &Command) -> String {
    format!("cannot start `{}`", shown(command))
}

fn unread(command: &Command) -> String {
    format!("cannot read the output of `{}`", shown(command))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{each_line, output, run, shown};

    #[test]
    fn shows_what_one_would_type() {
        let mut command = Command::new("cargo");
        command.env("RUSTFLAGS", "-C a -C b").env_remove("RUSTC").args(["build", "--features", "", "a=b"]);
        assert_eq!(shown(&command), "RUSTFLAGS='-C a -C b' cargo build --features '' a=b");
    }

    #[test]
    fn errors_name_the_command() {
        let failed = run(Command::new("sh").args(["-c", "exit 3"])).map_err(|error| format!("{error:#}"));
        assert_eq!(failed, Err("`sh -c 'exit 3'` failed: exit status: 3".to_owned()));
        let absent = output(&mut Command::new("/absent/program")).map_err(|error| format!("{error:#}"));
        assert!(absent.is_err_and(|error| error.starts_with("cannot start `/absent/program`: ")));
    }

    #[test]
    fn hands_over_lines_and_the_outcome() {
        let mut lines = Vec::new();
        let mut command = Command::new("printf");
        let passed = each_line(command.arg("a\\nb \\n\\377"), |line| lines.push(line.to_owned())).unwrap();
        assert!(passed);
        assert_eq!(lines, ["a", "b", "\u{fffd}"]);
        assert!(!each_line(&mut Command::new("false"), |_| ()).unwrap());
    }
}
