//! From a table's entries to its chains and rules.
//!
//! Entries lie one after the other. A user's chain begins with an entry whose target is `ERROR` and holds the chain's
//! name; a built-in one begins where the table's numbers say. The last entry of every chain is its policy or its
//! return, and the last of the table is an `ERROR` again. What is left are rules, as `iptables-save` prints them.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use rustc_hash::FxHashMap;

use super::{
    super::{Exactness, RepeatedRule, TableCount, Tally},
    Info,
    layout::{EXTENSION_HEAD_BYTES, EXTENSION_NAME, Kind, u16_at, u32_at},
    text,
};

/// The bytes are no entries of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The name of targets that mark the head of a chain and the end of the table (`XT_ERROR_TARGET`).
const ERROR: &[u8] = b"ERROR";

/// Users' chains known by name, at most.
const CHAINS: usize = 65_536;

/// On the way through a table.
pub(super) struct Walk<'a> {
    kind: &'static Kind,
    info: &'a Info,
    size: usize,
    /// Where the next entry begins.
    next: usize,
    /// Entries behind.
    passed: u32,
    /// The hash of the entry before, which is a rule unless its chain ends here.
    pending: Option<u64>,
    /// That entry.
    pending_entry: Vec<u8>,
    /// Users' chains by where their first entry is, as far as kept: rules jump there.
    chains: FxHashMap<usize, Vec<u8>>,
    tally: Tally,
    hashing: RandomState,
}

impl<'a> Walk<'a> {
    pub(super) fn new(kind: &'static Kind, info: &'a Info) -> Self {
        Self {
            kind,
            info,
            size: kind.size(info),
            next: 0,
            passed: 0,
            pending: None,
            pending_entry: Vec::new(),
            chains: FxHashMap::default(),
            tally: Tally::new(),
            hashing: RandomState::new(),
        }
    }

    /// Where the next entry begins.
    pub(super) fn next(&self) -> usize {
        self.next
    }

    /// Whether the end of the table is reached.
    pub(super) fn is_done(&self) -> bool {
        self.next >= self.size
    }

    /// Walks over the entries that lie whole in `bytes`, which are those of the table from `start` on.
    pub(super) fn feed(&mut self, bytes: &[u8], start: usize) -> Result<(), Damaged> {
        while !self.is_done() {
            let rest = self.next.checked_sub(start).and_then(|at| bytes.get(at..)).ok_or(Damaged)?;
            let Some(length) = u16_at(rest, self.kind.next_offset_at).map(usize::from) else { break };
            let least = self.kind.entry_bytes + EXTENSION_HEAD_BYTES;
            if length < least || length > self.size - self.next {
                return Err(Damaged);
            }
            let Some(entry) = rest.get(..length) else { break };
            self.entry(entry)?;
            self.next += length;
            self.passed = self.passed.saturating_add(1);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &[u8]) -> Result<(), Damaged> {
        let target_at = u16_at(entry, self.kind.target_offset_at).map_or(0, usize::from);
        let target = entry
            .get(target_at..)
            .filter(|target| target_at >= self.kind.entry_bytes && target.len() >= EXTENSION_HEAD_BYTES)
            .ok_or(Damaged)?;
        let name = until_zero(&target[EXTENSION_NAME]);
        if name == ERROR {
            self.pending = None;
            if self.next + entry.len() < self.size {
                let chain = until_zero(&target[EXTENSION_HEAD_BYTES..]);
                self.tally.enter(chain);
                if self.chains.len() < CHAINS {
                    self.chains.insert(self.next + entry.len(), chain.to_vec());
                }
            }
            return Ok(());
        }
        if let Some(chain) = self.kind.chain_at(self.info, self.next) {
            self.pending = None;
            self.tally.enter(chain.as_bytes());
        }
        if let Some(before) = self.pending.take() {
            self.tally.rule(before, &self.pending_entry);
        }
        self.pending = Some(self.hash(entry, target_at, name));
        self.pending_entry.clear();
        self.pending_entry.extend_from_slice(entry);
        Ok(())
    }

    /// The hash of what makes two rules equal: neither counters, nor where the rule lies. The kernel clears what
    /// extensions keep for themselves (`xt_match_to_user`, `xt_target_to_user`; 4.11).
    fn hash(&self, entry: &[u8], target_at: usize, target_name: &[u8]) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(&entry[..self.kind.selector_bytes]);
        hasher.write_usize(target_at);
        let verdict_at = target_at + EXTENSION_HEAD_BYTES;
        let verdict = u32_at(entry, verdict_at).map(|verdict| verdict as usize);
        // A rule without target jumps to the one behind it.
        let falls_through = target_name.is_empty() && verdict == Some(self.next + entry.len());
        let end = if falls_through { verdict_at } else { entry.len() };
        hasher.write(&entry[self.kind.entry_bytes..end]);
        hasher.finish()
    }

