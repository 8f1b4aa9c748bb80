//! How many rules tables have.

use super::{Columns, Facts, Weight};
use crate::event::{Ruleset, RulesetChange, RulesetExactness};

/// Chains told in a line.
const CHAINS: usize = 3;

pub(super) fn table(body: &Ruleset) -> Columns {
    let mut facts = Facts::default();
    let bound = match body.exactness {
        RulesetExactness::AtLeast => "at least ",
        RulesetExactness::AtMost => "at most ",
        RulesetExactness::Exact | RulesetExactness::Moving => "",
    };
    facts.add(format_args!("{bound}{} {}", body.entries, plural(body.entries, "rule")));
    if let (Some(growth), Some(previous)) = (body.growth(), body.previous)
        && growth != 0
    {
        facts.add(format_args!("{growth:+} from {previous}"));
    }
    match (body.duplicates, body.examined < body.entries) {
        (0, _) => {}
        (duplicates, false) => facts.add(format_args!("{duplicates} {}", plural(duplicates, "duplicate"))),
        (duplicates, true) => {
            facts.add(format_args!("{duplicates} of the first {} duplicates", body.examined));
        }
    }
    if body.change != RulesetChange::Removed {
        facts.add(format_args!("{} {}", body.chains, plural(body.chains, "chain")));
    }
    for told in body.largest.iter().take(CHAINS).filter(|told| !told.chain.is_empty()) {
        facts.add(format_args!("{} {}", told.chain, told.entries));
    }
    if body.exactness == RulesetExactness::Moving {
        facts.add(format_args!("changed while counted"));
    }
    let weight = match body.change {
        RulesetChange::Grown => Weight::Notable,
        _ => Weight::Usual,
    };
    let subject = format!("{} {} ({})", body.family, body.table, body.backend.name());
    Columns { kind: body.change.name(), weight, subject, facts: facts.0, ..Columns::default() }
}

fn plural(count: u32, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
