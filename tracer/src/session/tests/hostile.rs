//! Files made to cost more than they hold.

use std::time::{Duration, Instant};

use super::{file::stored, *};
use crate::session::{SessionFile, index};

/// Far more than any of these takes, and far less than they would if their cost grew with the square of their length.
const PATIENCE: Duration = Duration::from_mins(1);

fn frame(content: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.include_checksum(true).unwrap();
    compressor.compress(content).unwrap()
}

fn session(rest: &[u8]) -> Vec<u8> {
    [&format::opening(1, 1), rest].concat()
}

/// Reads it both ways; the records, and what could not be read.
fn both(bytes: &[u8]) -> (usize, Vec<Damage>) {
    let began = Instant::now();
    let (records, damage) = read(bytes).unwrap();
    let (_directory, path) = stored(bytes);
    let file = SessionFile::open(&path).unwrap();
    let listed: usize = file.frames().iter().map(|frame| frame.record_bytes as usize).sum();
    assert_eq!(listed, records.len());
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    (records.len(), damage)
}

#[test]
fn frames_that_unpack_to_much_are_read_one_at_a_time() {
    // 4 MiB from 150 bytes, 20 times.
    let bomb = frame(&vec![0; format::FRAME_LIMIT_BYTES]);
    assert!(bomb.len() < 300, "{}", bomb.len());
    let (records, damage) = both(&session(&bomb.repeat(20)));
    assert_eq!((records, damage), (20 * format::FRAME_LIMIT_BYTES, vec![Damage::Unfinished]));
}

#[test]
fn bytes_that_only_look_like_frames_cost_little() {
    let magic = format::DATA_MAGIC;
    // Nothing but magics; headers that claim much; blocks that never end.
    let claims = [&magic[..], &[0xe4], &u64::MAX.to_le_bytes()].concat();
    let endless = [&magic[..], &[0x24, 8], &[0, 0, 0].repeat(60)].concat();
    for (name, bytes) in [("magics", magic.to_vec()), ("claims", claims), ("endless", endless)] {
        let file = session(&bytes.repeat((2 << 20) / bytes.len()));
        let (records, damage) = both(&file);
        assert_eq!(records, 0, "{name}");
        assert!(damage.len() < 4, "{name}: {damage:?}");
    }
}

/// Beginnings of frames, each within the one before, that all go on with the same blocks.
fn nested(blocks: &[u8]) -> Vec<u8> {
    const FRAMES: usize = 4_000;
    let content_bytes = u32::try_from(format::FRAME_LIMIT_BYTES).unwrap();
    let head = [&format::DATA_MAGIC[..], &[0xa4], &content_bytes.to_le_bytes()].concat();
    let mut bytes = Vec::new();
    for _ in 0..FRAMES {
        bytes.extend(&head);
        // A raw block up to where they all go on.
        let after = FRAMES * (head.len() + 3) - (bytes.len() + 3);
        bytes.extend(&(u32::try_from(after).unwrap() << 3).to_le_bytes()[..3]);
    }
    bytes.extend(blocks);
    bytes
}

/// Every one has to be unpacked to see that its checksum is wrong.
#[test]
fn damaged_frames_within_each_other_cost_no_more_than_a_few_times_the_file() {
    const BLOCK_BYTES: u32 = 128 << 10;
    // Blocks of one byte that is repeated, the last one marked; then a checksum that is none.
    let mut blocks = Vec::new();
    for block in 0..31 {
        let repeated = BLOCK_BYTES << 3 | 2 | u32::from(block == 30);
        blocks.extend(&repeated.to_le_bytes()[..3]);
        blocks.push(b'a');
    }
    blocks.extend([0; 4]);
    let (records, damage) = both(&session(&[nested(&blocks), frame(&record(1))].concat()));
    assert_eq!(records, 24);
    assert!(matches!(damage[..], [Damage::Skipped { .. }, Damage::Unfinished]), "{damage:?}");
}

#[test]
fn frames_of_endless_empty_blocks_are_not_followed_to_their_end() {
    let (records, damage) = both(&session(&nested(&vec![0; 3 << 20])));
    assert!(
        matches!(damage[..], [Damage::Skipped { .. }, Damage::Cut { .. }, Damage::Unfinished]),
        "{damage:?}"
    );
    assert_eq!(records, 0);
}

