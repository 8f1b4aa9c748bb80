//! Whole reports.

mod findings;
mod markup;

use tracer_common::counters::KindCounters;

use super::Report;
use crate::{
    event::{Body, Event, Netns, RetransmitKind, Stats, Text},
    output::tests::{events, every_event},
    state::fixture,
};

/// A report of these events, as if they had been read from a session that ends as sessions do: with the accounting.
fn report(events: impl IntoIterator<Item = Event>) -> Report {
    let mut report = Report::default();
    let mut take = |event: Event| {
        report.collected.note(&event);
        report.state.apply(&event);
        event.time
    };
    let last = events.into_iter().map(&mut take).max();
    if let Some(time) = last {
        let (counted, counters) = (None, KindCounters::default());
        let body = Body::Stats(Stats { counted, counters, last_of_batch: true });
        take(Event { time, netns: Netns::default(), cpu: 0, body });
    }
    report
}

fn of_every_event() -> Report {
    let mut report = report(events(&every_event()));
    report.note_damage(["node-3.tracer: the frame at offset 4096 is cut".to_owned()]);
    report
}

fn busy() -> Report {
    report(fixture::busy_events())
}

#[test]
fn a_report_of_every_event() {
    insta::assert_snapshot!(of_every_event().markdown());
}

#[test]
fn a_report_of_a_node_in_trouble() {
    insta::assert_snapshot!(busy().markdown());
}

#[test]
fn a_report_of_every_event_as_json() {
    let document = of_every_event().document(usize::MAX);
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn a_report_of_nothing_says_so() {
    let text = Report::default().markdown().to_string();
    assert!(text.contains("no events") && !text.contains("## Timeline"), "{text}");
    assert!(text.contains("does not say") && !text.contains("Nothing:"), "{text}");
    let page = Report::default().html();
    assert!(page.contains("no events") && !page.contains("<svg"), "{page}");
}

#[test]
fn a_filter_leaves_out_what_it_does_not_let_through() {
    let filter = "port 80".parse().unwrap();
    let mut whole = Report::default();
    let mut part = Report::new(Some(filter));
    for report in [&mut whole, &mut part] {
        report.take(&every_event());
    }
    let (whole, part) = (whole.document(usize::MAX), part.document(usize::MAX));
    assert!(part.events.iter().all(|told| told.name != "neighbour"), "{:?}", part.events);
    assert!(whole.events.len() > part.events.len());
}

/// Every field a report can have is described where programs' authors read it.
#[test]
fn every_field_is_described() {
    let description = include_str!("../../../../docs/report.md");
    let mut names = Vec::new();
    for report in [of_every_event(), busy()] {
        field_names(&serde_json::from_str(&report.json().unwrap()).unwrap(), &mut names);
    }
    names.sort();
    names.dedup();
    assert!(names.len() > 60, "{names:?}");
    for name in names {
        assert!(description.contains(&format!("`{name}`")), "docs/report.md does not describe `{name}`");
    }
}

fn field_names(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                names.push(name.clone());
                field_names(value, names);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| field_names(value, names)),
        _ => {}
    }
}

/// What a report counts is what the events were.
#[test]
fn numbers_are_those_of_the_events() {
    let document = busy().document(usize::MAX);
    let all = fixture::busy_events();
    let resent = all.iter().filter(|event| matches!(event.body, Body::Retransmit(_))).count();
    let rate = document.rates.families.iter().find(|rate| rate.family == "retransmit").unwrap();
    assert_eq!(rate.events, resent as u64);
    assert_eq!(rate.counts.iter().sum::<u64>(), resent as u64);
    let counted: u64 =
        document.events.iter().filter(|told| told.name == "retransmit").map(|told| told.events).sum();
    // Undone reductions are of the type, too.
    let undone = all.iter().filter(|event| matches!(event.body, Body::Undo(_))).count();
    assert!((counted..=counted + undone as u64).contains(&(resent as u64)), "{counted} {resent}");
    let told: u64 = document
        .timeline
        .entries
        .iter()
        .filter(|entry| entry.kind == "retransmit")
        .map(|entry| entry.events)
        .sum();
    assert_eq!(told, resent as u64);
    assert!(document.timeline.entries.len() < 100, "{}", document.timeline.entries.len());
    assert!(document.timeline.entries.is_sorted_by_key(|entry| entry.first));
}

#[test]
fn everything_of_several_nodes_names_its_node() {
    let hosts = ["node-a", "node-b"];
    let of = |number: usize, milliseconds, body| {
        let node = u16::try_from(number).unwrap();
        let mut event = fixture::event(milliseconds, body);
        event.netns = Netns { node, ..event.netns };
        event
    };
    let named = (0..2).map(|number| {
        let (kernel, host) = (Text::new("6.12.0"), Text::new(hosts[number]));
        of(number, 1_000, Body::Node { kernel, host })
    });
    let resent = (0..20).map(|turn| {
        let told = fixture::retransmit(RetransmitKind::Syn, "10.0.0.1:4242", "10.0.0.2:80");
        of(turn % 2, 2_000 + 500 * turn as u64, Body::Retransmit(told))
    });
    let mut report = report(named.chain(resent));
    report.note_clocks(["node-a and node-b overlap".to_owned()]);
    let document = report.document(100);
    let told: Vec<_> = document.nodes.iter().map(|node| node.host.as_str()).collect();
    assert_eq!(told, hosts);
    for places in [
        document.peers.rows.iter().map(|row| &row.place).collect::<Vec<_>>(),
        document.flows.rows.iter().map(|row| &row.place).collect(),
        document
            .timeline
            .entries
            .iter()
            .filter(|row| row.kind == "retransmit")
            .map(|row| &row.place)
            .collect(),
    ] {
        let mut nodes: Vec<_> = places.iter().map(|place| place.node.as_deref()).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, hosts.map(Some));
    }
    let mut nodes: Vec<_> = document.findings.iter().filter_map(|finding| finding.node.as_deref()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, hosts, "{:?}", document.findings);
    let text = report.markdown().to_string();
    for expected in ["### node-b", "node-a and node-b overlap", "| node-b 4026531840 |", "## The nodes"] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}
