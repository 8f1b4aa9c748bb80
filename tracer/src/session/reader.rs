//! Reading a session, whole or damaged.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    format,
    frame::{self, Extent, Frame, Unpacker},
    index,
};
use crate::block::Block;

/// Bytes read at a time, as long as frames are usual.
const STEP_BYTES: usize = 256 << 10;

/// Places of damage remembered; one place may be long.
const DAMAGE_KEPT: usize = 1_000;

/// What a frame begins with where reading may go on behind damage.
const RESUMES_AT: [[u8; 4]; 3] = [format::DATA_MAGIC, index::DETAILS_MAGIC, index::TABLE_MAGIC];

/// A session that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not begin as one.
    #[error("{} is not a tracer session: it does not begin with a session's mark", .0.display())]
    NotASession(PathBuf),
    /// A later tracer wrote it.
    #[error("{} has format version {major}, and this tracer reads up to {}: use a newer tracer", path.display(), format::MAJOR_VERSION)]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        major: u16,
    },
    /// The file system refuses.
    #[error("cannot read the session {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What of a session could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Bytes within the file that hold no frame with the right checksum. Frames before and after are whole.
    Skipped {
        /// Where they begin.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// The file ends within a frame.
    Cut {
        /// Where that frame begins.
        offset: u64,
        /// How much of it there is.
        bytes: u64,
    },
    /// The file ends without an index: the recording was interrupted, or its end is missing.
    Unfinished,
    /// The index does not fit the file. The records were found without it.
    Index,
    /// There are more frames than are listed: those from this place on are left out.
    TooMany {
        /// Where the first of them begins.
        offset: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { offset, bytes } => {
                let were = if *bytes == 1 { "was" } else { "were" };
                write!(formatter, "{} at offset {offset} {were} skipped", plural(*bytes, "damaged byte"))
            }
            Self::Cut { offset, bytes } => {
                let bytes = plural(*bytes, "byte");
                write!(formatter, "the file is cut: the frame at offset {offset} has only {bytes}")
            }
            Self::Unfinished => formatter.write_str(
                "the file ends without an index: the recording was interrupted, or the end of the file is missing",
            ),
            Self::Index => {
                formatter.write_str("the index at the end is damaged; the file was read through instead")
            }
            Self::TooMany { offset } => write!(
                formatter,
                "the file has more than {} frames; what follows from offset {offset} on is left out",
                index::FRAMES_LIMIT
            ),
        }
    }
}

/// Offsets and lengths stand beside each other: both without separators.
fn plural(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// Reads the blocks of a session in their order, one frame in memory at a time. Damage is skipped and noted.
pub struct SessionReader<R: Read> {
    minor_version: u16,
    window: Window<R>,
    unpacker: Unpacker,
    /// Bytes that came out of frames which then proved damaged.
    wasted_bytes: u64,
    newest_ns: u64,
    damage: Vec<Damage>,
    is_finished: bool,
    is_done: bool,
}

impl SessionReader<File> {
    /// Opens a session file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Self::new(file, path)
    }
}

impl<R: Read> SessionReader<R> {
    /// Opens a session that is read from anywhere; `path` names it in errors.
    pub fn new(source: R, path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        let mut window = Window::new(source);
        window.fill(format::OPENING_BYTES).map_err(io_error)?;
        let opening = window.bytes().first_chunk().copied().and_then(format::version);
        let (major, minor) = opening.ok_or_else(|| OpenError::NotASession(path.to_owned()))?;
        if major > format::MAJOR_VERSION {
            return Err(OpenError::TooNew { path: path.to_owned(), major });
        }
        window.consume(format::OPENING_BYTES);
        let unpacker = Unpacker::new().map_err(io_error)?;
        Ok(Self {
            minor_version: minor,
            window,
            unpacker,
            wasted_bytes: 0,
            newest_ns: 0,
            damage: Vec::new(),
            is_finished: false,
            is_done: false,
        })
    }

    /// The file's minor version.
    pub(super) fn minor_version(&self) -> u16 {
        self.minor_version
    }

