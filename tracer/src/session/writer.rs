//! Writing a session.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use zstd::bulk::Compressor;

use super::{
    arrangement::{self, Arranger},
    format, frame,
    index::{self, Entry},
};
use crate::{
    block::Block,
    decode::{records, split_record},
    owned,
};

/// What is left of arranged records hardly repeats: at level 3 they take as much room on a storm and 5 % less on a busy
/// node, for a third more time.
const LEVEL: i32 = 1;

/// Frames of fewer bytes of records are made in both ways, and the smaller one is taken; longer ones are always smaller
/// when arranged.
const COMPARED_BYTES: usize = 64 << 10;

const FRAME_DURATION_NS: u64 = 1_000_000_000;

/// A session file that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is one already.
    #[error("{} exists already; choose another name, or replace it with --force", .0.display())]
    Exists(PathBuf),
    /// The file system refuses.
    #[error("cannot create the session file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes blocks as frames of a session. Without [`finish`](Self::finish) the records since the last frame and the
/// index are missing, and the rest is whole.
pub struct SessionWriter<W: Write> {
    writer: W,
    compressor: Compressor<'static>,
    /// Whole records of the frame to come.
    pending: Vec<u8>,
    /// Time of the first of them.
    began_ns: u64,
    arranger: Arranger,
    /// The frame to write.
    frame: Vec<u8>,
    /// The frames so far.
    frames: Vec<Entry>,
    /// Bytes of the file so far.
    bytes: u64,
}

impl SessionWriter<File> {
    /// Makes a session file that only its owner can read. It never follows a symbolic link; it replaces a file that is
    /// there only with `force`. The mode of what is no regular file stays as it is.
    pub fn create(path: &Path, force: bool) -> Result<Self, CreateError> {
        let file = create_file(path, force)?;
        Self::new(file).map_err(|source| CreateError::Io { path: path.to_owned(), source })
    }
}

/// Makes the file of a session, as [`SessionWriter::create`] does, without writing to it.
pub(super) fn create_file(path: &Path, force: bool) -> Result<File, CreateError> {
    owned::create(path, force).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CreateError::Exists(path.to_owned()),
        _ => CreateError::Io { path: path.to_owned(), source },
    })
}

impl<W: Write> SessionWriter<W> {
    /// Begins a session on any writer.
    pub fn new(mut writer: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        let opening = format::opening(format::MAJOR_VERSION, format::MINOR_VERSION);
        writer.write_all(&opening)?;
        Ok(Self {
            writer,
            compressor,
            pending: Vec::with_capacity(format::FRAME_BYTES),
            began_ns: 0,
            arranger: Arranger::default(),
            frame: Vec::new(),
            frames: Vec::new(),
            bytes: opening.len() as u64,
        })
    }

    /// Takes a block; writes frames as they become full, or a second long by the records' time.
    pub fn append(&mut self, block: &Block) -> io::Result<()> {
        let mut rest: &[u8] = &block.0;
        while !rest.is_empty() {
            let Some((header, record, after)) = split_record(rest) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a block ends within a record"));
            };
            rest = after;
            let is_full = self.pending.len() + record.len() > format::FRAME_BYTES;
            let is_long = header.time_ns.saturating_sub(self.began_ns) >= FRAME_DURATION_NS;
            if !self.pending.is_empty() && (is_full || is_long) {
                self.end_frame()?;
            }
            if self.pending.is_empty() {
                self.began_ns = header.time_ns;
            }
            self.pending.extend_from_slice(record);
        }
        Ok(())
    }

    /// Takes a block whose records may be of any time: a frame ends within it only when it is full.
    pub fn append_timeless(&mut self, block: &Block) -> io::Result<()> {
        for (header, record) in records(&block.0) {
            if self.pending.len() + record.len() > format::FRAME_BYTES {
                self.end_frame()?;
            }
            if self.pending.is_empty() {
                self.began_ns = header.time_ns;
            }
            self.pending.extend_from_slice(record);
        }
        Ok(())
    }

    /// Writes the records taken so far as a frame, if there are any. After an error they are still there, and the frame
    /// may be written in part.
    pub fn end_frame(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.frames.len() == index::FRAMES_LIMIT {
            return Err(too_many_frames());
        }
        let content_bytes = self.compress()?;
        self.writer.write_all(&self.frame)?;
        let (records, newest_ns) = frame::survey(&self.pending);
        let before_ns = self.frames.last().map_or(0, |entry| entry.newest_ns);
        self.frames.push(Entry {
            compressed_bytes: length(self.frame.len())?,
            content_bytes: length(content_bytes)?,
            record_bytes: length(self.pending.len())?,
            records,
            newest_ns: newest_ns.max(before_ns),
        });
        self.bytes += self.frame.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Makes the pending records the frame to write; the bytes of its content.
    fn compress(&mut self) -> io::Result<usize> {
        let plain_bytes = self.pending.len();
        let Some(content) = self.arranger.arrange(&self.pending) else {
            compress_into(&mut self.compressor, &self.pending, &mut self.frame)?;
            return Ok(plain_bytes);
        };
        compress_into(&mut self.compressor, content, &mut self.frame)?;
        if plain_bytes < COMPARED_BYTES && !arrangement::is_arranged(&self.pending) {
            let plain = self.compressor.compress(&self.pending)?;
            if plain.len() <= self.frame.len() {
                self.frame = plain;
                return Ok(plain_bytes);
            }
        }
        Ok(content.len())
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the last frame and the index, and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_frame()?;
        let index = index::encode(&self.frames).ok_or_else(too_many_frames)?;
        self.writer.write_all(&index)?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}

/// Replaces what is in `frame`, whose room is kept from one frame to the next.
fn compress_into(compressor: &mut Compressor<'_>, content: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    frame.clear();
    frame.reserve(zstd::zstd_safe::compress_bound(content.len()));
    compressor.compress_to_buffer(content, frame).map(|_| ())
}

fn too_many_frames() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "the session has too many frames; record in parts")
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "a frame is too long"))
}
