//! Recording onto disks that fail, in directories of the test's own.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tracer_common::record::{MarkerRecord, Record, RecordHeader, RecordKind};
use zerocopy::IntoBytes as _;

use super::{Condition, Recorder, RecorderOptions, RecorderStatus, Rotation};
use crate::{
    block::Block,
    decode::records,
    event::{Body, Event},
    session::{SessionReader, Standing},
};

mod begin;

const PATIENCE: Duration = Duration::from_secs(20);

/// A marker with as many bytes that do not compress.
fn block(number: u64, noise_bytes: usize) -> Block {
    let length = size_of::<MarkerRecord>() + noise_bytes.next_multiple_of(8);
    let header = RecordHeader {
        time_ns: 1_000 + number,
        kind: MarkerRecord::KIND as u16,
        length_bytes: u16::try_from(length).unwrap(),
        ..RecordHeader::default()
    };
    let mut bytes = header.as_bytes().to_vec();
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < length {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend(word.to_le_bytes());
    }
    Block(Bytes::from(bytes))
}

fn recorder(path: &Path, rotation: Rotation, queue_bytes: usize) -> Recorder {
    let options = RecorderOptions { path: path.to_owned(), force: false, rotation };
    Recorder::with_queue(options, &Standing::default(), queue_bytes).unwrap()
}

/// Waits until a recording is as wanted.
fn wait_until(recorder: &Recorder, is_so: impl Fn(&RecorderStatus) -> bool) -> RecorderStatus {
    let limit = Instant::now() + PATIENCE;
    loop {
        let status = recorder.status();
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < limit, "{status:?}");
        std::thread::yield_now();
    }
}

fn headers(path: &Path) -> Vec<RecordHeader> {
    let reader = SessionReader::open(path).unwrap();
    reader
        .flat_map(|block| records(&block.unwrap().0).map(|(header, _)| header).collect::<Vec<_>>())
        .collect()
}

/// Numbers of the markers in a file, and records that are told to be missing.
fn markers(path: &Path) -> (Vec<u64>, u64) {
    let (mut numbers, mut missing) = (Vec::new(), 0);
    let mut decoder = crate::decode::Decoder::default();
    for block in SessionReader::open(path).unwrap() {
        decoder.decode(&block.unwrap(), |Event { time, body, .. }| match body {
            Body::Marker(_) => numbers.push(time.boot_ns - 1_000),
            Body::Gap(gap) => missing += gap.records,
            _ => {}
        });
    }
    (numbers, missing)
}

#[test]
fn every_record_is_in_the_file_and_only_its_owner_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.tracer");
    let (mut recorder, standing) = (recorder(&path, Rotation::default(), 1 << 20), Standing::default());
    for number in 0..100 {
        recorder.take(&block(number, 40), &standing);
    }
    recorder.close(&standing);
    let status = recorder.finish(PATIENCE);
    assert_eq!((status.lost_records, &status.condition), (0, &Condition::Writing));
    assert_eq!(status.bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(markers(&path), ((0..100).collect(), 0));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let kinds: Vec<u16> = headers(&path).iter().take(3).map(|header| header.kind).collect();
    let expected = [RecordKind::Session, RecordKind::SessionBegin, RecordKind::Marker];
    assert_eq!(kinds, expected.map(|kind| kind as u16));
    let mut reader = SessionReader::open(&path).unwrap();
    assert!(reader.by_ref().all(|block| block.is_ok()) && reader.damage().is_empty());
}

#[test]
fn neither_files_nor_links_are_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "precious").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for (path, force) in [(&file, false), (&link, false), (&link, true)] {
        let options = RecorderOptions { path: path.clone(), force, rotation: Rotation::default() };
        assert!(Recorder::create(options, &Standing::default()).is_err(), "{path:?} {force}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn what_comes_is_in_the_file_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.tracer");
    let (mut recorder, standing) = (recorder(&path, Rotation::default(), 1 << 20), Standing::default());
    let before = wait_until(&recorder, |status| status.bytes != 0).bytes;
    recorder.take(&block(0, 40), &standing);
    // Nothing else comes: the frame ends by itself.
    wait_until(&recorder, |status| status.bytes > before);
    assert_eq!(markers(&path).0, [0]);
}

#[test]
fn a_full_disk_is_told_and_ends_cleanly() {
    let (mut recorder, standing) = {
        let options =
            RecorderOptions { path: "/dev/full".into(), force: true, rotation: Rotation::default() };
        (Recorder::with_queue(options, &Standing::default(), 4_096).unwrap(), Standing::default())
    };
    wait_until(&recorder, |status| matches!(status.condition, Condition::Waiting(_)));
    for number in 0..100 {
        // Never waits for the disk.
        recorder.take(&block(number, 1_000), &standing);
    }
    let waiting = recorder.status();
    assert!((90..100).contains(&waiting.lost_records), "{waiting:?}");
    recorder.close(&standing);
    let ended = recorder.finish(PATIENCE);
    let Condition::Ended(reason) = &ended.condition else { panic!("{ended:?}") };
    assert!(reason.contains("/dev/full") && reason.contains("No space left"), "{reason}");
    assert_eq!(ended.lost_records, 100);
}