    /// What could not be read so far; whole once the iterator has ended. The first thousand places.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    fn note(&mut self, damage: Damage) {
        if self.damage.len() < DAMAGE_KEPT {
            self.damage.push(damage);
        }
    }

    /// The next whole frame and its records, or `None` at the end.
    pub(super) fn next_frame(&mut self) -> io::Result<Option<(Frame, Bytes)>> {
        loop {
            self.window.fill(format::SKIPPABLE_HEADER_BYTES)?;
            if self.window.bytes().is_empty() {
                if !self.is_finished {
                    self.note(Damage::Unfinished);
                }
                return Ok(None);
            }
            let mut damaged_bytes = 1;
            if self.window.bytes().starts_with(&format::DATA_MAGIC) {
                match self.data_frame()? {
                    Data::Whole(frame, records) => {
                        self.is_finished = false;
                        return Ok(Some((frame, records)));
                    }
                    Data::Damaged(bytes) => damaged_bytes = bytes,
                }
            } else if self.skip_frame()? {
                continue;
            }
            self.skip_damage(damaged_bytes)?;
        }
    }

    /// Takes the data frame at the window's start, if it is whole.
    fn data_frame(&mut self) -> io::Result<Data> {
        let frame_bytes = loop {
            match frame::extent(self.window.bytes()) {
                Extent::Whole(bytes) => break bytes,
                Extent::Needs(bytes) if !self.window.is_at_end => self.window.fill(bytes)?,
                Extent::Needs(_) | Extent::Foreign => return Ok(Data::Damaged(1)),
            }
        };
        let bytes = self.window.bytes().get(..frame_bytes).unwrap_or_default();
        let Some(records) = self.unpacker.unpack(bytes) else {
            return Ok(Data::Damaged(self.damaged_bytes(frame_bytes)));
        };
        let (number, newest_ns) = frame::survey(&records);
        self.newest_ns = self.newest_ns.max(newest_ns);
        let frame = Frame {
            offset: self.window.offset,
            // Both are far below 2^32: the limits of a frame.
            compressed_bytes: u32::try_from(frame_bytes).unwrap_or(u32::MAX),
            record_bytes: u32::try_from(records.len()).unwrap_or(u32::MAX),
            records: number,
            newest_ns: self.newest_ns,
        };
        self.window.consume(frame_bytes);
        Ok(Data::Whole(frame, records))
    }

    /// How much of a damaged frame to pass over before looking for the next one: as little as can be, for its length
    /// may be what is damaged. But frames within frames can be made to cost much for nothing, and from some cost on a
    /// damaged frame's length is believed.
    fn damaged_bytes(&mut self, frame_bytes: usize) -> usize {
        const ALLOWED_BYTES: u64 = 64 << 20;
        const ALLOWED_FOR_EACH_BYTE: u64 = 16;
        self.wasted_bytes += format::FRAME_BYTES as u64;
        let allowed_bytes =
            ALLOWED_BYTES.saturating_add(self.window.offset.saturating_mul(ALLOWED_FOR_EACH_BYTE));
        if self.wasted_bytes <= allowed_bytes { 1 } else { frame_bytes }
    }

    /// Skips a whole skippable frame at the window's start, noting whether it ends a session; `false` if there is none.
    fn skip_frame(&mut self) -> io::Result<bool> {
        let header = self.window.bytes().first_chunk().copied();
        let Some(frame_bytes) = header.and_then(format::skippable_bytes) else { return Ok(false) };
        let Ok(frame_bytes) = usize::try_from(frame_bytes) else { return Ok(false) };
        let is_table = self.window.bytes().starts_with(&index::TABLE_MAGIC);
        let limit_bytes = if is_table { index::TABLE_LIMIT_BYTES } else { format::COMPRESSED_LIMIT_BYTES };
        if frame_bytes > limit_bytes {
            return Ok(false);
        }
        if is_table && frame_bytes > format::COMPRESSED_LIMIT_BYTES {
            return self.skip_long_table(frame_bytes);
        }
        self.window.fill(frame_bytes)?;
        let Some(frame) = self.window.bytes().get(..frame_bytes) else { return Ok(false) };
        let is_damaged = if is_table {
            !frame.ends_with(&index::TABLE_END_MAGIC)
        } else {
            frame.starts_with(&index::DETAILS_MAGIC) && !index::is_details(frame)
        };
        if is_damaged {
            return Ok(false);
        }
        self.is_finished |= is_table;
        self.window.consume(frame_bytes);
        Ok(true)
    }

    /// Skips a seek table that is longer than the window ever gets.
    fn skip_long_table(&mut self, table_bytes: usize) -> io::Result<bool> {
        let offset = self.window.offset;
        let mut rest_bytes = table_bytes;
        while rest_bytes > index::TABLE_FOOTER_BYTES {
            let step_bytes = (rest_bytes - index::TABLE_FOOTER_BYTES).min(STEP_BYTES);
            self.window.fill(step_bytes)?;
            if self.window.bytes().len() < step_bytes {
                break;
            }
            self.window.consume(step_bytes);
            rest_bytes -= step_bytes;
        }
        self.window.fill(rest_bytes)?;
        let rest = self.window.bytes().get(..rest_bytes).unwrap_or(self.window.bytes());
        let is_whole = rest.len() == rest_bytes && rest.ends_with(&index::TABLE_END_MAGIC);
        self.window.consume(rest_bytes);
        if !is_whole {
            self.note(Damage::Cut { offset, bytes: self.window.offset - offset });
        }
        self.is_finished |= is_whole;
        Ok(true)
    }

    /// Skips so many bytes, and on to the next place where a frame of a session may begin, or to the end.
    fn skip_damage(&mut self, damaged_bytes: usize) -> io::Result<()> {
        const MAGIC_BYTES: usize = 4;
        let offset = self.window.offset;
        self.window.consume(damaged_bytes);
        loop {
            self.window.fill(MAGIC_BYTES)?;
            let found = self
                .window
                .bytes()
                .windows(MAGIC_BYTES)
                .position(|magic| RESUMES_AT.iter().any(|resumes| magic == resumes));
            if let Some(place) = found {
                self.window.consume(place);
                let bytes = self.window.offset - offset;
                self.note_skipped(offset, bytes);
                return Ok(());
            }
            if self.window.is_at_end {
                let bytes = self.window.offset - offset + self.window.bytes().len() as u64;
                self.window.consume(self.window.bytes().len());
                self.note(Damage::Cut { offset, bytes });
                return Ok(());
            }
            self.window.consume(self.window.bytes().len().saturating_sub(MAGIC_BYTES - 1));
        }
    }

    /// Notes skipped bytes; those next to the last ones belong to them.
    fn note_skipped(&mut self, offset: u64, bytes: u64) {
        if let Some(Damage::Skipped { offset: before, bytes: length }) = self.damage.last_mut()
            && *before + *length == offset
        {
            *length += bytes;
        } else {
            self.note(Damage::Skipped { offset, bytes });
        }
    }
}

impl<R: Read> Iterator for SessionReader<R> {
    type Item = io::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let frame = self.next_frame().transpose();
        self.is_done = !matches!(frame, Some(Ok(_)));
        frame.map(|frame| frame.map(|(_, records)| Block(records)))
    }
}

/// What became of a data frame.
enum Data {
    Whole(Frame, Bytes),
    /// So many bytes are to be passed over.
    Damaged(usize),
}

/// The bytes of a file from a place on, as many as were asked for or came along.
struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in the buffer the window starts.
    start: usize,
    /// Where in the buffer it ends; behind that is room.
    end: usize,
    /// Where in the file it starts.
    offset: u64,
    is_at_end: bool,
}

impl<R: Read> Window<R> {
    fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), start: 0, end: 0, offset: 0, is_at_end: false }
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads until the window holds this many bytes or the file ends. It waits for no more than these: a pipe is read as
    /// it fills.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let missing = wanted.saturating_sub(self.bytes().len());
        if missing == 0 || self.is_at_end {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let needed = self.end + missing.max(STEP_BYTES);
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        while self.end < wanted {
            match self.source.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => {
                    self.is_at_end = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes().len());
        self.start += bytes;
        self.offset += bytes as u64;
    }
}
