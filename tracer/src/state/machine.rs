//! The machine the records are of: its clocks, its facts, and the session they were kept in.

use std::collections::BTreeMap;

use crate::event::{Clock, Facts, SessionPart, Text, Timestamp};

/// Facts kept at most.
const FACTS: usize = 1_024;

/// What was told of the machine and of the session so far.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// How the clocks stood when they were told last.
    pub clock: Option<Clock>,
    /// The session file, if the records come from one.
    pub session: Option<SessionPart>,
    facts: BTreeMap<Text, Text>,
    /// Up to this time since boot, if set, what is told was known when the session file began.
    known_until_ns: Option<u64>,
}

impl Machine {
    /// Facts of the machine and of tracer by their names: `tracer`, `architecture`, `cpus`, `boot id`, `kernel build`, and
    /// `offset …`.
    pub fn facts(&self) -> impl Iterator<Item = (&Text, &Text)> {
        self.facts.iter()
    }

    /// The value of a fact.
    pub fn fact(&self, name: &str) -> Option<&Text> {
        self.facts.get(&Text::new(name))
    }

    pub(super) fn told(&mut self, facts: &Facts) {
        for (name, value) in &facts.0 {
            if self.facts.len() < FACTS || self.facts.contains_key(name) {
                self.facts.insert(name.clone(), value.clone());
            }
        }
    }

    /// A session file begins: what is told next was known by then.
    pub(super) fn session_begins(&mut self, time: Timestamp, session: SessionPart) {
        self.session = Some(session);
        self.known_until_ns = Some(time.boot_ns);
    }

    /// What is told from now on happened while the session was recorded.
    pub(super) fn prologue_ends(&mut self) {
        self.known_until_ns = None;
    }

    /// Whether an event was known when the session file began, and does not belong to what happened. The end of the
    /// prologue may be damaged: what is later than the beginning is no part of it.
    pub(super) fn is_prologue(&mut self, time: Timestamp) -> bool {
        let is_prologue = self.known_until_ns.is_some_and(|until_ns| time.boot_ns <= until_ns);
        if !is_prologue {
            self.prologue_ends();
        }
        is_prologue
    }
}
