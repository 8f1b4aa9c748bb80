//! The watch that counts rules: a look at a few numbers each second, and a count of what changed.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use tracer_common::record::{LARGEST_CHAINS, RulesetRecord, ruleset_backend, ruleset_flag};

use super::{
    encode::TEXT_BYTES,
    watch::{Records, Watch},
};
use crate::{
    event,
    kernel::{Paths, modules::Part},
    namespaces::Namespace,
    rulesets::{
        Deadline, Effort, Exactness, KINDS, LegacyInfo, LegacyKind, LegacyTables, NftTables, Pace,
        RepeatedRule, TableCount, Thorough, legacy_names,
    },
};

/// How long counting one namespace may take.
const LONGEST_COUNT: Duration = Duration::from_secs(8);

/// Tables of iptables show a change only by their numbers. They are counted again without one after this time, or a
/// thousand times the last count's length.
const RECOUNT: Duration = Duration::from_mins(1);
const RECOUNT_SHARE: u32 = 1_000;

/// Namespaces looked at each second; of more, each is looked at more seldom.
const LOOKS_A_ROUND: usize = 64;

/// Counts the rules of every namespace.
pub(super) struct Rulesets {
    paths: Paths,
    nftables: Part,
    namespaces: BTreeMap<u32, Known>,
}

/// What is known of one namespace.
#[derive(Default)]
struct Known {
    /// Rounds until the next look.
    rounds_left: usize,
    nft: Ruleset<u32>,
    thorough: Thorough,
    legacy: BTreeMap<TableName, Ruleset<LegacyInfo>>,
    /// Whether the tables of iptables have been listed before: a new one was made since.
    is_listed: bool,
}

/// A family and a table's name.
type TableName = (u8, Vec<u8>);

/// What is counted at once: all tables of nftables, or one of iptables.
struct Ruleset<M> {
    pace: Pace<M>,
    /// When it was counted last.
    counted: Option<Instant>,
    recount_after: Duration,
    told: BTreeMap<TableName, TableCount>,
}

impl<M> Default for Ruleset<M> {
    fn default() -> Self {
        Self { pace: Pace::default(), counted: None, recount_after: RECOUNT, told: BTreeMap::new() }
    }
}

impl Rulesets {
    pub(super) fn new(paths: Paths) -> Self {
        let nftables = Part::new(paths.clone(), "nf_tables", "nf_tables_commit");
        Self { paths, nftables, namespaces: BTreeMap::new() }
    }

    fn look(&mut self, netns: u32, records: &mut Records) {
        let looks = self.namespaces.len() / LOOKS_A_ROUND;
        let known = self.namespaces.entry(netns).or_default();
        if known.rounds_left > 0 {
            known.rounds_left -= 1;
            return;
        }
        known.rounds_left = looks;
        if self.nftables.is_there()
            && let Err(error) = known.look_at_nft(netns, records)
        {
            log::debug!("rules of nftables in network namespace {netns} are not counted: {error:#}");
        }
        known.look_at_legacy(&self.paths.proc, netns, records);
    }
}

impl Watch for Rulesets {
    fn appeared(&mut self, namespace: &Namespace, records: &mut Records) {
        self.look(namespace.inode, records);
    }

    fn sample(&mut self, namespace: &Namespace, records: &mut Records) {
        self.look(namespace.inode, records);
    }

    fn vanished(&mut self, inode: u32, records: &mut Records) {
        let Some(known) = self.namespaces.remove(&inode) else { return };
        for gone in known.nft.told.into_values() {
            tell_removed(inode, ruleset_backend::NFT, &gone, records);
        }
        for gone in known.legacy.into_values().flat_map(|ruleset| ruleset.told.into_values()) {
            tell_removed(inode, ruleset_backend::LEGACY, &gone, records);
        }
    }
}

impl Known {
    fn look_at_nft(&mut self, netns: u32, records: &mut Records) -> anyhow::Result<()> {
        let mut tables = NftTables::open()?;
        let generation = tables.generation()?;
        let began = Instant::now();
        let effort = if self.nft.pace.is_due(generation, began) {
            Effort::Quick
        } else if self.nft.pace.changed().is_none() && self.thorough.is_due(began) {
            Effort::Thorough
        } else {
            return Ok(());
        };
        let counted = tables.count(effort, Deadline::at(began + LONGEST_COUNT));
        let now = Instant::now();
        match effort {
            Effort::Quick => {
                let is_cut_short = |counts: &Vec<TableCount>| counts.iter().any(TableCount::is_cut_short);
                self.thorough.counted(counted.as_ref().is_ok_and(is_cut_short), now);
            }
            Effort::Thorough => self.thorough.done(now.duration_since(began), now),
        }
        match counted {
            // The next look sees that it changed.
            Ok(counts) if effort == Effort::Thorough && is_moving(&counts) => Ok(()),
            Ok(counts) => {
                let is_first = self.nft.counted.is_none();
                self.nft.counted(netns, ruleset_backend::NFT, counts, began, is_first, records);
                if effort == Effort::Thorough {
                    self.nft.pace.go_on();
                }
                Ok(())
            }
            Err(error) => {
                self.nft.pace.failed(began.elapsed(), Instant::now());
                Err(error)
            }
        }
    }

