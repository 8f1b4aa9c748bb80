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
            facts.add(format_args!("{duplicates} duplicates among the first {}", body.examined));
        }
    }
    if body.change != RulesetChange::Removed {
        facts.add(format_args!("{} {}", body.chains, plural(body.chains, "chain")));
    }
    for told in body.largest.iter().take(CHAINS).filter(|told| !told.chain.is_empty()) {
        facts.add(format_args!("{} {}", told.chain, told.entries));
    }
    if let Some(repeated) = &body.repeated {
        facts.add(format_args!("{} × {}", repeated.count, repeated.rule));
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

#[cfg(test)]
mod tests {
    use super::table;
    use crate::{
        event::{ChainEntries, RepeatedRule, Ruleset, RulesetChange, RulesetExactness, Text},
        state::fixture,
    };

    #[test]
    fn a_line_tells_growth_duplicates_and_the_longest_chains() {
        let chain = |name, entries| ChainEntries { chain: Text::new(name), entries };
        let found = Ruleset { entries: 1, examined: 1, ..fixture::ruleset("nat") };
        let grown = Ruleset {
            change: RulesetChange::Grown,
            entries: 1_200,
            examined: 1_200,
            previous: Some(200),
            duplicates: 900,
            largest: vec![chain("KUBE-SERVICES", 900), chain("a", 200), chain("b", 99), chain("c", 1)],
            repeated: Some(RepeatedRule { rule: Text::new("-A KUBE-SERVICES -j ACCEPT"), count: 900 }),
            ..fixture::ruleset("filter")
        };
        let long = Ruleset { examined: 1_000, exactness: RulesetExactness::AtMost, ..grown.clone() };
        let gone = Ruleset { change: RulesetChange::Removed, previous: Some(7), ..fixture::ruleset("leak") };
        let cases = [
            (found, "ip nat (legacy)", "1 rule, 3 chains"),
            (
                grown,
                "ip filter (legacy)",
                "1200 rules, +1000 from 200, 900 duplicates, 3 chains, KUBE-SERVICES 900, a 200, b 99, \
                 900 × -A KUBE-SERVICES -j ACCEPT",
            ),
            (
                long,
                "ip filter (legacy)",
                "at most 1200 rules, +1000 from 200, 900 duplicates among the first 1000, 3 chains, KUBE-SERVICES 900, \
                 a 200, b 99, 900 × -A KUBE-SERVICES -j ACCEPT",
            ),
            (gone, "ip leak (legacy)", "0 rules, -7 from 7"),
        ];
        for (ruleset, subject, facts) in cases {
            let columns = table(&ruleset);
            assert_eq!((columns.subject.as_str(), columns.facts.as_str()), (subject, facts));
            assert_eq!(columns.kind, ruleset.change.name());
        }
    }
}
