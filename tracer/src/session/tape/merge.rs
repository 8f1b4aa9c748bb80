//! Several tracks as one run of records, in the order of time.
//!
//! Within a track the order of the records is kept, for names come before what they name: a record's place is the latest
//! time of any up to it, and of equal places the track that was named first comes first. Chapters are cut where a frame
//! of some track ends; of the other tracks they hold what is earlier, so that their frames are cut in two.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, binary_heap::PeekMut},
    ops::Range,
};

use bytes::Bytes;
use tracer_common::record::RecordHeader;

use super::{Chapter, axis::Placement, track::Track};
use crate::{decode::split_record, session::ReadError};

/// Bytes of records after which a chapter ends.
const CHAPTER_BYTES: usize = 256 << 10;

/// Room made for a chapter ahead of its records; one that says it has more may lie.
const RESERVED_BYTES: usize = 2 * CHAPTER_BYTES;

/// Where a record stands among those of all tracks: its time on the axis, its track, and the frame there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    axis_ns: u64,
    track: usize,
    frame: usize,
}

/// A chapter, and the key of the last record in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) chapter: Chapter,
    end: Key,
}

/// Cuts tracks into chapters.
pub(super) fn cuts(tracks: &[Track], placements: &[Placement]) -> Vec<Cut> {
    let mut ends: Vec<(Key, usize)> = Vec::new();
    for (track, (of, placement)) in tracks.iter().zip(placements).enumerate() {
        ends.extend(of.frames().iter().enumerate().map(|(frame, told)| {
            (Key { axis_ns: placement.on_axis(told.newest_ns), track, frame }, told.record_bytes)
        }));
    }
    ends.sort_unstable_by_key(|&(key, _)| key);
    let mut cuts = Vec::new();
    let mut record_bytes = 0_usize;
    for (place, &(end, bytes)) in ends.iter().enumerate() {
        record_bytes = record_bytes.saturating_add(bytes);
        if record_bytes >= CHAPTER_BYTES || place + 1 == ends.len() {
            cuts.push(Cut { chapter: Chapter { newest_ns: end.axis_ns, record_bytes }, end });
            record_bytes = 0;
        }
    }
    cuts
}

/// Appends the records between two cuts. Of a damaged frame there are none, which `tell` is told.
pub(super) fn append(
    merged: &mut Vec<u8>,
    tracks: &[Track],
    placements: &[Placement],
    (before, until): (Option<&Cut>, &Cut),
    mut tell: impl FnMut(&ReadError),
) -> Result<(), ReadError> {
    let mut heads = BinaryHeap::new();
    for (track, (of, placement)) in tracks.iter().zip(placements).enumerate() {
        let mut run = Run::new(of, track, placement, before.map(|cut| cut.end), until.end);
        if run.advance(&mut tell)? {
            heads.push(Reverse(run));
        }
    }
    merged.reserve(until.chapter.record_bytes.min(RESERVED_BYTES));
    while let Some(mut first) = heads.peek_mut() {
        let run = &mut first.0;
        run.take(merged);
        if !run.advance(&mut tell)? {
            PeekMut::pop(first);
        }
    }
    Ok(())
}

/// The next record of a run: where it stands, and where it is in its frame.
struct Next {
    key: Key,
    header: RecordHeader,
    bytes: Range<usize>,
}

/// The records of one track between two keys.
struct Run<'a> {
    track: &'a Track,
    placement: &'a Placement,
    number: usize,
    after: Option<Key>,
    until: Key,
    /// The frame at hand, and how much of it is behind the next record.
    frame: usize,
    records: Bytes,
    rest: usize,
    is_read: bool,
    next: Option<Next>,
    newest_ns: u64,
}

impl<'a> Run<'a> {
    fn new(
        track: &'a Track,
        number: usize,
        placement: &'a Placement,
        after: Option<Key>,
        until: Key,
    ) -> Self {
        let mut run = Self {
            track,
            placement,
            number,
            after,
            until,
            frame: 0,
            records: Bytes::new(),
            rest: 0,
            is_read: false,
            next: None,
            newest_ns: 0,
        };
        if let Some(after) = after {
            run.frame = run.frames_up_to(after);
        }
        run
    }

    /// How many frames end at a key or before.
    fn frames_up_to(&self, key: Key) -> usize {
        let end = |frame: usize, newest_ns| Key {
            axis_ns: self.placement.on_axis(newest_ns),
            track: self.number,
            frame,
        };
        let (mut low, mut high) = (0, self.track.frames().len());
        while low < high {
            let middle = low + (high - low) / 2;
            let is_before =
                self.track.frames().get(middle).is_some_and(|frame| end(middle, frame.newest_ns) <= key);
            (low, high) = if is_before { (middle + 1, high) } else { (low, middle) };
        }
        low
    }

    /// Goes to the next record; `false` behind the last one.
    fn advance(&mut self, tell: &mut impl FnMut(&ReadError)) -> Result<bool, ReadError> {
        loop {
            while let Some((header, record, _)) = self.records.get(self.rest..).and_then(split_record) {
                let bytes = self.rest..self.rest + record.len();
                self.rest = bytes.end;
                self.newest_ns = self.newest_ns.max(header.time_ns);
                let axis_ns = self.placement.on_axis(self.newest_ns);
                let key = Key { axis_ns, track: self.number, frame: self.frame };
                if key > self.until {
                    self.next = None;
                    return Ok(false);
                }
                if self.after.is_none_or(|after| key > after) {
                    self.next = Some(Next { key, header, bytes });
                    return Ok(true);
                }
            }
            if !self.next_frame(tell)? {
                self.next = None;
                return Ok(false);
            }
        }
    }

    /// Reads the next frame; `false` if no record of it can be within the keys.
    fn next_frame(&mut self, tell: &mut impl FnMut(&ReadError)) -> Result<bool, ReadError> {
        if self.is_read {
            self.frame += 1;
        }
        self.is_read = true;
        let before = self.frame.checked_sub(1).and_then(|before| self.track.frames().get(before));
        self.newest_ns = before.map_or(0, |before| before.newest_ns);
        let axis_ns = self.placement.on_axis(self.newest_ns);
        let least = Key { axis_ns, track: self.number, frame: self.frame };
        if self.frame >= self.track.frames().len() || least > self.until {
            return Ok(false);
        }
        self.rest = 0;
        self.records = match self.track.read(self.frame) {
            Ok(records) => records,
            Err(error @ ReadError::Damaged { .. }) => {
                tell(&error);
                Bytes::new()
            }
            Err(error) => return Err(error),
        };
        Ok(true)
    }

    fn take(&mut self, merged: &mut Vec<u8>) {
        let Some(Next { header, bytes, .. }) = self.next.take() else { return };
        if let Some(record) = self.records.get(bytes) {
            self.placement.append(merged, header, record);
        }
    }

    fn key(&self) -> Option<Key> {
        self.next.as_ref().map(|next| next.key)
    }
}

impl PartialEq for Run<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Run<'_> {}

impl PartialOrd for Run<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Run<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
