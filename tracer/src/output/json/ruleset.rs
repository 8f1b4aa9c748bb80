//! How many rules tables have.

use serde::Serialize;

use super::AsText;
use crate::event::{ChainEntries, Ruleset, RulesetExactness, RulesetFamily};

#[derive(Serialize)]
pub(super) struct RulesetObject<'a> {
    change: &'static str,
    backend: &'static str,
    family: AsText<RulesetFamily>,
    table: &'a str,
    entries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    growth: Option<i64>,
    duplicates: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    examined: Option<u32>,
    chains: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    largest: Vec<ChainObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_ms_ago: Option<u32>,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exactness: Option<&'static str>,
}

#[derive(Serialize)]
struct ChainObject<'a> {
    chain: &'a str,
    entries: u32,
}

impl<'a> From<&'a Ruleset> for RulesetObject<'a> {
    fn from(body: &'a Ruleset) -> Self {
        let chain =
            |told: &'a ChainEntries| ChainObject { chain: told.chain.as_str(), entries: told.entries };
        Self {
            change: body.change.name(),
            backend: body.backend.name(),
            family: AsText(body.family),
            table: body.table.as_str(),
            entries: body.entries,
            previous: body.previous,
            growth: body.growth(),
            duplicates: body.duplicates,
            examined: (body.examined < body.entries).then_some(body.examined),
            chains: body.chains,
            largest: body.largest.iter().map(chain).collect(),
            example: body.repeated.as_ref().map(|repeated| repeated.rule.as_str()),
            example_count: body.repeated.as_ref().map(|repeated| repeated.count),
            changed_ms_ago: body.changed_ms_ago,
            took_ms: f64::from(body.took_us) / 1_000.0,
            exactness: (body.exactness != RulesetExactness::Exact).then(|| body.exactness.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RulesetObject;
    use crate::{
        event::{ChainEntries, RepeatedRule, Ruleset, RulesetChange, RulesetExactness, Text},
        state::fixture,
    };

    #[test]
    fn what_is_absent_is_left_out() {
        let found = Ruleset { entries: 5, examined: 5, ..fixture::ruleset("filter") };
        let json = serde_json::to_string(&RulesetObject::from(&found)).expect("plain fields");
        assert_eq!(
            json,
            r#"{"change":"found","backend":"legacy","family":"ip","table":"filter","entries":5,"duplicates":0,"chains":3,"took_ms":0.5}"#
        );
        let grown = Ruleset {
            change: RulesetChange::Grown,
            entries: 200_000,
            previous: Some(5),
            examined: 20_000,
            duplicates: 19_000,
            largest: vec![ChainEntries { chain: Text::new("leaked"), entries: 199_995 }],
            repeated: Some(RepeatedRule { rule: Text::new("-A leaked -j ACCEPT"), count: 19_001 }),
            changed_ms_ago: Some(1_500),
            exactness: RulesetExactness::AtMost,
            ..found
        };
        let json = serde_json::to_string(&RulesetObject::from(&grown)).expect("plain fields");
        assert_eq!(
            json,
            r#"{"change":"grown","backend":"legacy","family":"ip","table":"filter","entries":200000,"previous":5,"growth":199995,"duplicates":19000,"examined":20000,"chains":3,"largest":[{"chain":"leaked","entries":199995}],"example":"-A leaked -j ACCEPT","example_count":19001,"changed_ms_ago":1500,"took_ms":0.5,"exactness":"at-most"}"#
        );
    }
}
