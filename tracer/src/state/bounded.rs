//! Tables that never outgrow a limit.

use std::hash::{BuildHasher as _, Hash};

use hashbrown::{HashTable, hash_table::Entry};
use rustc_hash::FxBuildHasher;

/// A table of at most `limit` entries. A new key in a full table takes the place of the entry that was touched
/// longest ago; such evictions are counted. Touching costs the same whatever the size.
///
/// A storm touches entries in no order, each a miss of the cache. So keys are kept once, beside their values, and what
/// is touched of other entries, their place in the order, lies apart in 8 bytes each.
#[derive(Clone, Debug)]
pub struct Bounded<K, V> {
    /// Positions, found by the hash of the key there.
    positions: HashTable<u32>,
    entries: Vec<(K, V)>,
    /// The place of each entry in the order of touching.
    links: Vec<Link>,
    /// Ends of that order; meaningless while there are no entries.
    newest: u32,
    oldest: u32,
    limit: usize,
    evicted: u64,
}

/// The neighbours in the order of touching; an end points to itself.
#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// An empty table of at most `limit` entries, at least 1 and at most 2^32 - 1.
    pub fn new(limit: usize) -> Self {
        Self {
            positions: HashTable::new(),
            entries: Vec::new(),
            links: Vec::new(),
            newest: 0,
            oldest: 0,
            limit: limit.clamp(1, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// The entry of `key`, made by `make` if there is none, now the newest.
    pub fn touch(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let Self { positions, entries, .. } = self;
        let entry = positions.entry(
            hash(&key),
            |&position| entries[position as usize].0 == key,
            |&position| hash(&entries[position as usize].0),
        );
        let position = match entry {
            Entry::Occupied(known) => {
                let position = *known.get();
                self.move_to_front(position);
                position
            }
            Entry::Vacant(place) if entries.len() < self.limit => {
                #[expect(clippy::cast_possible_truncation, reason = "the limit fits")]
                let position = entries.len() as u32;
                place.insert(position);
                self.push(position, key, make());
                position
            }
            Entry::Vacant(_) => self.replace_oldest(key, make()),
        };
        &mut self.entries[position as usize].1
    }

    /// The entry of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The entry of `key` with the key as it is kept.
    pub fn entry(&self, key: &K) -> Option<(&K, &V)> {
        let position =
            self.positions.find(hash(key), |&position| self.entries[position as usize].0 == *key)?;
        let (key, value) = &self.entries[*position as usize];
        Some((key, value))
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + Clone {
        self.entries.iter().map(|(key, value)| (key, value))
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

    fn push(&mut self, position: u32, key: K, value: V) {
        self.entries.push((key, value));
        self.links.push(Link { newer: position, older: position });
        if position == 0 {
            (self.newest, self.oldest) = (0, 0);
        } else {
            self.put_in_front(position);
        }
    }

    fn replace_oldest(&mut self, key: K, value: V) -> u32 {
        let position = self.oldest;
        self.move_to_front(position);
        let Self { positions, entries, .. } = self;
        let old = hash(&entries[position as usize].0);
        if let Ok(found) = positions.find_entry(old, |&other| other == position) {
            found.remove();
        }
        let new = hash(&key);
        entries[position as usize] = (key, value);
        positions.insert_unique(new, position, |&other| hash(&entries[other as usize].0));
        self.evicted += 1;
        position
    }

    fn move_to_front(&mut self, position: u32) {
        if position == self.newest {
            return;
        }
        // It is not the newest, so there is one newer than it.
        let Link { newer, older } = self.links[position as usize];
        if position == self.oldest {
            self.links[newer as usize].older = newer;
            self.oldest = newer;
        } else {
            self.links[newer as usize].older = older;
            self.links[older as usize].newer = newer;
        }
        self.put_in_front(position);
    }

    fn put_in_front(&mut self, position: u32) {
        let before = self.newest;
        self.links[before as usize].newer = position;
        self.links[position as usize] = Link { newer: position, older: before };
        self.newest = position;
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
