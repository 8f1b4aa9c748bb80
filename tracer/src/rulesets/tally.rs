//! A table's numbers, added up chain by chain.

use std::mem;

use super::{
    Exactness, TableCount,
    duplicates::{Hashes, Repeated},
};

/// Chains told by name.
pub(crate) const LARGEST: usize = 8;

/// Adds up one table. The rules of a chain come one after the other.
#[derive(Debug)]
pub(crate) struct Tally {
    entries: u32,
    examined: u32,
    duplicates: u32,
    chains: u32,
    largest: Vec<(Vec<u8>, u32)>,
    chain: Vec<u8>,
    is_in_chain: bool,
    chain_entries: u32,
    hashes: Hashes,
    most: Option<MostRepeated>,
}

/// The rule that is there most often in one chain.
#[derive(Debug)]
pub(crate) struct MostRepeated {
    pub(crate) chain: Vec<u8>,
    /// As it was given.
    pub(crate) rule: Vec<u8>,
    pub(crate) count: u32,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            entries: 0,
            examined: 0,
            duplicates: 0,
            chains: 0,
            largest: Vec::new(),
            chain: Vec::new(),
            is_in_chain: false,
            chain_entries: 0,
            hashes: Hashes::default(),
            most: None,
        }
    }

    /// Whether the rules that come now are of this chain.
    pub(crate) fn is_in(&self, chain: &[u8]) -> bool {
        self.is_in_chain && self.chain == chain
    }

    /// The rules that follow are of this chain.
    pub(crate) fn enter(&mut self, chain: &[u8]) {
        self.leave();
        self.chain.clear();
        self.chain.extend_from_slice(chain);
        self.is_in_chain = true;
        self.chains = self.chains.saturating_add(1);
    }

    /// One rule, by its hash; of those with one hash, one may be given back.
    pub(crate) fn rule(&mut self, hash: u64, rule: &[u8]) {
        self.chain_entries = self.chain_entries.saturating_add(1);
        self.examined = self.examined.saturating_add(u32::from(self.hashes.add(hash, rule)));
    }

    /// Rules of the chain that are there, but not looked at.
    pub(crate) fn unseen(&mut self, entries: u32) {
        self.chain_entries = self.chain_entries.saturating_add(entries);
    }

    /// Rules that are there, but not looked at, whatever their chain.
    pub(crate) fn unseen_elsewhere(&mut self, entries: u32) {
        self.entries = self.entries.saturating_add(entries);
    }

    /// Rules of the chain so far.
    pub(crate) fn chain_entries(&self) -> u32 {
        self.chain_entries
    }

    fn leave(&mut self) {
        let entries = mem::take(&mut self.chain_entries);
        self.entries = self.entries.saturating_add(entries);
        let Repeated { duplicates, most } = self.hashes.take_repeated();
        self.duplicates = self.duplicates.saturating_add(duplicates);
        if let Some((count, rule)) = most
            && self.most.as_ref().is_none_or(|most| most.count < count)
        {
            self.most = Some(MostRepeated { chain: self.chain.clone(), rule, count });
        }
        if entries > 0 && mem::take(&mut self.is_in_chain) {
            let place = self.largest.partition_point(|(_, more)| *more >= entries);
            if place < LARGEST {
                self.largest.truncate(LARGEST - 1);
                self.largest.insert(place, (self.chain.clone(), entries));
            }
        }
    }

    /// The rule that is there most often, once all chains are through.
    pub(crate) fn take_most(&mut self) -> Option<MostRepeated> {
        self.leave();
        self.most.take()
    }

    /// The table's numbers. `chains`, if given, counts the chains without rules too.
    pub(crate) fn finish(
        mut self,
        family: u8,
        table: Vec<u8>,
        chains: Option<u32>,
        exactness: Exactness,
    ) -> TableCount {
        self.leave();
        TableCount {
            family,
            table,
            entries: self.entries,
            examined: self.examined,
            duplicates: self.duplicates,
            chains: chains.unwrap_or(self.chains),
            largest: self.largest,
            repeated: None,
            exactness,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exactness, LARGEST, Tally};

    #[test]
    fn the_longest_chains_are_told_and_duplicates_stay_within_a_chain() {
        let mut tally = Tally::new();
        for chain in 0..20_u8 {
            tally.enter(&[b'a' + chain]);
            assert!(tally.is_in(&[b'a' + chain]) && !tally.is_in(b"other"));
            // Chain `a` has no rule, `b` one, … and each but the first of a chain repeats it.
            (0..chain).for_each(|_| tally.rule(42, b"rule"));
        }
        let most = tally.take_most().map(|most| (most.chain, most.rule, most.count));
        assert_eq!(most, Some((b"t".to_vec(), b"rule".to_vec(), 19)));
        let count = tally.finish(2, b"filter".to_vec(), None, Exactness::Exact);
        assert_eq!(count.examined, 190);
        assert_eq!((count.entries, count.chains, count.duplicates), (190, 20, 190 - 19));
        let expected: Vec<(Vec<u8>, u32)> =
            (0..8_u8).map(|place| (vec![b't' - place], 19 - u32::from(place))).collect();
        assert_eq!(expected.len(), LARGEST);
        assert_eq!(count.largest, expected);
    }

    #[test]
    fn rules_not_looked_at_count_and_are_no_duplicates() {
        let mut tally = Tally::new();
        tally.enter(b"leaked");
        tally.rule(1, &[]);
        tally.rule(1, &[]);
        tally.unseen(100);
        assert_eq!(tally.chain_entries(), 102);
        let count = tally.finish(2, b"filter".to_vec(), None, Exactness::AtMost);
        assert_eq!((count.entries, count.examined, count.duplicates), (102, 2, 1));
        assert_eq!(count.largest, [(b"leaked".to_vec(), 102)]);
    }

    #[test]
    fn nothing_is_no_rule() {
        let count = Tally::new().finish(1, b"empty".to_vec(), Some(3), Exactness::Exact);
        assert_eq!((count.entries, count.chains, count.duplicates), (0, 3, 0));
        assert!(count.largest.is_empty());
    }
}
