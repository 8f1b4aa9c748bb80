//! Sessions that come slowly, through a pipe.

use std::{
    cell::Cell,
    io::{self, Read},
    path::Path,
};

use super::{Damage, SessionReader, read, sample};

/// Gives a few bytes at a time, and now and then none because of a signal.
struct Trickle<'a> {
    file: &'a [u8],
    bytes_a_read: usize,
    given: &'a Cell<usize>,
    is_interrupted: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let rest = &self.file[self.given.get()..];
        let bytes = rest.len().min(self.bytes_a_read).min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        self.given.set(self.given.get() + bytes);
        Ok(bytes)
    }
}

/// The blocks' records and the damage; and how much of the file had been given when each block came.
fn trickled(file: &[u8], bytes_a_read: usize) -> ((Vec<u8>, Vec<Damage>), Vec<usize>) {
    let given = Cell::new(0);
    let source = Trickle { file, bytes_a_read, given: &given, is_interrupted: false };
    let mut reader = SessionReader::new(source, Path::new("pipe")).unwrap();
    let (mut records, mut given_by) = (Vec::new(), Vec::new());
    for block in &mut reader {
        records.extend_from_slice(&block.unwrap().0);
        given_by.push(given.get());
    }
    ((records, reader.damage().to_vec()), given_by)
}

#[test]
fn a_block_comes_as_soon_as_its_frame_has() {
    let (file, records, ends) = sample();
    for bytes_a_read in [1, 2, 7, 100, 4_096] {
        let (whole, given_by) = trickled(&file, bytes_a_read);
        assert_eq!(whole, (records.clone(), vec![]), "{bytes_a_read}");
        for (given, (file_end, _)) in given_by.iter().zip(&ends[1..]) {
            assert!(
                (*file_end..file_end + bytes_a_read).contains(given),
                "{bytes_a_read}: {given}, {file_end}"
            );
        }
    }
}

#[test]
fn damage_is_the_same_however_slowly_it_comes() {
    let (file, _, ends) = sample();
    let (second_begins, second_ends) = (ends[1].0, ends[2].0);
    let mut damaged = file.clone();
    damaged[second_begins + 9] ^= 1;
    let with_noise = [&file[..second_ends], &[0x28_u8; 300], &file[second_ends..]].concat();
    for file in [&damaged[..], &with_noise, &file[..second_ends + 5], &file[..file.len() - 3]] {
        let expected = read(file).unwrap();
        assert!(!expected.1.is_empty());
        for bytes_a_read in [1, 5, 64] {
            assert_eq!(trickled(file, bytes_a_read).0, expected, "{bytes_a_read}");
        }
    }
}

#[test]
fn behind_damage_nothing_is_waited_for() {
    let (file, _, ends) = sample();
    let mut damaged = file.clone();
    damaged[ends[1].0 + 9] ^= 1;
    let (_, given_by) = trickled(&damaged, 1);
    assert_eq!(given_by, [ends[1].0, ends[3].0, ends[4].0]);
}
