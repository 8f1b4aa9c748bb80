//! The same of a session: whatever is indexed when, a moment shows what a state amounts to that takes in the records one
//! by one.

use std::sync::{Arc, atomic::Ordering};

use proptest::prelude::*;
use tracer_common::record::RecordKind;

use super::{FILTERS, block, expected, filter, time};
use crate::{
    block::Block,
    decode::records,
    history::{Indexer, LandmarkKind, Recorded, Replay, recording::Recording},
    output::tests::every_event,
    state::{Limits, MarkerKind},
};

fn replay(session: &Arc<Recording>, until_ns: Option<u64>, checkpoint_bytes: usize) -> Replay {
    let session: Arc<dyn Recorded> = Arc::<Recording>::clone(session);
    Replay::new(session, until_ns, None, Limits::default(), checkpoint_bytes)
}

/// Goes on until nothing is to be done any more.
fn settle(replay: &mut Replay, indexer: &mut Option<Indexer>) {
    for _ in 0..10_000 {
        if let Some(new) = replay.take_indexer() {
            *indexer = Some(new);
        }
        if replay.has_work() {
            replay.work();
        } else if let Some(found) = indexer.as_mut().and_then(Iterator::next) {
            replay.take_found(found);
        } else {
            return;
        }
    }
    panic!("the work never ends");
}

#[derive(Clone, Debug)]
enum Step {
    Index(usize),
    GoTo(u64),
    End,
    Stop,
    Filter(usize),
    Work,
}

