//! Tables that never outgrow a limit.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// A table of at most `limit` entries. A new key in a full table takes the place of the entry that was touched
/// longest ago; such evictions are counted. Touching costs the same whatever the size.
#[derive(Clone, Debug)]
pub struct Bounded<K, V> {
    positions: FxHashMap<K, usize>,
    slots: Vec<Slot<K, V>>,
    /// Ends of the list of slots in the order they were touched; meaningless while there are none.
    newest: usize,
    oldest: usize,
    limit: usize,
    evicted: u64,
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    /// The neighbours in the order of touching; an end points to itself.
    newer: usize,
    older: usize,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// An empty table of at most `limit` entries, at least 1.
    pub fn new(limit: usize) -> Self {
        Self {
            positions: FxHashMap::default(),
            slots: Vec::new(),
            newest: 0,
            oldest: 0,
            limit: limit.max(1),
            evicted: 0,
        }
    }

    /// The entry of `key`, made by `make` if there is none, now the newest.
    pub fn touch(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let position = match self.positions.get(&key) {
            Some(&position) => {
                self.move_to_front(position);
                position
            }
            None if self.slots.len() < self.limit => self.push(key, make()),
            None => self.replace_oldest(key, make()),
        };
        &mut self.slots[position].value
    }

    /// The entry of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.positions.get(key).map(|&position| &self.slots[position].value)
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + Clone {
        self.slots.iter().map(|slot| (&slot.key, &slot.value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many entries were given up for newer ones.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn push(&mut self, key: K, value: V) -> usize {
        let position = self.slots.len();
        self.positions.insert(key.clone(), position);
        self.slots.push(Slot { key, value, newer: position, older: position });
        if position == 0 {
            (self.newest, self.oldest) = (0, 0);
        } else {
            self.put_in_front(position);
        }
        position
    }

    fn replace_oldest(&mut self, key: K, value: V) -> usize {
        let position = self.oldest;
        self.move_to_front(position);
        let slot = &mut self.slots[position];
        self.positions.remove(&slot.key);
        self.positions.insert(key.clone(), position);
        slot.key = key;
        slot.value = value;
        self.evicted += 1;
        position
    }

    fn move_to_front(&mut self, position: usize) {
        if position == self.newest {
            return;
        }
        // It is not the newest, so there is one newer than it.
        let Slot { newer, older, .. } = self.slots[position];
        if position == self.oldest {
            self.slots[newer].older = newer;
            self.oldest = newer;
        } else {
            self.slots[newer].older = older;
            self.slots[older].newer = newer;
        }
        self.put_in_front(position);
    }

    fn put_in_front(&mut self, position: usize) {
        let before = self.newest;
        self.slots[before].newer = position;
        self.slots[position].older = before;
        self.slots[position].newer = position;
        self.newest = position;
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
