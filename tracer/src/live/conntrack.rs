//! Conntrack's counters of every namespace that has conntrack: what a kernel tells where no function can be hooked.
//!
//! They are looked at once a second, those of a namespace in which nothing moves every fifth second; a record is written
//! at first sight and when anything changed. Reading loads no module.

use std::{collections::BTreeMap, fs, path::PathBuf};

use tracer_common::record::{ABSENT_COUNT, CONNTRACK_COUNTER_PLACES, ConntrackCountersRecord, RecordHeader};

use super::watch::{Records, Watch};
use crate::{event::ConntrackCounter, kernel::Paths, namespaces::Namespace};

/// Rounds in which a namespace is left alone after one in which nothing had changed.
const IDLE_ROUNDS: u32 = 4;

/// Samples the counters.
pub(super) struct ConntrackWatch {
    paths: Paths,
    tables: BTreeMap<u32, Table>,
}

/// What is known of one namespace.
struct Table {
    /// The last reading, by CPU.
    cpus: Vec<CpuCounters>,
    /// The last record.
    record: ConntrackCountersRecord,
    rounds_to_wait: u32,
}

/// One CPU's counters, by their place in the record; those the kernel lacks are `None`.
type CpuCounters = [Option<u32>; CONNTRACK_COUNTER_PLACES];

/// The counters of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    entries: u64,
    limit: u64,
    cpus: Vec<CpuCounters>,
}

impl ConntrackWatch {
    pub(super) fn new(paths: Paths) -> Self {
        Self { paths, tables: BTreeMap::new() }
    }

    /// Reads the counters of the namespace the thread is in; `None` where there is no conntrack.
    fn read(&self) -> Option<Reading> {
        let text = fs::read_to_string(self.paths.proc.join("thread-self/net/stat/nf_conntrack")).ok()?;
        let (entries, cpus) = parse(&text)?;
        Some(Reading { entries, limit: self.limit(), cpus })
    }

    fn limit(&self) -> u64 {
        let path: PathBuf = self.paths.proc.join("sys/net/netfilter/nf_conntrack_max");
        let read = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        read.unwrap_or(ABSENT_COUNT)
    }

    fn look(&mut self, inode: u32) -> Option<ConntrackCountersRecord> {
        let reading = self.read()?;
        let Some(table) = self.tables.get_mut(&inode) else {
            let record = first_record(&reading);
            self.tables.insert(inode, Table { cpus: reading.cpus, record, rounds_to_wait: 0 });
            return Some(record);
        };
        let record = next_record(table, &reading);
        let is_news = (record.entries, record.limit, record.totals)
            != (table.record.entries, table.record.limit, table.record.totals);
        table.cpus = reading.cpus;
        if !is_news {
            table.rounds_to_wait = IDLE_ROUNDS;
            return None;
        }
        table.record = record;
        Some(record)
    }
}

impl Watch for ConntrackWatch {
    fn appeared(&mut self, namespace: &Namespace, records: &mut Records) {
        self.sample(namespace, records);
    }

    fn sample(&mut self, namespace: &Namespace, records: &mut Records) {
        if let Some(table) = self.tables.get_mut(&namespace.inode)
            && table.rounds_to_wait > 0
        {
            table.rounds_to_wait -= 1;
            return;
        }
        if let Some(record) = self.look(namespace.inode) {
            records.append(namespace.inode, &record, &[]);
        }
    }

    fn vanished(&mut self, inode: u32, _records: &mut Records) {
        self.tables.remove(&inode);
    }
}

fn first_record(reading: &Reading) -> ConntrackCountersRecord {
    let mut totals = [ABSENT_COUNT; CONNTRACK_COUNTER_PLACES];
    for cpu in &reading.cpus {
        for (total, count) in totals.iter_mut().zip(cpu) {
            if let Some(count) = *count {
                *total = if *total == ABSENT_COUNT { 0 } else { *total } + u64::from(count);
            }
        }
    }
    ConntrackCountersRecord {
        header: RecordHeader::default(),
        entries: reading.entries,
        limit: reading.limit,
        totals,
        growth: [0; CONNTRACK_COUNTER_PLACES],
    }
}

/// Adds what came since. A CPU that was not there before had counted nothing.
fn next_record(table: &Table, reading: &Reading) -> ConntrackCountersRecord {
    const NOTHING: CpuCounters = [Some(0); CONNTRACK_COUNTER_PLACES];
    let mut growth = [0; CONNTRACK_COUNTER_PLACES];
    let before = table.cpus.iter().chain(std::iter::repeat(&NOTHING));
    for (before, now) in before.zip(&reading.cpus) {
        for (growth, (before, now)) in growth.iter_mut().zip(before.iter().zip(now)) {
            if let (Some(before), Some(now)) = (*before, *now) {
                *growth += u64::from(now.wrapping_sub(before));
            }
        }
    }
    let mut totals = table.record.totals;
    for (total, growth) in totals.iter_mut().zip(growth) {
        if *total != ABSENT_COUNT {
            *total += growth;
        }
    }
    ConntrackCountersRecord { entries: reading.entries, limit: reading.limit, totals, growth, ..table.record }
}

/// The name of a column of `/proc/net/stat/nf_conntrack` (`ct_cpu_seq_show`). Columns that count nothing any more have
/// names that are not here, as have those that older kernels had in the place of newer ones.
fn column(counter: ConntrackCounter) -> &'static str {
    match counter {
        ConntrackCounter::Error => "icmp_error",
        ConntrackCounter::ClashResolve => "clashres",
        ConntrackCounter::ChainTooLong => "chainlength",
        same => same.name(),
    }
}

