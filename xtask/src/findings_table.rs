//! `cargo xtask findings-table`: what every rule finds in recorded sessions, in one table, so that a change of a rule
//! or of a threshold shows what it does to all of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{build, command};

/// Where the table of the sessions of the repository is kept.
const KEPT: &str = "tests/sessions/findings.md";

/// Which sessions, and judged by what.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Judge by the thresholds of this file, as tracer's --thresholds does
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// The tracer that judges; built when not given
    #[arg(long, value_name = "PATH")]
    tracer: Option<PathBuf>,
    /// Fail unless the table is the one that is kept in tests/sessions/findings.md
    #[arg(long, conflicts_with_all = ["thresholds", "files"])]
    check: bool,
    /// Keep the table as the one to compare with
    #[arg(long, conflicts_with_all = ["thresholds", "files", "check"])]
    keep: bool,
    /// Sessions; those of tests/sessions when none is given
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Prints the table to stdout, compares or keeps it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let tracer = match &arguments.tracer {
        Some(path) => path.clone(),
        None => build::program("tracer", "tracer", &[], &[])?,
    };
    if arguments.check {
        return check(&tracer);
    }
    let files = if arguments.files.is_empty() { kept_sessions()? } else { arguments.files.clone() };
    let table = table(&tracer, arguments.thresholds.as_deref(), &files)?;
    print!("{table}");
    if arguments.keep {
        let path = build::root().join(KEPT);
        fs::write(&path, table).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Fails unless the sessions of the repository tell what is kept of them.
pub(crate) fn check(tracer: &Path) -> Result<()> {
    let path = build::root().join(KEPT);
    let kept = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let table = table(tracer, None, &kept_sessions()?)?;
    if table == kept {
        return Ok(());
    }
    let new: Vec<&str> = table.lines().filter(|line| !kept.lines().any(|known| known == *line)).collect();
    bail!(
        "the sessions tell other findings than {KEPT} has:\n{}\nif that is meant: cargo xtask findings-table --keep",
        new.join("\n")
    )
}

/// The sessions of the repository, in the order of their names.
fn kept_sessions() -> Result<Vec<PathBuf>> {
    let directory = build::root().join("tests/sessions");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "tracer") {
            files.push(path);
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "there is no session in {}", directory.display());
    Ok(files)
}

/// The ids of all rules: there is a file for each, which says it.
fn rules() -> Result<Vec<String>> {
    let directory = build::root().join("tracer/src/findings/rules");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut ids = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.is_file() {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            ids.extend(id_in(&text));
        }
    }
    ids.sort();
    ensure!(!ids.is_empty(), "there is no rule in {}", directory.display());
    Ok(ids)
}

/// The id of the rule in a file, if there is one.
fn id_in(text: &str) -> Option<String> {
    let (_, id) = text.split_once("const ID: &'static str = \"")?;
    id.split('"').next().map(str::to_owned)
}

fn table(tracer: &Path, thresholds: Option<&Path>, files: &[PathBuf]) -> Result<String> {
    let mut sessions = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        sessions.push((name, judged(tracer, thresholds, file)?));
    }
    Ok(drawn(&rules()?, &sessions))
}

/// What tracer finds in a session.
fn judged(tracer: &Path, thresholds: Option<&Path>, file: &Path) -> Result<Session> {
    let mut command = Command::new(tracer);
    command.args(["events", "--json"]).arg(file);
    if let Some(thresholds) = thresholds {
        command.arg("--thresholds").arg(thresholds);
    }
    let mut session = Session::default();
    let mut broken = None;
    let is_read = command::each_line(&mut command, |line| {
        if let Err(error) = session.take(line) {
            broken.get_or_insert(error);
        }
    })?;
    ensure!(is_read, "{} could not be judged", file.display());
    match broken {
        Some(error) => Err(error.context(format!("what is printed of {}", file.display()))),
        None => Ok(session),
    }
}

/// What the rules found in a session, by their ids.
#[derive(Default)]
struct Session {
    /// When everything was attached; the time of the first line, if no line tells. Nanoseconds of the day.
    began_ns: Option<u64>,
    rules: BTreeMap<String, Found>,
}

/// What a rule found.
#[derive(Default)]
struct Found {
    /// How often one opened.
    opened: u32,
    /// When the first one did, and the last one closed. Nanoseconds since the session began.
    first_ns: u64,
    closed_ns: u64,
    closed: u32,
    /// How many of them were explained by another.
    explained: u32,
    /// How often one stood below another without having opened before.
    below: u32,
}

