//! Tables that never outgrow a limit.

use std::{cmp::Reverse, collections::BinaryHeap, hash::Hash};

use super::{
    index::{Hashed, Index},
    prefetch::{in_huge_pages, prefetch},
};

/// A table of at most `limit` entries. A new key in a full table takes the place of the entry that was touched
/// longest ago; such evictions are counted.
///
/// A storm touches entries in no order, each a miss of the cache. So a touch writes nothing but the entry itself: when it
/// was touched. Which one was touched longest ago is asked only of a full table: a heap has every entry by when it was
/// touched at some time in the past, and the entry at its top is either as old as that, or put back in its real place.
///
/// The hash of every key stands beside its position. So the one entry that matters is found before it has been read, and
/// can be asked for ([`ask`](Self::ask)); and a table grows without a look at the entries.
#[derive(Clone, Debug)]
pub struct Bounded<K, V> {
    index: Index,
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
            index: Index::default(),
            entries: Vec::new(),
            order: BinaryHeap::new(),
            touches: 0,
            limit: limit.clamp(1, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// The entry of `key`, made by `make` if there is none, now the newest.
    pub fn touch(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let hash = Hashed::of(&key);
        self.touch_hashed(hash, key, make).1
    }

    /// The same with what was asked for before, if it was, and with the position of the entry. It takes no look-up if
    /// that is known already, and makes no key: `is_meant` says whether one is that of the entry.
    pub(super) fn touch_asked(
        &mut self,
        asked: Option<Asked>,
        is_meant: impl FnOnce(&K) -> bool,
        key: impl FnOnce() -> K,
        make: impl FnOnce() -> V,
    ) -> (u32, &mut V) {
        let Some(Asked { hash, position }) = asked else {
            let key = key();
            return self.touch_hashed(Hashed::of(&key), key, make);
        };
        // Another entry may have come there since, or one with the same hash have been meant.
        if !self.entries.get(position as usize).is_some_and(|entry| is_meant(&entry.key)) {
            return self.touch_hashed(hash, key(), make);
        }
        self.touches += 1;
        let entry = &mut self.entries[position as usize];
        entry.touched = self.touches;
        (position, &mut entry.value)
    }

    fn touch_hashed(&mut self, hash: Hashed, key: K, make: impl FnOnce() -> V) -> (u32, &mut V) {
        self.touches += 1;
        let touched = self.touches;
        let known = self.find(hash, &key);
        let position = match known {
            Some(position) => {
                self.entries[position as usize].touched = touched;
                position
            }
            None if self.entries.len() < self.limit => {
                make_room(&mut self.entries, self.limit);
                #[expect(clippy::cast_possible_truncation, reason = "the limit fits")]
                let position = self.entries.len() as u32;
                self.index.insert(hash, position);
                self.entries.push(Entry { touched, key, value: make() });
                position
            }
            None => self.replace_oldest(hash, Entry { touched, key, value: make() }),
        };
        (position, &mut self.entries[position as usize].value)
    }

    fn find(&self, hash: Hashed, key: &K) -> Option<u32> {
        self.index.find(hash, |position| self.entries[position as usize].key == *key)
    }

    /// Asks for the place where the entry of `key` is told to come from memory, and does not wait for it.
    pub(super) fn ask(&self, key: &K) -> Asked {
        let hash = Hashed::of(key);
        self.index.prefetch(hash);
        Asked { hash, position: u32::MAX }
    }

    /// Asks for the entry itself, a while later.
    pub(super) fn ask_entry(&self, asked: &mut Asked) {
        // As far as can be told without looking at it.
        if let Some(position) = self.index.find(asked.hash, |_| true) {
            asked.position = position;
            if let Some(entry) = self.entries.get(position as usize) {
                prefetch(entry);
            }
        }
    }

    /// The entry of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The entry of `key` with the key as it is kept.
    pub fn entry(&self, key: &K) -> Option<(&K, &V)> {
        let position = self.find(Hashed::of(key), key)?;
        let Entry { key, value, .. } = &self.entries[position as usize];
        Some((key, value))
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + Clone {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }

    /// All entries, to be changed: none counts as touched.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|entry| (&entry.key, &mut entry.value))
    }

    /// Forgets the entries that are not to be kept; they are no evictions. Positions are others then.
    pub(super) fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        let is_kept = |entry: &Entry<K, V>| keep(&entry.key, &entry.value);
        if self.entries.iter().all(is_kept) {
            return;
        }
        self.entries.retain(is_kept);
        self.index = Index::default();
        for (position, entry) in (0_u32..).zip(&self.entries) {
            self.index.insert(Hashed::of(&entry.key), position);
        }
        // It is asked of a full table only, and made anew then.
        self.order.clear();
    }

    /// The entries at these positions, in their order.
    pub(super) fn at(&self, positions: Vec<u32>) -> impl Iterator<Item = (&K, &V)> {
        /// Entries asked for before their turn: enough for the waits to overlap.
        const AHEAD: usize = 8;
        (0..positions.len()).filter_map(move |place| {
            if let Some(later) =
                positions.get(place + AHEAD).and_then(|&later| self.entries.get(later as usize))
            {
                prefetch(later);
            }
            let Entry { key, value, .. } = self.entries.get(positions[place] as usize)?;
            Some((key, value))
        })
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
        let entry_bytes = size_of::<Entry<K, V>>() + size_of::<u64>();
        self.entries.len() * entry_bytes + self.order.len() * size_of::<Reverse<(u64, u32)>>()
    }

    /// Puts an entry in the place of the one touched longest ago, and says where that is.
    fn replace_oldest(&mut self, hash: Hashed, entry: Entry<K, V>) -> u32 {
        let position = self.oldest();
        let Self { index, entries, order, .. } = self;
        index.remove(Hashed::of(&entries[position as usize].key), position);
        order.push(Reverse((entry.touched, position)));
        entries[position as usize] = entry;
        index.insert(hash, position);
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

/// An entry that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    hash: Hashed,
    /// Where it probably is; too large if that is not known.
    position: u32,
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
