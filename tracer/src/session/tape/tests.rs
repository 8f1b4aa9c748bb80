//! Tapes of one file and of several.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{Tape, TapeError};
use crate::{block::Block, output::tests::every_event, session::SessionWriter};

fn written(directory: &TempDir, name: &str, blocks: &[Block]) -> PathBuf {
    let path = directory.path().join(name);
    let mut writer = SessionWriter::create(&path, false).unwrap();
    for block in blocks {
        writer.append(block).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn records(tape: &Tape) -> Vec<u8> {
    (0..tape.chapters().len()).flat_map(|index| tape.read(index).unwrap().0).collect()
}

#[test]
fn a_single_session_is_told_as_it_was_recorded() {
    let directory = TempDir::new().unwrap();
    let block = every_event();
    let path = written(&directory, "one", std::slice::from_ref(&block));
    let tape = Tape::open(std::slice::from_ref(&path)).unwrap();
    assert_eq!(records(&tape), block.0);
    let told: usize = tape.chapters().iter().map(|chapter| chapter.record_bytes).sum();
    assert_eq!(told, block.0.len());
    assert!(tape.damage().is_empty());
    let [source] = tape.sources() else { panic!("one source") };
    assert_eq!((source.node, source.name.as_str(), &source.files[..]), (0, "node-a", &[path][..]));
    assert!(source.first.wall_ns > 0 && source.first <= source.last);
}

#[test]
fn a_damaged_chapter_is_empty_and_told() {
    let directory = TempDir::new().unwrap();
    let path = written(&directory, "one", &[every_event()]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    let tape = Tape::open(&[path]).unwrap();
    let _ = records(&tape);
    assert!(!tape.damage().is_empty());
}

#[test]
fn no_file_is_no_tape() {
    assert!(matches!(Tape::open(&[]), Err(TapeError::Empty)));
}