impl Session {
    /// Takes in a line of `tracer events --json`.
    fn take(&mut self, line: &str) -> Result<()> {
        let line: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let time_ns = time_of_day_ns(&line).with_context(|| format!("no time in {line}"))?;
        let began_ns = *self.began_ns.get_or_insert(time_ns);
        match line["type"].as_str() {
            Some("ready") => self.began_ns = Some(time_ns),
            Some("finding") => {
                // A session goes over midnight once at most.
                const DAY_NS: u64 = 86_400_000_000_000;
                let since_ns = (time_ns + DAY_NS - began_ns) % DAY_NS;
                self.finding(&line, since_ns).with_context(|| format!("no finding: {line}"))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finding(&mut self, line: &Value, since_ns: u64) -> Option<()> {
        let found = self.rules.entry(line["id"].as_str()?.to_owned()).or_default();
        match line["status"].as_str()? {
            "open" => {
                if found.opened == 0 {
                    found.first_ns = since_ns;
                }
                found.opened += 1;
            }
            "closed" => {
                found.closed += 1;
                found.closed_ns = since_ns;
                found.explained += u32::from(line["explained_by"].is_object());
            }
            _ => {}
        }
        for symptom in line["symptoms"].as_array().into_iter().flatten() {
            self.rules.entry(symptom["id"].as_str()?.to_owned()).or_default().below += 1;
        }
        Some(())
    }
}

/// The time of day of a line, RFC 3339 with nanoseconds.
fn time_of_day_ns(line: &Value) -> Option<u64> {
    let (_, time) = line["time"].as_str()?.strip_suffix('Z')?.split_once('T')?;
    let (seconds, fraction) = time.split_once('.')?;
    let fraction_ns: u64 = Some(fraction).filter(|digits| digits.len() == 9)?.parse().ok()?;
    let mut whole = 0;
    for part in seconds.split(':') {
        whole = whole * 60 + part.parse::<u64>().ok()?;
    }
    Some(whole * 1_000_000_000 + fraction_ns)
}

impl Found {
    fn text(&self) -> String {
        let seconds = |ns: u64| format!("{}.{} s", ns / 1_000_000_000, ns / 100_000_000 % 10);
        if self.opened == 0 {
            return if self.below > 0 { "below".to_owned() } else { String::new() };
        }
        let mut text = format!("{}× from {}", self.opened, seconds(self.first_ns));
        if self.closed < self.opened {
            text.push_str(", open");
        } else {
            text = format!("{text} to {}", seconds(self.closed_ns));
        }
        if self.explained > 0 {
            text = format!("{text}, {} below", self.explained);
        }
        text
    }
}

/// A rule a row, a session a column; an empty cell where the rule found nothing.
fn drawn(rules: &[String], sessions: &[(String, Session)]) -> String {
    let mut ids: Vec<&str> = rules.iter().map(String::as_str).collect();
    // A rule of a newer or an older tracer.
    let others = sessions.iter().flat_map(|(_, session)| session.rules.keys().map(String::as_str));
    for id in others {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut rows = vec![
        std::iter::once("rule")
            .chain(sessions.iter().map(|(name, _)| &**name))
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    rows.push(vec!["---".to_owned(); sessions.len() + 1]);
    for id in ids {
        let cells =
            sessions.iter().map(|(_, session)| session.rules.get(id).map(Found::text).unwrap_or_default());
        rows.push(std::iter::once(format!("`{id}`")).chain(cells).collect());
    }
    let mut text = "Findings of each rule in the sessions beside this: how often one opened, when the first did and the last closed,\n\
        in seconds since everything was attached; `below` where another explains it. Made by `cargo xtask findings-table --keep`.\n\n"
        .to_owned();
    for row in rows {
        text.push('|');
        for cell in row {
            let space = if cell.is_empty() { "" } else { " " };
            text.extend([space, &cell, " |"]);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Session, drawn, id_in, rules};

    fn session(lines: &[&str]) -> Session {
        let mut session = Session::default();
        for line in lines {
            session.take(line).unwrap();
        }
        session
    }

    fn finding(time: &str, id: &str, status: &str, more: &str) -> String {
        format!(r#"{{"type":"finding","time":"2026-01-01T{time}Z","id":"{id}","status":"{status}"{more}}}"#)
    }

    #[test]
    fn a_session_is_a_column_and_a_rule_a_row() {
        let ready = r#"{"type":"ready","time":"2026-01-01T23:59:58.000000000Z"}"#;
        let marker = r#"{"type":"marker","time":"2026-01-01T00:00:00.000000000Z"}"#;
        let one = session(&[
            marker,
            ready,
            &finding("23:59:59.250000000", "a", "open", ""),
            &finding("00:00:01.000000000", "a", "update", ""),
            &finding("00:00:10.990000000", "a", "closed", ""),
            &finding("00:00:12.000000000", "a", "open", ""),
            &finding("00:00:13.000000000", "a", "closed", r#","explained_by":{"id":"b"}"#),
            &finding("00:00:13.000000000", "b", "open", r#","symptoms":[{"id":"a"},{"id":"c"}]"#),
        ]);
        let other = session(&[ready]);
        let rules = ["a", "b", "c", "d"].map(str::to_owned);
        let table = drawn(&rules, &[("one".to_owned(), one), ("other".to_owned(), other)]);
        let rows: Vec<&str> = table.lines().skip(3).collect();
        assert_eq!(
            rows,
            [
                "| rule | one | other |",
                "| --- | --- | --- |",
                "| `a` | 2× from 1.2 s to 15.0 s, 1 below | |",
                "| `b` | 1× from 15.0 s, open | |",
                "| `c` | below | |",
                "| `d` | | |",
            ]
        );
    }

    #[test]
    fn every_rule_has_a_row() {
        let ids = rules().unwrap();
        assert!(ids.len() >= 15 && ids.contains(&"routing-loop".to_owned()), "{ids:?}");
        assert_eq!(id_in("words, and no rule"), None);
    }

    #[test]
    fn what_is_no_line_of_tracer_is_an_error() {
        for line in [
            "",
            "[]",
            r#"{"type":"finding"}"#,
            r#"{"type":"finding","time":"2026-01-01T00:00:00.000000000Z"}"#,
        ] {
            assert!(Session::default().take(line).is_err(), "{line}");
        }
    }
}
