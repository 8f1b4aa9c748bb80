//! How much memory a state takes.

use super::State;
use crate::{
    event::Event,
    findings::{Finding, FindingChange},
};

impl State {
    /// About how many bytes the state and a copy of it take: its rows and events by their size, and a quarter more for
    /// what hangs on them. It is told at once, however large the state is.
    pub fn memory_bytes(&self) -> usize {
        let Self { flows, neighbours, conntrack, ipvs, routes, rulesets, path, translations, .. } = self;
        let rows = flows.memory_bytes()
            + neighbours.memory_bytes()
            + conntrack.entries.memory_bytes()
            + conntrack.tables.memory_bytes()
            + conntrack.failures.memory_bytes()
            + conntrack.stale.memory_bytes()
            + ipvs.services.memory_bytes()
            + ipvs.reals.memory_bytes()
            + ipvs.mishaps.memory_bytes()
            + routes.peers.memory_bytes()
            + routes.addresses.memory_bytes()
            + routes.settled.memory_bytes()
            + routes.links.memory_bytes()
            + routes.sysctls.memory_bytes()
            + rulesets.memory_bytes()
            + path.icmp.memory_bytes()
            + path.loops.memory_bytes()
            + translations.memory_bytes()
            // Whoever applies a filter has them once more.
            + 2 * self.names.memory_bytes();
        let events = self.timeline.events().len() + self.chronicle.len();
        let findings = self.findings.log().len() * size_of::<FindingChange>()
            + (self.findings.open().len() + self.findings.over().len()) * size_of::<Finding>();
        size_of::<Self>() + findings + (rows + events * size_of::<Event>()) / 4 * 5
    }
}
