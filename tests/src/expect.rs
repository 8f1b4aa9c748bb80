//! Questions to the events of a run, with answers that tell what was there instead.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::namespace::Namespace;

/// How many events a failure shows.
const SHOWN: usize = 8;

/// All lines of a run, in order.
#[derive(Clone, Debug, Default)]
pub struct Events(Vec<Value>);

impl Events {
    /// From parsed lines.
    pub fn new(lines: Vec<Value>) -> Self {
        Self(lines)
    }

    /// Adds a line.
    pub fn push(&mut self, line: Value) {
        self.0.push(line);
    }

    /// The lines.
    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// The events of one type in one namespace.
    pub fn of(&self, kind: &str, namespace: &Namespace) -> Selection<'_> {
        self.of_inode(kind, namespace.inode())
    }

    fn of_inode(&self, kind: &str, inode: u64) -> Selection<'_> {
        let of_type: Vec<&Value> = self.0.iter().filter(|event| event["type"] == kind).collect();
        let chosen: Vec<&Value> = of_type.iter().copied().filter(|event| event["netns"] == inode).collect();
        Selection { asked: format!("{kind} in namespace {inode}"), chosen, before: of_type }
    }

    /// How many lines there are of each type.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for event in &self.0 {
            *counts.entry(event["type"].as_str().unwrap_or("?")).or_default() += 1;
        }
        format!("{counts:?}")
    }

    /// The accounting of one kind by the last `stats` line about it.
    pub fn accounting(&self, kind: &str) -> Result<Accounting> {
        let line = self
            .0
            .iter()
            .rev()
            .filter(|event| event["type"] == "stats")
            .find_map(|event| event.get(kind).filter(|counts| counts.is_object()))
            .with_context(|| format!("no stats about {kind}; lines: {}", self.summary()))?;
        let count = |name: &str| {
            line[name].as_u64().with_context(|| format!("stats of {kind} without {name}: {line}"))
        };
        Ok(Accounting {
            seen: count("seen")?,
            delivered: count("delivered")?,
            suppressed: count("suppressed")?,
            lost: count("lost")?,
        })
    }
}

/// What became of the events of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounting {
    /// Events the hooks saw.
    pub seen: u64,
    /// Events delivered.
    pub delivered: u64,
    /// Events left out for want of budget.
    pub suppressed: u64,
    /// Events lost because the buffer was full.
    pub lost: u64,
}

impl Accounting {
    /// Fails unless every event is accounted for.
    pub fn balances(&self) -> Result<()> {
        let accounted = self.delivered + self.suppressed + self.lost;
        if self.seen != accounted {
            bail!("the accounting does not balance: {self:?}");
        }
        Ok(())
    }
}

/// Events that were asked for.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    asked: String,
    chosen: Vec<&'a Value>,
    /// What the last question chose from, shown on failure.
    before: Vec<&'a Value>,
}

impl<'a> Selection<'a> {
    /// Those of them whose field has the value. An address or a MAC is compared as text.
    #[must_use]
    pub fn with(self, field: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let asked = format!("{field} {value}");
        self.filter(&asked, |event| event[field] == value)
    }

    /// Those of them that lack the field.
    #[must_use]
    pub fn without(self, field: &str) -> Self {
        self.filter(&format!("no {field}"), |event| event.get(field).is_none())
    }

    /// Those of them for which `keep` holds; `asked` names it.
    #[must_use]
    pub fn filter(self, asked: &str, keep: impl Fn(&Value) -> bool) -> Self {
        let chosen = self.chosen.iter().copied().filter(|event| keep(event)).collect();
        Self { asked: format!("{}, {asked}", self.asked), chosen, before: self.chosen }
    }

