//! Records of the last while, compressed, as many as fit.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{
    kept::Kept,
    records::{Place, Records},
};
use crate::{block::Block, decode::split_record, session::Standing};

/// Fast, and still several times smaller: records repeat much.
const LEVEL: i32 = 1;

/// Records in the order they came, the oldest given up when there are too many.
#[derive(Debug)]
pub(super) struct Ring {
    /// Chapters that are full.
    chapters: VecDeque<Arc<Chapter>>,
    /// How many were given up.
    given_up: u64,
    /// The latest time of any record in those.
    given_up_ns: u64,
    /// What still holds of what they told.
    standing: Standing,
    /// Bytes the full chapters take.
    bytes: usize,
    /// The chapter that grows.
    open: BytesMut,
    /// The time of its first record.
    opened_ns: u64,
    /// The time of the first record there ever was.
    first_ns: Option<u64>,
    /// The latest time of any record so far.
    newest_ns: u64,
    limit_bytes: usize,
}

/// A run of records.
#[derive(Debug)]
pub(super) struct Chapter {
    stored: Stored,
    /// Bytes of its records.
    record_bytes: usize,
    /// The latest time of any record up to its end: it never goes back from chapter to chapter.
    newest_ns: u64,
}

#[derive(Debug)]
enum Stored {
    /// A box, for a vector would keep the room that was needed to compress.
    Compressed(Box<[u8]>),
    /// Compression failed, which only a lack of memory could make it.
    Plain(Bytes),
}