/// A line of names, then a line of hexadecimal numbers for each CPU. The number of entries, which is that of the whole
/// table on each line, and the counters.
fn parse(text: &str) -> Option<(u64, Vec<CpuCounters>)> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split_whitespace().collect();
    let places: Vec<Option<usize>> = names
        .iter()
        .map(|name| {
            let counter = ConntrackCounter::ALL.into_iter().find(|&counter| column(counter) == *name)?;
            Some(counter.place())
        })
        .collect();
    let entries_column = names.iter().position(|&name| name == "entries")?;
    let mut entries = None;
    let mut cpus = Vec::new();
    for line in lines {
        let numbers: Vec<u32> = line
            .split_whitespace()
            .map(|number| u32::from_str_radix(number, 16))
            .collect::<Result<_, _>>()
            .ok()?;
        entries = Some(u64::from(*numbers.get(entries_column)?));
        let mut cpu = CpuCounters::default();
        for (place, &number) in places.iter().zip(&numbers) {
            if let Some(place) = *place {
                cpu[place] = Some(number);
            }
        }
        cpus.push(cpu);
    }
    Some((entries?, cpus))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tracer_common::record::{ABSENT_COUNT, conntrack_counter as place};

    use super::{ConntrackWatch, parse};
    use crate::kernel::Paths;

    const NEWER: &str = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop \
        early_drop icmp_error  expect_new expect_create expect_delete search_restart\n";
    /// Of 5.10, which does not count chains that are too long.
    const OLDER: &str = "entries  clashres found new invalid ignore delete delete_list insert insert_failed drop \
        early_drop icmp_error  expect_new expect_create expect_delete search_restart\n";

    fn row(numbers: [u32; 17]) -> String {
        let words: Vec<String> = numbers.iter().map(|number| format!("{number:08x}")).collect();
        words.join(" ") + "\n"
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let row = row([300, 1, 2, 0, 4, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0, 0, 16]);
        for (header, chain) in [(NEWER, Some(7)), (OLDER, None)] {
            let (entries, cpus) = parse(&format!("{header}{row}{row}")).unwrap();
            assert_eq!((entries, cpus.len()), (300, 2));
            let expected = [
                (place::CLASH_RESOLVE, Some(1)),
                (place::FOUND, Some(2)),
                (place::INVALID, Some(4)),
                (place::CHAIN_TOO_LONG, chain),
                (place::INSERT, Some(8)),
                (place::INSERT_FAILED, Some(9)),
                (place::DROP, Some(10)),
                (place::EARLY_DROP, Some(11)),
                (place::ERROR, Some(12)),
                (place::SEARCH_RESTART, Some(16)),
            ];
            for (place, number) in expected {
                assert_eq!(cpus[1][place], number, "place {place} of {header}");
            }
        }
    }

    #[test]
    fn what_is_no_such_table_is_refused() {
        for text in ["", NEWER, "names\n0a\n", "entries drop\n0a zz\n", "drop entries\n0a\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    /// A directory like `/proc`, with this in the place of the counters.
    fn proc_with(root: &std::path::Path, rows: &[[u32; 17]], limit: &str) {
        let text: String = std::iter::once(NEWER.to_owned()).chain(rows.iter().copied().map(row)).collect();
        fs::create_dir_all(root.join("thread-self/net/stat")).unwrap();
        fs::create_dir_all(root.join("sys/net/netfilter")).unwrap();
        fs::write(root.join("thread-self/net/stat/nf_conntrack"), text).unwrap();
        fs::write(root.join("sys/net/netfilter/nf_conntrack_max"), limit).unwrap();
    }

    #[test]
    fn a_record_is_made_at_first_sight_and_when_something_changed() {
        const DROP: usize = 10;
        let root = tempfile::tempdir().unwrap();
        let mut watch = ConntrackWatch::new(Paths { proc: root.path().into(), sys: root.path().into() });
        assert_eq!(watch.look(7), None, "there is no conntrack yet");

        let mut rows = [[0; 17]; 2];
        (rows[0][DROP], rows[1][DROP]) = (5, u32::MAX);
        proc_with(root.path(), &rows, "100\n");
        let first = watch.look(7).unwrap();
        assert_eq!((first.totals[place::DROP], first.growth[place::DROP]), (5 + u64::from(u32::MAX), 0));
        assert_eq!((first.limit, first.totals[place::CHAIN_TOO_LONG + 1]), (100, ABSENT_COUNT));
        assert_eq!(watch.look(7), None, "nothing changed");

        // The second CPU's counter wraps, and a third CPU appears.
        let rows = [rows[0], [0; 17], {
            let mut row = [0; 17];
            row[DROP] = 2;
            row
        }];
        proc_with(root.path(), &rows, "100\n");
        let second = watch.look(7).unwrap();
        assert_eq!(second.growth[place::DROP], 1 + 2);
        assert_eq!(second.totals[place::DROP], first.totals[place::DROP] + 3);

        proc_with(root.path(), &rows, "nonsense\n");
        assert_eq!(watch.look(7).unwrap().limit, ABSENT_COUNT, "the limit changed");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "(entries|drop|insert| |\n|[0-9a-f]{1,9}|.){0,60}") {
            if let Some((_, cpus)) = parse(&text) {
                prop_assert!(!cpus.is_empty());
            }
        }
    }
}
