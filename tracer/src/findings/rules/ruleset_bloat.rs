//! A table has far too many rules, or leaks.

mod words;

use serde::{Deserialize, Serialize};

pub(crate) use self::words::other_half;
use super::{About, MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    event::Timestamp,
    findings::{Certainty, Finding, Severity, finding::is_within},
    state::{Span, Subject, Table, TableKey, top},
};

/// A table of iptables or nftables has the same rules again and again, grows without an end, or is far too long.
///
/// Many different rules are none of it: a large cluster has tens of thousands, and they come and go with its services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RulesetBloat {
    /// Rules equal to an earlier one of their chain, from which on a table is said to have them. It is until there are
    /// fewer than half as many.
    pub duplicates: u32,
    /// Rules, repeated ones among them, from which on connections are said to fail: listing or changing such a table
    /// takes so long that its owner gives up.
    pub very_many_rules: u32,
    /// Different rules, from which on their number alone is told.
    pub many_different_rules: u32,
    /// Rules more than at the beginning of a growth, from which on it may be a leak; and at least twice as many.
    pub growth: u32,
    /// Seconds for which a table has only grown, from which on it may be a leak. One that is filled, by a service that
    /// starts or a large rollout, comes to rest before.
    pub growing_seconds: u32,
    /// Seconds since the last change for which it is said to grow.
    pub growth_quiet_seconds: u32,
}

impl Default for RulesetBloat {
    fn default() -> Self {
        Self {
            duplicates: 100,
            very_many_rules: 50_000,
            many_different_rules: 50_000,
            growth: 1_000,
            growing_seconds: 900,
            growth_quiet_seconds: 60,
        }
    }
}

/// What is wrong with a table, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bloat {
    /// It has the same rules again and again.
    Repeats,
    /// It grows and grows.
    Grows,
    /// It has many rules.
    Many,
}

/// Counts in a row, of which none is less than the one before and each growth follows the one before soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Growth {
    /// When it began, and with how many rules.
    began: (Timestamp, u32),
    /// The last count that was more than the one before.
    last: (Timestamp, u32),
}

impl Growth {
    /// The last one there was; a pause of more than so many seconds ends it.
    fn of(table: &Table, most_pause_seconds: u32) -> Option<Self> {
        let mut growth: Option<Self> = None;
        // When it was seen to have grown, after the count before.
        let mut grown = None;
        let mut counts = table.history.iter().rev().copied();
        let mut newer = counts.next()?;
        for older in counts {
            if older.1 > newer.1 || older.1 == 0 {
                break;
            }
            if older.1 < newer.1 {
                let last = growth.map_or(newer, |growth| growth.last);
                if grown.is_some_and(|later| !is_within(later, newer.0, most_pause_seconds)) {
                    break;
                }
                grown = Some(newer.0);
                growth = Some(Self { began: older, last });
            }
            newer = older;
        }
        growth
    }

    fn rules(&self) -> u32 {
        self.last.1 - self.began.1
    }

    fn seconds(&self) -> u64 {
        self.last.0.boot_ns.saturating_sub(self.began.0.boot_ns) / 1_000_000_000
    }

    /// Rules more a minute, where it went on for long enough to tell.
    fn a_minute(&self) -> Option<u64> {
        const LEAST_SECONDS: u64 = 3;
        let seconds = Some(self.seconds()).filter(|&seconds| seconds >= LEAST_SECONDS)?;
        Some(u64::from(self.rules()) * 60 / seconds)
    }
}

impl Rule for RulesetBloat {
    const ID: &'static str = "ruleset-bloat";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let tables = view.state.rulesets.iter();
        let bloated = tables.filter(|(key, table)| self.bloat(view, key, table).is_some());
        let all = bloated.clone().count();
        for (key, table) in top(bloated, |table| u64::from(table.entries), MOST_OF_A_RULE) {
            found.extend(self.bloat(view, key, table).map(|bloat| self.tell(view, key, table, bloat)));
        }
        tell_left_out(found, Self::ID, all, Severity::Warning, ("tables", "have too many rules"));
    }
}

impl RulesetBloat {
    fn bloat(&self, view: &View<'_>, key: &TableKey, table: &Table) -> Option<Bloat> {
        if table.is_removed() {
            return None;
        }
        let is_open = view.was_open(Self::ID, &About::Table(key.clone()));
        let enough = if is_open { self.duplicates.div_ceil(2) } else { self.duplicates };
        if table.duplicates >= enough.max(1) {
            return Some(Bloat::Repeats);
        }
        let is_leak = |growth: Growth| {
            growth.rules() >= self.growth.max(growth.began.1)
                && growth.seconds() >= u64::from(self.growing_seconds)
                && view.is_within(growth.last.0, self.growth_quiet_seconds)
        };
        if self.growth_of(table).is_some_and(is_leak) {
            return Some(Bloat::Grows);
        }
        (table.entries >= self.many_different_rules).then_some(Bloat::Many)
    }

    /// A leak adds rules at least a few times while it is waited for.
    fn growth_of(&self, table: &Table) -> Option<Growth> {
        Growth::of(table, self.growing_seconds / 3)
    }

    fn tell(&self, view: &View<'_>, key: &TableKey, table: &Table, bloat: Bloat) -> Finding {
        let severity = match bloat {
            Bloat::Repeats if table.entries >= self.very_many_rules => Severity::Critical,
            Bloat::Repeats | Bloat::Grows => Severity::Warning,
            Bloat::Many => Severity::Notice,
        };
        let certainty = match bloat {
            Bloat::Repeats | Bloat::Many => Certainty::Certain,
            Bloat::Grows => Certainty::Possible,
        };
        let first = match bloat {
            Bloat::Repeats => table.duplicated.unwrap_or(table.first),
            Bloat::Grows => self.growth_of(table).map_or(table.first, |growth| growth.began.0),
            Bloat::Many => table.first,
        };
        let who = format!("{} {} {}", key.backend.name(), key.family, key.table);
        let growth = self.growth_of(table);
        let is_growing =
            growth.is_some_and(|growth| view.is_within(growth.last.0, self.growth_quiet_seconds));
        let what = words::what(table, growth, is_growing, bloat);
        Finding {
            certainty,
            subject: Some(Subject::Namespace(key.netns)),
            evidence: words::evidence(view.state, key, table, growth),
            advice: words::advice(view.state, key, table, bloat),
            span: Some(Span { first, last: table.last.max(first) }),
            ..Finding::new(Self::ID, About::Table(key.clone()), severity, who, what)
        }
    }
}

#[cfg(test)]
mod tests;
