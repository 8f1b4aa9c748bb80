//! Session files: the blocks of a run, kept for later and for others.
//!
//! A file is a sequence of zstd frames, so that `zstd -d` reads it too and gives the bare records:
//!
//! | frame | holds |
//! |---|---|
//! | skippable, first | the mark of a session and the version of the format |
//! | data, many | whole records, at most 1 MiB or one second of them, with a checksum; the first begins with node and hooks |
//! | skippable, last | the index: zstd's seekable-format table, which lists every frame before it |
//!
//! Frames are independent: a file cut anywhere reads up to its last whole frame, and a damaged frame costs no other.

mod file;
mod format;
mod frame;
mod reader;
mod tape;
#[cfg(test)]
mod tests;
mod writer;

pub use self::{
    file::{ReadError, SessionFile},
    format::{MAJOR_VERSION, MINOR_VERSION},
    frame::Frame,
    reader::{Damage, OpenError, SessionReader},
    tape::{Chapter, Shift, Source, Tape, TapeError},
    writer::{CreateError, SessionWriter},
};
