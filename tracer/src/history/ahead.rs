//! Reading ahead: the next chapters are unpacked while the one before is gone along.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use super::Recorded;
use crate::{block::Block, session::ReadError};

/// Chapters that are read ahead, a megabyte each. Going along one takes longer than reading it.
const CHAPTERS: usize = 2;

/// What is read ahead, by a thread of its own that ends with this.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    reader: Option<Reader>,
    /// Where no thread could be made, nothing is read ahead.
    has_failed: bool,
}

#[derive(Debug)]
struct Reader {
    wanted: Sender<usize>,
    read: Receiver<Result<Block, ReadError>>,
    /// What is on its way, in the order it was wanted.
    coming: VecDeque<usize>,
}

impl Ahead {
    /// Has the first of these chapters read, as many as are read ahead.
    pub(super) fn want(&mut self, session: &Arc<dyn Recorded>, mut chapters: Range<usize>) {
        if chapters.is_empty() || self.has_failed {
            return;
        }
        if self.reader.is_none() {
            self.reader = Reader::new(Arc::clone(session));
            self.has_failed = self.reader.is_none();
        }
        let Some(reader) = &mut self.reader else { return };
        chapters.end = chapters.end.min(chapters.start.saturating_add(CHAPTERS));
        // What was wanted of another way comes first, and is left lying.
        while reader.coming.front().is_some_and(|first| !chapters.contains(first)) {
            if reader.read.try_recv().is_err() {
                return;
            }
            reader.coming.pop_front();
        }
        for chapter in chapters {
            if !reader.coming.contains(&chapter) && reader.wanted.send(chapter).is_ok() {
                reader.coming.push_back(chapter);
            }
        }
    }

    /// A chapter, if it was wanted: it is there or comes soon.
    pub(super) fn take(&mut self, chapter: usize) -> Option<Result<Block, ReadError>> {
        let Reader { read, coming, .. } = self.reader.as_mut()?;
        while coming.contains(&chapter) {
            let first = coming.pop_front()?;
            let block = read.recv().ok()?;
            if first == chapter {
                return Some(block);
            }
        }
        None
    }
}

impl Reader {
    fn new(session: Arc<dyn Recorded>) -> Option<Self> {
        let (wanted, chapters) = mpsc::channel();
        let (blocks, read) = mpsc::channel();
        let work = move || {
            for chapter in chapters {
                if blocks.send(session.read(chapter)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("read-ahead".to_owned())
            .spawn(work)
            .inspect_err(|error| log::warn!("cannot read a session ahead: {error}"))
            .ok()?;
        Some(Self { wanted, read, coming: VecDeque::new() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use bytes::Bytes;

    use super::{Ahead, Recorded};
    use crate::{block::Block, history::recording::Recording};

    #[test]
    fn what_was_wanted_is_there_once_and_in_any_order() {
        let blocks: Vec<Block> = (0..9).map(|number| Block(Bytes::from(vec![number; 5]))).collect();
        let recording = Recording::new(&blocks);
        let session: Arc<dyn Recorded> = Arc::clone(&recording) as _;
        let mut ahead = Ahead::default();
        assert!(ahead.take(1).is_none());
        ahead.want(&session, 1..9);
        ahead.want(&session, 1..9);
        assert_eq!(ahead.take(1).unwrap().unwrap().0, blocks[1].0);
        assert!(ahead.take(1).is_none(), "it is gone");
        ahead.want(&session, 2..9);
        // Somewhere else: what was wanted before is left lying.
        let found = loop {
            ahead.want(&session, 6..7);
            if let Some(found) = ahead.take(6) {
                break found;
            }
        };
        assert_eq!(found.unwrap().0, blocks[6].0);
        ahead.want(&session, 7..7);
        assert!(ahead.take(7).is_none());
        assert_eq!(recording.reads.load(Ordering::Relaxed), 4, "1, 2, 3 and 6");
    }
}
