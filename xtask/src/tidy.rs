//! `cargo xtask tidy`: the repository's own rules on its text, one file a rule.

mod final_newline;
mod leftovers;
mod length;
mod local_paths;
mod module_doc;
mod sleep;
mod snapshots;
mod trailing_space;
mod walk;

use std::path::Path;

use anyhow::{Result, ensure};

use crate::build;
use crate::command::say;

/// `tidy` takes no arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// A file of the repository as the rules see it.
struct File<'a> {
    /// Its path from the root, with `/`.
    path: &'a str,
    /// What it holds; empty for a file that is not of text.
    text: &'a str,
}

impl File<'_> {
    fn is_rust(&self) -> bool {
        self.has_extension(&["rs"])
    }

    fn is_written_by_hand(&self) -> bool {
        self.has_extension(&["rs", "md", "toml", "sh"]) || self.path.starts_with(".ci/")
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = Path::new(self.path).extension();
        extension.is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
    }
}

/// What is wrong: the line, counted from 1, and what to do. Line 0 means the file as a whole.
type Complaint = (usize, String);

/// A rule looks at one file and complains.
type Rule = fn(&File<'_>) -> Vec<Complaint>;

const RULES: [Rule; 8] = [
    final_newline::check,
    leftovers::check,
    length::check,
    local_paths::check,
    module_doc::check,
    sleep::check,
    snapshots::check,
    trailing_space::check,
];

/// Looks at every file and lists what is wrong.
pub(crate) fn run(_: &Arguments) -> Result<()> {
    check()
}

/// As the subcommand: complaints go to stderr, a line each, and any is an error.
pub(crate) fn check() -> Result<()> {
    let (mut files, mut complaints, mut with_unsafe) = (0, 0, 0);
    walk::each_file(build::root(), &mut |path, bytes| {
        let file = File { path, text: std::str::from_utf8(bytes).unwrap_or_default() };
        files += 1;
        with_unsafe += usize::from(file.is_rust() && has_unsafe(file.text));
        for (line, text) in RULES.iter().flat_map(|rule| rule(&file)) {
            complaints += 1;
            say(&format!("{path}:{line}: {text}"));
        }
    })?;
    say(&format!("{files} files, {with_unsafe} of them with unsafe code"));
    ensure!(complaints == 0, "{complaints} breaches of the repository's rules");
    Ok(())
}

/// Lines with their numbers for which `is_bad` holds, each with the same complaint.
fn lines(text: &str, complaint: &str, is_bad: impl Fn(&str) -> bool) -> Vec<Complaint> {
    let numbered = text.lines().zip(1..).filter(|(line, _)| is_bad(line));
    numbered.map(|(_, number)| (number, complaint.to_owned())).collect()
}

fn has_unsafe(text: &str) -> bool {
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).any(|code| {
        ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"]
            .iter()
            .any(|use_| code.contains(use_))
    })
}

#[cfg(test)]
mod tests;
