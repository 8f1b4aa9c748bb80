//! Sessions written and read back: whole, cut, damaged and hostile.

mod arrangement;
mod compatibility;
mod file;
mod hostile;
mod trickle;

use std::{
    fs::{self, OpenOptions},
    io::Cursor,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use bytes::Bytes;
use proptest::prelude::*;
use tracer_common::record::{ReadyRecord, RecordHeader, RecordKind};
use zerocopy::IntoBytes;

use super::{CreateError, Damage, OpenError, SessionReader, SessionWriter, format, index};
use crate::{block::Block, output::tests::every_event};

/// A record of this time that says nothing else.
fn record(time_ns: u64) -> Vec<u8> {
    let header =
        RecordHeader { time_ns, kind: RecordKind::Ready as u16, length_bytes: 24, ..RecordHeader::default() };
    ReadyRecord { header }.as_bytes().to_vec()
}

fn written(blocks: &[Block]) -> Vec<u8> {
    let mut writer = SessionWriter::new(Vec::new()).unwrap();
    for block in blocks {
        writer.append(block).unwrap();
    }
    writer.finish().unwrap()
}

fn read(file: &[u8]) -> Result<(Vec<u8>, Vec<Damage>), OpenError> {
    let mut reader = SessionReader::new(Cursor::new(file), Path::new("sample"))?;
    let mut records = Vec::new();
    for block in &mut reader {
        let block = block.unwrap();
        assert!(block.0.len() <= format::FRAME_LIMIT_BYTES);
        records.extend_from_slice(&block.0);
    }
    Ok((records, reader.damage().to_vec()))
}

/// A session of four frames: the sample of every event, and three records a second apart. With each frame's end in the
/// file and among the records.
fn sample() -> (Vec<u8>, Vec<u8>, Vec<(usize, usize)>) {
    let mut blocks = vec![every_event()];
    blocks.extend((20..23).map(|second| Block(Bytes::from(record(second * 1_000_000_000)))));
    let records: Vec<u8> = blocks.iter().flat_map(|block| block.0.iter().copied()).collect();
    let file = written(&blocks);
    let mut ends = vec![(format::OPENING_BYTES, 0)];
    for block in &blocks {
        let (file_end, records_end) = ends[ends.len() - 1];
        let frame = zstd::zstd_safe::find_frame_compressed_size(&file[file_end..]).unwrap();
        ends.push((file_end + frame, records_end + block.0.len()));
    }
    (file, records, ends)
}

#[test]
fn a_session_reads_back_whole() {
    let (file, records, _) = sample();
    assert_eq!(read(&file).unwrap(), (records, vec![]));
    assert_eq!(read(&written(&[])).unwrap(), (vec![], vec![]));
}

#[test]
fn frames_end_after_a_mebibyte_and_after_a_second() {
    let many = Block(Bytes::from((0..50_000).flat_map(record).collect::<Vec<u8>>()));
    // The second frame begins with the first record that does not fit into the first frame.
    let records_in_a_frame = format::FRAME_BYTES / 24;
    let second_ends_ns = records_in_a_frame as u64 + 1_000_000_000;
    let late = Block(Bytes::from([record(second_ends_ns - 1), record(second_ends_ns)].concat()));
    let file = written(&[many, late]);
    let reader = SessionReader::new(Cursor::new(file), Path::new("sample")).unwrap();
    let lengths: Vec<usize> = reader.map(|block| block.unwrap().0.len()).collect();
    let in_a_frame = records_in_a_frame * 24;
    assert_eq!(lengths, [in_a_frame, 50_001 * 24 - in_a_frame, 24]);
}

#[test]
fn ordinary_zstd_takes_it_apart_and_the_seek_table_lists_the_frames() {
    let (file, _, ends) = sample();
    // The streaming decoder takes concatenated and skippable frames as the command does.
    let content = zstd::stream::decode_all(file.as_slice()).unwrap();
    let records_end = ends[ends.len() - 1].0;
    let footer = file.last_chunk().copied().unwrap();
    let table_start = file.len() - index::table_bytes(footer).unwrap();
    let entries = &file[table_start + 8..file.len() - 9];
    let lengths: Vec<usize> =
        entries.chunks(4).map(|number| u32::from_le_bytes(number.try_into().unwrap()) as usize).collect();
    // The opening, the frames of records, one of details.
    assert_eq!(lengths.len(), 2 * (ends.len() + 1));
    assert_eq!(lengths.iter().step_by(2).sum::<usize>(), table_start);
    assert_eq!(lengths.iter().skip(1).step_by(2).sum::<usize>(), content.len());
    assert!(file[records_end..].starts_with(&index::DETAILS_MAGIC));
    // Frames of few records are not arranged: their content is the records.
    assert!(
        content.ends_with(&[record(20_000_000_000), record(21_000_000_000), record(22_000_000_000)].concat())
    );
}

#[test]
fn a_session_cut_anywhere_reads_up_to_its_last_whole_frame() {
    let (file, records, ends) = sample();
    let table_start = file.len() - index::table_bytes(file.last_chunk().copied().unwrap()).unwrap();
    for cut in 0..file.len() {
        if cut < format::OPENING_BYTES {
            assert!(matches!(read(&file[..cut]), Err(OpenError::NotASession(_))), "{cut}");
            continue;
        }
        let (read, damage) = read(&file[..cut]).unwrap();
        let (mut file_end, records_end) = *ends.iter().rfind(|(file_end, _)| *file_end <= cut).unwrap();
        assert_eq!(read, records[..records_end], "{cut}");
        let mut expected = vec![Damage::Unfinished];
        if records_end == records.len() && cut >= table_start {
            file_end = table_start;
        }
        if cut > file_end {
            expected.insert(0, Damage::Cut { offset: file_end as u64, bytes: (cut - file_end) as u64 });
        }
        assert_eq!(damage, expected, "{cut}");
    }
}

#[test]
fn a_damaged_frame_costs_no_other() {
    let (file, records, ends) = sample();
    for frame in 1..ends.len() {
        let ((start, records_start), (end, records_end)) = (ends[frame - 1], ends[frame]);
        for place in start..end {
            let mut file = file.clone();
            file[place] ^= 0x40;
            let (read, damage) = read(&file).unwrap();
            let others = [&records[..records_start], &records[records_end..]].concat();
            // A few bits of a frame's header say nothing that changes what it holds.
            assert!(read == others || read == records, "frame {frame}, byte {place}");
            if read == others {
                let skipped = Damage::Skipped { offset: start as u64, bytes: (end - start) as u64 };
                assert_eq!(damage, [skipped], "frame {frame}, byte {place}");
            }
        }
    }
}

#[test]
fn what_is_no_session_or_too_new_is_refused() {
    assert!(matches!(read(b"not a session, but long enough to be one"), Err(OpenError::NotASession(_))));
    let newer = format::opening(format::MAJOR_VERSION + 1, 0);
    let error = read(&newer).unwrap_err();
    assert!(matches!(error, OpenError::TooNew { major: 2, .. }), "{error}");
    assert_eq!(read(&format::opening(format::MAJOR_VERSION, 9)).unwrap().1, [Damage::Unfinished]);
}

#[test]
fn a_frame_larger_than_any_writer_makes_is_not_unpacked() {
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.include_checksum(true).unwrap();
    let bomb = compressor.compress(&vec![0; format::FRAME_LIMIT_BYTES + 8]).unwrap();
    let mut file = format::opening(1, 0).to_vec();
    file.extend(&bomb);
    file.extend(&written(&[Block(Bytes::from(record(1)))])[format::OPENING_BYTES..]);
    let (records, damage) = read(&file).unwrap();
    assert_eq!(records, record(1));
    let offset = format::OPENING_BYTES as u64;
    assert_eq!(damage, [Damage::Skipped { offset, bytes: bomb.len() as u64 }]);
}

#[test]
fn session_files_are_private_and_never_overwritten_unasked() {
    let directory = std::env::temp_dir().join(format!("tracer-session-test-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("run.trace");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    SessionWriter::create(&path, false).unwrap().finish().unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(matches!(SessionWriter::create(&path, false).err(), Some(CreateError::Exists(_))));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    SessionWriter::create(&path, true).unwrap().finish().unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(SessionReader::open(&path).unwrap().next().is_none());
    let link = directory.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(SessionWriter::create(&link, true).err(), Some(CreateError::Io { .. })));
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_mode_of_a_pipe_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o640)).unwrap();
    // Without a reader the writer would wait for one.
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    SessionWriter::create(&path, true).unwrap().finish().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    drop(reader);
}

proptest! {
    #[test]
    fn flipped_bits_and_noise_never_make_the_reader_fail_or_invent_records(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..8)
    ) {
        let (mut file, records, ends) = sample();
        let body = format::OPENING_BYTES..file.len();
        for (index, bit) in flips {
            file[body.start + index.index(body.len())] ^= 1 << bit;
        }
        let (read, _) = read(&file).unwrap();
        // What is read is made of whole frames, in their order.
        let mut rest = read.as_slice();
        for pair in ends.windows(2) {
            rest = rest.strip_prefix(&records[pair[0].1..pair[1].1]).unwrap_or(rest);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn any_bytes_behind_the_opening_are_read_to_their_end(noise in prop::collection::vec(any::<u8>(), 0..4096)) {
        let mut file = format::opening(1, 0).to_vec();
        file.extend(noise);
        prop_assert!(read(&file).is_ok());
    }
}