fn session() -> impl Strategy<Value = Vec<Block>> {
    let record = (0_usize..60, 0_u64..6_000_000);
    let blocks =
        prop::collection::vec((prop::collection::vec(record, 1..40), prop::bool::weighted(0.1)), 1..30);
    blocks.prop_map(|mut blocks| {
        let mut now_ns = 1_000_000_000_u64;
        for (_, time_ns) in blocks.iter_mut().flat_map(|(picked, _)| picked) {
            now_ns += 4_000_000;
            *time_ns = now_ns - *time_ns;
        }
        blocks.iter().map(|(picked, is_cut)| block(picked, *is_cut)).collect()
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_usize..10).prop_map(Step::Index),
        4 => (900_000_000_u64..4_000_000_000).prop_map(Step::GoTo),
        1 => Just(Step::End),
        1 => Just(Step::Stop),
        1 => (0..FILTERS.len()).prop_map(Step::Filter),
        3 => Just(Step::Work),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_moment_of_a_session_is_shown_as_it_was(
        blocks in session(),
        steps in steps(),
        checkpoint_bytes in prop::sample::select(vec![0_usize, 1 << 20, 1 << 30]),
    ) {
        let recording = Recording::new(&blocks);
        let mut replay = replay(&recording, None, checkpoint_bytes);
        let (mut indexer, mut shown_filter) = (replay.take_indexer(), None);
        for step in steps {
            match step {
                Step::Index(times) => {
                    for _ in 0..times {
                        if let Some(new) = replay.take_indexer() {
                            indexer = Some(new);
                        }
                        if let Some(found) = indexer.as_mut().and_then(Iterator::next) {
                            replay.take_found(found);
                        }
                    }
                }
                Step::GoTo(time_ns) => replay.go_to(time(time_ns)),
                Step::End => replay.go_to_end(),
                Step::Stop => replay.stop(),
                Step::Filter(index) => {
                    shown_filter = filter(index);
                    replay.set_filter(shown_filter.clone());
                }
                Step::Work => if replay.has_work() { replay.work() },
            }
        }
        // A way that was stopped ends between two moments.
        let moment = replay.moment();
        if moment.boot_ns >= replay.end().boot_ns { replay.go_to_end() } else { replay.go_to(moment) }
        settle(&mut replay, &mut indexer);
        prop_assert!(replay.is_indexed() && replay.progress().is_none());
        let until_ns = if replay.is_at_end() { u64::MAX } else { replay.moment().boot_ns };
        prop_assert_eq!(format!("{:?}", replay.shown()), expected(&blocks, shown_filter.clone(), until_ns));
        replay.go_to_end();
        settle(&mut replay, &mut indexer);
        prop_assert!(replay.is_at_end());
        prop_assert_eq!(format!("{:?}", replay.shown()), expected(&blocks, shown_filter, u64::MAX));
    }

    #[test]
    fn a_session_cut_short_ends_before_the_first_record_of_that_time(
        blocks in session(),
        until_ns in 900_000_000_u64..4_000_000_000,
    ) {
        let recording = Recording::new(&blocks);
        let end_ns = recording.newest_ns.last().copied().unwrap_or_default();
        let mut replay = replay(&recording, Some(until_ns), 1 << 20);
        settle(&mut replay, &mut None);
        let last_ns = if until_ns > end_ns { u64::MAX } else { until_ns - 1 };
        prop_assert_eq!(format!("{:?}", replay.shown()), expected(&blocks, None, last_ns));
    }
}

/// A long session: a record a millisecond, sixteen to a chapter, one of them a change of IPVS.
fn long() -> Arc<Recording> {
    let sample = every_event();
    let mut kinds = records(&sample.0).map(|(header, _)| header.kind);
    let change = kinds.position(|kind| kind == RecordKind::IpvsChange as u16).unwrap();
    let blocks: Vec<Block> = (0..512_u64)
        .map(|chapter| {
            let picked: Vec<(usize, u64)> = (0..16)
                .map(|index| {
                    (if index == 3 { change } else { 4 }, 1_000_000_000 + (chapter * 16 + index) * 1_000_000)
                })
                .collect();
            block(&picked, false)
        })
        .collect();
    Recording::new(&blocks)
}

#[test]
fn checkpoints_are_spread_over_the_session_and_take_no_more_than_their_memory() {
    let recording = long();
    let mut roomy = replay(&recording, None, 1 << 30);
    settle(&mut roomy, &mut None);
    let (all, all_bytes) = roomy.checkpoints();
    assert!((10..=258).contains(&all), "{all}");
    let limit = all_bytes / 4;
    let mut narrow = replay(&recording, None, limit);
    settle(&mut narrow, &mut None);
    let (count, bytes) = narrow.checkpoints();
    // The first and the last are always there.
    assert!((4..all / 2).contains(&count), "{count} of {all}");
    assert!(bytes <= limit + 2 * roomy.shown().memory_bytes(), "{bytes} of {limit}");
}

#[test]
fn a_moment_in_the_middle_is_reached_from_a_checkpoint() {
    let recording = long();
    let mut replay = replay(&recording, None, 1 << 30);
    settle(&mut replay, &mut None);
    let (before, middle) = (recording.reads.load(Ordering::Relaxed), time(5_000_000_000));
    replay.go_to(middle);
    settle(&mut replay, &mut None);
    let far = recording.reads.load(Ordering::Relaxed) - before;
    assert!(far < 40, "{far} chapters of 512 were read");
    assert_eq!(replay.moment(), middle);
    // On from there it goes without another copy, and what was read last is not read again.
    for step in 1..=10 {
        replay.go_to(time(5_000_000_000 + step * 1_000_000));
        settle(&mut replay, &mut None);
    }
    assert!(recording.reads.load(Ordering::Relaxed) - before <= far + 2);
}

#[test]
fn landmarks_are_those_of_the_whole_session_in_the_order_of_time() {
    let recording = long();
    let mut replay = replay(&recording, None, 1 << 20);
    let mut indexer = replay.take_indexer();
    let mut damage = Vec::new();
    while let Some(found) = indexer.as_mut().and_then(Iterator::next) {
        damage.extend_from_slice(found.damage());
        replay.take_found(found);
    }
    assert_eq!(damage, ["what is missing"]);
    let landmarks = replay.landmarks().all();
    assert!(landmarks.is_sorted_by_key(|landmark| landmark.time));
    let state = replay.shown();
    let mut noted = 0;
    for kind in MarkerKind::ALL {
        let found = landmarks.iter().filter(|landmark| landmark.kind == LandmarkKind::Marker(kind)).count();
        assert_eq!(found as u64, state.markers.noted(kind), "{kind:?}");
        noted += found;
    }
    let turns = landmarks.iter().filter(|landmark| landmark.kind.is_of_finding()).count();
    assert!(noted > 0);
    assert_eq!(noted + turns, landmarks.len());
}

#[test]
fn an_empty_session_has_one_moment() {
    let mut replay = replay(&Recording::new(&[]), None, 1 << 20);
    settle(&mut replay, &mut None);
    assert!(replay.is_indexed() && replay.is_at_end());
    replay.go_to(time(5));
    settle(&mut replay, &mut None);
    assert_eq!((replay.shown().events(), replay.progress()), (0, None));
}
