//! Equal rules of a chain, found by their hashes.

/// Hashes kept, at most: 8 MiB.
const KEPT: usize = 1 << 20;

/// The hashes of one chain's rules. Two different rules have the same hash once in 2^64 / n² chains of n rules: for a
/// chain at the limit, once in ten million.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    hashes: Vec<u64>,
}

impl Hashes {
    /// Adds one; whether there was room for it.
    pub(crate) fn add(&mut self, hash: u64) -> bool {
        let is_kept = self.hashes.len() < KEPT;
        if is_kept {
            self.hashes.push(hash);
        }
        is_kept
    }

    /// How many of those kept were equal to an earlier one. Forgets them all.
    pub(crate) fn take_duplicates(&mut self) -> u32 {
        self.hashes.sort_unstable();
        let duplicates = self.hashes.windows(2).filter(|pair| pair[0] == pair[1]).count();
        self.hashes.clear();
        u32::try_from(duplicates).unwrap_or(u32::MAX)
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
            assert!(added.iter().all(|&hash| hashes.add(hash)));
            assert_eq!(hashes.take_duplicates(), expected, "{added:?}");
        }
    }

    #[test]
    fn what_is_beyond_the_limit_is_not_compared() {
        let mut hashes = Hashes::default();
        assert!((0..KEPT as u64).all(|hash| hashes.add(hash / 2)));
        assert!(!hashes.add(0));
        assert_eq!(usize::try_from(hashes.take_duplicates()), Ok(KEPT / 2));
        assert!(hashes.add(7) && hashes.add(7));
        assert_eq!(hashes.take_duplicates(), 1);
    }
}
