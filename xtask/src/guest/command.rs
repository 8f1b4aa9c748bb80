//! Runs host programs and says plainly what failed.

use std::{io, process::Command};

use anyhow::{Context as _, Result, anyhow, bail};

/// Runs `command` to its end and returns its standard output as bytes.
///
/// Fails when the program is missing, or ends with another status than 0; the error then carries its last lines.
pub(super) fn bytes(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow!("{program} is not installed"),
        _ => anyhow!(error).context(format!("start {program}")),
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let standard_error = String::from_utf8_lossy(&output.stderr);
    bail!("{command:?} ended with {}: {}", output.status, tail(standard_error.trim(), 10))
}

/// Like [`bytes`], for programs that print text.
pub(super) fn text(command: &mut Command) -> Result<String> {
    let output = bytes(command)?;
    String::from_utf8(output).with_context(|| format!("{command:?} printed something that is not UTF-8"))
}

/// The last `count` lines of `text`.
fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
