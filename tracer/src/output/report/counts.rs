//! How many events of each type and kind there were.

use tracer_common::record::RecordKind;

use super::document::EventCount;
use crate::event::{Body, ConntrackEvent, Event, RetransmitKind};

/// Counts of every type and kind, in the order they appeared.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Retransmits by kind, which may be millions.
    retransmits: [u64; RetransmitKind::ALL.len()],
    others: Vec<(RecordKind, &'static str, u64)>,
}

impl Counts {
    /// Counts an event that tells what happened.
    pub(super) fn note(&mut self, event: &Event) {
        if let Body::Retransmit(resent) = &event.body {
            self.retransmits[resent.kind as usize] += 1;
            return;
        }
        let Some(word) = word(&event.body) else { return };
        let kind = event.body.kind();
        match self.others.iter_mut().find(|(known, known_word, _)| (*known, *known_word) == (kind, word)) {
            Some((.., number)) => *number += 1,
            None => self.others.push((kind, word, 1)),
        }
    }

    /// What was counted, by type.
    pub(super) fn rows(&self) -> Vec<EventCount> {
        let resent = RetransmitKind::ALL
            .into_iter()
            .map(|kind| (RecordKind::Retransmit, kind.name(), self.retransmits[kind as usize]));
        let mut rows: Vec<_> = resent.chain(self.others.iter().copied()).collect();
        rows.retain(|&(.., events)| events > 0);
        // Stable: within a type the order in which the kinds appeared.
        rows.sort_by_key(|&(kind, ..)| kind as u16);
        rows.into_iter()
            .map(|(kind, word, events)| EventCount { name: kind.name(), kind: word, events })
            .collect()
    }
}

/// The word an event is counted by; `None` for what does not tell what happened.
fn word(body: &Body) -> Option<&'static str> {
    if body.is_snapshot() {
        return None;
    }
    Some(match body {
        Body::Undo(body) => {
            if body.after_timeout {
                "timeout"
            } else {
                "fast"
            }
        }
        Body::Neighbour(body) => body.verdict.name(),
        Body::Claim(body) => body.operation.name(),
        Body::Conntrack(body) if body.event != ConntrackEvent::SynRepeated => body.event.name(),
        Body::Ipvs(body) => body.decision.name(),
        Body::Route(body) => body.change.name(),
        Body::RouteLookup(body) => body.result.name(),
        Body::Translation(body) => body.name(),
        Body::Address(body) => body.change.name_of_state(),
        Body::Link(body) => body.change.name_of_state(),
        Body::Rule(body) => body.change.name(),
        Body::Sysctl(body) => body.change.name_of_state(),
        Body::Ruleset(body) => body.change.name(),
        Body::Icmp(body) => body.meaning(),
        Body::Duplicate(_) => "goes-round",
        Body::IpvsChange(body) => body.change.name(),
        Body::Clock(body) => body.change.name(),
        Body::Marker(_) => "",
        _ => return None,
    })
}
