//! What still holds of all that was told: the records a session file that begins in the middle must begin with.

mod fate;
mod identity;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use tracer_common::record::{RecordHeader, RecordKind};

use self::{
    fate::{Fate, clock_by_node, fate},
    identity::Identity,
};
use crate::{block::Block, decode::records, state::Bounded};

/// The newest record of every fact that holds. Bounded: of a kind that has too many, what was not told for longest is
/// given up.
#[derive(Debug)]
pub struct Standing {
    /// One for each of [`KEPT`].
    shelves: [Shelf; KEPT.len()],
    /// Network namespaces that are gone, and when: what was told of them before holds no more.
    gone: Bounded<(u16, u32), u64>,
    /// Whether no record has come yet.
    is_empty: bool,
}

/// Facts of one kind.
type Shelf = Bounded<Identity, Fact>;

#[derive(Clone, Debug)]
struct Fact {
    /// When it became so.
    time_ns: u64,
    /// None where it holds no more.
    record: Option<Bytes>,
}

/// Kinds whose records are kept, how many of each, and which must come first: what gives others their meaning, and what
/// opens the output.
const KEPT: [(RecordKind, usize, Rank); 19] = [
    (RecordKind::Node, 64, Rank::Node),
    (RecordKind::Clock, 64, Rank::Clock),
    (RecordKind::Facts, 64, Rank::Clock),
    (RecordKind::HookStatus, 1_024, Rank::Hooks),
    (RecordKind::Ready, 64, Rank::Ready),
    (RecordKind::Stats, 1_024, Rank::Others),
    (RecordKind::Owner, 100_000, Rank::Others),
    (RecordKind::Container, 16_384, Rank::Others),
    (RecordKind::Namespace, 4_096, Rank::Others),
    (RecordKind::Address, 50_000, Rank::Others),
    (RecordKind::Link, 50_000, Rank::Others),
    (RecordKind::Rule, 10_000, Rank::Others),
    (RecordKind::Sysctl, 50_000, Rank::Others),
    (RecordKind::NeighbourEntry, 16_384, Rank::Others),
    (RecordKind::IpvsService, 10_000, Rank::Others),
    (RecordKind::IpvsDestination, 50_000, Rank::Others),
    (RecordKind::Ruleset, 8_192, Rank::Others),
    (RecordKind::ConntrackCounters, 1_024, Rank::Others),
    (RecordKind::Translation, 50_000, Rank::Others),
];

/// The order of records in a prologue, where it is not that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Node,
    Clock,
    Hooks,
    Ready,
    Others,
}

impl Default for Standing {
    /// Nothing was told yet.
    fn default() -> Self {
        const NAMESPACES: usize = 4_096;
        Self {
            shelves: KEPT.map(|(_, limit, _)| Bounded::new(limit)),
            gone: Bounded::new(NAMESPACES),
            is_empty: true,
        }
    }
}

impl Standing {
    /// Takes in a block.
    pub fn note(&mut self, block: &Block) {
        for (header, record) in records(&block.0) {
            self.is_empty = false;
            // Nearly all records of a storm.
            if header.kind != RecordKind::Retransmit as u16 {
                self.note_record(header, record);
            }
        }
    }

    fn note_record(&mut self, header: RecordHeader, record: &[u8]) {
        let fate = fate(header, record, |kind, identity| self.record(kind, identity));
        let time_ns = header.time_ns;
        match fate {
            Fate::Nothing => {}
            Fate::Holds(kind, identity, record) => {
                self.keep(kind, identity, Fact { time_ns, record: Some(record) });
            }
            Fate::Ended(kind, identity) => self.keep(kind, identity, Fact { time_ns, record: None }),
            Fate::NamespaceEnded => *self.gone.touch((header.node, header.netns), || 0) = time_ns,
        }
    }

    /// Takes a fact in unless what is known of it is newer, or it ended without having been known.
    fn keep(&mut self, kind: RecordKind, identity: Identity, fact: Fact) {
        let Some(facts) = place_of(kind).and_then(|place| self.shelves.get_mut(place)) else { return };
        let is_news = match facts.get(&identity) {
            Some(known) => fact.time_ns >= known.time_ns,
            None => fact.record.is_some(),
        };
        if is_news {
            let time_ns = fact.time_ns;
            *facts.touch(identity, || Fact { time_ns, record: None }) = fact;
        }
    }

    fn record(&self, kind: RecordKind, identity: &Identity) -> Option<Bytes> {
        self.fact(kind, identity)?.record.clone()
    }

    fn fact(&self, kind: RecordKind, identity: &Identity) -> Option<&Fact> {
        place_of(kind).and_then(|place| self.shelves.get(place))?.get(identity)
    }

    /// Whether no record has come yet: who begins now misses nothing.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// The records that hold, each as it would be told to somebody who asks now, with the time at which it became so: node,
    /// clocks, hooks and readiness first, the others in the order of time.
    pub fn records(&self) -> Vec<Bytes> {
        self.records_since(0)
    }

    /// The same of what became so at that time or later.
    pub fn records_since(&self, boot_ns: u64) -> Vec<Bytes> {
        let mut facts: Vec<(Rank, u64, Bytes)> = KEPT
            .iter()
            .zip(&self.shelves)
            .flat_map(|(&(kind, _, rank), shelf)| {
                shelf.iter().filter_map(move |(identity, fact)| {
                    let holds = fact.time_ns >= boot_ns && !self.is_outlived(identity, fact);
                    let record = holds.then(|| self.told(kind, identity, fact))??;
                    Some((rank, fact.time_ns, record))
                })
            })
            .collect();
        // Stable within a time by the bytes: tables have no order of their own.
        facts.sort_unstable();
        facts.into_iter().map(|(_, _, record)| record).collect()
    }

    /// A fact's record. The node's, which comes every second, says too how the wall clock stands: a clock that was told
    /// before it and stands behind it in a prologue must not take that back.
    fn told(&self, kind: RecordKind, identity: &Identity, fact: &Fact) -> Option<Bytes> {
        let record = fact.record.clone()?;
        if kind != RecordKind::Clock {
            return Some(record);
        }
        let node = self.fact(RecordKind::Node, identity).filter(|node| node.time_ns > fact.time_ns);
        node.and_then(|node| clock_by_node(&record, node.record.as_ref()?)).or(Some(record))
    }

    /// Whether a fact is one of a namespace that has ended since.
    fn is_outlived(&self, identity: &Identity, fact: &Fact) -> bool {
        let ended_ns = identity.namespace().and_then(|namespace| self.gone.get(&namespace));
        ended_ns.is_some_and(|&ended_ns| fact.time_ns <= ended_ns)
    }

    /// Facts given up because there were too many.
    pub fn evicted(&self) -> u64 {
        self.shelves.iter().map(Bounded::evicted).sum()
    }
}

fn place_of(kind: RecordKind) -> Option<usize> {
    KEPT.iter().position(|(kept, ..)| *kept == kind)
}