    /// The events.
    pub fn events(&self) -> &[&'a Value] {
        &self.chosen
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.chosen.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// The sum of a numeric field. Fails where an event lacks it.
    pub fn sum(&self, field: &str) -> Result<u64> {
        self.chosen
            .iter()
            .map(|event| event[field].as_u64().with_context(|| format!("no number {field} in {event}")))
            .sum()
    }

    /// Fails unless there are exactly so many.
    pub fn exactly(&self, count: u64) -> Result<&Self> {
        if self.count() != count {
            bail!("expected {count}, found {}", self.describe());
        }
        Ok(self)
    }

    /// Fails unless there are at least so many.
    pub fn at_least(&self, count: u64) -> Result<&Self> {
        if self.count() < count {
            bail!("expected at least {count}, found {}", self.describe());
        }
        Ok(self)
    }

    /// The first. Fails if there is none.
    pub fn first(&self) -> Result<&'a Value> {
        self.at_least(1)?;
        self.chosen.first().copied().context("none")
    }

    /// Fails unless every one of them has that value in the field.
    pub fn all_have(&self, field: &str, value: impl Into<Value>) -> Result<&Self> {
        let value = value.into();
        match self.chosen.iter().find(|event| event[field] != value) {
            Some(event) => bail!("{}: expected {field} {value} in {event}", self.asked),
            None => Ok(self),
        }
    }

    /// Fails unless the numeric field counts 1, 2, 3, …
    pub fn counts_up(&self, field: &str) -> Result<&Self> {
        for (expected, event) in (1_u64..).zip(&self.chosen) {
            if event[field] != expected {
                bail!("{}: expected {field} {expected} in {event}", self.asked);
            }
        }
        Ok(self)
    }

    fn describe(&self) -> String {
        let mut text = format!("{} of {}", self.chosen.len(), self.asked);
        let shown = if self.chosen.is_empty() { &self.before } else { &self.chosen };
        for event in shown.iter().take(SHOWN) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n    {event}");
        }
        if shown.len() > SHOWN {
            let _ = write!(text, "\n    … and {} more", shown.len() - SHOWN);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Accounting, Events};

    fn events() -> Events {
        Events::new(vec![
            json!({"type": "ready"}),
            json!({"type": "retransmit", "netns": 7, "kind": "syn", "attempt": 1, "segments": 1}),
            json!({"type": "retransmit", "netns": 7, "kind": "syn", "attempt": 2, "segments": 2}),
            json!({"type": "retransmit", "netns": 8, "kind": "syn", "attempt": 9, "segments": 1}),
            json!({"type": "stats", "retransmit": {"seen": 1, "delivered": 1, "suppressed": 0, "lost": 0}}),
            json!({"type": "stats", "retransmit": {"seen": 4, "delivered": 3, "suppressed": 1, "lost": 0}}),
        ])
    }

    #[test]
    fn events_are_chosen_by_type_namespace_and_field() {
        let events = events();
        let chosen = events.of_inode("retransmit", 7).with("kind", "syn");
        assert_eq!(chosen.sum("segments").unwrap(), 3);
        chosen.exactly(2).unwrap().counts_up("attempt").unwrap().all_have("kind", "syn").unwrap();
        assert!(chosen.all_have("attempt", 1).is_err());
        assert!(chosen.sum("rto_ms").is_err());
        assert_eq!(chosen.without("attempt").count(), 0);
        assert!(events.of_inode("retransmit", 8).counts_up("attempt").is_err());
    }

    #[test]
    fn a_failure_shows_what_was_there_instead() {
        let failure =
            events().of_inode("retransmit", 7).with("kind", "rto").exactly(1).unwrap_err().to_string();
        assert!(failure.contains("0 of retransmit in namespace 7, kind \"rto\""), "{failure}");
        assert!(failure.contains("\"attempt\":2"), "{failure}");
    }

    #[test]
    fn the_last_accounting_counts_and_has_to_balance() {
        let accounting = events().accounting("retransmit").unwrap();
        assert_eq!(accounting, Accounting { seen: 4, delivered: 3, suppressed: 1, lost: 0 });
        accounting.balances().unwrap();
        assert!(Accounting { seen: 5, ..accounting }.balances().is_err());
        assert!(events().accounting("ipvs").is_err());
    }
}
