//! The machines the records are of: their clocks, their facts, and the sessions they were kept in.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::event::{Clock, Facts, SessionPart, Text, Timestamp};

/// Facts kept at most.
const FACTS: usize = 1_024;

/// What was told of each node's machine.
#[derive(Clone, Debug, Default)]
pub struct Machines {
    /// By the number of the node.
    nodes: Vec<Machine>,
}

impl Machines {
    /// The machine of a node, counted from 0, if anything was told of it.
    pub fn of(&self, node: u16) -> Option<&Machine> {
        self.nodes.get(usize::from(node))
    }

    pub(super) fn of_mut(&mut self, node: u16) -> &mut Machine {
        let place = usize::from(node);
        if place >= self.nodes.len() {
            self.nodes.resize_with(place + 1, Machine::default);
        }
        &mut self.nodes[place]
    }

    /// Whether an event was known when the session file began, and does not belong to what happened. The end of the
    /// prologue may be damaged: what is later than the beginning is no part of it.
    pub(super) fn is_prologue(&mut self, node: u16, time: Timestamp) -> bool {
        let Some(machine) = self.nodes.get_mut(usize::from(node)) else { return false };
        let is_prologue = machine.known_until_ns.is_some_and(|until_ns| time.boot_ns <= until_ns);
        if !is_prologue {
            machine.known_until_ns = None;
        }
        is_prologue
    }
}

/// What was told of a machine and of its session so far.
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
}
