//! Tables that never outgrow a limit.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    hash::{BuildHasher as _, Hash},
};

use hashbrown::{HashTable, hash_table::Entry as Place};
use rustc_hash::FxBuildHasher;

use super::prefetch::{in_huge_pages, prefetch};

/// A table of at most `limit` entries. A new key in a full table takes the place of the entry that was touched
/// longest ago; such evictions are counted.
///
/// A storm touches entries in no order, each a miss of the cache. So a touch writes nothing but the entry itself: when it
/// was touched. Which one was touched longest ago is asked only of a full table: a heap has every entry by when it was
/// touched at some time in the past, and the entry at its top is either as old as that, or put back in its real place.
///
/// The hash of every key stands beside its position. So the one entry that matters is found before it has been read, and
/// can be asked for ([`prefetch`](Self::prefetch)); and a table grows without a look at the entries.
#[derive(Clone, Debug)]
pub struct Bounded<K, V> {
    positions: HashTable<Position>,
    entries: Vec<Entry<K, V>>,
    /// Every entry once, the one touched longest ago first, as far as is known. Empty until the table is full.
    order: BinaryHeap<Reverse<(u64, u32)>>,
    /// How often anything was touched.
    touches: u64,
    limit: usize,
    evicted: u64,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug)]
struct Position {
    hash: Hashed,
    index: u32,
}

impl Position {
    fn index(self) -> usize {
        self.index as usize
    }
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
        let hash = Hashed::of(&key);
        let Self { positions, entries, .. } = self;
        let is_it = |known: &Position| known.hash == hash && entries[known.index()].key == key;
        let index = match positions.entry(hash.spread(), is_it, |known| known.hash.spread()) {
            Place::Occupied(known) => {
                let index = known.get().index;
                entries[index as usize].touched = touched;
                index
            }
            Place::Vacant(free) if entries.len() < self.limit => {
                make_room(entries, self.limit);
                #[expect(clippy::cast_possible_truncation, reason = "the limit fits")]
                let index = entries.len() as u32;
                free.insert(Position { hash, index });
                entries.push(Entry { touched, key, value: make() });
                index
            }
            Place::Vacant(_) => self.replace_oldest(hash, Entry { touched, key, value: make() }),
        };
        &mut self.entries[index as usize].value
    }

    /// The same, if the entry is where [`prefetch`](Self::prefetch) found one, without looking it up again.
    pub(super) fn touch_at(&mut self, likely: Likely, key: K, make: impl FnOnce() -> V) -> &mut V {
        let index = likely.0 as usize;
        // Another entry may have come there since, or one with the same hash have been meant.
        if self.entries.get(index).is_none_or(|entry| entry.key != key) {
            return self.touch(key, make);
        }
        self.touches += 1;
        let entry = &mut self.entries[index];
        entry.touched = self.touches;
        &mut entry.value
    }

    /// Asks for the entry of `key` to come from memory and does not wait for it: where it is, as far as can be told
    /// without looking at it.
    pub(super) fn prefetch(&self, key: &K) -> Likely {
        let hash = Hashed::of(key);
        let Some(found) = self.positions.find(hash.spread(), |known| known.hash == hash) else {
            return Likely::NOWHERE;
        };
        if let Some(entry) = self.entries.get(found.index()) {
            prefetch(entry);
        }
        Likely(found.index)
    }

    /// The entry of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The entry of `key` with the key as it is kept.
    pub fn entry(&self, key: &K) -> Option<(&K, &V)> {
        let hash = Hashed::of(key);
        let is_it = |known: &Position| known.hash == hash && self.entries[known.index()].key == *key;
        let found = self.positions.find(hash.spread(), is_it)?;
        let Entry { key, value, .. } = &self.entries[found.index()];
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
    fn replace_oldest(&mut self, hash: Hashed, entry: Entry<K, V>) -> u32 {
        let index = self.oldest();
        let Self { positions, entries, order, .. } = self;
        let old = Hashed::of(&entries[index as usize].key);
        if let Ok(found) = positions.find_entry(old.spread(), |known| known.index == index) {
            found.remove();
        }
        order.push(Reverse((entry.touched, index)));
        entries[index as usize] = entry;
        positions.insert_unique(hash.spread(), Position { hash, index }, |known| known.hash.spread());
        self.evicted += 1;
        index
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

/// Makes room for one more. A table that has become large gets the room for all it may hold at once: memory that nobody
/// has written is none, and entries are never moved again.
fn make_room<T>(entries: &mut Vec<T>, limit: usize) {
    const LARGE: usize = 4_096;
    const AT_ONCE: usize = 31;
    let length = entries.len();
    if length >= LARGE && length == entries.capacity() {
        entries.reserve_exact((limit - length).min(length.saturating_mul(AT_ONCE)));
        in_huge_pages(entries);
    }
}

/// Where an entry probably is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Likely(u32);

impl Likely {
    /// It has to be looked up.
    pub(super) const NOWHERE: Self = Self(u32::MAX);
}

/// A hash of few bytes, for there is one for every entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hashed(u32);

impl Hashed {
    fn of(key: &impl Hash) -> Self {
        let hash = FxBuildHasher.hash_one(key);
        #[expect(clippy::cast_possible_truncation, reason = "both halves count")]
        let folded = (hash ^ (hash >> 32)) as u32;
        Self(folded)
    }

    /// As the table wants it, which goes by the lowest bits and the highest.
    fn spread(self) -> u64 {
        (u64::from(self.0) << 32) | u64::from(self.0)
    }
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
