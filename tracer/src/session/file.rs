//! A session file, any frame of it at any time.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    frame::{self, Frame, Unpacker},
    index::{self, Table},
    reader::{Damage, OpenError, SessionReader},
};

/// A frame that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its bytes are not what they were when it was written, or never were a frame.
    #[error("{}: {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The frame's place.
        damage: Damage,
    },
    /// There are not so many.
    #[error("{} has no frame {index}", path.display())]
    NoSuchFrame {
        /// The file.
        path: PathBuf,
        /// The frame's index.
        index: usize,
    },
    /// The file system refuses.
    #[error("cannot read the session {} at offset {offset}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
}

/// A session file with its frames listed, each of which can be read at any time, by several threads at once.
pub struct SessionFile {
    path: PathBuf,
    file: File,
    frames: Vec<Frame>,
    damage: Vec<Damage>,
    /// Unpackers that nobody uses just now.
    unpackers: Mutex<Vec<Unpacker>>,
}

impl SessionFile {
    /// Opens a session in a regular file and lists its frames.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Self::of(file, path)
    }

    /// The same of a regular file that is open at its beginning; `path` names it in errors.
    pub(super) fn of(file: File, path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        let mut reader = SessionReader::new(&file, path)?;
        let (frames, damage) = match indexed(&file).map_err(io_error)? {
            Some(frames) => (frames, Vec::new()),
            None => scanned(&mut reader).map_err(io_error)?,
        };
        Ok(Self { path: path.to_owned(), file, frames, damage, unpackers: Mutex::default() })
    }

    /// The frames that hold records, in their order.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// What of the file could not be read when it was opened. A frame whose damage shows only when it is read is told by
    /// [`read`](Self::read).
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The records of a frame, by its index among [`frames`](Self::frames).
    pub fn read(&self, index: usize) -> Result<Bytes, ReadError> {
        let no_such_frame = || ReadError::NoSuchFrame { path: self.path.clone(), index };
        let frame = self.frames.get(index).ok_or_else(no_such_frame)?;
        let io_error = |source| ReadError::Io { path: self.path.clone(), offset: frame.offset, source };
        let bytes = read_at(&self.file, frame.offset, frame.compressed_bytes as usize).map_err(io_error)?;
        let mut unpacker = self.unpacker().map_err(io_error)?;
        let records = unpacker.unpack(&bytes).filter(|records| {
            let (number, newest_ns) = frame::survey(records);
            records.len() == frame.record_bytes as usize
                && number == frame.records
                && newest_ns <= frame.newest_ns
        });
        self.unpackers.lock().unwrap_or_else(PoisonError::into_inner).push(unpacker);
        records.ok_or_else(|| ReadError::Damaged {
            path: self.path.clone(),
            damage: Damage::Skipped { offset: frame.offset, bytes: frame.compressed_bytes.into() },
        })
    }

    fn unpacker(&self) -> io::Result<Unpacker> {
        let spare = self.unpackers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.map_or_else(Unpacker::new, Ok)
    }
}

/// The frames that the index lists; `None` if there is none, or it does not fit the file.
fn indexed(file: &File) -> io::Result<Option<Vec<Frame>>> {
    let file_bytes = file.metadata()?.len();
    let Some(footer_offset) = file_bytes.checked_sub(index::TABLE_FOOTER_BYTES as u64) else {
        return Ok(None);
    };
    let mut footer = [0; index::TABLE_FOOTER_BYTES];
    file.read_exact_at(&mut footer, footer_offset)?;
    let Some(table_bytes) = index::table_bytes(footer) else { return Ok(None) };
    let Some(table_offset) = file_bytes.checked_sub(table_bytes as u64) else { return Ok(None) };
    let table = read_at(file, table_offset, table_bytes)?;
    let Some(table) = Table::decode(&table, table_offset) else { return Ok(None) };
    let mut details = Vec::new();
    for (offset, frame_bytes) in table.details() {
        details.push(read_at(file, offset, frame_bytes as usize)?);
    }
    Ok(table.frames(&details))
}

/// The frames there are, found by reading all, and what could not be read.
fn scanned(reader: &mut SessionReader<&File>) -> io::Result<(Vec<Frame>, Vec<Damage>)> {
    let mut frames = Vec::new();
    let mut beyond = None;
    while let Some((frame, _)) = reader.next_frame()? {
        if frames.len() == index::FRAMES_LIMIT {
            beyond = Some(Damage::TooMany { offset: frame.offset });
            break;
        }
        frames.push(frame);
    }
    let mut damage = reader.damage().to_vec();
    // Version 1.0 had no index that tells enough. A file without any is told by the reader.
    if reader.minor_version() > 0 && beyond.is_none() && !damage.contains(&Damage::Unfinished) {
        damage.push(Damage::Index);
    }
    damage.extend(beyond);
    Ok((frames, damage))
}

fn read_at(file: &File, offset: u64, length_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length_bytes];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
