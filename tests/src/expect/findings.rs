//! Questions about findings: which opened, about whom, which go on, and whether there is one too many.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Events, Selection};
use crate::{
    namespace,
    tracer::{Run, Tracer},
    wait,
};

/// How soon after the first symptom a finding must open.
pub const OPENS: Duration = Duration::from_secs(10);
/// How soon after the repair it must close.
pub const CLOSES: Duration = Duration::from_secs(30);

/// What tells a finding from others in the lines of a run: node, namespace, id and subject.
type Key<'a> = (Option<&'a str>, Option<u64>, &'a str, &'a str);

fn key(line: &Value) -> Key<'_> {
    let text = |field: &str| line[field].as_str().unwrap_or_default();
    (line["node"].as_str(), line["netns"].as_u64(), text("id"), text("subject"))
}

/// Whether a line is of that rule, and about a subject with those words; any subject has the empty ones.
fn is_of(line: &Value, id: &str, subject: &str) -> bool {
    line["id"] == id && line["subject"].as_str().is_some_and(|told| told.contains(subject))
}

/// Whether its namespace belongs to the scenarios of another process.
fn is_of_others(line: &Value) -> bool {
    line["netns_name"].as_str().is_some_and(namespace::is_of_others)
}

impl Events {
    /// The lines about findings of a rule: `open`, `update` and `closed`, of all namespaces.
    pub fn findings(&self, id: &str) -> Selection<'_> {
        let of_type: Vec<&Value> = self.lines.iter().filter(|line| line["type"] == "finding").collect();
        let chosen = of_type.iter().copied().filter(|line| line["id"] == id).collect();
        Selection { asked: format!("finding {id}"), chosen, before: of_type }
    }

    /// The last line about each finding that has not closed.
    pub fn open_findings(&self) -> Vec<&Value> {
        let mut last: BTreeMap<Key<'_>, &Value> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line["type"] == "finding") {
            last.insert(key(line), line);
        }
        last.into_values().filter(|line| line["status"] != "closed").collect()
    }

    /// The last line about a finding of that rule that has not closed, and whose subject has these words in it. One that
    /// stands below its cause has no line of its own: see [`Selection::explaining`].
    pub fn open_finding(&self, id: &str, subject: &str) -> Option<&Value> {
        self.open_findings().into_iter().find(|line| is_of(line, id, subject))
    }

    /// Fails if a finding opened that is none of these: each an id and words of the subject. One that another explained
    /// in the end, which is one of these, is none too many; nor is one in a namespace of other scenarios, which run at
    /// the same time.
    pub fn only_findings(&self, expected: &[(&str, &str)]) -> Result<()> {
        self.findings_follow()?;
        let mut others: BTreeMap<Key<'_>, &Value> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line["type"] == "finding" && !is_of_others(line)) {
            let is_expected = expected.iter().any(|(id, subject)| is_of(line, id, subject));
            let cause = &line["explained_by"];
            let is_explained = expected.iter().any(|(id, subject)| is_of(cause, id, subject));
            if is_explained {
                others.remove(&key(line));
            } else if !is_expected {
                others.insert(key(line), line);
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let others: Vec<String> = others.into_values().map(|line| format!("\n    {}", Line(line))).collect();
        bail!("expected no findings but {expected:?}, found{}", others.concat());
    }

    /// Fails unless each finding opens before it is told again and closes, always about the same subject: who reads the
    /// lines knows it by that.
    fn findings_follow(&self) -> Result<()> {
        let mut open: BTreeSet<Key<'_>> = BTreeSet::new();
        for line in self.lines.iter().filter(|line| line["type"] == "finding") {
            let follows = match line["status"].as_str() {
                Some("open") => open.insert(key(line)),
                Some("update") => open.contains(&key(line)),
                Some("closed") => open.remove(&key(line)),
                _ => false,
            };
            ensure!(
                follows,
                "{} does not follow from the lines before:{}",
                Line(line),
                self.findings_summary()
            );
        }
        Ok(())
    }

    /// All lines about findings in short, for those who look for what was missing.
    pub fn findings_summary(&self) -> String {
        let told = self.lines.iter().filter(|line| line["type"] == "finding");
        let told: Vec<String> = told.map(|line| format!("\n    {}", Line(line))).collect();
        if told.is_empty() { "no findings".to_owned() } else { told.concat() }
    }
}

