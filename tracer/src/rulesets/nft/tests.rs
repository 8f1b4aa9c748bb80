//! Rules as the kernel writes them.

use std::hash::RandomState;

use proptest::prelude::*;

use super::{
    message::{Message, big_endian, name},
    rule::{hash, jumps},
};
use crate::netlink::append_attribute;

fn attribute(number: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_attribute(&mut bytes, number, content);
    bytes
}

fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    let name = attribute(1, format!("{name}\0").as_bytes());
    attribute(1, &[name, attribute(2, data)].concat())
}

fn rule(handle: u64, expressions: &[Vec<u8>], comment: &str) -> Vec<u8> {
    [
        vec![2, 0, 0, 0],
        attribute(1, b"filter\0"),
        attribute(2, b"INPUT\0"),
        attribute(3, &handle.to_be_bytes()),
        attribute(6, &(handle - 1).to_be_bytes()),
        // Nested attributes say so in a bit that is not part of the number.
        attribute(4 | 0x8000, &expressions.concat()),
        attribute(7, comment.as_bytes()),
    ]
    .concat()
}

fn quota(bytes: u64, flags: u32, consumed: u64) -> Vec<u8> {
    let data = [
        attribute(1, &bytes.to_be_bytes()),
        attribute(4, &consumed.to_be_bytes()),
        attribute(2, &flags.to_be_bytes()),
    ];
    expression("quota", &data.concat())
}

#[test]
fn rules_are_equal_but_for_place_and_what_packets_changed() {
    let hashing = RandomState::new();
    let hash = |rule: &[u8]| hash(&hashing, &Message::of(rule).expect("a whole message"));
    let counter = |packets: u64| expression("counter", &attribute(1, &packets.to_be_bytes()));
    let compare = |port: u8| expression("cmp", &[port; 8]);
    let base = rule(5, &[compare(80), counter(0)], "");

    let same = [rule(9, &[compare(80), counter(0)], ""), rule(5, &[compare(80), counter(77)], "")];
    for other in same {
        assert_eq!(hash(&base), hash(&other));
    }
    let different = [
        rule(5, &[compare(81), counter(0)], ""),
        rule(5, &[compare(80)], ""),
        rule(5, &[counter(0), compare(80)], ""),
        rule(5, &[compare(80), counter(0)], "comment"),
        rule(5, &[compare(80), counter(0), counter(0)], ""),
    ];
    for other in different {
        assert_ne!(hash(&base), hash(&other));
    }

    let limit = |bytes, flags, consumed| hash(&rule(5, &[quota(bytes, flags, consumed)], ""));
    assert_eq!(limit(1_000, 0, 0), limit(1_000, 2, 1_001));
    assert_ne!(limit(1_000, 0, 0), limit(2_000, 0, 0));
    assert_ne!(limit(1_000, 0, 0), limit(1_000, 1, 0));
}

#[test]
fn jumps_are_told_by_the_name_of_their_chain() {
    let verdict = |code: i32, chain: &str| {
        let mut verdict = attribute(1, &code.to_be_bytes());
        if !chain.is_empty() {
            verdict.extend(attribute(2, format!("{chain}\0").as_bytes()));
        }
        let data = [attribute(1, &[0; 4]), attribute(2, &attribute(2, &verdict))].concat();
        expression("immediate", &data)
    };
    let number = expression("immediate", &attribute(2, &attribute(1, &[0, 0, 0, 1])));
    let rule = rule(5, &[number, verdict(-3, "leaked"), verdict(1, ""), verdict(-4, "other")], "");
    let mut told = Vec::new();
    jumps(&Message::of(&rule).expect("a whole message"), |chain| told.push(chain.to_vec()));
    assert_eq!(told, [&b"leaked"[..], b"other"]);
}

#[test]
fn attributes_are_found_by_number() {
    let bytes = rule(5, &[expression("counter", &[])], "text");
    let message = Message::of(&bytes).expect("a whole message");
    assert_eq!(message.family, 2);
    assert_eq!((name(message.attribute(1)), name(message.attribute(2))), (&b"filter"[..], &b"INPUT"[..]));
    assert_eq!(message.attribute(7), Some(&b"text"[..]));
    assert_eq!((message.attribute(8), name(None)), (None, &b""[..]));
    assert_eq!((big_endian(&[0, 0, 1, 2]), big_endian(&[1])), (Some(258), None));
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(
        noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = rule(5, &[expression("cmp", &[1; 8]), quota(1, 2, 3)], "comment");
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Some(message) = Message::of(&bytes) {
            let _ = hash(&RandomState::new(), &message);
            jumps(&message, |_| {});
        }
    }
}
