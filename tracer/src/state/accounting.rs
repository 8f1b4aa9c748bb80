//! What became of everything the hooks saw.

use std::collections::BTreeMap;

use tracer_common::{
    counters::KindCounters,
    record::{KERNEL_KINDS, RecordKind},
};

use crate::{decode::DecodeCounts, event::Stats};

/// The latest accounting of every kind, of all nodes together, and what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Accounting {
    /// By the node's number.
    nodes: BTreeMap<u16, NodeAccounting>,
    /// Kinds made in user space that are counted, in the order they were told; there are few.
    others: Vec<RecordKind>,
    /// Records the decoder could and could not read.
    pub decoded: DecodeCounts,
    /// Records a session lacks because they could not be written.
    pub unrecorded: u64,
}

/// The latest accounting of every kind of one node.
#[derive(Clone, Debug, Default)]
struct NodeAccounting {
    kinds: [KindCounters; KERNEL_KINDS],
    /// Of kinds made in user space.
    others: Vec<(RecordKind, KindCounters)>,
}

impl Accounting {
    /// The counters of a kind, zero until the first sample, and where it is not counted.
    pub fn of(&self, kind: RecordKind) -> KindCounters {
        self.nodes.values().fold(KindCounters::default(), |sum, node| sum.plus(node.of(kind)))
    }

    /// The same of one node.
    pub fn of_node(&self, node: u16, kind: RecordKind) -> KindCounters {
        self.nodes.get(&node).map(|node| node.of(kind)).unwrap_or_default()
    }

    /// The kinds of which something was seen, the kernel side's first.
    pub fn seen(&self) -> impl Iterator<Item = (RecordKind, KindCounters)> {
        let kinds = RecordKind::KERNEL.into_iter().chain(self.others.iter().copied());
        kinds.map(|kind| (kind, self.of(kind))).filter(|(_, counters)| counters.seen > 0)
    }

    /// The sum over all kinds.
    pub fn total(&self) -> KindCounters {
        self.seen().fold(KindCounters::default(), |sum, (_, counters)| sum.plus(counters))
    }

    pub(crate) fn sample(&mut self, node: u16, stats: &Stats) {
        let Some(kind) = stats.counted else { return };
        if kind as usize >= KERNEL_KINDS && !self.others.contains(&kind) {
            self.others.push(kind);
        }
        self.nodes.entry(node).or_default().sample(kind, stats);
    }
}

impl NodeAccounting {
    fn of(&self, kind: RecordKind) -> KindCounters {
        let other = || self.others.iter().find(|(known, _)| *known == kind).map(|(_, counters)| *counters);
        self.kinds.get(kind as usize).copied().or_else(other).unwrap_or_default()
    }

    fn sample(&mut self, kind: RecordKind, stats: &Stats) {
        if let Some(counters) = self.kinds.get_mut(kind as usize) {
            *counters = stats.counters;
        } else if let Some((_, counters)) = self.others.iter_mut().find(|(known, _)| *known == kind) {
            *counters = stats.counters;
        } else {
            self.others.push((kind, stats.counters));
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::RecordKind;

    use super::Accounting;
    use crate::{event::Body, state::fixture::stats};

    #[test]
    fn nodes_are_counted_each_and_together() {
        let mut accounting = Accounting::default();
        for (node, kind, seen) in [
            (0, RecordKind::Retransmit, 10),
            (1, RecordKind::Retransmit, 5),
            (1, RecordKind::Retransmit, 7),
            (1, RecordKind::Route, 3),
        ] {
            let Body::Stats(told) = stats(kind, seen, 0, 0) else { panic!("statistics") };
            accounting.sample(node, &told);
        }
        let seen: Vec<_> = accounting.seen().map(|(kind, counters)| (kind, counters.seen)).collect();
        assert_eq!(seen, [(RecordKind::Retransmit, 17), (RecordKind::Route, 3)]);
        assert_eq!(accounting.of_node(1, RecordKind::Retransmit).seen, 7);
        assert_eq!(accounting.of_node(2, RecordKind::Retransmit).seen, 0);
        assert_eq!(accounting.total().seen, 20);
    }
}
