//! When the rules that there was no time for are looked at after all: once the ruleset has come to rest for a while, and
//! so seldom that it costs little.

use std::time::{Duration, Instant};

/// How long a ruleset has not changed by then.
const AT_REST: Duration = Duration::from_secs(5);

/// After a thorough count, this many times its length passes before the next.
const REST: u32 = 100;

/// The pace of thorough counts of one ruleset.
#[derive(Debug, Default)]
pub(crate) struct Thorough {
    due: Option<Instant>,
    not_before: Option<Instant>,
}

impl Thorough {
    /// A quick count ended now, after a change; whether it left something out.
    pub(crate) fn counted(&mut self, is_cut_short: bool, now: Instant) {
        let due = now.checked_add(AT_REST).filter(|_| is_cut_short);
        self.due = due.map(|due| self.not_before.map_or(due, |not_before| not_before.max(due)));
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    /// A thorough count took that long and ended now, at the end of the rules or by a change. The next one comes after
    /// the next quick one.
    pub(crate) fn done(&mut self, took: Duration, now: Instant) {
        self.due = None;
        self.not_before = now.checked_add(took.saturating_mul(REST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_rest_and_comes_seldom() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut thorough = Thorough::default();
        thorough.counted(false, at(0));
        assert!(!thorough.is_due(at(100)));
        thorough.counted(true, at(100));
        assert!(!thorough.is_due(at(104)) && thorough.is_due(at(105)));
        // It changed again.
        thorough.counted(true, at(104));
        assert!(!thorough.is_due(at(105)) && thorough.is_due(at(109)));
        thorough.done(Duration::from_secs(2), at(111));
        assert!(!thorough.is_due(at(1_000)));
        thorough.counted(true, at(120));
        assert!(!thorough.is_due(at(310)) && thorough.is_due(at(311)));
        // What is short again needs none.
        thorough.counted(false, at(311));
        assert!(!thorough.is_due(at(1_000)));
    }
}
