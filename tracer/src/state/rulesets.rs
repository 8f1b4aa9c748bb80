//! How many rules the tables have, and how that came about.

use std::collections::VecDeque;

use super::bounded::Bounded;
use crate::event::{
    ChainEntries, Netns, RepeatedRule, Ruleset, RulesetBackend, RulesetChange, RulesetExactness,
    RulesetFamily, Text, Timestamp,
};

/// Counts kept of a table.
pub const RULESET_HISTORY: usize = 64;

/// A table of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableKey {
    /// Inode number of the namespace.
    pub netns: Netns,
    /// Where the table is.
    pub backend: RulesetBackend,
    /// What packets it is for.
    pub family: RulesetFamily,
    /// Its name.
    pub table: Text,
}

/// Tables by namespace and name.
pub type Rulesets = Bounded<TableKey, Table>;

/// What is known of a table.
#[derive(Clone, Debug)]
pub struct Table {
    /// When it was counted first.
    pub first: Timestamp,
    /// When it was counted last.
    pub last: Timestamp,
    /// When it last changed; `None` if it never did.
    pub changed: Option<Timestamp>,
    /// What became of it last.
    pub change: RulesetChange,
    /// Rules of all chains.
    pub entries: u32,
    /// The most rules it ever had.
    pub most_entries: u32,
    /// Rules that were looked at.
    pub examined: u32,
    /// Those of them that are equal to an earlier one of their chain.
    pub duplicates: u32,
    /// Since when there are such, as far as it was counted; `None` while there are none.
    pub duplicated: Option<Timestamp>,
    /// Chains, with and without rules.
    pub chains: u32,
    /// The chains with the most rules.
    pub largest: Vec<ChainEntries>,
    /// A rule that is there more than once.
    pub repeated: Option<RepeatedRule>,
    /// How exact the numbers are.
    pub exactness: RulesetExactness,
    /// Counts since the first, oldest first, at most [`RULESET_HISTORY`]; thinned out, the first and the last kept.
    pub history: VecDeque<(Timestamp, u32)>,
}

impl Table {
    /// Rules that came, or went, since the table was counted first.
    pub fn growth(&self) -> i64 {
        let first = self.history.front().map_or(self.entries, |(_, entries)| *entries);
        i64::from(self.entries) - i64::from(first)
    }

    /// Whether it is gone.
    pub fn is_removed(&self) -> bool {
        self.change == RulesetChange::Removed
    }

    fn remember(&mut self, time: Timestamp, entries: u32) {
        if self.history.len() == RULESET_HISTORY {
            // Every other one goes, but the first.
            let mut place = 0;
            self.history.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        self.history.push_back((time, entries));
    }
}

/// Takes a count in.
pub(super) fn counted(rulesets: &mut Rulesets, netns: Netns, time: Timestamp, counted: &Ruleset) {
    let key =
        TableKey { netns, backend: counted.backend, family: counted.family, table: counted.table.clone() };
    let table = rulesets.touch(key, || Table {
        first: time,
        last: time,
        changed: None,
        change: counted.change,
        entries: 0,
        most_entries: 0,
        examined: 0,
        duplicates: 0,
        duplicated: None,
        chains: 0,
        largest: Vec::new(),
        repeated: None,
        exactness: counted.exactness,
        history: VecDeque::new(),
    });
    let ago_ns = counted.changed_ms_ago.map(|ago_ms| u64::from(ago_ms) * 1_000_000);
    table.last = table.last.max(time);
    table.changed = ago_ns.map(|ago_ns| time.earlier_by_ns(ago_ns)).or(table.changed);
    table.change = counted.change;
    table.entries = counted.entries;
    table.most_entries = table.most_entries.max(counted.entries);
    table.examined = counted.examined;
    table.duplicates = counted.duplicates;
    table.duplicated = (counted.duplicates > 0).then(|| table.duplicated.unwrap_or(time));
    table.chains = counted.chains;
    table.largest.clone_from(&counted.largest);
    table.repeated.clone_from(&counted.repeated);
    table.exactness = counted.exactness;
    if table.history.is_empty()
        && let Some(previous) = counted.previous
    {
        // It was made, or this began to look, after the namespace was counted first.
        table.remember(table.first, previous);
    }
    table.remember(time, counted.entries);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::fixture;

    fn filter(entries: u32, previous: Option<u32>) -> Ruleset {
        Ruleset { entries, previous, changed_ms_ago: previous.map(|_| 500), ..fixture::ruleset("filter") }
    }

    #[test]
    fn growth_is_since_the_first_count() {
        let mut rulesets = Bounded::new(4);
        counted(&mut rulesets, Netns::here(1), fixture::at(1_000), &filter(10, None));
        counted(&mut rulesets, Netns::here(1), fixture::at(9_000), &filter(110, Some(10)));
        let (_, table) = rulesets.iter().next().expect("one table");
        assert_eq!((table.entries, table.growth(), table.most_entries), (110, 100, 110));
        assert_eq!((table.first, table.changed), (fixture::at(1_000), Some(fixture::at(8_500))));
        // The same name elsewhere is another table.
        counted(&mut rulesets, Netns::here(2), fixture::at(9_000), &filter(7, Some(0)));
        assert_eq!(rulesets.len(), 2);
        let other = rulesets.iter().find(|(key, _)| key.netns.inode == 2).expect("the other");
        assert_eq!(other.1.growth(), 7);
    }

    #[test]
    fn a_long_history_keeps_its_ends() {
        let mut rulesets = Bounded::new(1);
        for step in 0..1_000_u32 {
            let previous = step.checked_sub(1);
            counted(
                &mut rulesets,
                Netns::here(1),
                fixture::at(u64::from(step) * 1_000),
                &filter(step, previous),
            );
        }
        let (_, table) = rulesets.iter().next().expect("one table");
        assert!(table.history.len() <= RULESET_HISTORY);
        assert_eq!(table.history.front(), Some(&(fixture::at(0), 0)));
        assert_eq!(table.history.back(), Some(&(fixture::at(999_000), 999)));
        assert!(table.history.iter().is_sorted());
        assert_eq!(table.growth(), 999);
    }
}