impl Ring {
    /// Keeps about so many bytes.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            chapters: VecDeque::new(),
            given_up: 0,
            given_up_ns: 0,
            standing: Standing::default(),
            bytes: 0,
            open: BytesMut::new(),
            opened_ns: 0,
            first_ns: None,
            newest_ns: 0,
            limit_bytes,
        }
    }

    /// Before the oldest record.
    pub(super) fn begin(&self) -> Place {
        Place { chapter: self.given_up, byte: 0 }
    }

    /// Behind the newest record.
    pub(super) fn end(&self) -> Place {
        Place { chapter: self.given_up + self.chapters.len() as u64, byte: self.open.len() }
    }

    /// Appends a block. Give up chapters afterwards.
    pub(super) fn push(&mut self, block: &Block) {
        let mut rest: &[u8] = &block.0;
        if let (true, Some((first, ..))) = (self.open.is_empty(), split_record(rest)) {
            self.opened_ns = first.time_ns;
            self.first_ns.get_or_insert(first.time_ns);
        }
        while let Some((header, _, after)) = split_record(rest) {
            self.newest_ns = self.newest_ns.max(header.time_ns);
            rest = after;
        }
        self.open.extend_from_slice(&block.0);
        // What comes behind an unreadable end would be unreadable too: a chapter begins with a record.
        if self.open.len() >= self.chapter_bytes() || !rest.is_empty() {
            self.close();
        }
    }

    /// Ends the chapter that grows if its records are about so much time: on a quiet node it would grow for hours.
    pub(super) fn close_after(&mut self, duration_ns: u64) {
        if !self.open.is_empty() && self.newest_ns.saturating_sub(self.opened_ns) >= duration_ns {
            self.close();
        }
    }

    /// Whether nothing was given up.
    pub(super) fn is_whole(&self) -> bool {
        self.given_up == 0
    }

    /// The time from which on everything is kept.
    pub(super) fn begin_ns(&self) -> u64 {
        if self.given_up == 0 { self.first_ns.unwrap_or_default() } else { self.given_up_ns }
    }

    /// The latest time of any record so far.
    pub(super) fn newest_ns(&self) -> u64 {
        self.newest_ns
    }

    /// The latest time of any record of the first chapter, if that is full.
    pub(super) fn first_chapter_ns(&self) -> Option<u64> {
        self.chapters.front().map(|chapter| chapter.newest_ns)
    }

    /// All that is kept, and what held before it.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            is_whole: self.given_up == 0,
            begin_ns: self.begin_ns(),
            newest_ns: self.newest_ns,
            prologue: self.standing.records(),
            chapters: self.chapters.iter().cloned().collect(),
            open: Bytes::copy_from_slice(&self.open),
        }
    }

    /// Bytes of records in a chapter: the least that is kept, and given up, at once.
    pub(super) fn chapter_bytes(&self) -> usize {
        (self.limit_bytes / 64).clamp(4 << 10, 256 << 10)
    }

    fn close(&mut self) {
        let records = self.open.split().freeze();
        let record_bytes = records.len();
        let stored = match zstd::bulk::compress(&records, LEVEL) {
            Ok(compressed) => Stored::Compressed(compressed.into_boxed_slice()),
            Err(_) => Stored::Plain(records),
        };
        let chapter = Chapter { stored, record_bytes, newest_ns: self.newest_ns };
        self.bytes += chapter.bytes();
        self.chapters.push_back(Arc::new(chapter));
    }

    /// Bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.open.len()
    }

    /// Where the second chapter begins, if the first has to be given up.
    pub(super) fn excess(&self) -> Option<Place> {
        let is_over = self.bytes() > self.limit_bytes && !self.chapters.is_empty();
        is_over.then_some(Place { chapter: self.given_up + 1, byte: 0 })
    }

    /// Gives the first chapter up.
    pub(super) fn give_up_first(&mut self) {
        if let Some(chapter) = self.chapters.pop_front() {
            self.bytes -= chapter.bytes();
            self.given_up += 1;
            self.given_up_ns = chapter.newest_ns;
            self.standing.note(&Block(chapter.records()));
        }
    }

    /// Before the first record that is later than a time: every record before it is of that time or earlier.
    pub(super) fn place_after(&self, time_ns: u64) -> Place {
        let index = self.chapters.partition_point(|chapter| chapter.newest_ns <= time_ns);
        let records = self.chapter(index);
        let mut rest: &[u8] = &records;
        while let Some((header, _, after)) = split_record(rest) {
            if header.time_ns > time_ns {
                break;
            }
            rest = after;
        }
        Place { chapter: self.given_up + index as u64, byte: records.len() - rest.len() }
    }

    /// How much lies between two places, in bytes of records.
    pub(super) fn distance(&self, from: Place, to: Place) -> usize {
        let first = usize::try_from(from.chapter.saturating_sub(self.given_up)).unwrap_or(usize::MAX);
        let last = usize::try_from(to.chapter.saturating_sub(self.given_up)).unwrap_or(usize::MAX);
        let whole: usize =
            self.chapters.iter().take(last).skip(first).map(|chapter| chapter.record_bytes).sum();
        (whole + to.byte).saturating_sub(from.byte)
    }

    /// All records of a chapter, by its index among those kept; the last one is the open one.
    fn chapter(&self, index: usize) -> Bytes {
        match self.chapters.get(index) {
            Some(chapter) => chapter.records(),
            None if index == self.chapters.len() => Bytes::copy_from_slice(&self.open),
            None => Bytes::new(),
        }
    }
}

impl Records for Ring {
    /// A place before the oldest record is taken for the oldest.
    fn records(&self, from: Place, goal: Place) -> (Bytes, Place) {
        let from = from.max(self.begin());
        let goal = goal.min(self.end());
        if from >= goal {
            return (Bytes::new(), from);
        }
        let records = self.chapter(usize::try_from(from.chapter - self.given_up).unwrap_or(usize::MAX));
        let (end, behind) = if from.chapter == goal.chapter {
            (goal.byte, goal)
        } else {
            (records.len(), Place { chapter: from.chapter + 1, byte: 0 })
        };
        let end = end.min(records.len());
        (records.slice(from.byte.min(end)..end), behind)
    }
}

impl Chapter {
    fn bytes(&self) -> usize {
        match &self.stored {
            Stored::Compressed(bytes) => bytes.len(),
            Stored::Plain(bytes) => bytes.len(),
        }
    }

    pub(super) fn records(&self) -> Bytes {
        match &self.stored {
            Stored::Compressed(bytes) => {
                let records = zstd::bulk::decompress(bytes, self.record_bytes);
                records.map_or_else(
                    |error| {
                        log::error!("a part of the kept history cannot be read back: {error}");
                        Bytes::new()
                    },
                    Bytes::from,
                )
            }
            Stored::Plain(bytes) => bytes.clone(),
        }
    }
}
