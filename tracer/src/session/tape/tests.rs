//! Tapes of one file and of several.

mod nodes;
mod parts;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tracer_common::record::{
    FactsRecord, NodeRecord, ReadyRecord, Record, RecordHeader, SessionBeginRecord, SessionRecord,
};
use zerocopy::IntoBytes as _;

use super::{Tape, TapeError};
use crate::{block::Block, decode::records, output::tests::every_event, session::SessionWriter};

/// Writes a session with a frame of each block.
fn written(directory: &Path, name: &str, blocks: &[Vec<u8>]) -> PathBuf {
    let path = directory.join(name);
    let mut writer = SessionWriter::create(&path, false).unwrap();
    for block in blocks {
        writer.append(&Block(block.clone().into())).unwrap();
        writer.end_frame().unwrap();
    }
    writer.finish().unwrap();
    path
}

fn all_records(tape: &Tape) -> Vec<u8> {
    (0..tape.chapters().len()).flat_map(|index| tape.read(index).unwrap().0).collect()
}

fn header<R: Record>(time_ns: u64, text_bytes: usize) -> RecordHeader {
    let length_bytes = u16::try_from(size_of::<R>() + text_bytes).unwrap();
    RecordHeader { time_ns, kind: R::KIND as u16, length_bytes, ..RecordHeader::default() }
}

/// A record that says no more than when, and by its CPU which it is.
fn ready(time_ns: u64, number: u16) -> Vec<u8> {
    let header = RecordHeader { cpu: number, ..header::<ReadyRecord>(time_ns, 0) };
    ReadyRecord { header }.as_bytes().to_vec()
}

fn padded(text: &str) -> Vec<u8> {
    let mut text = text.as_bytes().to_vec();
    text.resize(text.len().next_multiple_of(8), 0);
    text
}

fn node(time_ns: u64, host: &str, wall_minus_boot_ns: i64) -> Vec<u8> {
    let names = padded(&format!("6.12\n{host}"));
    let header = header::<NodeRecord>(time_ns, names.len());
    [NodeRecord { header, wall_minus_boot_ns, tick_ns: 4_000_000 }.as_bytes(), &names].concat()
}

fn boot(time_ns: u64, id: &str) -> Vec<u8> {
    let text = padded(&format!("boot id\t{id}\n"));
    [FactsRecord { header: header::<FactsRecord>(time_ns, text.len()) }.as_bytes(), &text].concat()
}

/// What a part of a session begins with, up to the end of its prologue.
fn opening(time_ns: u64, id: u8, part: u32, prologue: &[Vec<u8>]) -> Vec<u8> {
    let header = header::<SessionRecord>(time_ns, 0);
    let is_under_way = u8::from(part > 1);
    let session = SessionRecord { header, id: [id; 16], part, is_under_way, ..SessionRecord::default() };
    let begin = SessionBeginRecord { header: self::header::<SessionBeginRecord>(time_ns, 0) };
    [session.as_bytes(), &prologue.concat(), begin.as_bytes()].concat()
}

/// Node, time and number of the records that only say when.
fn told(records_of: &[u8]) -> Vec<(u16, u64, u16)> {
    let all = records(records_of).filter(|(header, _)| header.kind == ReadyRecord::KIND as u16);
    all.map(|(header, _)| (header.node, header.time_ns, header.cpu)).collect()
}

#[test]
fn a_single_session_is_told_as_it_was_recorded() {
    let directory = TempDir::new().unwrap();
    let block = every_event().0.to_vec();
    let path = written(directory.path(), "one", std::slice::from_ref(&block));
    let tape = Tape::open(std::slice::from_ref(&path)).unwrap();
    assert_eq!(all_records(&tape), block);
    let told: usize = tape.chapters().iter().map(|chapter| chapter.record_bytes).sum();
    assert_eq!(told, block.len());
    assert!(tape.damage().is_empty() && tape.clocks().is_empty());
    let [source] = tape.sources() else { panic!("one source") };
    assert_eq!((source.node, source.name.as_str(), &source.files[..]), (0, "node-a", &[path][..]));
    assert!(source.first.wall_ns > 0 && source.first <= source.last);
}

#[test]
fn a_damaged_chapter_is_empty_and_told() {
    let directory = TempDir::new().unwrap();
    for number in [1, 2] {
        let other = written(directory.path(), &format!("other{number}"), &[node(5, "b", 0), ready(6, 9)]);
        let blocks =
            [node(1, "a", 0), (0..500).flat_map(|time| ready(10 + time, 1)).collect(), ready(900, 2)];
        let path = written(directory.path(), &format!("one{number}"), &blocks);
        let mut bytes = fs::read(&path).unwrap();
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let second = (0..bytes.len()).filter(|&place| bytes[place..].starts_with(&magic)).nth(1).unwrap();
        bytes[second + 20] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let paths = [path, other];
        let tape = Tape::open(&paths[..number]).unwrap();
        let whole = told(&all_records(&tape));
        let expected: &[_] = if number == 1 { &[(0, 900, 2)] } else { &[(1, 6, 9), (0, 900, 2)] };
        assert_eq!(whole, expected);
        assert_eq!(tape.damage().len(), 1, "{:?}", tape.damage());
        // Read again, it is told once.
        let _ = all_records(&tape);
        assert_eq!(tape.damage().len(), 1);
    }
}

#[test]
fn numbers_of_nodes_in_a_file_mean_nothing() {
    let directory = TempDir::new().unwrap();
    let header = RecordHeader { node: u16::MAX, ..header::<ReadyRecord>(2, 0) };
    let record = ReadyRecord { header }.as_bytes().to_vec();
    let path = written(directory.path(), "one", &[node(1, "a", 0), record]);
    let tape = Tape::open(&[path]).unwrap();
    assert_eq!(told(&all_records(&tape)), [(0, 2, 0)]);
}

#[test]
fn no_file_is_no_tape_and_none_is_named_twice() {
    assert!(matches!(Tape::open(&[]), Err(TapeError::Empty)));
    let directory = TempDir::new().unwrap();
    let path = written(directory.path(), "one", &[node(1, "a", 0)]);
    let other = directory.path().join("other");
    std::os::unix::fs::symlink(&path, &other).unwrap();
    assert!(matches!(Tape::open(&[path, other]), Err(TapeError::Twice { .. })));
}
