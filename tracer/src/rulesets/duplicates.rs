//! Equal rules of a chain, found by their hashes.

/// Hashes kept, at most: 8 MiB.
const KEPT: usize = 1 << 20;

/// The hashes of one chain's rules. Two different rules have the same hash once in 2^64 / n² chains of n rules: for a
/// chain at the limit, once in ten million.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    hashes: Vec<u64>,
    is_over: bool,
}

impl Hashes {
    pub(crate) fn add(&mut self, hash: u64) {
        if self.hashes.len() < KEPT {
            self.hashes.push(hash);
        } else {
            self.is_over = true;
        }
    }

    /// How many were equal to an earlier one; `None` if there were too many to tell. Forgets them all.
    pub(crate) fn take_duplicates(&mut self) -> Option<u32> {
        self.hashes.sort_unstable();
        let duplicates = self.hashes.windows(2).filter(|pair| pair[0] == pair[1]).count();
        self.hashes.clear();
        let is_over = std::mem::take(&mut self.is_over);
        if is_over { None } else { u32::try_from(duplicates).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hashes, KEPT};

    #[test]
    fn every_repetition_counts_once() {
        let cases: [(&[u64], u32); 5] =
            [(&[], 0), (&[1], 0), (&[1, 2, 3], 0), (&[1, 2, 1], 1), (&[2, 1, 2, 2, 1], 3)];
        let mut hashes = Hashes::default();
        for (added, expected) in cases {
            added.iter().for_each(|&hash| hashes.add(hash));
            assert_eq!(hashes.take_duplicates(), Some(expected), "{added:?}");
        }
    }

    #[test]
    fn beyond_the_limit_nothing_is_said_and_the_next_chain_is_told_again() {
        let mut hashes = Hashes::default();
        (0..=KEPT as u64).for_each(|hash| hashes.add(hash));
        assert_eq!(hashes.take_duplicates(), None);
        hashes.add(7);
        hashes.add(7);
        assert_eq!(hashes.take_duplicates(), Some(1));
    }
}
