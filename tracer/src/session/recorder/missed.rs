//! Records that found no room.

use bytes::{Bytes, BytesMut};
use tracer_common::record::{GapRecord, Record as _, RecordHeader};
use zerocopy::IntoBytes as _;

use crate::{block::Block, decode::records, session::Standing};

/// How many, and of which time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missed {
    records: u64,
    oldest_ns: Option<u64>,
    newest_ns: u64,
}

impl Missed {
    /// Counts a block's records in; how many they are.
    pub(super) fn note(&mut self, block: &Block) -> u64 {
        let before = self.records;
        for (header, _) in records(&block.0) {
            self.records += 1;
            self.newest_ns = self.newest_ns.max(header.time_ns);
            self.oldest_ns = Some(self.oldest_ns.map_or(header.time_ns, |oldest| oldest.min(header.time_ns)));
        }
        self.records - before
    }

    /// What stands in their place: how many they are, and what they had told that holds.
    pub(super) fn block(self, standing: &Standing) -> Block {
        let since_ns = self.oldest_ns.unwrap_or_default();
        let gap = GapRecord {
            header: RecordHeader {
                time_ns: self.newest_ns,
                kind: GapRecord::KIND as u16,
                length_bytes: LENGTH_BYTES,
                ..RecordHeader::default()
            },
            records: self.records,
            since_ns,
        };
        let mut bytes = BytesMut::from(gap.as_bytes());
        for record in standing.records_since(since_ns) {
            bytes.extend_from_slice(&record);
        }
        Block(Bytes::from(bytes))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a gap's record has 40 bytes")]
const LENGTH_BYTES: u16 = size_of::<GapRecord>() as u16;
