//! Records made in user space.

use bytes::{BufMut as _, BytesMut};
use nix::time::{ClockId, clock_gettime};
use tracer_common::{
    counters::KindCounters,
    record::{
        FactsRecord, HookStatusRecord, KERNEL_KINDS, MarkerRecord, NodeRecord, Record, RecordHeader,
        RecordKind, StatsRecord,
    },
};
use zerocopy::IntoBytes as _;

use crate::{
    block::Block,
    event::{ATTACHED, HookState, HookStatus, NOT_NEEDED, STANDBY, Text},
    kernel::facts::Facts,
};

/// Records are padded to a multiple of this.
const RECORD_ALIGNMENT: usize = 8;

/// The longest text kept behind a record.
pub(super) const TEXT_BYTES: usize = 1024;

/// The longest text of facts: that of all offsets takes a quarter of it.
const FACTS_BYTES: usize = 16 << 10;

/// When a record made in user space is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    boot_ns: u64,
}

impl Stamp {
    /// Now, by the clock the kernel side uses.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let now = std::time::Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
        Ok(Self { boot_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) })
    }

    /// At a time, nanoseconds since boot.
    pub(crate) fn at(boot_ns: u64) -> Self {
        Self { boot_ns }
    }

    /// Nanoseconds since boot.
    pub(crate) fn boot_ns(self) -> u64 {
        self.boot_ns
    }
}

/// Appends a record of a namespace (0 for the node) and the text behind it, with a header of its own.
pub(super) fn append_record<R: Record>(
    buffer: &mut BytesMut,
    stamp: Stamp,
    netns: u32,
    record: &R,
    text: &[u8],
) {
    append_with_text(buffer, stamp, netns, record, &text[..text.len().min(TEXT_BYTES)]);
}

fn append_with_text<R: Record>(buffer: &mut BytesMut, stamp: Stamp, netns: u32, record: &R, text: &[u8]) {
    let length = (size_of::<R>() + text.len()).next_multiple_of(RECORD_ALIGNMENT);
    let header = RecordHeader {
        time_ns: stamp.boot_ns,
        netns,
        kind: R::KIND as u16,
        // At most the largest record and the longest text: well within 64 KiB.
        length_bytes: u16::try_from(length).unwrap_or(u16::MAX),
        ..RecordHeader::default()
    };
    let start = buffer.len();
    buffer.put_slice(header.as_bytes());
    buffer.put_slice(&record.as_bytes()[size_of::<RecordHeader>()..]);
    buffer.put_slice(text);
    buffer.put_bytes(0, start + length - buffer.len());
}

/// A block with a marker the user set.
pub(crate) fn marker(stamp: Stamp, text: &Text) -> Block {
    let mut buffer = BytesMut::new();
    append_record(&mut buffer, stamp, 0, &MarkerRecord::default(), text.as_str().as_bytes());
    Block(buffer.freeze())
}

/// Appends the node's clocks and names.
pub(super) fn append_node(buffer: &mut BytesMut, stamp: Stamp, facts: &Facts) {
    let record = NodeRecord {
        wall_minus_boot_ns: facts.wall_minus_boot_ns,
        tick_ns: facts.tick_ns,
        ..NodeRecord::default()
    };
    let names = format!("{}\n{}", facts.kernel_release, facts.hostname);
    append_record(buffer, stamp, 0, &record, names.as_bytes());
}

/// Appends facts of the machine and of tracer.
pub(super) fn append_facts(buffer: &mut BytesMut, stamp: Stamp, facts: &[(String, String)]) {
    let mut text = String::new();
    for (name, value) in facts {
        // A line that a value broke in two would be another fact.
        let line = format!("{name}\t{value}").replace('\n', " ");
        if text.len() + line.len() < FACTS_BYTES {
            text.push_str(&line);
            text.push('\n');
        }
    }
    append_with_text(buffer, stamp, 0, &FactsRecord::default(), text.as_bytes());
}

