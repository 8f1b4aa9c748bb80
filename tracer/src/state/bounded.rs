//! Tables that never outgrow a limit.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    hash::{BuildHasher as _, Hash},
};

use hashbrown::{HashTable, hash_table::Entry as Place};
use rustc_hash::FxBuildHasher;

/// A table of at most `limit` entries. A new key in a full table takes the place of the entry that was touched
/// longest ago; such evictions are counted.
///
/// A storm touches entries in no order, each a miss of the cache. So a touch writes nothing but the entry itself: when it
/// was touched. Which one was touched longest ago is asked only of a full table: a heap has every entry by when it was
/// touched at some time in the past, and the entry at its top is either as old as that, or put back in its real place.
#[derive(Clone, Debug)]
pub struct Bounded<K, V> {
    /// Positions, found by the hash of the key there.
    positions: HashTable<u32>,
    entries: Vec<Entry<K, V>>,
    /// Every entry once, the one touched longest ago first, as far as is known. Empty until the table is full.
    order: BinaryHeap<Reverse<(u64, u32)>>,
    /// How often anything was touched.
    touches: u64,
    limit: usize,
    evicted: u64,
}

#[derive(Clone, Debug)]
struct Entry<K, V> {
    /// The count of touches when it was touched last.
    touched: u64,
    key: K,
    value: V,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// An empty table of at most `limit` entries, at least 1 and at most 2^32 - 1.
    pub fn new(limit: usize) -> Self {
        Self {
            positions: HashTable::new(),
            entries: Vec::new(),
            order: BinaryHeap::new(),
            touches: 0,
            limit: limit.clamp(1, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// The entry of `key`, made by `make` if there is none, now the newest.
    pub fn touch(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.touches += 1;
        let touched = self.touches;
        let Self { positions, entries, .. } = self;
        let place = positions.entry(
            hash(&key),
            |&position| entries[position as usize].key == key,
            |&position| hash(&entries[position as usize].key),
        );
        let position = match place {
            Place::Occupied(known) => {
                let position = *known.get();
                entries[position as usize].touched = touched;
                position
            }
            Place::Vacant(free) if entries.len() < self.limit => {
                #[expect(clippy::cast_possible_truncation, reason = "the limit fits")]
                let position = entries.len() as u32;
                free.insert(position);
                entries.push(Entry { touched, key, value: make() });
                position
            }
            Place::Vacant(_) => self.replace_oldest(Entry { touched, key, value: make() }),
        };
        &mut self.entries[position as usize].value
    }

    /// The entry of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        let position =
            self.positions.find(hash(key), |&position| self.entries[position as usize].key == *key)?;
        Some(&self.entries[*position as usize].value)
    }

    /// The entry of `key` with the key as it is kept.
    pub fn entry(&self, key: &K) -> Option<(&K, &V)> {
        let position =
            self.positions.find(hash(key), |&position| self.entries[position as usize].key == *key)?;
        let Entry { key, value, .. } = &self.entries[*position as usize];
        Some((key, value))
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + Clone {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries were given up for newer ones.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Bytes of the entries and of what they are found by, without what hangs on them.
    pub(super) fn memory_bytes(&self) -> usize {
        let entry_bytes = size_of::<Entry<K, V>>() + 2 * size_of::<u32>();
        self.entries.len() * entry_bytes + self.order.len() * size_of::<Reverse<(u64, u32)>>()
    }

    /// Puts an entry in the place of the one touched longest ago, and says where that is.
    fn replace_oldest(&mut self, entry: Entry<K, V>) -> u32 {
        let position = self.oldest();
        let Self { positions, entries, order, .. } = self;
        let old = hash(&entries[position as usize].key);
        if let Ok(found) = positions.find_entry(old, |&other| other == position) {
            found.remove();
        }
        order.push(Reverse((entry.touched, position)));
        let new = hash(&entry.key);
        entries[position as usize] = entry;
        positions.insert_unique(new, position, |&other| hash(&entries[other as usize].key));
        self.evicted += 1;
        position
    }

    /// Takes the entry touched longest ago out of the order.
    fn oldest(&mut self) -> u32 {
        let Self { entries, order, .. } = self;
        if order.is_empty() {
            let touched =
                (0_u32..).zip(&*entries).map(|(position, entry)| Reverse((entry.touched, position)));
            *order = touched.collect();
        }
        // Each entry put back was touched since it was put there, so this costs no more than the touches did.
        while let Some(Reverse((known, position))) = order.pop() {
            let touched = entries[position as usize].touched;
            if touched == known {
                return position;
            }
            order.push(Reverse((touched, position)));
        }
        // Only a full table is asked, which has an entry at least.
        0
    }
}

fn hash(key: &impl Hash) -> u64 {
    FxBuildHasher.hash_one(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Bounded;

    /// The same table, kept naively: newest last.
    fn naive(limit: usize, touched: &[u8]) -> (Vec<(u8, u32)>, u64) {
        let mut entries: Vec<(u8, u32)> = Vec::new();
        let mut evicted = 0;
        for &key in touched {
            let count = match entries.iter().position(|&(known, _)| known == key) {
                Some(position) => entries.remove(position).1,
                None if entries.len() < limit => 0,
                None => {
                    entries.remove(0);
                    evicted += 1;
                    0
                }
            };
            entries.push((key, count + 1));
        }
        entries.sort_unstable();
        (entries, evicted)
    }

    proptest! {
        #[test]
        fn it_keeps_what_a_naive_table_keeps(limit in 1usize..12, touched in proptest::collection::vec(0u8..20, 0..300)) {
            let mut table = Bounded::new(limit);
            for &key in &touched {
                *table.touch(key, || 0u32) += 1;
            }
            let mut entries: Vec<(u8, u32)> = table.iter().map(|(&key, &count)| (key, count)).collect();
            entries.sort_unstable();
            prop_assert_eq!((entries, table.evicted()), naive(limit, &touched));
            for key in 0..20 {
                prop_assert_eq!(table.get(&key).is_some(), table.iter().any(|(&known, _)| known == key));
            }
        }
    }
}