    fn look_at_legacy(&mut self, proc: &Path, netns: u32, records: &mut Records) {
        let mut listed = Vec::new();
        for kind in &KINDS {
            let names = legacy_names(proc, kind);
            if !names.is_empty()
                && let Err(error) = self.look_at_kind(kind, names, netns, &mut listed, records)
            {
                log::debug!("rules of iptables in network namespace {netns} are not counted: {error:#}");
            }
        }
        self.is_listed = true;
        self.legacy.retain(|key, ruleset| {
            let is_there = listed.contains(key);
            if !is_there {
                for gone in ruleset.told.values() {
                    tell_removed(netns, ruleset_backend::LEGACY, gone, records);
                }
            }
            is_there
        });
    }

    fn look_at_kind(
        &mut self,
        kind: &'static LegacyKind,
        names: Vec<Vec<u8>>,
        netns: u32,
        listed: &mut Vec<TableName>,
        records: &mut Records,
    ) -> anyhow::Result<()> {
        let first = listed.len();
        listed.extend(names.into_iter().map(|name| (kind.family, name)));
        let tables = LegacyTables::open(kind)?;
        for key in &listed[first..] {
            let Some(info) = tables.info(&key.1)? else { continue };
            let is_first = !self.is_listed;
            let ruleset = self.legacy.entry(key.clone()).or_default();
            ruleset.look_at_table(&tables, &key.1, info, netns, is_first, records)?;
        }
        Ok(())
    }
}

impl Ruleset<LegacyInfo> {
    fn look_at_table(
        &mut self,
        tables: &LegacyTables,
        table: &[u8],
        info: LegacyInfo,
        netns: u32,
        is_first: bool,
        records: &mut Records,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        if self.counted.is_some_and(|counted| began.duration_since(counted) >= self.recount_after) {
            self.pace.ask_again(began);
        }
        if !self.pace.is_due(info, began) {
            return Ok(());
        }
        match tables.count(table, Deadline::at(began + LONGEST_COUNT)) {
            Ok(Some(count)) => {
                self.counted(netns, ruleset_backend::LEGACY, vec![count], began, is_first, records);
                Ok(())
            }
            // It is gone or changes all the time; the next look tells which.
            Ok(None) => {
                self.pace.failed(began.elapsed(), Instant::now());
                Ok(())
            }
            Err(error) => {
                self.pace.failed(began.elapsed(), Instant::now());
                Err(error)
            }
        }
    }
}

impl<M: PartialEq> Ruleset<M> {
    /// Tells what is new in these counts of all its tables.
    fn counted(
        &mut self,
        netns: u32,
        backend: u8,
        counts: Vec<TableCount>,
        began: Instant,
        is_first: bool,
        records: &mut Records,
    ) {
        let now = Instant::now();
        let took = now.duration_since(began);
        let changed = self.pace.changed().map_or(Duration::ZERO, |changed| now.duration_since(changed));
        let is_partial = counts.iter().any(|count| count.exactness == Exactness::Partial);
        let mut before = std::mem::take(&mut self.told);
        for count in counts {
            let key = (count.family, count.table.clone());
            let known = before.remove(&key);
            if known.as_ref() != Some(&count) {
                let previous = known.map(|known| known.entries).or((!is_first).then_some(0));
                let told = Told { backend, count: &count, previous, changed, took, is_removed: false };
                told.append(netns, records);
            }
            self.told.insert(key, count);
        }
        if is_partial {
            // Those left are not known to be gone.
            self.told.append(&mut before);
        }
        for gone in before.into_values() {
            tell_removed(netns, backend, &gone, records);
        }
        self.counted = Some(now);
        self.recount_after = RECOUNT.max(took.saturating_mul(RECOUNT_SHARE));
        self.pace.counted(took, now);
    }
}

fn is_moving(counts: &[TableCount]) -> bool {
    counts.iter().any(|count| count.exactness == Exactness::Moving)
}

/// What a record tells.
struct Told<'a> {
    backend: u8,
    count: &'a TableCount,
    previous: Option<u32>,
    changed: Duration,
    took: Duration,
    is_removed: bool,
}

fn tell_removed(netns: u32, backend: u8, gone: &TableCount, records: &mut Records) {
    let count = TableCount {
        entries: 0,
        chains: 0,
        examined: 0,
        duplicates: 0,
        largest: Vec::new(),
        repeated: None,
        exactness: Exactness::Exact,
        ..gone.clone()
    };
    let (changed, took) = (Duration::ZERO, Duration::ZERO);
    let previous = Some(gone.entries);
    Told { backend, count: &count, previous, changed, took, is_removed: true }.append(netns, records);
}

