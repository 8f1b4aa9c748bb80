//! Records arranged by field instead of one behind the other, which compresses better and faster.
//!
//! From one record to the next of its kind few fields change, and most of those by little. An arranged run therefore
//! tells the first record of each group and, for each of its 4-byte words, the differences from record to record, the
//! lowest bytes of all first, then the next ones; bytes that are always zero are left out. A group is the records of
//! one kind and length. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1, 1, 2 | [`VERSION`], number of groups, zero |
//! | 4, 4, 4 | number of records, their bytes, number of stretches |
//! | 4, 4 | for each group: bytes of a record, number of its records |
//! | 1 | for each stretch of records of one group, in the order of the records: which group |
//! | 2 | for each stretch: how many records |
//! | 1 × words | for each group: which bytes of each word's differences follow, a bit each, the lowest first |
//! | record | its first record |
//! | 1 × (records − 1) | for each word and each of its bits that is set, that byte of all differences |
//!
//! A difference is wrapping, with its sign in the lowest bit. The run is cut into pieces that are records themselves, of
//! a kind no other part knows, so that a reader of version 1.0 takes a frame of them for records it does not know, and
//! passes over them as over any others.

use bytes::Bytes;
use tracer_common::record::RecordHeader;
use zerocopy::IntoBytes as _;

use super::format;
use crate::decode::split_record;

/// Kind of the records that hold a piece of an arranged run. It is the session format's own, beyond those of
/// [`RecordKind`](tracer_common::record::RecordKind).
pub(super) const KIND: u16 = 0xff00;

/// How a run is arranged.
const VERSION: u8 = 1;

/// Bytes of a run before its groups.
const HEADER_BYTES: usize = 16;

/// Bytes of a run in a piece, at most: a record is a multiple of 8 bytes and shorter than 64 KiB.
const PIECE_BYTES: usize = u16::MAX as usize / 8 * 8 - size_of::<RecordHeader>();

const WORD_BYTES: usize = 4;

/// Records of one kind and length.
struct Group {
    kind: u16,
    record_bytes: usize,
    /// Where each begins.
    places: Vec<usize>,
}

/// Arranges runs of records; it keeps its memory from one to the next.
#[derive(Default)]
pub(super) struct Arranger {
    run: Vec<u8>,
    differences: Vec<u32>,
    content: Vec<u8>,
}

