//! The records of a session as one goes along them: the chapters of a file, read when they are wanted.

use std::{cell::RefCell, fmt, sync::Arc};

use bytes::Bytes;

use super::{
    ahead::Ahead,
    records::{Place, Records},
};
use crate::{
    block::Block,
    decode::split_record,
    session::{ReadError, Tape},
};

/// A session whose chapters can be read in any order, by several threads.
pub trait Recorded: Send + Sync {
    /// How many chapters there are.
    fn chapters(&self) -> usize;

    /// Bytes of records in a chapter, which may be estimated: they only tell how much lies between two places.
    fn record_bytes(&self, index: usize) -> u64;

    /// The latest time of any record up to the end of a chapter, in nanoseconds since boot. It never goes back.
    fn newest_ns(&self, index: usize) -> u64;

    /// When recording began, in nanoseconds since boot: what is older was known already then.
    fn begin_ns(&self) -> u64;

    /// The records of a chapter. Fails if they cannot be read any more; what is damaged is left out.
    fn read(&self, index: usize) -> Result<Block, ReadError>;

    /// What of the session cannot be read, a sentence each.
    fn damage(&self) -> Vec<String>;
}

/// A session and its extent. Whoever goes along it has one of their own, for it keeps the chapter read last.
pub(super) struct Reel {
    session: Arc<dyn Recorded>,
    /// Bytes of records before each chapter, and behind them those of all.
    starts: Arc<[u64]>,
    /// Where it ends, which may be before the session does.
    end: Place,
    end_ns: u64,
    last_read: RefCell<Option<(u64, Bytes)>>,
    ahead: RefCell<Ahead>,
}

impl Recorded for Tape {
    fn chapters(&self) -> usize {
        self.chapters().len()
    }

    fn record_bytes(&self, index: usize) -> u64 {
        self.chapters().get(index).map_or(0, |chapter| chapter.record_bytes as u64)
    }

    fn newest_ns(&self, index: usize) -> u64 {
        self.chapters().get(index).map_or(0, |chapter| chapter.newest_ns)
    }

    fn begin_ns(&self) -> u64 {
        self.sources().iter().map(|source| source.first.boot_ns).min().unwrap_or_default()
    }

    fn read(&self, index: usize) -> Result<Block, ReadError> {
        self.read(index)
    }

    fn damage(&self) -> Vec<String> {
        self.damage()
    }
}

impl fmt::Debug for Reel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reel").field("end", &self.end).finish_non_exhaustive()
    }
}

impl Clone for Reel {
    fn clone(&self) -> Self {
        let Self { session, starts, end, end_ns, last_read: _, ahead: _ } = self;
        Self {
            session: Arc::clone(session),
            starts: Arc::clone(starts),
            end: *end,
            end_ns: *end_ns,
            last_read: RefCell::default(),
            ahead: RefCell::default(),
        }
    }
}

impl Reel {
    /// The session up to the first record at `until_ns` or later, if that is given.
    pub(super) fn new(session: Arc<dyn Recorded>, until_ns: Option<u64>) -> Self {
        let chapters = session.chapters();
        let mut starts = Vec::with_capacity(chapters + 1);
        let mut bytes = 0;
        starts.push(bytes);
        for index in 0..chapters {
            bytes += session.record_bytes(index);
            starts.push(bytes);
        }
        let end = Place { chapter: chapters as u64, byte: 0 };
        let end_ns = chapters.checked_sub(1).map_or(0, |last| session.newest_ns(last));
        let mut reel = Self {
            session,
            starts: starts.into(),
            end,
            end_ns,
            last_read: RefCell::default(),
            ahead: RefCell::default(),
        };
        if let Some(last_ns) = until_ns.and_then(|until_ns| until_ns.checked_sub(1))
            && last_ns < end_ns
        {
            (reel.end, reel.end_ns) = (reel.place_after(last_ns), last_ns);
        }
        reel
    }

    pub(super) fn session(&self) -> &dyn Recorded {
        &*self.session
    }

    /// Behind the last record.
    pub(super) fn end(&self) -> Place {
        self.end
    }

    /// When recording began and the time of the last record, in nanoseconds since boot.
    pub(super) fn extent_ns(&self) -> (u64, u64) {
        let begin_ns = self.session.begin_ns();
        (begin_ns, self.end_ns.max(begin_ns))
    }

    /// Bytes of records before a place.
    pub(super) fn bytes_before(&self, place: Place) -> u64 {
        let chapter = usize::try_from(place.chapter).unwrap_or(usize::MAX);
        let start = self.starts.get(chapter).or(self.starts.last()).copied().unwrap_or_default();
        start + place.byte as u64
    }

    /// How much lies between two places, in bytes of records.
    pub(super) fn distance(&self, from: Place, to: Place) -> u64 {
        self.bytes_before(to).saturating_sub(self.bytes_before(from))
    }

    /// Before the first record that is later than a time: every record before it is of that time or earlier.
    pub(super) fn place_after(&self, time_ns: u64) -> Place {
        let (mut low, mut high) = (0, self.session.chapters());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.session.newest_ns(middle) <= time_ns { low = middle + 1 } else { high = middle }
        }
        let records = self.chapter(low as u64);
        let mut rest: &[u8] = &records;
        while let Some((header, _, after)) = split_record(rest) {
            if header.time_ns > time_ns {
                break;
            }
            rest = after;
        }
        Place { chapter: low as u64, byte: records.len() - rest.len() }.min(self.end)
    }

    /// All records of a chapter, or none if it cannot be read.
    fn chapter(&self, chapter: u64) -> Bytes {
        if let Some((last, records)) = &*self.last_read.borrow()
            && *last == chapter
        {
            return records.clone();
        }
        let index = usize::try_from(chapter).ok().filter(|&index| index < self.session.chapters());
        let records = index.map_or_else(Bytes::new, |index| {
            let read = self.ahead.borrow_mut().take(index).unwrap_or_else(|| self.session.read(index));
            read.map_or_else(
                |error| {
                    log::error!("a part of the session cannot be read: {error}");
                    Bytes::new()
                },
                |block| block.0,
            )
        });
        *self.last_read.borrow_mut() = Some((chapter, records.clone()));
        records
    }

    /// Has the chapters read that are wanted next on the way to a goal.
    fn read_ahead(&self, chapter: u64, goal: Place) {
        // None of the last one is wanted if the goal is before its first record.
        let end = if goal.byte == 0 { goal.chapter } else { goal.chapter + 1 };
        let place = |chapter: u64| usize::try_from(chapter).unwrap_or(usize::MAX);
        let wanted = place(chapter + 1)..place(end).min(self.session.chapters());
        self.ahead.borrow_mut().want(&self.session, wanted);
    }
}

impl Records for Reel {
    fn records(&self, from: Place, goal: Place) -> (Bytes, Place) {
        let goal = goal.min(self.end);
        if from >= goal {
            return (Bytes::new(), from);
        }
        let records = self.chapter(from.chapter);
        self.read_ahead(from.chapter, goal);
        let (end, behind) = if from.chapter == goal.chapter {
            (goal.byte, goal)
        } else {
            (records.len(), Place { chapter: from.chapter + 1, byte: 0 })
        };
        let end = end.min(records.len());
        (records.slice(from.byte.min(end)..end), behind)
    }
}
