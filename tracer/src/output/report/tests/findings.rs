//! What a report tells of findings.

use super::busy;
use crate::{
    findings::{Finding, Severity, sample},
    output::report::{Report, text::with_commands},
    state::fixture::at,
};

fn told() -> Report {
    Report { state: Box::new(sample::told()), ..busy() }
}

#[test]
fn a_report_tells_why_and_what_to_do() {
    let text = told().markdown().to_string();
    let (_, findings) = text.split_once("## What stands out").unwrap();
    let end = findings.find("\n## ").unwrap_or(findings.len());
    insta::assert_snapshot!("findings", findings[..end].trim());
}

#[test]
fn programs_and_pages_are_told_the_same() {
    let report = told();
    let document = report.document(100);
    insta::assert_snapshot!("findings_json", serde_json::to_string_pretty(&document.findings).unwrap());
    let page = report.html();
    for finding in &document.findings {
        let told = finding.evidence.iter().chain(&finding.advice).chain(&finding.affects.owners);
        for (_, part) in told.flat_map(|told| with_commands(told)) {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
    assert!(
        document.summary.iter().any(|sentence| sentence.contains("new connections reach a drained server"))
    );
}

#[test]
fn the_summary_begins_with_what_was_wrong_though_it_is_over() {
    let mut report = Report { state: Box::default(), ..busy() };
    let begins = |report: &Report| report.document(1).summary[0].clone();
    assert_eq!(begins(&report), "Nothing stands out.");
    let finding = Finding { symptoms: Vec::new(), ..sample::told().findings.open()[0].clone() };
    let named = format!("{} {}: {}.", finding.id, finding.who, finding.what);
    let other = Finding { severity: Severity::Warning, ..finding.clone() };
    let other = Finding { id: "path-outage", ..other };
    for (second, found, expected) in [
        (1, vec![finding.clone()], format!("1 finding (critical): {named}")),
        (2, vec![], format!("1 finding (critical, over at the end): {named}")),
        (3, vec![other.clone()], "2 findings (1 critical, 1 over at the end):".to_owned()),
        (4, vec![], "2 findings (1 critical, all over at the end):".to_owned()),
    ] {
        report.state.findings.put(at(second), found);
        assert_eq!(begins(&report), expected);
    }
    assert_eq!(report.document(1).summary[1], format!("critical: {named}"));
}