#[test]
fn a_slow_reader_loses_records_that_are_told_where_they_are_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Open at both ends, so that nobody waits for the other.
    let pipe =
        fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let options = RecorderOptions { path: path.clone(), force: true, rotation: Rotation::default() };
    let mut standing = Standing::default();
    let mut recorder = Recorder::with_queue(options, &standing, 64 << 10).unwrap();
    let mut number = 0;
    let mut take = |recorder: &mut Recorder, standing: &mut Standing| {
        let block = block(number, 30_000);
        recorder.take(&block, standing);
        standing.note(&block);
        number += 1;
    };
    while recorder.status().lost_records == 0 {
        take(&mut recorder, &mut standing);
    }
    take(&mut recorder, &mut standing);
    // Somebody reads at last.
    let copy = directory.path().join("copy");
    let reader = {
        let (copy, mut pipe) = (copy.clone(), pipe.try_clone().unwrap());
        std::thread::spawn(move || {
            use std::io::Read as _;
            let (mut session, mut part) = (Vec::new(), [0; 1 << 12]);
            while !session.ends_with(&0x8f92_eab1_u32.to_le_bytes()) {
                match pipe.read(&mut part) {
                    Ok(length) => session.extend(&part[..length]),
                    Err(_) => std::thread::yield_now(),
                }
            }
            fs::write(copy, session).unwrap();
        })
    };
    while !recorder.queue.has_room_again() {
        std::thread::yield_now();
    }
    take(&mut recorder, &mut standing);
    recorder.close(&standing);
    let status = recorder.finish(PATIENCE);
    reader.join().unwrap();
    assert_eq!(status.condition, Condition::Writing);
    let (numbers, missing) = markers(&copy);
    assert_eq!((missing, numbers.len() as u64 + missing), (status.lost_records, number));
    assert_eq!(numbers.last(), Some(&(number - 1)), "it goes on after the gap");
    drop(pipe);
}

#[test]
fn a_file_that_is_removed_ends_the_recording() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.tracer");
    let (mut recorder, standing) = (recorder(&path, Rotation::default(), 1 << 20), Standing::default());
    wait_until(&recorder, |status| status.bytes != 0);
    recorder.take(&block(0, 40), &standing);
    drop(directory);
    let status = wait_until(&recorder, |status| matches!(status.condition, Condition::Ended(_)));
    let Condition::Ended(reason) = &status.condition else { panic!("{status:?}") };
    assert!(reason.ends_with("the file was removed"), "{reason}");
    let before = recorder.status().lost_records;
    recorder.take(&block(1, 40), &standing);
    recorder.take(&block(2, 40), &standing);
    assert_eq!(recorder.status().lost_records, before + 2, "what comes later is counted");
}

#[test]
fn parts_are_sessions_of_their_own_and_the_oldest_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.tracer");
    fs::write(directory.path().join("run.0000.tracer"), "somebody else's").unwrap();
    let rotation = Rotation { max_bytes: Some(2_000), max_files: Some(3), max_time: None };
    let (mut recorder, mut standing) = (recorder(&path, rotation, 1 << 20), Standing::default());
    let mut number = 0;
    while recorder.status().parts < 6 {
        let before = recorder.status().bytes;
        let block = block(number, 600);
        recorder.take(&block, &standing);
        standing.note(&block);
        number += 1;
        wait_until(&recorder, |status| status.bytes > before);
    }
    recorder.close(&standing);
    let status = recorder.finish(PATIENCE);
    assert_eq!((status.lost_records, &status.condition), (0, &Condition::Writing));
    let names: BTreeSet<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = ["run.0000.tracer", "run.0004.tracer", "run.0005.tracer", "run.0006.tracer"];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let mut next = None;
    let mut ids = BTreeSet::new();
    for part in 4..=6_u32 {
        let path = directory.path().join(format!("run.{part:04}.tracer"));
        let mut reader = SessionReader::open(&path).unwrap();
        let mut told = None;
        let mut decoder = crate::decode::Decoder::default();
        for block in reader.by_ref() {
            decoder.decode(&block.unwrap(), |event| {
                if let Body::Session(session) = event.body {
                    told = Some(session);
                }
            });
        }
        assert!(reader.damage().is_empty(), "{part}");
        let told = told.unwrap();
        assert_eq!((told.part, told.is_under_way), (part, true));
        ids.insert(told.id);
        let (numbers, _) = markers(&path);
        assert!(next.is_none_or(|next| numbers.first() == Some(&next)), "{part}: {numbers:?} after {next:?}");
        next = numbers.last().map(|last| last + 1);
    }
    assert_eq!((next, ids.len()), (Some(number), 1));
}
