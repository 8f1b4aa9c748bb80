//! Sessions of every version, as they were written.

use tracer_common::record::RecordHeader;
use zerocopy::FromBytes as _;

use super::{file::stored, *};
use crate::session::{SessionFile, arrangement};

/// The same records, written by each version: a node that starts to look, and the beginning of a storm.
const SESSIONS: [(&str, &[u8]); 2] = [
    ("1.0", include_bytes!("../../../testdata/sessions/1.0.tracer")),
    ("1.1", include_bytes!("../../../testdata/sessions/1.1.tracer")),
];

const RECORDS: u32 = 521;
const RECORD_BYTES: usize = 81_384;
const RECORDS_CRC: u32 = 0xa6ad_2ed5;

#[test]
fn sessions_of_all_versions_are_read_to_the_last_record() {
    for (version, session) in SESSIONS {
        let (records, damage) = read(session).unwrap();
        assert_eq!((records.len(), crc32fast::hash(&records)), (RECORD_BYTES, RECORDS_CRC), "{version}");
        assert_eq!(damage, [], "{version}");
        let (_directory, path) = stored(session);
        let file = SessionFile::open(&path).unwrap();
        assert_eq!(file.damage(), [], "{version}");
        assert_eq!(file.frames().iter().map(|frame| frame.records).sum::<u32>(), RECORDS, "{version}");
        let by_frame: Vec<u8> =
            (0..file.frames().len()).flat_map(|index| file.read(index).unwrap().to_vec()).collect();
        assert!(by_frame == records, "{version}");
    }
}

#[test]
fn what_is_written_today_is_the_newest_golden_session() {
    let (version, golden) = SESSIONS[SESSIONS.len() - 1];
    assert_eq!(version, format!("{}.{}", format::MAJOR_VERSION, format::MINOR_VERSION));
    let (records, _) = read(golden).unwrap();
    let file = written(&[Block(Bytes::from(records))]);
    // zstd's own version decides about the bytes of its frames.
    assert_eq!(file[..format::OPENING_BYTES], golden[..format::OPENING_BYTES]);
    assert_eq!(file.len().abs_diff(golden.len()) * 20 / golden.len(), 0, "{} bytes", file.len());
}

/// A reader of 1.0 takes every frame for records, and passes over kinds it does not know.
#[test]
fn an_arranged_frame_is_made_of_records_of_an_unknown_kind() {
    let (_, session) = SESSIONS[1];
    let content = zstd::stream::decode_all(session).unwrap();
    let mut rest = content.as_slice();
    let mut unknown = 0;
    while let Some((header, _, after)) = crate::decode::split_record(rest) {
        unknown += usize::from(header.kind == arrangement::KIND);
        assert!(header.kind == arrangement::KIND || RecordKind::from_number(header.kind).is_some());
        assert_eq!(header.length_bytes % 8, 0);
        rest = after;
    }
    assert_eq!((rest.len(), unknown), (0, 1));
    assert!(RecordKind::ALL.iter().all(|kind| (*kind as u16) < arrangement::KIND));
}

#[test]
fn a_later_minor_version_is_read_and_a_later_major_version_refused() {
    let (_, session) = SESSIONS[1];
    let with_version = |major, minor| {
        let mut file = session.to_vec();
        file[..format::OPENING_BYTES].copy_from_slice(&format::opening(major, minor));
        file
    };
    let later = with_version(format::MAJOR_VERSION, format::MINOR_VERSION + 1);
    assert_eq!(read(&later).unwrap().0.len(), RECORD_BYTES);
    let (_directory, path) = stored(&with_version(2, 0));
    let error = SessionFile::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::TooNew { major: 2, .. }));
    let text = error.to_string();
    assert!(
        text.ends_with("has format version 2, and this tracer reads up to 1: use a newer tracer"),
        "{text}"
    );
}

/// A later minor version may add frames of its own anywhere between the others.
#[test]
fn skippable_frames_of_later_versions_are_passed_over() {
    let (file, records, ends) = sample();
    let foreign = [&0x184d_2a57_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"new"].concat();
    for (place, _) in ends {
        let longer = [&file[..place], &foreign, &file[place..]].concat();
        assert_eq!(read(&longer).unwrap(), (records.clone(), vec![]), "{place}");
        let (_directory, path) = stored(&longer);
        let session = SessionFile::open(&path).unwrap();
        // The seek table of this made-up file does not list it.
        assert_eq!(session.damage(), [Damage::Index]);
        assert_eq!(session.frames().len(), 4);
    }
}

#[test]
fn times_in_the_golden_sessions_are_those_of_their_records() {
    for (version, session) in SESSIONS {
        let (_directory, path) = stored(session);
        let file = SessionFile::open(&path).unwrap();
        let mut newest_ns = 0;
        for (index, frame) in file.frames().iter().enumerate() {
            let mut rest: &[u8] = &file.read(index).unwrap();
            while let Ok((header, _)) = RecordHeader::read_from_prefix(rest) {
                newest_ns = newest_ns.max(header.time_ns);
                rest = &rest[usize::from(header.length_bytes)..];
            }
            assert_eq!(frame.newest_ns, newest_ns, "{version}, frame {index}");
        }
    }
}
