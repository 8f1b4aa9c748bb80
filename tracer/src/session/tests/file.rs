//! Any frame of a file at any time.

use std::path::PathBuf;

use super::*;
use crate::session::{ReadError, SessionFile};

/// A file of these bytes, for as long as the directory lives.
pub(super) fn stored(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session");
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

#[test]
fn every_frame_is_listed_and_read_in_any_order() {
    let (bytes, records, ends) = sample();
    let (_directory, path) = stored(&bytes);
    let file = SessionFile::open(&path).unwrap();
    assert_eq!((file.frames().len(), file.damage()), (ends.len() - 1, &[][..]));
    for index in (0..file.frames().len()).rev() {
        let ((start, records_start), (end, records_end)) = (ends[index], ends[index + 1]);
        let frame = file.frames()[index];
        assert_eq!((frame.offset, frame.compressed_bytes as usize), (start as u64, end - start));
        assert_eq!(file.read(index).unwrap(), records[records_start..records_end]);
    }
    let newest: Vec<u64> = file.frames()[1..].iter().map(|frame| frame.newest_ns).collect();
    assert_eq!(newest, [20_000_000_000, 21_000_000_000, 22_000_000_000]);
    assert!(matches!(file.read(ends.len()), Err(ReadError::NoSuchFrame { .. })));
}

#[test]
fn the_list_of_a_damaged_file_has_its_whole_frames() {
    let (bytes, records, ends) = sample();
    for cut in (format::OPENING_BYTES..bytes.len()).step_by(7) {
        let (_directory, path) = stored(&bytes[..cut]);
        let file = SessionFile::open(&path).unwrap();
        let whole = ends.iter().filter(|(end, _)| *end <= cut).count() - 1;
        assert_eq!(file.frames().len(), whole, "{cut}");
        assert_eq!(file.damage().last(), Some(&Damage::Unfinished), "{cut}");
        let read: Vec<u8> = (0..whole).flat_map(|index| file.read(index).unwrap().to_vec()).collect();
        assert_eq!(read, records[..ends[whole].1], "{cut}");
    }
}

#[test]
fn a_damaged_frame_is_told_when_it_is_read() {
    let (mut bytes, records, ends) = sample();
    let (start, end) = (ends[1].0, ends[2].0);
    bytes[end - 1] ^= 1;
    let (_directory, path) = stored(&bytes);
    let file = SessionFile::open(&path).unwrap();
    assert_eq!((file.frames().len(), file.damage()), (4, &[][..]));
    let expected = Damage::Skipped { offset: start as u64, bytes: (end - start) as u64 };
    match file.read(1).unwrap_err() {
        ReadError::Damaged { damage, .. } => assert_eq!(damage, expected),
        other => panic!("{other}"),
    }
    assert_eq!(file.read(2).unwrap(), records[ends[2].1..ends[3].1]);
}

#[test]
fn any_change_of_the_index_is_seen_and_costs_no_frame() {
    let (bytes, _, ends) = sample();
    let index_start = ends[ends.len() - 1].0;
    for place in index_start..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1 << bit;
            let (_directory, path) = stored(&bytes);
            let file = SessionFile::open(&path).unwrap();
            let listed: Vec<(u64, u32, u32)> =
                file.frames().iter().map(|frame| (frame.offset, frame.records, frame.record_bytes)).collect();
            assert_eq!(listed.len(), 4, "byte {place}, bit {bit}");
            assert_eq!((listed[3].1, listed[3].2), (1, 24), "byte {place}, bit {bit}");
            for index in 0..listed.len() {
                file.read(index).unwrap();
            }
        }
    }
}

#[test]
fn an_index_of_another_file_is_not_believed() {
    let (bytes, _, ends) = sample();
    let index_start = ends[ends.len() - 1].0;
    // Without its second frame, and with it twice.
    let without = [&bytes[..ends[1].0], &bytes[ends[2].0..]].concat();
    let twice = [&bytes[..ends[2].0], &bytes[ends[1].0..]].concat();
    // Two sessions in one file.
    let joined = [&bytes[..], &bytes[..]].concat();
    for (name, bytes, frames) in [("without", without, 3), ("twice", twice, 5), ("joined", joined, 8)] {
        let (_directory, path) = stored(&bytes);
        let file = SessionFile::open(&path).unwrap();
        assert_eq!((file.frames().len(), file.damage()), (frames, &[Damage::Index][..]), "{name}");
    }
    let (_directory, path) = stored(&bytes[index_start..]);
    assert!(matches!(SessionFile::open(&path), Err(OpenError::NotASession(_))));
}

#[test]
fn the_index_of_a_long_session_has_several_parts() {
    const FRAMES: u32 = 70_000;
    let mut writer = SessionWriter::new(Vec::new()).unwrap();
    for second in 0..FRAMES {
        writer.append(&Block(Bytes::from(record(u64::from(second) * 1_000_000_000)))).unwrap();
    }
    assert_eq!(writer.records(), u64::from(FRAMES) - 1);
    let bytes = writer.finish().unwrap();
    let (_directory, path) = stored(&bytes);
    let file = SessionFile::open(&path).unwrap();
    assert_eq!(file.damage(), []);
    assert_eq!(file.frames().len(), FRAMES as usize);
    assert_eq!(file.frames()[69_999].newest_ns, 69_999_000_000_000);
    assert_eq!(file.read(69_999).unwrap(), record(69_999_000_000_000));
}

#[test]
fn several_threads_read_at_once() {
    fn assert_shared<T: Send + Sync>(_: &T) {}
    let (bytes, records, ends) = sample();
    let (_directory, path) = stored(&bytes);
    let file = SessionFile::open(&path).unwrap();
    assert_shared(&file);
    std::thread::scope(|scope| {
        for index in 0..file.frames().len() {
            let (file, expected) = (&file, &records[ends[index].1..ends[index + 1].1]);
            scope.spawn(move || assert_eq!(file.read(index).unwrap(), expected));
        }
    });
}

#[test]
fn what_is_no_regular_file_or_shrinks_is_an_error() {
    assert!(matches!(SessionFile::open(&std::env::temp_dir()), Err(OpenError::Io { .. })));
    let (bytes, _, ends) = sample();
    let (_directory, path) = stored(&bytes);
    let file = SessionFile::open(&path).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(ends[1].0 as u64).unwrap();
    assert!(file.read(0).is_ok());
    assert!(matches!(file.read(1), Err(ReadError::Io { .. })));
}
