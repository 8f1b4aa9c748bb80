//! One frame of records: where it ends, what it holds, and whether that is whole.
//!
//! Source of the layout: RFC 8878, sections 3.1.1.1 (frame header) and 3.1.1.2 (blocks).

use std::io;

use bytes::Bytes;
use zstd::bulk::Decompressor;

use super::{arrangement, format};
use crate::decode::split_record;

/// A frame of records in a session file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where in the file it begins.
    pub offset: u64,
    /// Its bytes in the file.
    pub compressed_bytes: u32,
    /// Bytes of its records.
    pub record_bytes: u32,
    /// How many records.
    pub records: u32,
    /// The latest time of any record up to its end, in nanoseconds since boot: it never goes back from frame to frame.
    pub newest_ns: u64,
}

/// What the beginning of a data frame tells of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// It ends after so many bytes.
    Whole(usize),
    /// At least so many bytes are needed to know more.
    Needs(usize),
    /// No writer makes such a frame.
    Foreign,
}

/// Blocks of a frame, at most. A block has up to 128 KiB, and zstd makes smaller ones where that compresses better.
const BLOCKS_LIMIT: usize = 4_096;

/// Follows a data frame's header and blocks to its end. A bounded walk: bytes that only look like a frame cost little.
pub(super) fn extent(bytes: &[u8]) -> Extent {
    const BLOCK_HEADER_BYTES: usize = 3;
    const CHECKSUM_BYTES: usize = 4;
    let Some(descriptor) = bytes.get(format::DATA_MAGIC.len()) else {
        return Extent::Needs(format::DATA_MAGIC.len() + 1);
    };
    let Some(mut end) = header_bytes(*descriptor) else { return Extent::Foreign };
    for _ in 0..BLOCKS_LIMIT {
        let Some(&[low, middle, high]) = bytes.get(end..).and_then(<[u8]>::first_chunk::<BLOCK_HEADER_BYTES>)
        else {
            return Extent::Needs(end + BLOCK_HEADER_BYTES);
        };
        let Some((block_bytes, is_last)) = block(u32::from_le_bytes([low, middle, high, 0])) else {
            return Extent::Foreign;
        };
        end += BLOCK_HEADER_BYTES + block_bytes;
        if end > format::COMPRESSED_LIMIT_BYTES {
            return Extent::Foreign;
        }
        if is_last {
            let end = end + CHECKSUM_BYTES;
            return if end <= bytes.len() { Extent::Whole(end) } else { Extent::Needs(end) };
        }
    }
    Extent::Foreign
}

/// Bytes of a frame's header, magic included, by its descriptor; `None` if no writer makes such a frame: every one has
/// a checksum and says how much it holds, and none has a dictionary.
fn header_bytes(descriptor: u8) -> Option<usize> {
    const CHECKSUM: u8 = 0x04;
    const RESERVED_OR_DICTIONARY: u8 = 0x08 | 0x03;
    const SINGLE_SEGMENT: u8 = 0x20;
    if descriptor & CHECKSUM == 0 || descriptor & RESERVED_OR_DICTIONARY != 0 {
        return None;
    }
    let is_single_segment = descriptor & SINGLE_SEGMENT != 0;
    let content_size_bytes = match descriptor >> 6 {
        0 if is_single_segment => 1,
        0 => return None,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let window_bytes = usize::from(!is_single_segment);
    Some(format::DATA_MAGIC.len() + 1 + window_bytes + content_size_bytes)
}

/// A block's bytes behind its header, and whether it is the last one.
fn block(header: u32) -> Option<(usize, bool)> {
    const BLOCK_LIMIT_BYTES: usize = 128 << 10;
    let size = usize::try_from(header >> 3).ok().filter(|&size| size <= BLOCK_LIMIT_BYTES)?;
    let bytes = match header >> 1 & 3 {
        // Raw, or compressed.
        0 | 2 => size,
        // One byte that is repeated.
        1 => 1,
        _ => return None,
    };
    Some((bytes, header & 1 == 1))
}

/// Unpacks frames, one at a time.
pub(super) struct Unpacker {
    decompressor: Decompressor<'static>,
}

impl Unpacker {
    /// Fails for lack of memory only.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { decompressor: Decompressor::new()? })
    }

    /// The records of a whole frame; `None` if it is damaged or larger than any writer makes it.
    pub(super) fn unpack(&mut self, frame: &[u8]) -> Option<Bytes> {
        let content = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten()?;
        let content_bytes =
            usize::try_from(content).ok().filter(|&bytes| bytes <= format::FRAME_LIMIT_BYTES)?;
        // zstd compares the checksum.
        let content = self.decompressor.decompress(frame, content_bytes).ok()?;
        if arrangement::is_arranged(&content) {
            arrangement::restore(&content)
        } else {
            Some(Bytes::from(content))
        }
    }
}

/// How many whole records there are, and the latest time of any.
pub(super) fn survey(mut records: &[u8]) -> (u32, u64) {
    let (mut number, mut newest_ns) = (0, 0);
    while let Some((header, _, after)) = split_record(records) {
        number += 1;
        newest_ns = newest_ns.max(header.time_ns);
        records = after;
    }
    (number, newest_ns)
}