#[test]
fn skippable_frames_that_claim_more_than_there_is_are_damage() {
    let whole = frame(&record(1));
    for magic in [0x184d_2a50_u32, 0x184d_2a51, 0x184d_2a57, 0x184d_2a5e] {
        for claimed in [100_u32, 5 << 20, 60 << 20, u32::MAX] {
            let header = [magic.to_le_bytes(), claimed.to_le_bytes()].concat();
            let (records, damage) = both(&session(&[&whole, &header[..], &whole].concat()));
            assert!(records >= 24, "{magic:x} {claimed}");
            assert_eq!(damage.last(), Some(&Damage::Unfinished), "{magic:x} {claimed}");
            assert!(damage.len() > 1, "{magic:x} {claimed}: {damage:?}");
        }
    }
}

/// A seek table longer than the window of a reader ever gets: one that was recorded for more than six days.
#[test]
fn long_seek_tables_are_passed_over() {
    let table = |entries: u32, end: [u8; 4]| {
        let content_bytes = entries * 8 + 9;
        let mut bytes = [0x184d_2a5e_u32.to_le_bytes(), content_bytes.to_le_bytes()].concat();
        bytes.resize(8 + content_bytes as usize - 9, 1);
        bytes.extend(entries.to_le_bytes());
        bytes.push(0);
        bytes.extend(end);
        bytes
    };
    let whole = session(&frame(&record(1)));
    let long = [&whole, &table(600_000, index::TABLE_END_MAGIC)[..]].concat();
    assert_eq!(read(&long).unwrap(), (record(1), vec![]));
    let (_directory, path) = stored(&long);
    assert_eq!(SessionFile::open(&path).unwrap().damage(), [Damage::Index]);
    let broken = [&whole, &table(600_000, [0; 4])[..]].concat();
    let cut = &long[..long.len() - 1];
    for file in [&broken[..], cut] {
        let (records, damage) = read(file).unwrap();
        assert_eq!(records, record(1));
        assert!(matches!(damage[..], [Damage::Cut { .. }, Damage::Unfinished]), "{damage:?}");
    }
}

/// Changes what the index says of two frames.
type Lie = fn(&mut [index::Entry; 2]);

/// An index whose checksums are right and whose numbers are wrong.
#[test]
fn an_index_that_lies_is_refused_or_its_frames_are() {
    let frames = [frame(&record(1)), frame(&record(2))];
    let right = |number: usize| index::Entry {
        compressed_bytes: u32::try_from(frames[number].len()).unwrap(),
        content_bytes: 24,
        record_bytes: 24,
        records: 1,
        newest_ns: number as u64 + 1,
    };
    let seen_at_once: [(&str, Lie); 6] = [
        ("longer frames", |entries| entries[0].compressed_bytes += 1),
        ("frames beyond the file", |entries| entries[1].compressed_bytes = u32::MAX),
        ("frames that hold too much", |entries| entries[1].content_bytes = u32::MAX),
        ("records that are too much", |entries| entries[1].record_bytes = u32::MAX),
        ("time that goes back", |entries| entries[0].newest_ns = 3),
        ("frames without content", |entries| entries[1].content_bytes = 0),
    ];
    let seen_when_read: [(&str, Lie); 4] = [
        ("frames that begin elsewhere", |entries| {
            entries[0].compressed_bytes -= 1;
            entries[1].compressed_bytes += 1;
        }),
        ("more records", |entries| entries[1].records = u32::MAX),
        ("fewer bytes", |entries| entries[1].record_bytes = 1),
        ("earlier records", |entries| entries[1].newest_ns = 1),
    ];
    let lying = |lie: Lie| {
        let mut entries = [right(0), right(1)];
        lie(&mut entries);
        stored(&session(&[&frames[0], &frames[1][..], &index::encode(&entries).unwrap()].concat()))
    };
    let honest = lying(|_| ());
    let file = SessionFile::open(&honest.1).unwrap();
    assert_eq!((file.damage(), file.read(1).unwrap().len()), (&[][..], 24));
    for (name, lie) in seen_at_once {
        let (_directory, path) = lying(lie);
        let file = SessionFile::open(&path).unwrap();
        assert_eq!(file.damage(), [Damage::Index], "{name}");
        assert_eq!((file.frames().len(), file.read(1).unwrap().len()), (2, 24), "{name}");
    }
    for (name, lie) in seen_when_read {
        let (_directory, path) = lying(lie);
        let file = SessionFile::open(&path).unwrap();
        assert_eq!((file.damage(), file.frames().len()), (&[][..], 2), "{name}");
        let text = file.read(1).unwrap_err().to_string();
        assert!(text.contains("damaged bytes at offset"), "{name}: {text}");
    }
}
