//! The session every traced run records beside what it prints. Truth: what it printed.
//!
//! Whatever a case is about, `tracer events SESSION --json` must print afterwards, byte for byte, what the run printed.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash as _, Hasher as _},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Where the sessions of all runs are kept, if anywhere.
static KEPT_IN: OnceLock<PathBuf> = OnceLock::new();

/// From now on the session of every run that ends well is kept in a directory, named by its case.
pub fn keep_in(directory: PathBuf) -> Result<()> {
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    KEPT_IN.set(directory).ok().context("sessions are kept in one directory only")
}

/// A session while it is recorded.
#[derive(Debug)]
pub struct Recorded {
    directory: TempDir,
    /// What of it was printed: the arguments that say so.
    shown: Vec<String>,
}

/// The lines of a run, a hash each: a storm prints more than a guest has memory for.
#[derive(Debug, Default)]
pub struct Printed(Vec<u64>);

impl Printed {
    /// Notes the next line.
    pub fn note(&mut self, line: &str) {
        self.0.push(hash(line));
    }
}

fn hash(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

impl Recorded {
    /// A place for the session of a run with these arguments.
    pub fn new(arguments: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir().context("make a directory for the session")?;
        let chooses = |pair: &&[&str]| matches!(pair.first(), Some(&("--filter" | "--until")));
        let shown = arguments.windows(2).filter(chooses).flatten();
        let shown = shown.map(|&argument| argument.to_owned()).collect();
        Ok(Self { directory, shown })
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("session")
    }

    /// Compares what the session tells with what the run printed.
    pub fn compare(&self, program: &Path, printed: &Printed) -> Result<()> {
        let mut child = Command::new(program)
            .arg("events")
            .arg(self.path())
            .arg("--json")
            .args(&self.shown)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("read the session")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut differs = None;
        for (number, printed) in (1..).zip(&printed.0) {
            let Some(line) = lines.next().transpose().context("read what the session tells")? else {
                differs = Some(format!("the session ends before line {number}"));
                break;
            };
            if hash(&line) != *printed {
                differs = Some(format!("line {number} of the session is not what the run printed: {line}"));
                break;
            }
        }
        if differs.is_none()
            && let Some(line) = lines.next()
        {
            differs = Some(format!("the session tells more than was printed: {}", line?));
        }
        // Whatever is left is read, or the program would end because nobody reads it.
        lines.for_each(drop);
        let status = child.wait().context("wait for the session's reader")?;
        match differs {
            Some(differs) => bail!("{differs}"),
            None => ensure!(status.success(), "the session's reader ended with {status}"),
        }
        Ok(())
    }

    /// Keeps the session under a case's name, if sessions are kept: `CASE`, `CASE-2` and so on.
    pub fn keep(&self, case: &str) -> Result<()> {
        let Some(directory) = KEPT_IN.get() else { return Ok(()) };
        let names = std::iter::once(case.to_owned()).chain((2..).map(|run| format!("{case}-{run}")));
        let mut free = names.map(|name| directory.join(name + ".tracer")).filter(|path| !path.exists());
        let path = free.next().context("no name is free")?;
        fs::copy(self.path(), &path).with_context(|| format!("keep the session as {}", path.display()))?;
        Ok(())
    }
}
