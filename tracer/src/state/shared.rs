//! Facts that many entries have in common, each kept once.

use std::{hash::Hash, sync::Arc};

use rustc_hash::FxHashSet;

use crate::event::{Process, Text};

/// Facts of each sort that are known, at most. Beyond that each entry has its own.
const KEPT: usize = 65_536;

/// What flows have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    pub(super) texts: Interner<Text>,
    pub(super) processes: Interner<Process>,
}

/// Values by themselves.
#[derive(Clone, Debug)]
pub(super) struct Interner<T>(FxHashSet<Arc<T>>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(FxHashSet::default())
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The one copy of a value.
    pub(super) fn share(&mut self, value: &T) -> Arc<T> {
        if let Some(known) = self.0.get(value) {
            return Arc::clone(known);
        }
        if self.0.len() == KEPT {
            // Most are of processes that ended; this is rare enough to go through all.
            self.0.retain(|known| Arc::strong_count(known) > 1);
        }
        let shared = Arc::new(value.clone());
        if self.0.len() < KEPT {
            self.0.insert(Arc::clone(&shared));
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Interner, KEPT};

    #[test]
    fn equal_values_are_one_and_what_nobody_has_makes_room() {
        let mut interner = Interner::default();
        let kept = interner.share(&0);
        assert!(Arc::ptr_eq(&kept, &interner.share(&0)));
        for value in 1..KEPT {
            interner.share(&value);
        }
        assert_eq!(interner.0.len(), KEPT);
        interner.share(&KEPT);
        assert_eq!(interner.0.len(), 2, "the one that is in use, and the new one");
        assert!(Arc::ptr_eq(&kept, &interner.share(&0)));
    }

    #[test]
    fn without_room_each_has_its_own() {
        let mut interner = Interner::default();
        let in_use: Vec<_> = (0..KEPT + 10).map(|value| interner.share(&value)).collect();
        assert_eq!(interner.0.len(), KEPT);
        assert_eq!((*in_use[KEPT + 9], Arc::strong_count(&in_use[KEPT + 9])), (KEPT + 9, 1));
    }
}
