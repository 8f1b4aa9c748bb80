//! Tables with far too many rules.

use super::{About, Finding, MOST_OF_A_RULE, Severity};
use crate::{
    state::{Span, State, Subject, Table, top},
    words::exact,
};

/// Rules that are many even where a thousand services make some each.
const MANY_RULES: u32 = 10_000;
/// Rules with which listing a table takes seconds to minutes.
const VERY_MANY_RULES: u32 = 50_000;
/// Rules added since the first look that are a leak rather than a change.
const MUCH_GROWTH: i64 = 1_000;
/// Rules equal to an earlier one of their chain.
const MANY_DUPLICATES: u32 = 100;

/// One fact a table.
pub(super) fn collect(state: &State, facts: &mut Vec<Finding>) {
    let bloated = state.rulesets.iter().filter(|(_, table)| !table.is_removed() && severity(table).is_some());
    let worst = top(bloated, |table| u64::from(table.entries), MOST_OF_A_RULE);
    facts.extend(worst.into_iter().filter_map(|(key, table)| {
        let mut what = vec![format!("{} rules", exact(u64::from(table.entries)))];
        if table.duplicates > 0 {
            what.push(format!("{} duplicates", exact(u64::from(table.duplicates))));
        }
        if table.growth() > 0 {
            what.push(format!("+{} since the first count", exact(table.growth().unsigned_abs())));
        }
        Some(Finding {
            id: "ruleset-bloat",
            about: About::Table(key.clone()),
            severity: severity(table)?,
            subject: Some(Subject::Namespace(key.netns)),
            who: format!("{} {} {}", key.backend.name(), key.family, key.table),
            what: what.join(" · "),
            span: table.changed.map(|last| Span { first: table.first.min(last), last }),
        })
    }));
}

fn severity(table: &Table) -> Option<Severity> {
    if table.entries >= VERY_MANY_RULES {
        return Some(Severity::Critical);
    }
    let is_bloated =
        table.entries >= MANY_RULES || table.growth() >= MUCH_GROWTH || table.duplicates >= MANY_DUPLICATES;
    is_bloated.then_some(Severity::Warning)
}
