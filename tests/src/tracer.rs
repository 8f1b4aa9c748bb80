//! The program under test, running.

use std::{
    io::{BufRead, BufReader, Read},
    mem,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    expect::Events,
    recorded::{Printed, Recorded},
    wait,
};

/// `tracer events --json`, started and ready.
#[derive(Debug)]
pub struct Tracer {
    program: PathBuf,
    case: &'static str,
    recorded: Recorded,
    child: Child,
    lines: Arc<Mutex<Lines>>,
    stdout: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<String>>,
    /// From the start of the process to its `ready` line.
    pub attach_time: Duration,
}

/// What came out of standard output so far.
#[derive(Debug)]
struct Lines {
    events: Events,
    printed: Printed,
    /// The first line that is not an event, and why.
    broken: Option<String>,
}

/// A run that ended.
#[derive(Debug)]
pub struct Run {
    /// All lines of standard output.
    pub events: Events,
    /// How it exited.
    pub status: ExitStatus,
    /// Standard error.
    pub stderr: String,
}

impl Tracer {
    /// Starts `tracer events --json` with more arguments, and the recording of a session, and waits until it says that it
    /// is ready. What it says is added to `events`.
    pub fn start(program: &Path, case: &'static str, arguments: &[&str], events: Events) -> Result<Self> {
        let recorded = Recorded::new(arguments)?;
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(["events", "--json"])
            .args(arguments)
            .arg("--record")
            .arg(recorded.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let lines = Arc::new(Mutex::new(Lines { events, printed: Printed::default(), broken: None }));
        let stdout = child.stdout.take().map(|stdout| collect(stdout, Arc::clone(&lines)));
        let stderr = child.stderr.take().map(read_to_end);
        let program = program.to_owned();
        let mut tracer =
            Self { program, case, recorded, child, lines, stdout, stderr, attach_time: Duration::ZERO };
        tracer.wait_ready()?;
        tracer.attach_time = started.elapsed();
        Ok(tracer)
    }

    fn wait_ready(&mut self) -> Result<()> {
        wait::until("the ready line", || {
            if let Some(first) = self.lines().events.all().first() {
                if first["type"] != "ready" {
                    bail!("the first line is not `ready` but {first}");
                }
                return Ok(Some(()));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("tracer ended before it was ready: {status}: {}", self.join_stderr());
            }
            Ok(None)
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The session it records, which is whole once it has ended and gone with this.
    pub fn session(&self) -> PathBuf {
        self.recorded.path()
    }

    /// Waits until `condition` holds for the events so far; `what` names it if it never does.
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Events) -> bool) -> Result<()> {
        wait::until(what, || Ok(self.has(&mut condition).then_some(())))
            .with_context(|| format!("the lines so far: {}", self.lines().events.summary()))
    }

    /// The answer of `question` to the events so far.
    pub fn ask<T>(&self, question: impl FnOnce(&Events) -> T) -> T {
        question(&self.lines().events)
    }

    /// Whether `condition` holds for the events so far.
    pub fn has(&self, condition: impl FnOnce(&Events) -> bool) -> bool {
        self.ask(condition)
    }

    /// Ends it with SIGINT and returns everything it said. Fails if standard output was not all JSON objects, or the
    /// exit status is not 0.
    pub fn stop(mut self) -> Result<Run> {
        self.signal(Signal::SIGINT)?;
        let run = self.wait()?;
        if !run.status.success() {
            bail!("tracer ended with {} after SIGINT: {}", run.status, run.stderr);
        }
        Ok(run)
    }

    /// Whether it ends by itself within a second.
    pub fn ended_within_a_second(&mut self) -> Result<bool> {
        const SECOND: Duration = Duration::from_secs(1);
        let start = Instant::now();
        wait::until("a second, or the end of tracer", || {
            let has_ended = self.child.try_wait()?.is_some();
            Ok((has_ended || start.elapsed() >= SECOND).then_some(has_ended))
        })
    }

    /// Waits until it ends by itself. If it ended well, its session must tell what it printed.
    pub fn wait(&mut self) -> Result<Run> {
        let status = wait::until("tracer to end", || Ok(self.child.try_wait()?))?;
        if let Some(reader) = self.stdout.take() {
            reader.join().map_err(|_| anyhow!("the reader of standard output panicked"))?;
        }
        let stderr = self.join_stderr();
        let mut lines = self.lines();
        if let Some(broken) = lines.broken.take() {
            bail!("standard output: {broken}");
        }
        let (events, printed) = (mem::take(&mut lines.events), mem::take(&mut lines.printed));
        drop(lines);
        if status.success() {
            self.recorded.compare(&self.program, &printed)?;
            self.recorded.keep(self.case)?;
        }
        Ok(Run { events, status, stderr })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("a process id")?;
        kill(Pid::from_raw(id), signal).with_context(|| format!("send {signal} to tracer"))
    }

    fn join_stderr(&mut self) -> String {
        self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // After `wait` the process is gone and both calls do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stdout: ChildStdout, lines: Arc<Mutex<Lines>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(line) = &line {
                lines.printed.note(line);
            }
            let parsed = line.map_err(anyhow::Error::from).and_then(|line| parse_line(&line));
            match parsed {
                Ok(event) => lines.events.push(event),
                Err(error) => {
                    lines.broken.get_or_insert(format!("{error:#}"));
                }
            }
        }
    })
}

/// A line has to be a JSON object with a `type`.
fn parse_line(line: &str) -> Result<Value> {
    let event: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
    if !event["type"].is_string() {
        bail!("an object without a type: {line}");
    }
    Ok(event)
}

fn read_to_end(mut stderr: ChildStderr) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        // A pipe that breaks ends the text.
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::parse_line;

    #[test]
    fn only_objects_with_a_type_are_events() {
        assert!(parse_line(r#"{"type":"ready","hooks":[]}"#).is_ok());
        for line in ["", "tracer: warning", "[]", r#"{"kind":"syn"}"#, r#"{"type":1}"#] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }
}
