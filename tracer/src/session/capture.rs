//! What a flight recorder writes: a session of its own, of what is kept and of what follows for a while.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::anyhow;

use super::{CreateError, Prologue, SessionWriter, recorder::new_id};
use crate::{
    block::Block,
    decode::records,
    event::Text,
    history::Kept,
    live::{Stamp, marker},
    owned::Identity,
};

/// Bytes of records that may wait for the disk. What is more is lost, and counted.
const WAITING_BYTES: usize = 64 << 20;

/// How long records wait for a frame to fill.
const FRAME_INTERVAL: Duration = Duration::from_secs(1);

/// A session being written by a thread of its own, so that no disk holds up who hands it records.
#[derive(Debug)]
pub(crate) struct Capture {
    records: Sender<Block>,
    waiting_bytes: Arc<AtomicUsize>,
    lost: u64,
    writer: JoinHandle<anyhow::Result<Written>>,
}

/// A capture that takes no more records, and may still be written.
#[derive(Debug)]
pub(crate) struct Ending {
    lost: u64,
    writer: JoinHandle<anyhow::Result<Written>>,
}

/// A session that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) bytes: u64,
    /// Records that found no room while the disk was behind.
    pub(crate) lost: u64,
    file: Identity,
}

impl Written {
    /// Removes the file, if it is still the one that was written.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.file.remove(&self.path)
    }
}

impl Capture {
    /// Begins to write all that is kept, with a marker at its end that says why, into a new file: `path`, or one with a
    /// number behind its name if that is there.
    pub(crate) fn begin(path: PathBuf, kept: Kept, why: &Text) -> io::Result<Self> {
        let (records, receiver) = channel();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let marker = marker(Stamp::at(kept.newest_ns()), why);
        let behind = Arc::clone(&waiting_bytes);
        let writer = thread::Builder::new()
            .name("flight".to_owned())
            .spawn(move || write(&path, kept, marker, &receiver, &behind))?;
        Ok(Self { records, waiting_bytes, lost: 0, writer })
    }

    /// Hands it the next block.
    pub(crate) fn take(&mut self, block: &Block) {
        let bytes = block.0.len();
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > WAITING_BYTES || self.records.send(block.clone()).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.lost += records(&block.0).count() as u64;
        }
    }

    /// Sets another marker.
    pub(crate) fn mark(&mut self, boot_ns: u64, why: &Text) {
        self.take(&marker(Stamp::at(boot_ns), why));
    }

    /// Gives it no more records.
    pub(crate) fn end(self) -> Ending {
        let Self { records: _, waiting_bytes: _, lost, writer } = self;
        Ending { lost, writer }
    }
}

impl Ending {
    /// Whether the file is written, or cannot be.
    pub(crate) fn is_over(&self) -> bool {
        self.writer.is_finished()
    }

    /// Waits for the file.
    pub(crate) fn finish(self) -> anyhow::Result<Written> {
        let Self { lost, writer } = self;
        let written = writer.join().map_err(|_| anyhow!("the thread that writes the session panicked"))??;
        Ok(Written { lost, ..written })
    }
}

fn write(
    path: &Path,
    kept: Kept,
    marker: Block,
    receiver: &Receiver<Block>,
    waiting_bytes: &AtomicUsize,
) -> anyhow::Result<Written> {
    let (path, mut writer) = create(path)?;
    // As text: a broken pipe here must not pass for a reader of standard output that has gone.
    let failed = |error: io::Error| anyhow!("cannot write {}: {error}", path.display());
    let prologue = Prologue {
        id: new_id()?,
        part: 1,
        is_under_way: !kept.is_whole(),
        began_ns: kept.begin_ns(),
        records: kept.prologue().to_vec(),
    };
    writer.append_timeless(&prologue.block()).and_then(|()| writer.end_frame()).map_err(failed)?;
    for block in kept.blocks().chain([marker]) {
        writer.append(&block).map_err(failed)?;
    }
    loop {
        match receiver.recv_timeout(FRAME_INTERVAL) {
            Ok(block) => {
                waiting_bytes.fetch_sub(block.0.len(), Ordering::Relaxed);
                writer.append(&block).map_err(failed)?;
            }
            Err(RecvTimeoutError::Timeout) => writer.end_frame().map_err(failed)?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let metadata = writer.finish().and_then(|file| file.metadata()).map_err(failed)?;
    Ok(Written { bytes: metadata.len(), lost: 0, file: Identity::from(&metadata), path })
}

/// A new file of that name, or the first that is free of those with a number behind it.
fn create(path: &Path) -> anyhow::Result<(PathBuf, SessionWriter<File>)> {
    /// As many as nobody writes in the same second.
    const NUMBERS: u32 = 100;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    let numbered = (2..NUMBERS).map(|number| path.with_file_name(format!("{stem}-{number}{ending}")));
    for path in [path.to_owned()].into_iter().chain(numbered) {
        match SessionWriter::create(&path, false) {
            Err(CreateError::Exists(_)) => {}
            Ok(writer) => return Ok((path, writer)),
            // As text, as above.
            Err(CreateError::Io { path, source }) => {
                return Err(anyhow!("cannot create the session file {}: {source}", path.display()));
            }
        }
    }
    Err(anyhow!("{} and a hundred like it exist already", path.display()))
}
