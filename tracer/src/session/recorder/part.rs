//! One file of a recording.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use tracer_common::record::{Record, RecordHeader, SessionBeginRecord, SessionRecord};
use zerocopy::IntoBytes as _;

use crate::{
    block::Block,
    event::SessionId,
    owned::Identity,
    session::{CreateError, SessionWriter, format::FRAME_BYTES, writer::create_file},
};

/// What a file begins with.
#[derive(Clone, Debug)]
pub struct Prologue {
    /// The session.
    pub id: SessionId,
    /// Which of its files, counted from 1.
    pub part: u32,
    /// Whether there were records before the file's first.
    pub is_under_way: bool,
    /// When recording of the file began, in nanoseconds since boot.
    pub began_ns: u64,
    /// Records of what holds by then: see [`Standing`](super::Standing).
    pub records: Vec<Bytes>,
}

impl Prologue {
    /// Its records, the two that enclose them included.
    pub fn block(&self) -> Block {
        let session = SessionRecord {
            id: self.id.0,
            part: self.part,
            is_under_way: u8::from(self.is_under_way),
            ..SessionRecord::default()
        };
        let mut bytes = BytesMut::new();
        put(&mut bytes, self.began_ns, &session);
        for record in &self.records {
            bytes.extend_from_slice(record);
        }
        put(&mut bytes, self.began_ns, &SessionBeginRecord::default());
        Block(bytes.freeze())
    }
}

fn put<R: Record>(bytes: &mut BytesMut, time_ns: u64, record: &R) {
    let header = RecordHeader {
        time_ns,
        kind: R::KIND as u16,
        // Some dozens of bytes.
        length_bytes: u16::try_from(size_of::<R>()).unwrap_or(u16::MAX),
        ..RecordHeader::default()
    };
    bytes.put_slice(header.as_bytes());
    bytes.put_slice(&record.as_bytes()[size_of::<RecordHeader>()..]);
}

/// A file that is being written. What is appended is compressed in memory; [`drain`](Self::drain) writes it, and after an
/// error goes on where that left it.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    is_regular: bool,
    /// None once the index is appended.
    writer: Option<SessionWriter<Spool>>,
    spool: Spool,
    /// Records of the stream in each chunk of the spool, the one that is being written first.
    chunk_records: VecDeque<u64>,
    /// Bytes of records appended since the last frame, and how many of the stream they are.
    pending: (usize, u64),
    /// Bytes written of the spool's first chunk.
    done: usize,
    /// Bytes of whole chunks written.
    bytes: u64,
}

impl Part {
    /// Makes the file and appends its prologue; nothing is written yet.
    pub(super) fn create(path: &Path, force: bool, prologue: &Prologue) -> Result<Self, CreateError> {
        let io_error = |source| CreateError::Io { path: path.to_owned(), source };
        let file = create_file(path, force)?;
        let is_regular = file.metadata().map_err(io_error)?.is_file();
        let spool = Spool::default();
        let writer = SessionWriter::new(spool.clone()).map_err(io_error)?;
        let mut part = Self {
            path: path.to_owned(),
            file,
            is_regular,
            writer: Some(writer),
            spool,
            chunk_records: VecDeque::new(),
            pending: (0, 0),
            done: 0,
            bytes: 0,
        };
        if let Some(writer) = &mut part.writer {
            writer.append_timeless(&prologue.block()).map_err(io_error)?;
        }
        part.end_frame().map_err(io_error)?;
        Ok(part)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a block, of which so many records are those that came. No frame ends within it, so that it is known which records are in which.
    pub(super) fn append(&mut self, block: &Block, records: u64) -> io::Result<()> {
        let is_full = self.pending.0 != 0 && self.pending.0 + block.0.len() > FRAME_BYTES;
        if is_full {
            self.end_frame()?;
        }
        let Some(writer) = &mut self.writer else { return Err(io::ErrorKind::Unsupported.into()) };
        writer.append_timeless(block)?;
        self.pending.0 += block.0.len();
        self.pending.1 += records;
        Ok(())
    }

    /// Ends the frame, so that what was appended can be written.
    pub(super) fn end_frame(&mut self) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.end_frame()?;
        let (_, records) = std::mem::take(&mut self.pending);
        self.note_chunks(records);
        Ok(())
    }

    /// The newest chunk has so many records of the stream; others that came with it are the file's opening and prologue.
    fn note_chunks(&mut self, records: u64) {
        let chunks = self.spool.chunks().len();
        if chunks > self.chunk_records.len() {
            self.chunk_records.resize(chunks - 1, 0);
            self.chunk_records.push_back(records);
        }
    }

    /// Whether something is ready to be written.
    pub(super) fn has_chunks(&self) -> bool {
        !self.spool.chunks().is_empty()
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes all frames that have ended.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        loop {
            let Some(chunk) = self.spool.chunks().front().cloned() else { return Ok(()) };
            while let Some(rest) = chunk.get(self.done..).filter(|rest| !rest.is_empty()) {
                match self.file.write(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => self.done += written,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.bytes += chunk.len() as u64;
            self.done = 0;
            self.spool.chunks().pop_front();
            self.chunk_records.pop_front();
        }
    }

    /// Fails if the file has no name any more: nobody would find what is written to it.
    pub(super) fn check_name(&self) -> io::Result<()> {
        if self.is_regular && self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed"));
        }
        Ok(())
    }

    /// Ends the last frame and appends the index; drain it, and then [`sync`](Self::sync).
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.end_frame()?;
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
            self.note_chunks(0);
        }
        Ok(())
    }

    /// Waits until the disk has it all, and says if it has not.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.is_regular { self.file.sync_data() } else { Ok(()) }
    }

    /// Cuts off what was begun and could not be finished; how many records of the stream are not in the file.
    pub(super) fn give_up(&mut self) -> u64 {
        if self.is_regular && self.done != 0 {
            // Readers get along with what is left, too.
            let _ = self.file.set_len(self.bytes);
        }
        self.chunk_records.iter().sum::<u64>() + self.pending.1
    }

    /// What tells the file from another that may have its name later; nothing if its file system does not say.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.file.metadata().ok().as_ref().map(Identity::from)
    }
}

/// Deletes a file that this recording made, if that is still what has its name.
pub(super) fn delete(path: &Path, made: Identity) {
    match made.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("cannot delete the old part {}: {error}", path.display());
        }
        _ => {}
    }
}

/// Frames on their way from the compressor to the file, each whole.
#[derive(Clone, Debug, Default)]
struct Spool(Arc<Mutex<VecDeque<Bytes>>>);

impl Spool {
    fn chunks(&self) -> std::sync::MutexGuard<'_, VecDeque<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunks().push_back(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
