//! Rotated parts of one session.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{all_records, node, opening, ready, told, written};
use crate::session::{Tape, TapeError};

/// Three parts of a session, each but the first with what was known in its prologue.
fn parts(directory: &TempDir) -> (Vec<PathBuf>, Vec<u8>) {
    let known = [node(1, "a", 1_000), ready(2, 99)];
    let streams = [
        [known.concat(), ready(10, 1), ready(11, 2)].concat(),
        [ready(20, 3), ready(19, 4)].concat(),
        ready(30, 5),
    ];
    let paths = streams.iter().zip(1_u32..).map(|(stream, part)| {
        let prologue: &[_] = if part == 1 { &[] } else { &known };
        let begin = opening(u64::from(part) * 10, 7, part, prologue);
        // A prologue may end within a frame, or fill some.
        let blocks =
            if part == 2 { vec![[begin, stream.clone()].concat()] } else { vec![begin, stream.clone()] };
        written(directory.path(), &format!("part{part}"), &blocks)
    });
    let paths = paths.collect();
    let whole = [opening(10, 7, 1, &[]), streams.concat()].concat();
    (paths, whole)
}

#[test]
fn parts_chain_in_their_order_without_what_was_told_before() {
    let directory = TempDir::new().unwrap();
    let (mut paths, whole) = parts(&directory);
    paths.reverse();
    let tape = Tape::open(&paths).unwrap();
    assert_eq!(all_records(&tape), whole);
    assert!(tape.damage().is_empty(), "{:?}", tape.damage());
    let told: usize = tape.chapters().iter().map(|chapter| chapter.record_bytes).sum();
    assert_eq!(told, whole.len());
    let newest: Vec<u64> = tape.chapters().iter().map(|chapter| chapter.newest_ns).collect();
    assert!(newest.is_sorted() && newest.last() == Some(&30));
    let [source] = tape.sources() else { panic!("one source") };
    paths.reverse();
    assert_eq!(source.files, paths);
}

#[test]
fn a_missing_part_is_told_and_what_follows_begins_with_what_was_known() {
    let directory = TempDir::new().unwrap();
    let (paths, _) = parts(&directory);
    let tape = Tape::open(&[paths[0].clone(), paths[2].clone()]).unwrap();
    let numbers: Vec<u16> = told(&all_records(&tape)).iter().map(|&(.., number)| number).collect();
    assert_eq!(numbers, [99, 1, 2, 99, 5]);
    let [damage] = &tape.damage()[..] else { panic!("{:?}", tape.damage()) };
    assert!(damage.starts_with("files of the session are missing between"), "{damage}");
}

#[test]
fn a_later_part_is_whole_by_itself() {
    let directory = TempDir::new().unwrap();
    let (paths, _) = parts(&directory);
    let tape = Tape::open(&paths[1..]).unwrap();
    let numbers: Vec<u16> = told(&all_records(&tape)).iter().map(|&(.., number)| number).collect();
    assert_eq!(numbers, [99, 3, 4, 5]);
    assert_eq!(tape.sources()[0].session.map(|session| session.part), Some(2));
    assert!(tape.damage().is_empty());
}

#[test]
fn what_is_behind_a_cut_part_begins_with_what_was_known() {
    let directory = TempDir::new().unwrap();
    let (paths, _) = parts(&directory);
    let bytes = std::fs::read(&paths[0]).unwrap();
    std::fs::write(&paths[0], &bytes[..bytes.len() - 3]).unwrap();
    let tape = Tape::open(&paths).unwrap();
    let numbers: Vec<u16> = told(&all_records(&tape)).iter().map(|&(.., number)| number).collect();
    assert_eq!(numbers, [99, 1, 2, 99, 3, 4, 5]);
    assert!(!tape.damage().is_empty());
}

#[test]
fn two_files_of_one_number_are_refused() {
    let directory = TempDir::new().unwrap();
    let (mut paths, _) = parts(&directory);
    paths.push(written(directory.path(), "copy", &[opening(20, 7, 2, &[]), ready(20, 3)]));
    assert!(matches!(Tape::open(&paths), Err(TapeError::Twice { .. })));
}