/// Appends how a hook is attached, or why not.
pub(super) fn append_hook_status(buffer: &mut BytesMut, stamp: Stamp, status: &HookStatus) {
    let record = HookStatusRecord {
        hook: status.hook.map_or(0, |hook| hook as u16),
        way: status.attached.map_or(0, |way| way as u16),
        attached: match status.state() {
            HookState::Attached(_) => ATTACHED,
            HookState::Standby(_) => STANDBY,
            HookState::NotNeeded => NOT_NEEDED,
            HookState::Missing => 0,
        },
        ..HookStatusRecord::default()
    };
    append_record(buffer, stamp, 0, &record, status.reason.as_str().as_bytes());
}

/// Appends the accounting of every kernel-side kind.
pub(super) fn append_stats(buffer: &mut BytesMut, stamp: Stamp, counters: &[KindCounters; KERNEL_KINDS]) {
    for kind in RecordKind::KERNEL {
        let Some(counted) = counters.get(kind as usize) else { continue };
        let &KindCounters { seen, delivered, suppressed, lost } = counted;
        let record = StatsRecord {
            seen,
            delivered,
            suppressed,
            lost,
            counted_kind: kind as u16,
            last_of_batch: u16::from(Some(&kind) == RecordKind::KERNEL.last()),
            ..StatsRecord::default()
        };
        append_record(buffer, stamp, 0, &record, &[]);
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tracer_common::{
        counters::KindCounters,
        hook::{HookId, Way},
        record::{KERNEL_KINDS, RecordKind},
    };

    use super::{Stamp, append_hook_status, append_node, append_stats};
    use crate::{
        block::Block,
        decode::Decoder,
        event::{Body, Event, HookStatus, Text},
        kernel::facts::Facts,
    };

    fn decoded(write: impl FnOnce(&mut BytesMut)) -> Vec<Event> {
        let mut buffer = BytesMut::new();
        write(&mut buffer);
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        decoder.decode(&Block(buffer.freeze()), |event| events.push(event));
        assert_eq!((decoder.counts().unknown, decoder.counts().malformed), (0, 0));
        events
    }

    const STAMP: Stamp = Stamp { boot_ns: 5_000 };

    #[test]
    fn what_is_written_is_read() {
        let status = |attached, is_needed, reason| HookStatus {
            hook: Some(HookId::ArpProcess),
            attached,
            is_needed,
            reason: Text::new(reason),
        };
        for status in [
            status(Some(Way::Kprobe), true, "fentry: not here — sorry"),
            status(None, true, "module ip_vs is not loaded"),
            status(None, false, "another hook tells it"),
            status(Some(Way::TypedTracepoint), false, "no flow is under suspicion"),
        ] {
            let events = decoded(|buffer| append_hook_status(buffer, STAMP, &status));
            assert_eq!(
                events.iter().map(|event| &event.body).collect::<Vec<_>>(),
                [&Body::HookStatus(status)]
            );
        }
    }

    #[test]
    fn the_nodes_clock_gives_later_records_their_wall_time() {
        let facts = Facts {
            kernel_release: "6.1.0".to_owned(),
            hostname: "node-1".to_owned(),
            tick_ns: 4_000_000,
            wall_minus_boot_ns: 1_000_000,
            has_kprobes: true,
            privileges: crate::kernel::facts::Privileges::default(),
        };
        let events = decoded(|buffer| append_node(buffer, STAMP, &facts));
        assert_eq!(events[0].time.wall_ns, 1_005_000);
        assert_eq!(events[0].body, Body::Node { kernel: Text::new("6.1.0"), host: Text::new("node-1") });
    }

    #[test]
    fn a_batch_of_stats_covers_every_kind_and_says_where_it_ends() {
        let counters = KindCounters { seen: 6, delivered: 3, suppressed: 2, lost: 1 };
        let events = decoded(|buffer| append_stats(buffer, STAMP, &[counters; KERNEL_KINDS]));
        let ends: Vec<bool> = events
            .iter()
            .map(|event| match &event.body {
                Body::Stats(stats) => {
                    assert_eq!(stats.counters, counters);
                    stats.last_of_batch
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let mut expected = vec![false; RecordKind::KERNEL.len()];
        expected[RecordKind::KERNEL.len() - 1] = true;
        assert_eq!(ends, expected);
    }
}