impl Arranger {
    /// The content of a frame of these whole records, arranged; `None` if they cannot be.
    pub(super) fn arrange(&mut self, records: &[u8]) -> Option<&[u8]> {
        let mut groups: Vec<Group> = Vec::new();
        let mut stretches: Vec<(u8, u16)> = Vec::new();
        let (mut newest_ns, mut number) = (0, 0_u32);
        let mut rest = records;
        while let Some((header, record, after)) = split_record(rest) {
            let group = group_of(&mut groups, header.kind, record.len())?;
            groups.get_mut(usize::from(group))?.places.push(records.len() - rest.len());
            match stretches.last_mut() {
                Some((last, length)) if *last == group && *length < u16::MAX => *length += 1,
                _ => stretches.push((group, 1)),
            }
            newest_ns = header.time_ns.max(newest_ns);
            number += 1;
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
        self.begin(&groups, &stretches, number, records.len())?;
        for group in &groups {
            self.columns(records, group);
        }
        self.pieces(newest_ns);
        Some(&self.content)
    }

    /// What comes before the groups' columns.
    fn begin(
        &mut self,
        groups: &[Group],
        stretches: &[(u8, u16)],
        number: u32,
        record_bytes: usize,
    ) -> Option<()> {
        self.run.clear();
        self.run.extend([VERSION, u8::try_from(groups.len()).ok()?, 0, 0]);
        self.run.extend(number.to_le_bytes());
        self.run.extend(u32::try_from(record_bytes).ok()?.to_le_bytes());
        self.run.extend(u32::try_from(stretches.len()).ok()?.to_le_bytes());
        for group in groups {
            self.run.extend(u32::try_from(group.record_bytes).ok()?.to_le_bytes());
            self.run.extend(u32::try_from(group.places.len()).ok()?.to_le_bytes());
        }
        self.run.extend(stretches.iter().map(|&(group, _)| group));
        self.run.extend(stretches.iter().flat_map(|&(_, length)| length.to_le_bytes()));
        Some(())
    }

    fn columns(&mut self, records: &[u8], group: &Group) {
        let record = |&place: &usize| records.get(place..place + group.record_bytes).unwrap_or_default();
        let mut rows = group.places.iter().map(record);
        let Some(first) = rows.next() else { return };
        let mut changing = vec![0; group.record_bytes / WORD_BYTES];
        let mut previous = first;
        for row in rows {
            let pairs = words(row).zip(words(previous));
            for (changing, (word, before)) in changing.iter_mut().zip(pairs) {
                *changing |= signed_low(word.wrapping_sub(before));
            }
            previous = row;
        }
        self.run.extend(changing.iter().map(|&changing| bytes_set(changing)));
        self.run.extend_from_slice(first);
        for (index, &changing) in changing.iter().enumerate().filter(|(_, changing)| **changing != 0) {
            let at = index * WORD_BYTES;
            let mut before = word(records, group.places.first().map_or(0, |place| place + at));
            self.differences.clear();
            self.differences.extend(group.places.iter().skip(1).map(|place| {
                let word = word(records, place + at);
                let difference = signed_low(word.wrapping_sub(before));
                before = word;
                difference
            }));
            for byte in shifts(bytes_set(changing)) {
                self.run.extend(self.differences.iter().map(|difference| (difference >> byte) as u8));
            }
        }
    }

    /// Cuts the run into records.
    fn pieces(&mut self, newest_ns: u64) {
        self.content.clear();
        for piece in self.run.chunks(PIECE_BYTES) {
            let padding_bytes = piece.len().next_multiple_of(8) - piece.len();
            let length_bytes = size_of::<RecordHeader>() + piece.len() + padding_bytes;
            let header = RecordHeader {
                time_ns: newest_ns,
                kind: KIND,
                length_bytes: u16::try_from(length_bytes).unwrap_or(u16::MAX),
                ..RecordHeader::default()
            };
            self.content.extend_from_slice(header.as_bytes());
            self.content.extend_from_slice(piece);
            self.content.extend(std::iter::repeat_n(0, padding_bytes));
        }
    }
}

/// The index of the group of that kind and length, a new one if there is none; `None` if there would be too many, or
/// the length is none of whole words.
fn group_of(groups: &mut Vec<Group>, kind: u16, record_bytes: usize) -> Option<u8> {
    let found = groups.iter().position(|group| (group.kind, group.record_bytes) == (kind, record_bytes));
    let index = found.unwrap_or(groups.len());
    if found.is_none() {
        if record_bytes % WORD_BYTES != 0 || index >= usize::from(u8::MAX) {
            return None;
        }
        groups.push(Group { kind, record_bytes, places: Vec::new() });
    }
    u8::try_from(index).ok()
}

/// Whether a frame's content is an arranged run.
pub(super) fn is_arranged(content: &[u8]) -> bool {
    split_record(content).is_some_and(|(header, _, _)| header.kind == KIND)
}

/// The records of an arranged run; `None` if it is none, or larger than any writer makes it.
pub(super) fn restore(content: &[u8]) -> Option<Bytes> {
    let mut run = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((header, record, after)) = split_record(rest) {
        if header.kind != KIND {
            return None;
        }
        run.extend_from_slice(record.get(size_of::<RecordHeader>()..)?);
        rest = after;
    }
    let (header, mut rest) = run.split_first_chunk::<HEADER_BYTES>()?;
    let [version, groups, ..] = *header;
    let [number, record_bytes, stretches] = [4, 8, 12].map(|at| word(header, at) as usize);
    if version != VERSION || record_bytes > format::FRAME_LIMIT_BYTES || number > record_bytes {
        return None;
    }
    let shapes = take(&mut rest, usize::from(groups) * 8)?;
    let mut groups: Vec<Group> = shapes
        .chunks_exact(8)
        .map(|shape| Group { kind: 0, record_bytes: word(shape, 0) as usize, places: Vec::new() })
        .collect();
    let which = take(&mut rest, stretches)?;
    let lengths = take(&mut rest, stretches.checked_mul(2)?)?;
    let mut end = 0;
    for (&group, length) in which.iter().zip(lengths.as_chunks::<2>().0) {
        let group = groups.get_mut(usize::from(group))?;
        let length = usize::from(u16::from_le_bytes(*length));
        let stretch_bytes = group.record_bytes.checked_mul(length)?;
        if group.record_bytes < size_of::<RecordHeader>() || stretch_bytes > record_bytes - end {
            return None;
        }
        group.places.extend((0..length).map(|index| end + index * group.record_bytes));
        end += stretch_bytes;
    }
    let is_complete = groups
        .iter()
        .zip(shapes.chunks_exact(8))
        .all(|(group, shape)| group.places.len() == word(shape, 4) as usize);
    let told = groups.iter().map(|group| group.places.len()).sum::<usize>();
    if !is_complete || told != number || end != record_bytes {
        return None;
    }
    let mut records = vec![0; record_bytes];
    let mut differences = Vec::new();
    for group in &groups {
        restore_group(group, &mut rest, &mut differences, &mut records)?;
    }
    // What is left is the last piece's padding.
    (rest.len() < 8).then(|| Bytes::from(records))
}

fn restore_group(
    group: &Group,
    columns: &mut &[u8],
    differences: &mut Vec<u32>,
    records: &mut [u8],
) -> Option<()> {
    let masks = take(columns, group.record_bytes / WORD_BYTES)?;
    let first = take(columns, group.record_bytes)?;
    for &place in &group.places {
        records.get_mut(place..place + group.record_bytes)?.copy_from_slice(first);
    }
    for (index, &mask) in masks.iter().enumerate().filter(|(_, mask)| **mask != 0) {
        differences.clear();
        differences.resize(group.places.len().checked_sub(1)?, 0);
        for shift in shifts(mask) {
            let bytes = take(columns, differences.len())?;
            for (difference, &byte) in differences.iter_mut().zip(bytes) {
                *difference |= u32::from(byte) << shift;
            }
        }
        let at = index * WORD_BYTES;
        let mut value = word(first, at);
        for (place, &difference) in group.places.iter().skip(1).zip(differences.iter()) {
            value = value.wrapping_add(signed_high(difference));
            let place = place + at;
            records.get_mut(place..place + WORD_BYTES)?.copy_from_slice(&value.to_le_bytes());
        }
    }
    Some(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<WORD_BYTES>().0.iter().map(|word| u32::from_le_bytes(*word))
}

/// The word at that place; 0 behind the end.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word))
}

/// A difference with its sign in the lowest bit: small ones of either sign become small numbers.
fn signed_low(difference: u32) -> u32 {
    (difference << 1) ^ (difference >> 31).wrapping_neg()
}

/// The inverse of [`signed_low`].
fn signed_high(difference: u32) -> u32 {
    (difference >> 1) ^ (difference & 1).wrapping_neg()
}

/// Which bytes of a word are not zero, a bit each.
fn bytes_set(word: u32) -> u8 {
    word.to_le_bytes().iter().enumerate().fold(0, |set, (index, &byte)| set | u8::from(byte != 0) << index)
}

/// How far to shift each byte whose bit is set.
fn shifts(set: u8) -> impl Iterator<Item = u32> {
    (0..4).filter(move |byte| set >> byte & 1 == 1).map(|byte| byte * 8)
}
