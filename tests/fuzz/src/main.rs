//! Hostile session files: whatever they hold, reading ends, in bounded memory, and without a panic.
//!
//! The last byte of the input says what the rest is: a file; the contents of its frames; or its index. The latter two
//! get the checksums that a reader would otherwise stop at.

#![no_main]

mod file;
mod seeds;

use std::{fs, io::Cursor, os::fd::AsRawFd as _, path::Path};

use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};
use tracer::{
    block::Block,
    decode::Decoder,
    session::{Damage, SessionFile, SessionReader},
};

/// What a reader unpacks of one frame at most.
const FRAME_LIMIT_BYTES: usize = 4 << 20;

/// Frames looked into; a small file can have many that unpack to much.
const FRAMES: usize = 64;

fuzz_target!(
    init: {
        if let Some(directory) = std::env::var_os("TRACER_FUZZ_SEEDS") {
            seeds::write(Path::new(&directory)).expect("cannot write the seeds");
            std::process::exit(0);
        }
    },
    |input: &[u8]| {
        if let Some((sort, rest)) = input.split_last() {
            let file = match sort % 4 {
                0 | 1 => rest.to_vec(),
                2 => file::of_contents(rest),
                _ => file::of_index(rest),
            };
            check(&file);
        }
    }
);

fn check(bytes: &[u8]) {
    let Ok(mut reader) = SessionReader::new(Cursor::new(bytes), Path::new("input")) else {
        assert!(opened(bytes).is_none(), "a file opens that a reader refuses");
        return;
    };
    let mut decoder = Decoder::default();
    let mut in_order = Vec::new();
    for block in reader.by_ref().take(FRAMES) {
        let Block(records) = block.expect("bytes in memory are always read");
        assert!(records.len() <= FRAME_LIMIT_BYTES);
        decoder.decode(&Block(records.clone()), drop);
        in_order.push(records);
    }
    let said: Vec<String> = reader.damage().iter().map(ToString::to_string).collect();
    assert!(said.iter().all(|text| !text.is_empty()));
    let file = opened(bytes).expect("a file does not open that a reader opens");
    let mut end = 0;
    for frame in file.frames() {
        assert!(frame.offset >= end, "frames overlap");
        end = frame.offset + u64::from(frame.compressed_bytes);
    }
    assert!(end <= bytes.len() as u64, "a frame ends behind the file");
    let newest = file.frames().iter().map(|frame| frame.newest_ns);
    assert!(newest.is_sorted(), "time goes back");
    let by_index: Vec<_> = (0..file.frames().len().min(FRAMES)).map(|index| file.read(index)).collect();
    // An index can lie, and what it lies about is refused. Without one, both ways of reading find the same.
    if file.damage().iter().any(|damage| matches!(damage, Damage::Unfinished | Damage::Index)) {
        let by_index: Vec<_> = by_index.into_iter().map(|records| records.expect("a listed frame")).collect();
        assert_eq!(by_index, in_order);
    }
}

/// The file of these bytes, if it is a session.
fn opened(bytes: &[u8]) -> Option<SessionFile> {
    let memory = memfd_create("session", MFdFlags::MFD_CLOEXEC).expect("cannot make a file in memory");
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    fs::write(&path, bytes).expect("cannot write a file in memory");
    SessionFile::open(Path::new(&path)).ok()
}
