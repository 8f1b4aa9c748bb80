//! Running tools, with their failures told.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Runs `command` and returns its standard output. Fails unless it exits with 0, with its standard error in the message.
pub fn output(command: &mut Command) -> Result<String> {
    output_with_input(command, "")
}

/// As [`output`], with `input` on its standard input.
pub fn output_with_input(command: &mut Command, input: &str) -> Result<String> {
    let named = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {named}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("write to {named}"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("wait for {named}"))?;
    if !output.status.success() {
        bail!("{named}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `program` with `arguments`, which are split at white space.
pub fn run(program: &str, arguments: &str) -> Result<String> {
    output(Command::new(program).args(arguments.split_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::{output_with_input, run};
    use std::process::Command;

    #[test]
    fn output_is_returned_and_failure_told() {
        assert_eq!(run("echo", "one  two").unwrap(), "one two\n");
        assert_eq!(output_with_input(&mut Command::new("cat"), "text").unwrap(), "text");
        let failure = run("ls", "/nonexistent/file").unwrap_err().to_string();
        assert!(failure.contains("/nonexistent/file") && failure.contains("exit status"), "{failure}");
    }
}
