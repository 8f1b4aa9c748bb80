//! Equal rules of a chain, found by their hashes, and the one there is most of.

use rustc_hash::FxHashMap;

/// Hashes kept, at most: 8 MiB.
const KEPT: usize = 1 << 20;

/// Rules kept whole while their chain is gone through, as examples, and their bytes together. A rule that is more than
/// one in so many of its chain as are kept is among them at its end (J. Misra, D. Gries: Finding repeated elements,
/// 1982): a leak that adds all rules of a node again and again has thousands of equally frequent ones.
const EXAMPLES: usize = 8_192;
const EXAMPLES_BYTES: usize = 4 << 20;

/// Length of a rule, up to which it is kept.
const EXAMPLE_BYTES: usize = 4 << 10;

/// The hashes of one chain's rules. Two different rules have the same hash once in 2^64 / n² chains of n rules: for a
/// chain at the limit, once in ten million.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    all: Vec<u64>,
    examples: FxHashMap<u64, Example>,
    /// Bytes of all examples.
    examples_bytes: usize,
}

#[derive(Debug)]
struct Example {
    /// How often it was seen, less what others took away since.
    weight: u32,
    /// Hashes before it: among equally frequent rules, the first is told, the same at each count.
    place: usize,
    rule: Vec<u8>,
}

/// What is repeated in a chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeated {
    /// Rules that are equal to an earlier one.
    pub(crate) duplicates: u32,
    /// Of those kept whole, the one that is there most often, and how often.
    pub(crate) most: Option<(u32, Vec<u8>)>,
}

impl Hashes {
    /// Adds one; whether there was room for it.
    pub(crate) fn add(&mut self, hash: u64, rule: &[u8]) -> bool {
        let is_kept = self.all.len() < KEPT;
        if is_kept {
            self.keep(hash, rule);
            self.all.push(hash);
        }
        is_kept
    }

    fn keep(&mut self, hash: u64, rule: &[u8]) {
        if let Some(known) = self.examples.get_mut(&hash) {
            known.weight += 1;
        } else if self.examples.len() < EXAMPLES && self.examples_bytes + rule.len() <= EXAMPLES_BYTES {
            if rule.len() <= EXAMPLE_BYTES {
                let example = Example { weight: 1, place: self.all.len(), rule: rule.to_vec() };
                self.examples.insert(hash, example);
                self.examples_bytes += rule.len();
            }
        } else {
            let bytes = &mut self.examples_bytes;
            self.examples.retain(|_, example| {
                example.weight -= 1;
                if example.weight == 0 {
                    *bytes -= example.rule.len();
                }
                example.weight > 0
            });
        }
    }

    /// What is repeated among those kept. Forgets them all.
    pub(crate) fn take_repeated(&mut self) -> Repeated {
        self.all.sort_unstable();
        let mut duplicates = 0;
        let mut most: Option<(usize, usize, u64)> = None;
        for equal in self.all.chunk_by(|one, other| one == other).filter(|equal| equal.len() > 1) {
            duplicates += equal.len() - 1;
            let Some(example) = self.examples.get(&equal[0]) else { continue };
            let is_more = |(count, place, _)| (equal.len(), place) > (count, example.place);
            if most.is_none_or(is_more) {
                most = Some((equal.len(), example.place, equal[0]));
            }
        }
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let most = most.and_then(|(count, _, hash)| Some((number(count), self.examples.remove(&hash)?.rule)));
        self.all.clear();
        self.examples.clear();
        self.examples_bytes = 0;
        Repeated { duplicates: number(duplicates), most }
    }
}

#[cfg(test)]
mod tests {
    use super::{EXAMPLE_BYTES, EXAMPLES, EXAMPLES_BYTES, Hashes, KEPT, Repeated};

    fn taken(hashes: &mut Hashes, added: impl IntoIterator<Item = u64>) -> Repeated {
        for hash in added {
            assert!(hashes.add(hash, &hash.to_le_bytes()));
        }
        hashes.take_repeated()
    }

    #[test]
    fn every_repetition_counts_once_and_the_most_frequent_rule_is_told() {
        type Case = (&'static [u64], u32, Option<(u32, u64)>);
        let cases: [Case; 6] = [
            (&[], 0, None),
            (&[1], 0, None),
            (&[1, 2, 3], 0, None),
            (&[1, 2, 1], 1, Some((2, 1))),
            (&[2, 1, 2, 2, 1], 3, Some((3, 2))),
            // Of equally frequent ones the first.
            (&[9, 1, 1, 9], 2, Some((2, 9))),
        ];
        let mut hashes = Hashes::default();
        for (added, duplicates, most) in cases {
            let repeated = taken(&mut hashes, added.iter().copied());
            let most = most.map(|(count, hash)| (count, hash.to_le_bytes().to_vec()));
            assert_eq!(repeated, Repeated { duplicates, most }, "{added:?}");
        }
    }

    #[test]
    fn a_rule_repeated_among_many_others_is_still_told() {
        let mut hashes = Hashes::default();
        // Twenty thousand different rules, then one that leaks, with others between.
        let others = (0..20_000_u64).map(|number| number + 1_000_000);
        let leaked = (0..2_000_u64).flat_map(|number| [7, number + 9_000_000]);
        let repeated = taken(&mut hashes, others.chain(leaked));
        assert_eq!(repeated.duplicates, 1_999);
        assert_eq!(repeated.most, Some((2_000, 7_u64.to_le_bytes().to_vec())));
        // A set of a thousand rules again and again, one of them a little more often.
        let again = (0..40_u64).flat_map(|_| 0..1_000).chain([500]);
        let repeated = taken(&mut hashes, again);
        assert_eq!(
            (repeated.duplicates, repeated.most),
            (39_001, Some((41, 500_u64.to_le_bytes().to_vec())))
        );
        // More than are kept, each twice in a row: one of them is told.
        let repeated = taken(&mut hashes, (0..10 * EXAMPLES as u64).flat_map(|number| [number, number]));
        assert_eq!(repeated.most.map(|(count, _)| count), Some(2));
    }

    #[test]
    fn what_is_beyond_the_limits_is_not_kept() {
        let mut hashes = Hashes::default();
        assert!((0..KEPT as u64).all(|hash| hashes.add(hash / 2, &[])));
        assert!(!hashes.add(0, &[]));
        assert_eq!(usize::try_from(hashes.take_repeated().duplicates), Ok(KEPT / 2));
        let long = vec![0; EXAMPLE_BYTES + 1];
        assert!(hashes.add(7, &long) && hashes.add(7, &long));
        assert_eq!(hashes.take_repeated(), Repeated { duplicates: 1, most: None });
        // As many bytes as examples may have, and a rule that is there more often than the others.
        let large = vec![0; EXAMPLE_BYTES];
        for number in 0..4 * (EXAMPLES_BYTES / EXAMPLE_BYTES) as u64 {
            assert!(hashes.add(number + 10, &large) && hashes.add(7, b"leaked"));
            assert!(hashes.examples_bytes <= EXAMPLES_BYTES);
        }
        assert_eq!(hashes.take_repeated().most.map(|(_, rule)| rule), Some(b"leaked".to_vec()));
    }
}
