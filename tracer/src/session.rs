//! Session files: the blocks of a run, kept for later and for others.
//!
//! A file is a sequence of zstd frames, so that `zstd -d` takes it apart, too:
//!
//! | frame | holds |
//! |---|---|
//! | skippable, first | the mark of a session and the version of the format (`format.rs`) |
//! | data, many | whole records, at most 1 MiB or one second of them, with a checksum; the first begins with node and hooks |
//! | skippable | latest time and number of records of each data frame (`index.rs`) |
//! | skippable, last | zstd's seek table, which lists every frame before it |
//!
//! Frames are independent: a file cut anywhere reads up to its last whole frame, and a damaged frame costs no other.
//! The records of a frame lie one behind the other, or arranged by field, whichever is smaller (`arrangement.rs`).

mod arrangement;
mod capture;
mod file;
mod format;
mod frame;
mod index;
mod reader;
mod recorder;
mod standing;
mod tape;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use self::capture::{Capture, Ending, Written};
pub use self::{
    file::{ReadError, SessionFile},
    format::{MAJOR_VERSION, MINOR_VERSION},
    frame::Frame,
    reader::{Damage, OpenError, SessionReader},
    recorder::{Condition, Prologue, Recorder, RecorderOptions, RecorderStatus, Rotation},
    standing::Standing,
    tape::{Chapter, Shift, Source, Tape, TapeError},
    writer::{CreateError, SessionWriter},
};
