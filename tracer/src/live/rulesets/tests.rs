//! What is told of counts.

use super::*;
use crate::event::{Ruleset as RulesetEvent, RulesetChange, RulesetExactness};

fn count(entries: u32, largest: &[(&str, u32)]) -> TableCount {
    TableCount {
        family: 2,
        table: b"filter".to_vec(),
        entries,
        examined: entries,
        duplicates: 1,
        chains: 3,
        largest: largest.iter().map(|(chain, entries)| (chain.as_bytes().to_vec(), *entries)).collect(),
        repeated: None,
        exactness: Exactness::Exact,
    }
}

fn told(count: &TableCount, previous: Option<u32>) -> RulesetEvent {
    let told = Told {
        backend: ruleset_backend::LEGACY,
        count,
        previous,
        changed: Duration::from_millis(1_500),
        took: Duration::from_micros(2_500),
        is_removed: false,
    };
    let (record, text) = told.record();
    RulesetEvent::from_record(&record, &text)
}

#[test]
fn what_is_counted_is_what_is_told() {
    let event = told(&count(12, &[("INPUT", 7), ("leaked", 5)]), Some(10));
    assert_eq!((event.entries, event.duplicates, event.chains), (12, 1, 3));
    assert_eq!((event.change, event.previous), (RulesetChange::Grown, Some(10)));
    assert_eq!((event.changed_ms_ago, event.took_us), (Some(1_500), 2_500));
    let largest: Vec<_> = event.largest.iter().map(|told| (told.chain.as_str(), told.entries)).collect();
    assert_eq!(largest, [("INPUT", 7), ("leaked", 5)]);

    let unknown = TableCount { examined: 5, exactness: Exactness::Partial, ..count(12, &[]) };
    let event = told(&unknown, None);
    assert_eq!((event.change, event.examined), (RulesetChange::Found, 5));
    assert_eq!(event.exactness, RulesetExactness::AtLeast);
    assert_eq!((event.previous, event.changed_ms_ago), (None, None));
}

#[test]
fn names_too_long_to_tell_are_left_out_whole() {
    let long = "x".repeat(250);
    let chains: Vec<(&str, u32)> = (1..=8).rev().map(|entries| (long.as_str(), entries)).collect();
    let event = told(&count(36, &chains), None);
    assert_eq!(event.table.as_str(), "filter");
    assert_eq!(event.largest.len(), 4);
    assert!(event.largest.iter().all(|told| told.chain.as_str() == long));
    // A name cannot pretend to be two.
    let event = told(&count(1, &[("a\nb", 1)]), None);
    assert_eq!(event.largest[0].chain.as_str(), "a?b");
}

#[test]
fn a_repeated_rule_is_told_as_far_as_there_is_room() {
    let repeated = |length: usize| Some(RepeatedRule { text: "é".repeat(length / 2), count: 900 });
    let event = told(&TableCount { repeated: repeated(100), ..count(901, &[("leaked", 901)]) }, None);
    let told_rule = event.repeated.expect("a rule");
    assert_eq!((told_rule.rule.as_str(), told_rule.count), ("é".repeat(50).as_str(), 900));
    assert_eq!(event.largest[0].chain.as_str(), "leaked");

    let event = told(&TableCount { repeated: repeated(4_000), ..count(901, &[("leaked", 901)]) }, None);
    let length = event.repeated.expect("the beginning of a rule").rule.as_str().len();
    assert!((900..TEXT_BYTES).contains(&length), "{length}");

    let long = "x".repeat(240);
    let chains: Vec<(&str, u32)> = (1..=8).rev().map(|entries| (long.as_str(), entries)).collect();
    let event = told(&TableCount { repeated: repeated(4_000), ..count(901, &chains) }, None);
    assert_eq!((event.largest.len(), event.repeated), (4, None));
}
