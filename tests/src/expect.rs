//! Questions to the events of a run, with answers that tell what was there instead.

mod findings;

pub use self::findings::{CLOSES, OPENS};

use std::{collections::BTreeMap, fmt::Write};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{namespace::Namespace, retransmits::Retransmits};

/// How many events a failure shows.
const SHOWN: usize = 8;

/// The lines of a run, in order.
#[derive(Clone, Debug, Default)]
pub struct Events {
    lines: Vec<Value>,
    /// By the inode number of the namespace.
    retransmits: BTreeMap<u64, Retransmits>,
    /// How many retransmits of a namespace are kept as lines; all without.
    kept: Option<u64>,
}

impl Events {
    /// None yet. Of the retransmits of each namespace the first `kept` will be kept as lines, and all be added up.
    pub fn keeping(kept: u64) -> Self {
        Self { kept: Some(kept), ..Self::default() }
    }

    /// From parsed lines.
    pub fn new(lines: Vec<Value>) -> Self {
        let mut events = Self::default();
        for line in lines {
            events.push(line);
        }
        events
    }

    /// Adds a line.
    pub fn push(&mut self, line: Value) {
        if let Some(inode) = line["netns"].as_u64().filter(|_| line["type"] == "retransmit") {
            let sums = self.retransmits.entry(inode).or_default();
            sums.add(&line);
            if self.kept.is_some_and(|kept| sums.hits() > kept) {
                return;
            }
        }
        self.lines.push(line);
    }

    /// The lines kept.
    pub fn all(&self) -> &[Value] {
        &self.lines
    }

    /// The retransmits told of a namespace, added up.
    pub fn retransmits(&self, namespace: &Namespace) -> Retransmits {
        self.retransmits.get(&namespace.inode()).copied().unwrap_or_default()
    }

    /// The events of one type in one namespace.
    pub fn of(&self, kind: &str, namespace: &Namespace) -> Selection<'_> {
        self.of_inode(kind, namespace.inode())
    }

    fn of_inode(&self, kind: &str, inode: u64) -> Selection<'_> {
        let of_type: Vec<&Value> = self.lines.iter().filter(|event| event["type"] == kind).collect();
        let chosen: Vec<&Value> = of_type.iter().copied().filter(|event| event["netns"] == inode).collect();
        Selection { asked: format!("{kind} in namespace {inode}"), chosen, before: of_type }
    }

    /// How many lines were kept of each type.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for event in &self.lines {
            *counts.entry(event["type"].as_str().unwrap_or("?")).or_default() += 1;
        }
        format!("{counts:?}")
    }

    /// The accounting of one kind by the last `stats` line about it.
    pub fn accounting(&self, kind: &str) -> Result<Accounting> {
        let line = self
            .lines
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

    /// Fails unless there are `count` less at most `hidden`: events the kernel showed to no program.
    pub fn exactly_but(&self, count: u64, hidden: u64) -> Result<&Self> {
        if !falls_short(self.count(), count, hidden) {
            bail!("expected {count} less {hidden} hidden ones, found {}", self.describe());
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
        self.all_have_one_of(field, &[value.into()])
    }

    /// Fails unless all of them have one of the values in the field.
    pub fn all_have_one_of(&self, field: &str, values: &[Value]) -> Result<&Self> {
        match self.chosen.iter().find(|event| !values.contains(&event[field])) {
            Some(event) => bail!("{}: expected {field} {values:?} in {event}", self.asked),
            None => Ok(self),
        }
    }

    /// Fails if one of them has the field.
    pub fn none_have(&self, field: &str) -> Result<&Self> {
        match self.chosen.iter().find(|event| event.get(field).is_some()) {
            Some(event) => bail!("{}: expected no {field} in {event}", self.asked),
            None => Ok(self),
        }
    }

    /// Fails unless the numeric field counts 1, 2, 3, …, with gaps of `hidden` in sum at most.
    pub fn counts_up_but(&self, field: &str, hidden: u64) -> Result<&Self> {
        let mut last = 0;
        for (expected, event) in (1_u64..).zip(&self.chosen) {
            let found = event[field].as_u64().unwrap_or_default();
            if found <= last || !falls_short(expected, found, hidden) {
                bail!("{}: expected {field} {expected} in {event}, with {hidden} hidden ones", self.asked);
            }
            last = found;
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

/// Whether `found` is `expected`, less at most `hidden`.
pub fn falls_short(found: u64, expected: u64, hidden: u64) -> bool {
    (expected.saturating_sub(hidden)..=expected).contains(&found)
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
        chosen.exactly(2).unwrap().counts_up_but("attempt", 0).unwrap().all_have("kind", "syn").unwrap();
        assert!(chosen.all_have("attempt", 1).is_err());
        assert!(chosen.sum("rto_ms").is_err());
        assert_eq!(chosen.without("attempt").count(), 0);
        assert!(events.of_inode("retransmit", 8).counts_up_but("attempt", 0).is_err());
    }

    #[test]
    fn hidden_events_leave_gaps_and_no_more() {
        let told = |attempts: &[u64]| {
            Events::new(
                attempts.iter().map(|attempt| json!({"type": "t", "netns": 7, "n": attempt})).collect(),
            )
        };
        for (attempts, hidden, good) in [
            (&[1, 2, 3][..], 0, true),
            (&[2, 3], 1, true),
            (&[1, 4, 5], 2, true),
            (&[1, 4, 5], 1, false),
            (&[1, 3], 0, false),
            (&[2, 2], 1, false),
            (&[0], 1, false),
        ] {
            let events = told(attempts);
            let found = events.of_inode("t", 7).counts_up_but("n", hidden).is_ok();
            assert_eq!(found, good, "{attempts:?} with {hidden} hidden");
        }
        let events = told(&[1, 2, 3]);
        let three = events.of_inode("t", 7);
        for (count, hidden, good) in [(3, 0, true), (4, 1, true), (5, 1, false), (2, 1, false)] {
            assert_eq!(three.exactly_but(count, hidden).is_ok(), good, "{count} less {hidden}");
        }
    }

    #[test]
    fn of_many_retransmits_all_count_and_few_are_kept() {
        let mut events = Events::keeping(2);
        for sequence in 0..5 {
            events.push(json!({"type": "retransmit", "netns": 7, "sequence": sequence, "segments": 2}));
            events.push(json!({"type": "stats", "sequence": sequence}));
        }
        assert_eq!(events.of_inode("retransmit", 7).count(), 2);
        assert_eq!(events.all().len(), 2 + 5);
        assert_eq!((events.retransmits[&7].sent.hits, events.retransmits[&7].sent.segments), (5, 10));
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
