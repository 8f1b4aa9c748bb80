//! What a command that attaches hooks must be allowed to do.

use std::env;

use anyhow::bail;

use crate::kernel::{Paths, facts::Facts};

/// The node's facts, if this process may attach hooks; else an error with the line to run instead.
pub(super) fn facts(paths: &Paths) -> anyhow::Result<Facts> {
    if !cfg!(feature = "kernel-side") {
        bail!(
            "this tracer was built without its kernel side and only reads sessions; `cargo xtask run` builds all of it"
        );
    }
    let facts = Facts::read(paths)?;
    let missing = facts.privileges.missing();
    if missing.is_empty() {
        return Ok(facts);
    }
    let names: Vec<&str> = missing.iter().map(|capability| capability.name()).collect();
    bail!("attaching hooks needs root ({} missing); run: sudo {}", names.join(", "), command_line());
}

/// This process's own command line, for a shell.
fn command_line() -> String {
    env::args_os().map(|argument| quoted(&argument.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let is_plain = !argument.is_empty()
        && argument
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_./,:=@%+".contains(character));
    if is_plain { argument.to_owned() } else { format!("'{}'", argument.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn arguments_survive_the_shell() {
        for (argument, expected) in [
            ("--only=ipvs", "--only=ipvs"),
            ("host 10.0.0.5", "'host 10.0.0.5'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(argument), expected);
        }
    }
}
