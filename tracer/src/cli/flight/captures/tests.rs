//! Files are written when they are asked for, with what led up to it and what follows.

use std::{fs, path::Path};

use bytes::Bytes;
use jiff::Timestamp;
use tempfile::TempDir;
use tracer_common::record::{NodeRecord, RecordHeader, RecordKind};
use zerocopy::IntoBytes as _;

use super::Captures;
use crate::{
    block::Block,
    decode::{Decoder, records},
    event::Body,
    history::Flight,
    session::{SessionReader, Standing},
};

const SECOND_NS: u64 = 1_000_000_000;

fn block(second: u64) -> Block {
    let header = RecordHeader {
        kind: RecordKind::Node as u16,
        length_bytes: u16::try_from(size_of::<NodeRecord>()).unwrap(),
        time_ns: second * SECOND_NS,
        ..RecordHeader::default()
    };
    Block(Bytes::copy_from_slice(NodeRecord { header, ..NodeRecord::default() }.as_bytes()))
}

/// A flight recorder of 100 s, with 10 s behind a trigger.
struct Run {
    directory: TempDir,
    flight: Flight,
    standing: Standing,
    captures: Captures,
    second: u64,
}

impl Run {
    fn new(most_files: Option<u32>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("run.tracer");
        let captures = Captures::new(output, 10 * SECOND_NS, 100 * SECOND_NS, most_files).unwrap();
        let (flight, standing) = (Flight::new(100 * SECOND_NS, 1 << 20), Standing::default());
        Self { directory, flight, standing, captures, second: 0 }
    }

    fn go_on(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            let block = block(self.second);
            self.flight.take(&block);
            self.captures.take(&block, self.flight.newest_ns(), &self.standing);
            self.standing.note(&block);
        }
    }

    fn trigger(&mut self, why: &str) {
        let now = Timestamp::from_second(1_790_000_000 + i64::try_from(self.second).unwrap()).unwrap();
        let Self { flight, standing, captures, .. } = self;
        captures.trigger(why, flight.newest_ns(), now, standing, || flight.kept());
    }

    /// The names of all files, and what they hold.
    fn finish(self) -> Vec<(String, Told)> {
        let outcome = self.captures.finish(&self.standing);
        assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
        let mut names: Vec<String> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
            .into_iter()
            .map(|name| {
                let told = read(&self.directory.path().join(&name));
                (name, told)
            })
            .collect()
    }
}

/// What a file tells: seconds of the records before its beginning, whether there are more of these, seconds of the
/// stream, markers by their second.
#[derive(Debug, PartialEq)]
struct Told {
    prologue: Vec<u64>,
    is_under_way: bool,
    stream: Vec<u64>,
    markers: Vec<(u64, String)>,
}

fn read(path: &Path) -> Told {
    let mut told =
        Told { prologue: Vec::new(), is_under_way: false, stream: Vec::new(), markers: Vec::new() };
    let mut has_begun = false;
    let mut decoder = Decoder::default();
    for block in SessionReader::open(path).unwrap() {
        let block = block.unwrap();
        assert_ne!(records(&block.0).count(), 0);
        decoder.decode(&block, |event| {
            let second = event.time.boot_ns / SECOND_NS;
            match event.body {
                Body::Session(part) => told.is_under_way = part.is_under_way,
                Body::SessionBegin => has_begun = true,
                Body::Node { .. } if has_begun => told.stream.push(second),
                Body::Node { .. } => told.prologue.push(second),
                Body::Marker(text) => told.markers.push((second, text.to_string())),
                other => panic!("{other:?}"),
            }
        });
    }
    told
}

#[test]
fn a_file_has_what_led_up_to_it_and_what_followed_and_more_come_after_it() {
    let mut run = Run::new(None);
    run.go_on(20);
    run.trigger("first");
    run.go_on(5);
    // While it is at it, another trigger makes it longer.
    run.trigger("again");
    run.go_on(300);
    run.trigger("second");
    run.go_on(3);
    let second = run.second;
    let files = run.finish();
    let [(first_name, first), (last_name, last)] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(first_name, "run-20260921T141340Z.tracer");
    assert_eq!(last_name, "run-20260921T141845Z.tracer");
    let markers = [(20, "flight recorder: first"), (25, "flight recorder: again")];
    assert_eq!(
        *first,
        Told {
            prologue: vec![],
            is_under_way: false,
            stream: (1..=35).collect(),
            markers: markers.map(|(second, text)| (second, text.to_owned())).to_vec(),
        }
    );
    let begin = last.stream[0];
    assert!((325 - 107..=325 - 100).contains(&begin), "{begin}");
    assert_eq!(
        *last,
        Told {
            prologue: vec![begin - 1],
            is_under_way: true,
            stream: (begin..=second).collect(),
            markers: vec![(325, "flight recorder: second".to_owned())],
        }
    );
}

#[test]
fn no_more_files_are_kept_than_asked_for_and_no_other_is_touched() {
    let mut run = Run::new(Some(2));
    let foreign = run.directory.path().join("run-20200101T000000Z.tracer");
    fs::write(&foreign, "another's").unwrap();
    for _ in 0..4 {
        run.go_on(1);
        run.trigger("again and again");
        run.go_on(20);
        // The files are written by threads: each is waited for, so that none is refused.
        let running: Vec<_> = run.captures.ending.drain(..).collect();
        for ending in running {
            run.captures.close(ending);
        }
    }
    fs::remove_file(&foreign).unwrap();
    let files = run.finish();
    let markers: Vec<u64> = files.iter().map(|(_, told)| told.markers[0].0).collect();
    assert_eq!(markers, [43, 64]);
}

#[test]
fn a_name_that_is_taken_gets_a_number_and_a_directory_that_is_gone_is_told() {
    let mut run = Run::new(None);
    run.go_on(2);
    fs::write(run.directory.path().join("run-20260921T141322Z.tracer"), "another's").unwrap();
    run.trigger("why");
    run.go_on(20);
    for ending in run.captures.ending.drain(..).collect::<Vec<_>>() {
        run.captures.close(ending);
    }
    assert!(run.directory.path().join("run-20260921T141322Z-2.tracer").exists(), "{:?}", run.captures.told);
    fs::remove_dir_all(run.directory.path()).unwrap();
    run.trigger("too late");
    run.go_on(20);
    let outcome = run.captures.finish(&run.standing);
    assert!(outcome.failure.is_some_and(|error| error.to_string().contains("cannot create")));
    assert_eq!(outcome.files, 1);
    let absent = Captures::new("/nonexistent/run.tracer".into(), 0, 0, None);
    assert!(absent.unwrap_err().to_string().contains("/nonexistent"));
}