impl Told<'_> {
    fn append(&self, netns: u32, records: &mut Records) {
        let (record, text) = self.record();
        records.append(netns, &record, &text);
    }

    fn record(&self) -> (RulesetRecord, Vec<u8>) {
        let count = self.count;
        let mut flags = 0;
        for (is_set, flag) in [
            (self.previous.is_some(), ruleset_flag::HAS_PREVIOUS),
            (self.is_removed, ruleset_flag::REMOVED),
            (count.exactness == Exactness::AtMost, ruleset_flag::AT_MOST),
            (count.exactness == Exactness::Moving, ruleset_flag::MOVING),
            (count.exactness == Exactness::Partial, ruleset_flag::PARTIAL),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        let mut record = RulesetRecord {
            entries: count.entries,
            examined: count.examined,
            duplicates: count.duplicates,
            chains: count.chains,
            previous: self.previous.unwrap_or_default(),
            took_us: u32::try_from(self.took.as_micros()).unwrap_or(u32::MAX),
            changed_ms_ago: u32::try_from(self.changed.as_millis()).unwrap_or(u32::MAX),
            flags,
            family: count.family,
            backend: self.backend,
            ..RulesetRecord::default()
        };
        let mut text = Vec::new();
        append_name(&mut text, &count.table);
        for ((chain, entries), place) in count.largest.iter().zip(&mut record.largest) {
            if !append_name(&mut text, chain) {
                break;
            }
            *place = *entries;
        }
        if let Some(repeated) = &count.repeated {
            append_repeated(&mut text, repeated);
        }
        (record, text)
    }
}

const _: () = assert!(crate::rulesets::LARGEST == LARGEST_CHAINS);

/// Appends a name and the line feed that ends it, unless the text would become too long.
fn append_name(text: &mut Vec<u8>, name: &[u8]) -> bool {
    let fits = text.len() + name.len() < TEXT_BYTES;
    if fits {
        text.extend(name.iter().map(|&byte| if byte == b'\n' { b'?' } else { byte }));
        text.push(b'\n');
    }
    fits
}

/// Appends a rule that is repeated, behind an empty name, as much of it as there is room for.
fn append_repeated(text: &mut Vec<u8>, repeated: &RepeatedRule) {
    let rule = format!("\n{}\n", repeated.count);
    let Some(room) =
        TEXT_BYTES.checked_sub(text.len() + rule.len() + 1).filter(|&room| room >= LEAST_RULE_BYTES)
    else {
        return;
    };
    text.extend_from_slice(rule.as_bytes());
    append_name(text, &repeated.text.as_bytes()[..repeated.text.floor_char_boundary(room)]);
}

/// A rule of which no more can be told is not told at all.
const LEAST_RULE_BYTES: usize = 80;

/// As exactly as the rules allow: while they change, a thorough count does not come to its end.
fn count_once(tables: &mut NftTables, deadline: Deadline) -> anyhow::Result<Vec<TableCount>> {
    let counts = tables.count(Effort::Thorough, deadline)?;
    if is_moving(&counts) { tables.count(Effort::Quick, deadline) } else { Ok(counts) }
}

/// The tables of the calling thread's network namespace as they are now. What cannot be counted is left out.
pub(crate) fn count_here(paths: &Paths) -> Vec<event::Ruleset> {
    let began = Instant::now();
    let deadline = Deadline::at(began + LONGEST_COUNT);
    let mut counts: Vec<(u8, TableCount)> = Vec::new();
    let mut add = |backend: u8, counted: anyhow::Result<Vec<TableCount>>| match counted {
        Ok(counted) => counts.extend(counted.into_iter().map(|count| (backend, count))),
        Err(error) => log::debug!("some rules are not counted: {error:#}"),
    };
    if Part::new(paths.clone(), "nf_tables", "nf_tables_commit").is_there() {
        add(ruleset_backend::NFT, NftTables::open().and_then(|mut tables| count_once(&mut tables, deadline)));
    }
    for kind in &KINDS {
        for name in legacy_names(&paths.proc, kind) {
            let counted = LegacyTables::open(kind).and_then(|tables| tables.count(&name, deadline));
            add(ruleset_backend::LEGACY, counted.map(|count| count.into_iter().collect()));
        }
    }
    let (changed, took) = (Duration::ZERO, began.elapsed());
    let event = |(backend, count): &(u8, TableCount)| {
        let told = Told { backend: *backend, count, previous: None, changed, took, is_removed: false };
        let (record, text) = told.record();
        event::Ruleset::from_record(&record, &text)
    };
    counts.iter().map(event).collect()
}

#[cfg(test)]
mod tests;
