//! Whatever the user does, what is shown is what a state amounts to that takes in the same records one by one.

mod replay;

use bytes::Bytes;
use proptest::prelude::*;
use tracer_common::record::RecordHeader;
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::History;
use crate::{
    block::Block,
    decode::{Decoder, records, split_record},
    event::Timestamp,
    filter::{Filter, Sieve},
    output::tests::every_event,
    state::{Limits, State},
};

const FILTERS: [Option<&str>; 4] =
    [None, Some("process nginx"), Some("host 10.0.0.9"), Some("not retransmit and not neighbour")];

/// Room for all that a test takes in, in many chapters.
const ALL_BYTES: usize = 256 << 10;

fn filter(index: usize) -> Option<Filter> {
    FILTERS[index].map(|text| text.parse().unwrap())
}

fn time(boot_ns: u64) -> Timestamp {
    Timestamp { boot_ns, wall_ns: 0 }
}

/// Records of the sample with other times.
fn block(picked: &[(usize, u64)], is_cut: bool) -> Block {
    let sample = every_event();
    let sample: Vec<&[u8]> = records(&sample.0).map(|(_, record)| record).collect();
    let mut bytes = Vec::new();
    for &(index, time_ns) in picked {
        let record = sample[index % sample.len()];
        let (header, body) = RecordHeader::read_from_prefix(record).unwrap();
        bytes.extend_from_slice(RecordHeader { time_ns, ..header }.as_bytes());
        bytes.extend_from_slice(body);
    }
    if is_cut {
        bytes.extend_from_slice(&sample[0][..20]);
    }
    Block(Bytes::from(bytes))
}

/// What the records up to the first that is later amount to.
fn expected(blocks: &[Block], filter: Option<Filter>, until_ns: u64) -> String {
    let (mut decoder, mut sieve, mut state) = (Decoder::default(), Sieve::new(filter), State::default());
    for block in blocks {
        let mut rest: &[u8] = &block.0;
        while let Some((_, _, after)) = split_record(rest).filter(|(header, _, _)| header.time_ns <= until_ns)
        {
            rest = after;
        }
        let is_last = split_record(rest).is_some();
        let taken = if is_last { block.0.len() - rest.len() } else { block.0.len() };
        decoder.decode(&Block(block.0.slice(..taken)), |event| {
            if sieve.passes(&event) {
                state.apply(&event);
            }
        });
        if is_last {
            break;
        }
    }
    state.set_decoded(decoder.counts());
    format!("{state:?}")
}

fn settle(history: &mut History) {
    for _ in 0..10_000 {
        if !history.has_work() {
            return;
        }
        history.work();
    }
    panic!("the work never ends");
}

#[derive(Clone, Debug)]
enum Step {
    Take(Vec<(usize, u64)>, bool),
    GoTo(u64),
    Pause,
    Resume,
    Filter(usize),
    Work,
}

/// Times go on by some milliseconds a record, now and then a little back, as those of several CPUs do.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0_usize..60, 0_u64..6_000_000);
    let step = prop_oneof![
        6 => (prop::collection::vec(record, 1..40), prop::bool::weighted(0.1))
            .prop_map(|(picked, is_cut)| Step::Take(picked, is_cut)),
        2 => (0_u64..4_000_000_000).prop_map(Step::GoTo),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => (0..FILTERS.len()).prop_map(Step::Filter),
        2 => Just(Step::Work),
    ];
    prop::collection::vec(step, 1..40).prop_map(|mut steps| {
        let mut now_ns = 1_000_000_000_u64;
        for step in &mut steps {
            if let Step::Take(picked, _) = step {
                for (_, time_ns) in picked {
                    now_ns += 4_000_000;
                    *time_ns = now_ns - *time_ns;
                }
            }
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_moment_is_shown_as_it_was_and_every_filter_applied_to_all_of_it(steps in steps()) {
        let mut history = History::new(State::default(), None, Limits::default(), ALL_BYTES);
        let (mut blocks, mut shown_filter, mut until_ns) = (Vec::new(), None, None);
        for step in steps {
            match step {
                Step::Take(picked, is_cut) => {
                    let block = block(&picked, is_cut);
                    history.take(&block);
                    blocks.push(block);
                }
                Step::GoTo(time_ns) => {
                    history.go_to(time(time_ns));
                    until_ns = history.moment().map(|moment| (moment.boot_ns, blocks.len()));
                }
                Step::Pause => {
                    history.pause();
                    until_ns = Some((u64::MAX, blocks.len()));
                }
                Step::Resume => {
                    history.resume();
                    until_ns = None;
                }
                Step::Filter(index) => {
                    shown_filter = filter(index);
                    history.set_filter(shown_filter.clone());
                }
                Step::Work => if history.has_work() { history.work() },
            }
        }
        settle(&mut history);
        prop_assert_eq!(history.moment().is_some(), until_ns.is_some());
        let (until_ns, count) = until_ns.unwrap_or((u64::MAX, blocks.len()));
        prop_assert_eq!(format!("{:?}", history.shown()), expected(&blocks[..count], shown_filter.clone(), until_ns));
        history.resume();
        prop_assert_eq!(format!("{:?}", history.shown()), expected(&blocks, shown_filter, u64::MAX));
    }

    #[test]
    fn what_is_given_up_stays_in_the_state(steps in steps(), first_filter in 0..FILTERS.len()) {
        let mut history = History::new(State::default(), filter(first_filter), Limits::default(), 1 << 10);
        let mut blocks = Vec::new();
        let mut paused: Option<String> = None;
        for step in steps {
            match step {
                Step::Take(picked, is_cut) => {
                    let block = block(&picked, is_cut);
                    history.take(&block);
                    blocks.push(block);
                }
                Step::Pause => {
                    history.resume();
                    history.pause();
                    settle(&mut history);
                    paused = Some(format!("{:?}", history.shown()));
                }
                Step::GoTo(time_ns) => {
                    history.go_to(time(time_ns));
                    settle(&mut history);
                    let moment = history.moment().map_or(0, |moment| moment.boot_ns);
                    let shown = format!("{:?}", history.shown());
                    // The first kept record may be a little older than the last one given up.
                    if moment > history.begin().boot_ns {
                        prop_assert_eq!(shown, expected(&blocks, filter(first_filter), moment));
                    }
                    history.resume();
                    paused = None;
                }
                Step::Resume | Step::Filter(_) | Step::Work => {}
            }
            if let Some(paused) = &paused {
                prop_assert_eq!(&format!("{:?}", history.shown()), paused);
            }
        }
        settle(&mut history);
        let live = format!("{:?}", history.live());
        prop_assert_eq!(live, expected(&blocks, filter(first_filter), u64::MAX));
        prop_assert!(history.kept_bytes() <= (1 << 10) + (4 << 10));
    }
}

#[test]
fn a_filter_set_late_sees_what_is_kept_and_says_since_when() {
    let mut history = History::new(State::default(), None, Limits::default(), 16 << 10);
    for second in 1..2_000_u64 {
        history.take(&block(&[(7, second * 1_000_000_000), (8, second * 1_000_000_000)], false));
    }
    let whole = history.live().events();
    assert_eq!(whole, 2 * 1_999);
    history.set_filter(filter(3));
    settle(&mut history);
    let began = history.live().began();
    history.set_filter("retransmit or neighbour".parse().ok());
    settle(&mut history);
    let (kept, since) = (history.live().events(), history.live().began());
    assert!(0 < kept && kept < whole, "{kept}");
    assert!(since >= history.begin() && began >= history.begin());
    history.set_filter(None);
    settle(&mut history);
    assert_eq!(history.live().events(), whole);
}
