//! The flight recorder: the last minutes in bounded memory.

use super::{kept::Kept, ring::Ring};
use crate::block::Block;

/// The records of the last while, as much of it as the memory takes.
#[derive(Debug)]
pub(crate) struct Flight {
    ring: Ring,
    span_ns: u64,
}

/// What a flight recorder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// From the oldest record to the newest, nanoseconds.
    pub(crate) duration_ns: u64,
    /// Bytes of memory.
    pub(crate) bytes: usize,
    /// Whether older records were given up for want of memory.
    pub(crate) is_cut: bool,
}

impl Flight {
    /// Keeps `span_ns` of records, and at most about `limit_bytes`.
    pub(crate) fn new(span_ns: u64, limit_bytes: usize) -> Self {
        Self { ring: Ring::new(limit_bytes), span_ns }
    }

    /// Takes the next block in, and gives up what is too old or too much.
    pub(crate) fn take(&mut self, block: &Block) {
        /// Into so many chapters the time is parted at least, for they are given up as a whole.
        const CHAPTERS: u64 = 16;
        self.ring.push(block);
        self.ring.close_after(self.span_ns / CHAPTERS);
        while self.ring.excess().is_some() || self.is_first_too_old() {
            self.ring.give_up_first();
        }
    }

    fn is_first_too_old(&self) -> bool {
        let oldest_ns = self.ring.newest_ns().saturating_sub(self.span_ns);
        self.ring.first_chapter_ns().is_some_and(|newest_ns| newest_ns < oldest_ns)
    }

    /// How much it holds.
    pub(crate) fn held(&self) -> Held {
        let duration_ns = self.newest_ns().saturating_sub(self.ring.begin_ns());
        let is_cut = !self.ring.is_whole() && duration_ns < self.span_ns;
        Held { duration_ns, bytes: self.ring.bytes(), is_cut }
    }

    /// The latest time of any record.
    pub(crate) fn newest_ns(&self) -> u64 {
        self.ring.newest_ns()
    }

    /// All that is held at this moment.
    pub(crate) fn kept(&self) -> Kept {
        self.ring.kept()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tracer_common::record::{NodeRecord, RecordHeader, RecordKind};
    use zerocopy::IntoBytes as _;

    use super::{Flight, Held};
    use crate::{block::Block, decode::records};

    const SECOND_NS: u64 = 1_000_000_000;

    /// A record of the node at a second, which tells which one it is.
    fn block(second: u64) -> Block {
        let header = RecordHeader {
            kind: RecordKind::Node as u16,
            length_bytes: u16::try_from(size_of::<NodeRecord>()).unwrap(),
            time_ns: second * SECOND_NS,
            ..RecordHeader::default()
        };
        let record = NodeRecord { header, tick_ns: second, ..NodeRecord::default() };
        Block(Bytes::copy_from_slice(record.as_bytes()))
    }

    fn seconds(flight: &Flight) -> (Vec<u64>, Vec<u64>) {
        let kept = flight.kept();
        let of = |records: &mut dyn Iterator<Item = u64>| records.collect();
        let second = |time_ns: u64| time_ns / SECOND_NS;
        let prologue = kept.prologue().to_vec();
        let prologue =
            of(&mut prologue.iter().flat_map(|run| records(run)).map(|(header, _)| second(header.time_ns)));
        let blocks: Vec<Block> = kept.blocks().collect();
        let stream =
            of(&mut blocks.iter().flat_map(|run| records(&run.0)).map(|(header, _)| second(header.time_ns)));
        (prologue, stream)
    }

    #[test]
    fn it_keeps_the_last_while_and_what_held_before() {
        let mut flight = Flight::new(160 * SECOND_NS, 1 << 20);
        for second in 100..200 {
            flight.take(&block(second));
        }
        assert_eq!(seconds(&flight), (vec![], (100..200).collect()));
        assert!(flight.kept().is_whole());
        for second in 200..1_000 {
            flight.take(&block(second));
        }
        let (prologue, stream) = seconds(&flight);
        // A chapter is a sixteenth of the time, and is given up as a whole.
        let first = stream[0];
        assert!((999 - 171..=999 - 160).contains(&first), "{first}");
        assert_eq!(stream, (first..1_000).collect::<Vec<_>>());
        assert_eq!(prologue, [first - 1]);
        let Held { duration_ns, is_cut, .. } = flight.held();
        assert_eq!((duration_ns, is_cut), ((1_000 - first) * SECOND_NS, false));
        assert!(!flight.kept().is_whole());
    }

    #[test]
    fn it_says_when_memory_ends_before_the_time() {
        let limit_bytes = 64 << 10;
        let mut flight = Flight::new(3_600 * SECOND_NS, limit_bytes);
        let mut noise = 1_u64;
        for second in 0..20_000 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let Block(bytes) = block(second / 100);
            let mut bytes = bytes.to_vec();
            bytes[size_of::<RecordHeader>()..size_of::<RecordHeader>() + 8]
                .copy_from_slice(&noise.to_le_bytes());
            flight.take(&Block(bytes.into()));
        }
        let Held { duration_ns, bytes, is_cut } = flight.held();
        assert!(is_cut && bytes <= limit_bytes, "{bytes}");
        assert!((1..200 * SECOND_NS).contains(&duration_ns), "{duration_ns}");
    }
}
