//! Writing where not everything can be written.

use std::io::{self, Write};

use super::*;

/// Takes so many bytes, then nothing more, until there is room again.
struct Full {
    taken: Vec<u8>,
    room_bytes: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room_bytes - self.taken.len());
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn second(second: u64) -> Block {
    Block(Bytes::from(record(second * 1_000_000_000)))
}

#[test]
fn a_frame_that_finds_no_room_is_still_there() {
    let mut writer = SessionWriter::new(Full { taken: Vec::new(), room_bytes: 70 }).unwrap();
    writer.append(&second(1)).unwrap();
    writer.append(&second(2)).unwrap();
    let (bytes, records) = (writer.bytes(), writer.records());
    assert_eq!((records, writer.end_frame().unwrap_err().kind()), (1, io::ErrorKind::StorageFull));
    assert_eq!((writer.bytes(), writer.records()), (bytes, records));
    assert_eq!(writer.drop_pending(), 1);
    assert_eq!(writer.drop_pending(), 0);
    writer.end_frame().unwrap();
}

#[test]
fn writing_goes_on_where_the_last_whole_frame_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session");
    let mut writer = SessionWriter::create(&path, false).unwrap();
    writer.append(&second(1)).unwrap();
    writer.append(&second(2)).unwrap();
    // What a full disk leaves of a frame.
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&format::DATA_MAGIC).unwrap();
    writer.cut_partial_frame().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), writer.bytes());
    writer.finish().unwrap();
    let expected = [record(1_000_000_000), record(2_000_000_000)].concat();
    assert_eq!(read(&fs::read(&path).unwrap()).unwrap(), (expected, vec![]));
}
