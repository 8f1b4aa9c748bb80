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
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io_error)?;
        let mut reader = SessionReader::new(&file, path)?;
        let mut frames = Vec::new();
        while let Some((frame, _)) = reader.next_frame().map_err(io_error)? {
            frames.push(frame);
        }
        let damage = reader.damage().to_vec();
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
        let mut bytes = vec![0; usize::try_from(frame.compressed_bytes).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, frame.offset).map_err(io_error)?;
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