    /// The table's numbers. Entries that were not reached count as rules: few of them are heads or ends of chains.
    pub(super) fn finish(mut self, table: Vec<u8>, exactness: Exactness) -> TableCount {
        self.tally.unseen_elsewhere(self.kind.entries(self.info).saturating_sub(self.passed));
        let repeated = self.tally.take_most().and_then(|most| {
            let text = text::of(self.kind, &most.chain, &most.rule, |offset| {
                self.chains.get(&offset).map(Vec::as_slice)
            })?;
            Some(RepeatedRule { text, count: most.count })
        });
        TableCount { repeated, ..self.tally.finish(self.kind.family, table, None, exactness) }
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::layout::KINDS, *};

    /// A table being written: its entries, and where its built-in chains begin.
    struct Written {
        kind: &'static Kind,
        entries: Vec<u8>,
        number: u32,
        hooks: Vec<(usize, usize)>,
    }

    impl Written {
        fn new(kind: &'static Kind) -> Self {
            Self { kind, entries: Vec::new(), number: 0, hooks: Vec::new() }
        }

        /// An entry for packets `selector`, with a counter, bytes of matches and a target.
        fn entry(&mut self, selector: u8, matches: &[u8], target: &[u8], data: &[u8]) {
            let kind = self.kind;
            let start = self.entries.len();
            self.number += 1;
            self.entries.resize(start + kind.entry_bytes, 0);
            self.entries[start] = selector;
            // Counters differ for every entry.
            self.entries[start + kind.entry_bytes - 8..][..4].copy_from_slice(&u32_of(start).to_ne_bytes());
            self.entries.extend_from_slice(matches);
            let target_at = self.entries.len() - start;
            self.entries.extend_from_slice(&[0; EXTENSION_HEAD_BYTES]);
            self.entries[start + target_at + 2..][..target.len()].copy_from_slice(target);
            self.entries.extend_from_slice(data);
            let length = self.entries.len() - start;
            for (at, number) in [(kind.target_offset_at, target_at), (kind.next_offset_at, length)] {
                self.entries[start + at..][..2]
                    .copy_from_slice(&u16::try_from(number).unwrap().to_ne_bytes());
            }
        }

        fn verdict(&mut self, selector: u8, verdict: i32) {
            let mut data = [0; 8];
            data[..4].copy_from_slice(&verdict.to_ne_bytes());
            self.entry(selector, &[], b"", &data);
        }

        fn fall_through(&mut self, selector: u8) {
            let after = self.entries.len() + self.kind.entry_bytes + EXTENSION_HEAD_BYTES + 8;
            self.verdict(selector, i32::try_from(after).unwrap());
        }

        fn built_in(&mut self, hook: usize, rules: impl FnOnce(&mut Self)) {
            self.hooks.push((hook, self.entries.len()));
            rules(self);
            self.verdict(0, -2);
        }

        fn chain(&mut self, name: &str, rules: impl FnOnce(&mut Self)) {
            let mut data = [0; 32];
            data[..name.len()].copy_from_slice(name.as_bytes());
            self.entry(0, &[], ERROR, &data);
            rules(self);
            self.verdict(0, -5);
        }

