//! Any frame of a file at any time.

use std::path::PathBuf;

use super::*;
use crate::session::{ReadError, SessionFile};

/// A file of these bytes, for as long as the directory lives.
fn stored(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
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
