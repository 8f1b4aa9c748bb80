//! Several nodes on one axis.

use proptest::prelude::*;
use tempfile::TempDir;

use super::{all_records, boot, node, opening, ready, told, written};
use crate::{
    block::Block,
    decode::Decoder,
    event::{Body, Timestamp},
    session::{Shift, Tape},
};

const SECOND_NS: u64 = 1_000_000_000;

/// Node, name and wall time of every event that is told.
fn events(tape: &Tape) -> Vec<(u16, i64)> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    decoder.decode(&Block(all_records(tape).into()), |event| {
        if matches!(event.body, Body::Ready) {
            events.push((event.netns.node, event.time.wall_ns));
        }
    });
    events
}

fn shift(node: &str, nanoseconds: i64) -> Shift {
    Shift { node: node.to_owned(), nanoseconds }
}

#[test]
fn wall_clocks_agree_whatever_the_boot_clocks_say() {
    let directory = TempDir::new().unwrap();
    // Booted at 1000 s and at 400 s; what happens is at 2000 s, 2001 s and so on.
    let late = written(
        directory.path(),
        "late",
        &[[node(999, "late", 1_000_000_000_000), ready(1_000 * SECOND_NS, 1), ready(1_002 * SECOND_NS, 2)]
            .concat()],
    );
    let early = written(
        directory.path(),
        "early",
        &[node(999, "early", 400_000_000_000), ready(1_601 * SECOND_NS, 3), ready(1_603 * SECOND_NS, 4)],
    );
    let paths = [late, early];
    let tape = Tape::open(&paths).unwrap();
    let second = |second: i64| second * 1_000_000_000;
    assert_eq!(
        events(&tape),
        [(0, second(2_000)), (1, second(2_001)), (0, second(2_002)), (1, second(2_003))]
    );
    // The axis is the boot clock of the node that was booted first.
    let axis: Vec<u64> =
        told(&all_records(&tape)).iter().map(|&(_, time_ns, _)| time_ns / SECOND_NS).collect();
    assert_eq!(axis, [1_600, 1_601, 1_602, 1_603]);
    let names: Vec<&str> = tape.sources().iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["late", "early"]);
    let last = Timestamp { boot_ns: 1_603 * SECOND_NS, wall_ns: second(2_003) };
    assert_eq!(tape.sources()[1].last, last);

    let tape = Tape::open_shifted(&paths, &[shift("early", -1_500_000_000)]).unwrap();
    let half = |second: i64| second * 500_000_000;
    assert_eq!(events(&tape), [(1, half(3_999)), (0, half(4_000)), (1, half(4_003)), (0, half(4_004))]);
    assert!(tape.clocks()[1].ends_with("shifted by -1.500 s"), "{:?}", tape.clocks());

    let error = Tape::open_shifted(&paths, &[shift("nobody", 1)]).err().unwrap();
    assert_eq!(error.to_string(), "no session is of the node \"nobody\"; there are late, early");
}

#[test]
fn every_node_is_named_before_anything_is_told_of_it() {
    let directory = TempDir::new().unwrap();
    let paths = [1, 2, 3].map(|number: u64| {
        let blocks = [node(number * 100, "twin", 0), ready(number * 100 + 1, 0)];
        written(directory.path(), &format!("{number}"), &blocks)
    });
    let tape = Tape::open(&paths).unwrap();
    let mut names = Vec::new();
    Decoder::default().decode(&tape.read(0).unwrap(), |event| match event.body {
        Body::Node { host, .. } => names.push((event.netns.node, host.to_string())),
        Body::Ready => assert!(names.len() >= 3, "{names:?}"),
        _ => {}
    });
    let expected = [(0, "twin"), (1, "twin/2"), (2, "twin/3")].map(|(node, name)| (node, name.to_owned()));
    assert_eq!(names[..3], expected);
    // In their places they are renamed too.
    assert!(names[3..].iter().all(|name| expected.contains(name)) && names.len() == 6);
}

