//! Where the entries of a table are, by the hashes of their keys.

use std::hash::{BuildHasher as _, Hash};

use rustc_hash::FxBuildHasher;

use super::prefetch::prefetch_line;

/// A hash of few bytes, for there is one for every entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hashed(u32);

impl Hashed {
    pub(super) fn of(key: &impl Hash) -> Self {
        let hash = FxBuildHasher.hash_one(key);
        #[expect(clippy::cast_possible_truncation, reason = "both halves count")]
        let folded = (hash ^ (hash >> 32)) as u32;
        Self(folded)
    }
}

/// Positions of entries, each with the hash of its key: open addressing, one place after the other.
///
/// A position and its hash are one word, so nearly every question is answered from one line of the cache, and that line
/// is known from the hash alone: whoever knows early what will be asked can have it brought ([`prefetch`](Self::prefetch)).
/// Tables that keep their control bytes apart need two lines, and tell neither.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// 0, or the hash above the position plus 1. A power of two of them, or none.
    slots: Vec<u64>,
    entries: usize,
}

impl Index {
    /// The position of the entry with that hash that is the one meant.
    pub(super) fn find(&self, hash: Hashed, mut is_meant: impl FnMut(u32) -> bool) -> Option<u32> {
        self.place(hash, &mut is_meant).map(|place| position(self.slots[place]))
    }

    /// Adds an entry that is not there, at a position below `u32::MAX`.
    pub(super) fn insert(&mut self, hash: Hashed, position: u32) {
        // At most four fifths are taken: so a search ends soon, and at a free place.
        if (self.entries + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        self.put(word(hash, position));
        self.entries += 1;
    }

    /// Takes out the entry at a position, if it is there with that hash.
    pub(super) fn remove(&mut self, hash: Hashed, position: u32) {
        let Some(mut hole) = self.place(hash, &mut |found| found == position) else { return };
        let mask = self.slots.len() - 1;
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let slot = self.slots[next];
            if slot == 0 {
                break;
            }
            // What would not be found any more behind a free place moves into it.
            let from_home = next.wrapping_sub(home(slot)) & mask;
            if from_home >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = next;
            }
        }
        self.slots[hole] = 0;
        self.entries -= 1;
    }

    /// Asks for what [`find`](Self::find) will read.
    pub(super) fn prefetch(&self, hash: Hashed) {
        let place = hash.0 as usize & self.slots.len().wrapping_sub(1);
        if let Some(slot) = self.slots.get(place) {
            prefetch_line(std::ptr::from_ref(slot).cast());
        }
    }

    fn place(&self, hash: Hashed, is_meant: &mut impl FnMut(u32) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut place = hash.0 as usize & mask;
        loop {
            let slot = self.slots[place];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == u64::from(hash.0) && is_meant(position(slot)) {
                return Some(place);
            }
            place = (place + 1) & mask;
        }
    }

    fn grow(&mut self) {
        const FEWEST: usize = 8;
        let size = (self.slots.len() * 2).max(FEWEST);
        let slots = std::mem::replace(&mut self.slots, vec![0; size]);
        for slot in slots.into_iter().filter(|&slot| slot != 0) {
            self.put(slot);
        }
    }

    fn put(&mut self, word: u64) {
        let mask = self.slots.len() - 1;
        let mut place = home(word) & mask;
        while self.slots[place] != 0 {
            place = (place + 1) & mask;
        }
        self.slots[place] = word;
    }
}

fn word(hash: Hashed, position: u32) -> u64 {
    (u64::from(hash.0) << 32) | (u64::from(position) + 1)
}

fn position(slot: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the hash is above it")]
    let above = slot as u32;
    above.wrapping_sub(1)
}

/// Where an entry is looked for first, before the mask.
fn home(slot: u64) -> usize {
    // The upper half always fits.
    usize::try_from(slot >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Hashed, Index};

    proptest! {
        /// Few hashes, so that many entries have the same one and whole runs wrap around the end.
        #[test]
        fn it_has_what_a_set_has(steps in prop::collection::vec((any::<bool>(), 0_u32..12, 0_u32..24), 0..120)) {
            let mut index = Index::default();
            let mut set = BTreeSet::new();
            for (is_insert, hash, position) in steps {
                // The same low bits for some, and other high ones.
                let hash = (hash % 4 * 0x4000_0000).wrapping_add(hash.wrapping_sub(2));
                if is_insert && set.insert((hash, position)) {
                    index.insert(Hashed(hash), position);
                } else if !is_insert {
                    set.remove(&(hash, position));
                    index.remove(Hashed(hash), position);
                }
                for position in 0..24 {
                    let found = index.find(Hashed(hash), |found| found == position);
                    prop_assert_eq!(found.is_some(), set.contains(&(hash, position)));
                }
                prop_assert_eq!(index.entries, set.len());
                prop_assert_eq!(index.slots.iter().filter(|&&slot| slot != 0).count(), set.len());
            }
        }
    }
}
