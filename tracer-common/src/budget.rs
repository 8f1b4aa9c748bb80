//! Budgets: how many records of a kind one CPU may write in a second.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::KERNEL_KINDS;

/// The running second of one kind on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct KindBudget {
    /// When the running second began, nanoseconds since boot.
    pub second_began_ns: u64,
    /// Records written in it.
    pub spent: u64,
}

impl KindBudget {
    /// Takes one record out of the budget; `false` if it is spent for this second.
    #[inline(always)]
    pub fn take(&mut self, now_ns: u64, limit_per_second: u32) -> bool {
        const SECOND_NS: u64 = 1_000_000_000;
        if now_ns.wrapping_sub(self.second_began_ns) >= SECOND_NS {
            self.second_began_ns = now_ns;
            self.spent = 0;
        }
        if self.spent >= u64::from(limit_per_second) {
            return false;
        }
        self.spent += 1;
        true
    }
}

/// The budgets of every kernel-side kind on one CPU, by the kind's number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Budgets {
    /// Indexed by [`RecordKind`](crate::record::RecordKind) number.
    pub kinds: [KindBudget; KERNEL_KINDS],
}

#[cfg(test)]
mod tests {
    use super::KindBudget;

    #[test]
    fn a_budget_is_spent_within_its_second_and_refilled_after_it() {
        let mut budget = KindBudget::default();
        let taken = |budget: &mut KindBudget, now_ns| (0..5).filter(|_| budget.take(now_ns, 3)).count();
        assert_eq!(taken(&mut budget, 5_000_000_000), 3);
        assert_eq!(taken(&mut budget, 5_999_999_999), 0);
        assert_eq!(taken(&mut budget, 6_000_000_000), 3);
    }

    #[test]
    fn a_limit_of_zero_suppresses_everything() {
        assert!(!KindBudget::default().take(9_000_000_000, 0));
    }
}