#[test]
fn sessions_of_one_boot_are_of_one_node() {
    let directory = TempDir::new().unwrap();
    let session = |name: &str, id: u8, begin: u64, wall: i64| {
        let stream = [node(begin, "a", wall), boot(begin, "b00t"), ready(begin + 5, id.into())].concat();
        written(directory.path(), name, &[opening(begin, id, 1, &[]), stream])
    };
    // The wall clock was set between them; the boot clock goes on.
    let paths = [session("first", 1, 100, 1_000), session("second", 2, 200, 501_000)];
    let tape = Tape::open(&paths).unwrap();
    assert_eq!(told(&all_records(&tape)), [(0, 105, 1), (0, 205, 2)]);
    assert_eq!(events(&tape), [(0, 1_105), (0, 501_205)]);
    assert!(tape.damage().is_empty());

    let overlapping = session("third", 3, 203, 501_000);
    let tape = Tape::open(&[paths[1].clone(), overlapping]).unwrap();
    assert!(
        tape.damage()[0].ends_with("at the same time: what both have is told twice"),
        "{:?}",
        tape.damage()
    );
}

#[test]
fn a_single_session_can_be_shifted() {
    let directory = TempDir::new().unwrap();
    let path = written(directory.path(), "one", &[node(1, "a", 1_000), ready(5, 0)]);
    let tape = Tape::open_shifted(&[path], &[shift("a", 70)]).unwrap();
    assert_eq!(events(&tape), [(0, 1_075)]);
    assert_eq!(told(&all_records(&tape)), [(0, 5, 0)]);
}

/// The records of one session: seconds since its boot, in frames.
fn session() -> impl Strategy<Value = Vec<Vec<u64>>> {
    let times = prop_oneof![0_u64..50, Just(u64::MAX)];
    prop::collection::vec(prop::collection::vec(times, 1..6), 1..8)
}

proptest! {
    // Each writes and reads files of some megabytes.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_is_that_of_time_and_within_a_session_its_own(
        sessions in prop::collection::vec((session(), 0_i64..20), 2..5),
        repeats in prop::sample::select(vec![1_usize, 30, 2_500]),
    ) {
        let directory = TempDir::new().unwrap();
        let base = sessions.iter().map(|(_, wall)| *wall).min().unwrap();
        let (mut paths, mut expected) = (Vec::new(), Vec::new());
        for (number, (frames, wall)) in sessions.iter().enumerate() {
            let mut blocks = vec![node(0, &format!("n{number}"), *wall)];
            let later = u64::try_from(wall - base).unwrap();
            let mut newest = 0;
            for (index, &time) in frames.iter().flatten().enumerate() {
                newest = newest.max(time);
                let node = u16::try_from(number).unwrap();
                let told = (node, time.saturating_add(later), u16::try_from(index).unwrap());
                // Chapters have to be long enough to be cut.
                for _ in 0..repeats {
                    expected.push((newest.saturating_add(later), number, told));
                }
            }
            let mut index = 0;
            for frame in frames {
                let mut block = Vec::new();
                for &time in frame {
                    block.extend(ready(time, index).repeat(repeats));
                    index += 1;
                }
                blocks.push(block);
            }
            paths.push(written(directory.path(), &number.to_string(), &blocks));
        }
        expected.sort_by_key(|&(newest, number, _)| (newest, number));
        let tape = Tape::open(&paths).unwrap();
        let mut found = Vec::new();
        for (index, chapter) in tape.chapters().iter().enumerate() {
            let records = told(&tape.read(index).unwrap().0);
            prop_assert!(records.iter().all(|&(_, time_ns, _)| time_ns <= chapter.newest_ns));
            // Of each session at most a frame more than a chapter is long.
            prop_assert!(records.len() * 24 <= (1 << 20) * (sessions.len() + 1));
            found.extend(records);
        }
        let expected: Vec<_> = expected.into_iter().map(|(.., told)| told).collect();
        prop_assert_eq!(&found, &expected);
        // Whatever is read before: a chapter is the same by itself.
        let last = tape.chapters().len() - 1;
        let again = Tape::open(&paths).unwrap();
        prop_assert_eq!(again.read(last).unwrap(), tape.read(last).unwrap());
        let newest: Vec<u64> = tape.chapters().iter().map(|chapter| chapter.newest_ns).collect();
        prop_assert!(newest.is_sorted());
    }
}