        fn end(mut self) -> (Info, Vec<u8>) {
            self.entry(0, &[], ERROR, b"ERROR\0\0\0");
            let mut info = Info([0; super::super::INFO_BYTES]);
            let mut put = |at: usize, number: u32| {
                info.0[at..][..4].copy_from_slice(&number.to_ne_bytes());
            };
            for &(hook, offset) in &self.hooks {
                put(36 + 4 * hook, u32_of(offset));
            }
            put(32, self.hooks.iter().map(|(hook, _)| 1 << hook).sum());
            put(self.kind.info_bytes - 8, self.number);
            put(self.kind.info_bytes - 4, u32_of(self.entries.len()));
            (info, self.entries)
        }
    }

    fn u32_of(number: usize) -> u32 {
        u32::try_from(number).unwrap()
    }

    fn filter_table(kind: &'static Kind) -> (Info, Vec<u8>) {
        let mut table = Written::new(kind);
        table.built_in(1, |chain| {
            chain.verdict(1, -1);
            chain.verdict(2, -1);
            chain.verdict(1, -1);
            chain.fall_through(3);
            chain.fall_through(3);
        });
        table.built_in(2, |_| {});
        table.chain("leaked", |chain| {
            (0..100).for_each(|_| chain.entry(7, &[9; 48], b"LOG", &[1; 24]));
        });
        table.chain("empty", |_| {});
        table.end()
    }

    #[test]
    fn rules_are_what_is_neither_head_nor_policy_nor_return() {
        for kind in &KINDS {
            let (info, entries) = filter_table(kind);
            // Whatever the pieces.
            for piece in [1_000, 5_000, entries.len()] {
                let mut walk = Walk::new(kind, &info);
                while !walk.is_done() {
                    let start = walk.next() / 256 * 256;
                    let end = (start + piece).min(entries.len());
                    walk.feed(&entries[start..end], start).expect("whole entries");
                }
                let count = walk.finish(b"filter".to_vec(), Exactness::Exact);
                let [second, third] = [kind.hooks[1], kind.hooks[2]].map(|name| name.as_bytes().to_vec());
                assert_eq!((count.entries, count.chains), (105, 4), "{kind:?}, {third:?}");
                assert_eq!((count.examined, count.duplicates), (105, 2 + 99));
                assert_eq!(count.largest, [(b"leaked".to_vec(), 100), (second, 5)]);
            }
        }
    }

    #[test]
    fn entries_that_there_was_no_time_for_count_by_their_number() {
        let (info, entries) = filter_table(&KINDS[0]);
        let mut walk = Walk::new(&KINDS[0], &info);
        walk.feed(&entries[..entries.len() / 2], 0).expect("whole entries");
        let count = walk.finish(b"filter".to_vec(), Exactness::AtMost);
        // Each of the four chains ends with an entry that is no rule, two of them begin with one, and the table ends.
        assert!((105..=105 + 4 + 2 + 1).contains(&count.entries), "{}", count.entries);
        assert!(count.examined < 105);
    }

    #[test]
    fn a_table_cut_short_is_damaged_and_not_counted() {
        let (info, entries) = filter_table(&KINDS[0]);
        let mut walk = Walk::new(&KINDS[0], &info);
        // Where the kernel wrote nothing there are zeros.
        let mut cut = entries.clone();
        cut[entries.len() / 2..].fill(0);
        assert_eq!(walk.feed(&cut, 0), Err(Damaged));
        assert!(!walk.is_done());
        assert_eq!(walk.feed(&entries[..10], 1 << 20), Err(Damaged));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_otherwise(
            noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
            numbers in proptest::collection::vec((32_usize..84, any::<u8>()), 0..4),
            piece in 1_usize..40_000,
        ) {
            for kind in &KINDS {
                let (mut info, mut entries) = filter_table(kind);
                for (at, byte) in &noise {
                    let at = at.index(entries.len());
                    entries[at] = *byte;
                }
                for &(at, byte) in &numbers {
                    info.0[at] = byte;
                }
                let mut walk = Walk::new(kind, &info);
                loop {
                    let before = walk.next();
                    let start = before.min(entries.len());
                    let end = (start + piece).min(entries.len());
                    if walk.feed(&entries[start..end], start).is_err() || walk.next() == before {
                        break;
                    }
                }
            }
        }
    }
}
