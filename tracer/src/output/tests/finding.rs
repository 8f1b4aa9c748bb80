//! What is printed of a finding as it opens, explains another and closes.

use super::{events, every_event, style};
use crate::{
    event::{Netns, Timestamp},
    findings::{About, Certainty, Finding, FindingChange, FindingStatus, Severity},
    output::{Arrow, Printer},
    state::{FlowKey, NeighbourKey, Span, Subject},
};

const NETNS: Netns = Netns::here(0xf000_0000);

/// 2026-03-14 09:26:53.589793238 UTC and some seconds.
fn at(second: u64) -> Timestamp {
    let boot_ns = (10 + second) * 1_000_000_000;
    Timestamp { boot_ns, wall_ns: super::WALL_MINUS_BOOT_NS + boot_ns.cast_signed() }
}

fn finding(id: &'static str, about: Subject, severity: Severity, who: &str, what: &str) -> Finding {
    let (who, what) = (who.to_owned(), what.to_owned());
    Finding { subject: Some(about), ..Finding::new(id, About::Subject(about), severity, who, what) }
}

fn cause() -> Finding {
    let address = "10.0.0.9".parse().unwrap();
    let about = Subject::Neighbour(NeighbourKey { netns: NETNS, interface_index: 2, address });
    let what = "two hosts answer for it, and the kernel kept the wrong one";
    let mut finding = finding("duplicate-address", about, Severity::Critical, "10.0.0.9 on eth0", what);
    finding.evidence = vec!["02:00:00:00:00:01 answered 3 times".to_owned(), "it is kept".to_owned()];
    finding.advice = vec!["find 02:00:00:00:00:01 → its port".to_owned(), "ip neigh show".to_owned()];
    finding.affects.flows = 2;
    finding.affects.retransmits = 1_234;
    finding.affects.connections = 3;
    finding.affects.owners = vec!["web-1".to_owned(), "curl/77".to_owned()];
    finding.span = Some(Span { first: at(1), last: at(3) });
    finding
}

fn symptom() -> Finding {
    let endpoints =
        crate::state::fixture::retransmit(crate::event::RetransmitKind::Syn, "10.0.0.1:4242", "10.0.0.9:80")
            .flow;
    let about = Subject::Flow(FlowKey { netns: NETNS, endpoints });
    let mut finding = finding(
        "path-outage",
        about,
        Severity::Warning,
        "10.0.0.1:4242 → 10.0.0.9:80",
        "nothing is answered any more",
    );
    finding.certainty = Certainty::Possible;
    finding
}

/// A symptom opens, its cause explains it, and a day is over.
pub(crate) fn changes() -> Vec<FindingChange> {
    let change =
        |second, status, finding| FindingChange { time: at(second), status, finding, explained_by: None };
    let cause_with = Finding { symptoms: vec![symptom()], ..cause() };
    let about_node =
        Finding::new("rows-forgotten", About::Node, Severity::Notice, "rows".into(), "many".into());
    let explained_by = Some(("duplicate-address", "10.0.0.9 on eth0".to_owned()));
    vec![
        change(1, FindingStatus::Open, symptom()),
        FindingChange { explained_by, ..change(2, FindingStatus::Closed, symptom()) },
        change(2, FindingStatus::Open, cause_with.clone()),
        change(3, FindingStatus::Update, cause_with),
        change(4, FindingStatus::Closed, cause()),
        change(4, FindingStatus::Open, about_node),
    ]
}

fn printed<W: std::io::Write>(mut printer: Printer<Vec<u8>, W>) -> String {
    for event in events(&every_event()) {
        printer.print(&event).unwrap();
    }
    printer.flush().unwrap();
    printer.writer_mut().clear();
    for change in changes() {
        printer.print_finding(&change).unwrap();
    }
    String::from_utf8(printer.into_writers().0).unwrap()
}

#[test]
fn findings_as_json() {
    insta::assert_snapshot!(printed(Printer::json(Vec::new(), Vec::new())));
}

#[test]
fn findings_as_lines() {
    insta::assert_snapshot!(printed(Printer::lines(Vec::new(), Vec::new(), style(Arrow::Unicode, false))));
}

#[test]
fn findings_as_lines_without_unicode_and_with_colour() {
    let text = printed(Printer::lines(Vec::new(), Vec::new(), style(Arrow::Ascii, true)));
    assert!(!text.contains('→') && text.contains("10.0.0.1:4242 -> 10.0.0.9:80"), "{text}");
    let colours: Vec<bool> = text.lines().map(|line| line.contains("\u{1b}[")).collect();
    assert_eq!(colours, [true, false, true, true, false, false], "{text}");
}

#[test]
fn findings_are_counted_in_the_summary() {
    let mut printer = Printer::lines(Vec::new(), Vec::new(), style(Arrow::Unicode, false));
    for change in changes() {
        printer.print_finding(&change).unwrap();
    }
    printer.finish().unwrap();
    let notes = String::from_utf8(printer.into_writers().1).unwrap();
    assert_eq!(notes, "# printed: 6 finding\n");
}
