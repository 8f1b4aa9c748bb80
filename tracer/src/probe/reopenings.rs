//! Reopened conntrack entries whose new mapping never came.
//!
//! The kernel side lets such a record wait for it (`tracer-ebpf/src/hooks/conntrack/reopening.rs`). Where the packet was
//! dropped on its way nothing ever comes, so that what waits too long is collected here and told as it is.

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use bytes::{BufMut as _, BytesMut};
use nix::time::{ClockId, clock_gettime};
use tracer_common::record::{ConntrackRecord, RecordHeader};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// A record, as the map holds it.
type Waiting = [u64; size_of::<ConntrackRecord>() / 8];

/// How long a packet may take between conntrack's two functions: it may be held up in a queue of the ruleset.
const PATIENCE_NS: u64 = 2_000_000_000;

/// The records that wait.
pub(super) struct Reopenings {
    waiting: HashMap<MapData, u64, Waiting>,
    collected: u64,
}

impl Reopenings {
    /// Takes the map out of a loaded object.
    pub(super) fn new(ebpf: &mut Ebpf) -> anyhow::Result<Self> {
        let map = ebpf.take_map("REOPENINGS_WAITING").context("the object has no reopenings")?;
        Ok(Self { waiting: HashMap::try_from(map)?, collected: 0 })
    }

    /// Moves the records that have waited too long to `into`, or all of them.
    pub(super) fn collect(&mut self, into: &mut BytesMut, all: bool) {
        let Ok(now) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return };
        let now_ns = u64::try_from(std::time::Duration::from(now).as_nanos()).unwrap_or(u64::MAX);
        // Keys that come or go meanwhile are met in the next round.
        let packets: Vec<u64> = self.waiting.keys().filter_map(Result::ok).collect();
        for packet in packets {
            let Ok(record) = self.waiting.get(&packet, 0) else { continue };
            let Ok((header, _)) = RecordHeader::read_from_prefix(record.as_bytes()) else { continue };
            let is_late = now_ns.saturating_sub(header.time_ns) >= PATIENCE_NS;
            // Whoever removes a record tells it; the kernel side may have been faster.
            if (all || is_late) && self.waiting.remove(&packet).is_ok() {
                into.put_slice(record.as_bytes());
                self.collected += 1;
            }
        }
    }

    /// How many records were collected so far. The kernel side has not counted them.
    pub(super) fn collected(&self) -> u64 {
        self.collected
    }
}
