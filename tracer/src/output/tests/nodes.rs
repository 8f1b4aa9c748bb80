//! Several nodes in what is printed, and in what filters pick.

use tracer_common::record::{NodeRecord, RecordHeader, RecordKind};
use zerocopy::IntoBytes as _;

use super::{events, every_event, style};
use crate::{
    block::Block,
    decode::records,
    event::Event,
    filter::{Sieve, parse},
    output::{Arrow, Printer},
};

const NODES: [&str; 2] = ["node-a", "node-b"];

/// The sample of every event as a node recorded it. The hosts' names are of one length.
fn of_node(number: u16) -> Vec<Event> {
    let mut bytes = Vec::new();
    for (header, record) in records(&every_event().0) {
        bytes.extend_from_slice(RecordHeader { node: number, ..header }.as_bytes());
        bytes.extend_from_slice(&record[size_of::<RecordHeader>()..]);
    }
    let (header, first) = records(&bytes).next().unwrap();
    assert_eq!(header.kind, RecordKind::Node as u16);
    let names = size_of::<NodeRecord>()..first.len();
    let text = std::str::from_utf8(&bytes[names.clone()]).unwrap();
    let text = text.replace("node-a", NODES[usize::from(number)]);
    bytes[names].copy_from_slice(text.as_bytes());
    events(&Block(bytes.into()))
}

/// Both nodes' events in turn, each by itself after both told their names.
pub(crate) fn of_both() -> Vec<Event> {
    of_node(0).into_iter().zip(of_node(1)).flat_map(|(first, second)| [first, second]).collect()
}

fn printed(mut printer: Printer<Vec<u8>, Vec<u8>>, events: &[Event]) -> [String; 2] {
    for event in events {
        printer.print(event).unwrap();
    }
    let (output, notes) = printer.into_writers();
    [output, notes].map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn every_object_names_its_node_and_says_what_it_says_alone() {
    let alone = [0, 1].map(|node| {
        let [objects, _] = printed(Printer::json(Vec::new(), Vec::new()), &of_node(node));
        let name = format!("\"node\":\"{}\",", NODES[usize::from(node)]);
        // Behind the time, which every object has.
        let named = objects.lines().map(|object| {
            let place = object.find("Z\",").unwrap() + 3;
            format!("{}{name}{}", &object[..place], &object[place..])
        });
        named.collect::<Vec<String>>()
    });
    assert!(alone[0].len() > 30);
    let [objects, _] = printed(Printer::json(Vec::new(), Vec::new()), &of_both());
    for (node, expected) in alone.iter().enumerate() {
        let name = format!("\"node\":\"{}\"", NODES[node]);
        let told: Vec<&str> = objects.lines().filter(|object| object.contains(&name)).collect();
        assert_eq!(told, *expected);
    }
    assert_eq!(objects.lines().count(), alone[0].len() + alone[1].len());
}

#[test]
fn every_line_names_its_node() {
    let lines = |events: &[Event]| {
        printed(Printer::lines(Vec::new(), Vec::new(), style(Arrow::Unicode, false)), events)
    };
    let (alone, both) = (lines(&of_node(0)), lines(&of_both()));
    for (alone, both) in alone.iter().zip(&both) {
        assert!(!alone.contains("node-b") && !alone.contains("  node "));
        assert_eq!(both.lines().count(), 2 * alone.lines().count());
        for node in NODES {
            let told = both.lines().filter(|line| line.contains(node)).count();
            assert_eq!(told, alone.lines().count(), "{both}");
        }
    }
}

#[test]
fn a_filter_picks_a_node() {
    for (text, expected) in [
        ("node node-b and retransmit", [false, true]),
        ("node node-* and retransmit", [true, true]),
        ("node node and retransmit", [false, false]),
        ("not node node-b and retransmit", [true, false]),
    ] {
        let mut sieve = Sieve::new(Some(parse(text).unwrap()));
        let mut passed = [false; 2];
        for event in of_both() {
            let is_told = matches!(event.body, crate::event::Body::Retransmit(_));
            passed[usize::from(event.netns.node)] |= sieve.passes(&event) && is_told;
        }
        assert_eq!(passed, expected, "{text}");
    }
}