impl<'a> Selection<'a> {
    /// Those of them that explain a finding of that rule, whose subject has these words in it.
    #[must_use]
    pub fn explaining(self, id: &str, subject: &str) -> Self {
        self.filter(&format!("that explains {id} {subject}"), |line| {
            line["symptoms"]
                .as_array()
                .is_some_and(|symptoms| symptoms.iter().any(|symptom| is_of(symptom, id, subject)))
        })
    }

    /// Fails unless one of the lines of the list `field`, `evidence` or `advice`, of one of them has these words in it.
    pub fn says(&self, field: &str, words: &str) -> Result<&Self> {
        let has = |line: &Value| line.as_str().is_some_and(|line| line.contains(words));
        let is_there = |event: &&'a Value| event[field].as_array().is_some_and(|lines| lines.iter().any(has));
        if !self.chosen.iter().any(is_there) {
            bail!("expected {words:?} in {field} of {}", self.describe());
        }
        Ok(self)
    }
}

impl Tracer {
    /// Waits until a finding of that rule is open whose subject has these words in it, and returns its last line. It
    /// has to open within [`OPENS`], counted from now: from the first symptom.
    pub fn wait_for_finding(&self, id: &str, subject: &str) -> Result<Value> {
        let now = Timestamp::now();
        let line = wait::until(&format!("the finding {id} about {subject:?}"), || {
            Ok(self.ask(|events| events.open_finding(id, subject).cloned()))
        })
        .with_context(|| format!("findings so far: {}", self.ask(Events::findings_summary)))?;
        let opened = self.ask(|events| {
            let told = events
                .findings(id)
                .with("status", "open")
                .filter("about it", |line| is_of(line, id, subject));
            told.events().last().map_or_else(|| line.clone(), |line| (*line).clone())
        });
        comes_within(OPENS, now, &opened)?;
        Ok(line)
    }

    /// Waits until no finding of that rule is open any more whose subject has these words in it, and returns the line
    /// that closed it. It has to close within [`CLOSES`], counted from now: from the repair.
    pub fn wait_for_closed(&self, id: &str, subject: &str) -> Result<Value> {
        let closed = |events: &Events| {
            let told = events.findings(id).filter("about it", |line| is_of(line, id, subject));
            let last = told.events().last().copied().cloned();
            last.filter(|_| events.open_finding(id, subject).is_none())
        };
        let now = Timestamp::now();
        let line = wait::until(&format!("the end of {id} about {subject:?}"), || Ok(self.ask(closed)))
            .with_context(|| format!("findings so far: {}", self.ask(Events::findings_summary)))?;
        comes_within(CLOSES, now, &line)?;
        Ok(line)
    }
}

/// Fails if a line's own time is later than `limit` after `since`. Judged by what it tells, for this process may get to
/// look at it later.
fn comes_within(limit: Duration, since: Timestamp, line: &Value) -> Result<()> {
    let time: Timestamp = line["time"].as_str().context("a line without a time")?.parse()?;
    let after = time.duration_since(since);
    ensure!(
        after <= SignedDuration::try_from(limit)?,
        "it came {:.1} s after that: {line}",
        after.as_secs_f64()
    );
    Ok(())
}

impl Run {
    /// Fails if a finding opened that is none of these: each an id and words of the subject.
    pub fn only_findings(&self, expected: &[(&str, &str)]) -> Result<()> {
        self.events.only_findings(expected)
    }
}

/// A line about a finding in short.
struct Line<'a>(&'a Value);

impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |field: &str| self.0[field].as_str().unwrap_or("?").to_owned();
        let [time, status, severity, id] = ["time", "status", "severity", "id"].map(text);
        write!(formatter, "{time} {status} {severity} {id} {}: {}", text("subject"), text("title"))?;
        match self.0["explained_by"]["id"].as_str() {
            Some(cause) => write!(formatter, " (explained by {cause})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Events;

    fn line(status: &str, id: &str, subject: &str) -> Value {
        json!({"type": "finding", "netns": 7, "status": status, "id": id, "subject": subject,
            "severity": "warning", "title": "why", "advice": ["sysctl -w net.x=1"]})
    }

    #[test]
    fn findings_that_closed_are_open_no_more() {
        let mut events = Events::new(vec![
            line("open", "routing-loop", "10.0.0.1"),
            line("open", "routing-loop", "10.0.0.2"),
            line("closed", "routing-loop", "10.0.0.1"),
        ]);
        assert!(events.open_finding("routing-loop", "10.0.0.2").is_some());
        assert!(events.open_finding("routing-loop", "10.0.0.1").is_none());
        assert_eq!(events.findings("routing-loop").with("status", "open").count(), 2);
        events.push(line("update", "routing-loop", "10.0.0.2"));
        assert_eq!(events.open_findings().len(), 1);
        events.push(line("open", "routing-loop", "10.0.0.1"));
        assert_eq!(events.open_findings().len(), 2);
    }

    #[test]
    fn a_finding_that_changes_its_subject_is_a_failure() {
        let subjects = |first: &str, last: &str| {
            let lines = vec![line("open", "path-outage", first), line("closed", "path-outage", last)];
            Events::new(lines).only_findings(&[("path-outage", "10.0.0.1")])
        };
        subjects("10.0.0.1", "10.0.0.1").unwrap();
        let failure = subjects("10.0.0.1:4 → 10.0.0.1:80", "10.0.0.1").unwrap_err().to_string();
        assert!(failure.contains("closed warning path-outage 10.0.0.1: why does not follow"), "{failure}");
        let again = vec![line("open", "path-outage", "10.0.0.1"), line("open", "path-outage", "10.0.0.1")];
        assert!(Events::new(again).only_findings(&[("path-outage", "10.0.0.1")]).is_err());
    }

    #[test]
    fn one_too_many_is_listed_unless_an_expected_one_explains_it() {
        let mut explained = line("closed", "path-outage", "10.0.0.1");
        explained["explained_by"] = json!({"id": "duplicate-address", "subject": "10.0.0.1 on eth0"});
        let mut events = Events::new(vec![
            line("open", "path-outage", "10.0.0.1"),
            explained,
            line("open", "duplicate-address", "10.0.0.1 on eth0"),
        ]);
        let expected = [("duplicate-address", "10.0.0.1")];
        events.only_findings(&expected).unwrap();
        assert!(events.only_findings(&[("duplicate-address", "10.0.0.2")]).is_err());
        events.push(line("open", "path-outage", "10.0.0.3"));
        let failure = events.only_findings(&expected).unwrap_err().to_string();
        assert!(failure.contains("open warning path-outage 10.0.0.3: why"), "{failure}");
        assert!(!failure.contains("10.0.0.1 on eth0: why"), "{failure}");
    }

    #[test]
    fn what_a_finding_says_and_explains_is_asked_for() {
        let mut cause = line("update", "duplicate-address", "10.0.0.1 on eth0");
        cause["symptoms"] = json!([{"id": "path-outage", "subject": "10.0.0.1", "title": "why"}]);
        let events = Events::new(vec![line("open", "duplicate-address", "10.0.0.1 on eth0"), cause]);
        let told = events.findings("duplicate-address");
        told.says("advice", "sysctl -w").unwrap();
        assert!(told.says("evidence", "sysctl -w").is_err());
        assert_eq!(told.clone().explaining("path-outage", "10.0.0.1").count(), 1);
        assert!(told.explaining("path-outage", "10.0.0.2").is_empty());
    }
}
