//! The end of a session file: what each frame holds, so that nobody has to read all of them to find one.
//!
//! Two parts, both zstd skippable frames. First ours, as many frames as needed, each of up to [`ENTRIES_LIMIT`] entries;
//! all numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4, 4 | [`DETAILS_MAGIC`], bytes that follow |
//! | 4 | CRC-32 of all bytes behind this one |
//! | 4 | CRC-32 of the entries that the seek table has for the same frames |
//! | 4 | [`VERSION`] |
//! | 4, 4 | the first entry's number among frames of records, number of entries |
//! | 8, 4, 4 | for each frame of records: latest time of any record so far, number of its records, their bytes |
//!
//! Then zstd's seek table, by which any reader of that format finds its way: an entry for every frame of the file before
//! it, of whichever sort, by which the offsets are known. Its layout: "Zstandard Seekable Format", version 0.1.1, in
//! zstd's `contrib/seekable_format`. Its descriptor byte says that entries have no checksums: the frames have their own.

use super::{
    format::{self, SKIPPABLE_HEADER_BYTES},
    frame::Frame,
};

/// First bytes of a frame of details.
pub(super) const DETAILS_MAGIC: [u8; 4] = 0x184d_2a51_u32.to_le_bytes();

/// First bytes of the seek table.
pub(super) const TABLE_MAGIC: [u8; 4] = 0x184d_2a5e_u32.to_le_bytes();

/// Last bytes of the seek table.
pub(super) const TABLE_END_MAGIC: [u8; 4] = 0x8f92_eab1_u32.to_le_bytes();

/// Bytes of the seek table behind its entries: their number, a descriptor byte, and the closing magic.
pub(super) const TABLE_FOOTER_BYTES: usize = 9;

/// Bytes of an entry of the seek table: compressed and decompressed length of a frame.
const TABLE_ENTRY_BYTES: usize = 8;

/// Frames a session may have: 48 days of one a second. A bound on what the list of a hostile file may take.
pub(super) const FRAMES_LIMIT: usize = 1 << 22;

/// Bytes of the longest seek table.
pub(super) const TABLE_LIMIT_BYTES: usize =
    SKIPPABLE_HEADER_BYTES + 2 * FRAMES_LIMIT * TABLE_ENTRY_BYTES + TABLE_FOOTER_BYTES;

const VERSION: u32 = 1;

/// Entries in a frame of details: a mebibyte of them.
const ENTRIES_LIMIT: usize = 1 << 16;

/// Bytes of a frame of details before its entries.
const DETAILS_HEADER_BYTES: usize = SKIPPABLE_HEADER_BYTES + 20;

const DETAILS_ENTRY_BYTES: usize = 16;

/// What the index tells of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its bytes in the file.
    pub(super) compressed_bytes: u32,
    /// Bytes that zstd makes of it.
    pub(super) content_bytes: u32,
    /// Bytes of its records.
    pub(super) record_bytes: u32,
    /// How many records.
    pub(super) records: u32,
    /// Latest time of any record so far.
    pub(super) newest_ns: u64,
}

/// The index of a file that has the opening frame and these; `None` if they are more than it can list.
pub(super) fn encode(entries: &[Entry]) -> Option<Vec<u8>> {
    let mut lengths = vec![(u32::try_from(format::OPENING_BYTES).ok()?, 0)];
    lengths.extend(entries.iter().map(|entry| (entry.compressed_bytes, entry.content_bytes)));
    let mut bytes = Vec::new();
    for part in 0..details_frames(entries.len()) {
        let first = part * ENTRIES_LIMIT;
        let entries = entries.get(first..)?;
        let frame = details(first, entries.get(..ENTRIES_LIMIT).unwrap_or(entries))?;
        lengths.push((u32::try_from(frame.len()).ok()?, 0));
        bytes.extend(frame);
    }
    bytes.extend(table(&lengths)?);
    Some(bytes)
}

/// How many frames of details there are for so many frames: at least one, which tells that none are missing.
fn details_frames(frames: usize) -> usize {
    frames.div_ceil(ENTRIES_LIMIT).max(1)
}

fn details(first: usize, entries: &[Entry]) -> Option<Vec<u8>> {
    let mut table_crc = crc32fast::Hasher::new();
    for entry in entries {
        table_crc.update(&table_entry(entry.compressed_bytes, entry.content_bytes));
    }
    let mut content = Vec::with_capacity(DETAILS_HEADER_BYTES + entries.len() * DETAILS_ENTRY_BYTES);
    content.extend(table_crc.finalize().to_le_bytes());
    content.extend(VERSION.to_le_bytes());
    content.extend(u32::try_from(first).ok()?.to_le_bytes());
    content.extend(u32::try_from(entries.len()).ok()?.to_le_bytes());
    for entry in entries {
        content.extend(entry.newest_ns.to_le_bytes());
        content.extend(entry.records.to_le_bytes());
        content.extend(entry.record_bytes.to_le_bytes());
    }
    let mut frame = DETAILS_MAGIC.to_vec();
    frame.extend(u32::try_from(content.len() + 4).ok()?.to_le_bytes());
    frame.extend(crc32fast::hash(&content).to_le_bytes());
    frame.extend(content);
    Some(frame)
}

/// zstd's seek table of frames, each given by its compressed and decompressed length; `None` if they are too many.
fn table(lengths: &[(u32, u32)]) -> Option<Vec<u8>> {
    let content = lengths.len().checked_mul(TABLE_ENTRY_BYTES)?.checked_add(TABLE_FOOTER_BYTES)?;
    let mut bytes = Vec::with_capacity(SKIPPABLE_HEADER_BYTES + content);
    bytes.extend(TABLE_MAGIC);
    bytes.extend(u32::try_from(content).ok()?.to_le_bytes());
    for &(compressed, content) in lengths {
        bytes.extend(table_entry(compressed, content));
    }
    bytes.extend(u32::try_from(lengths.len()).ok()?.to_le_bytes());
    bytes.push(0);
    bytes.extend(TABLE_END_MAGIC);
    Some(bytes)
}

fn table_entry(compressed_bytes: u32, content_bytes: u32) -> [u8; TABLE_ENTRY_BYTES] {
    let mut bytes = [0; TABLE_ENTRY_BYTES];
    bytes[..4].copy_from_slice(&compressed_bytes.to_le_bytes());
    bytes[4..].copy_from_slice(&content_bytes.to_le_bytes());
    bytes
}

/// Whether these bytes are a whole and undamaged frame of details.
pub(super) fn is_details(frame: &[u8]) -> bool {
    let Some((header, content)) = frame.split_first_chunk::<{ SKIPPABLE_HEADER_BYTES + 4 }>() else {
        return false;
    };
    header.starts_with(&DETAILS_MAGIC) && number(header, SKIPPABLE_HEADER_BYTES) == crc32fast::hash(content)
}

/// The bytes of the seek table that ends with these; `None` if none does.
pub(super) fn table_bytes(footer: [u8; TABLE_FOOTER_BYTES]) -> Option<usize> {
    const CHECKSUMS_OR_RESERVED: u8 = 0xfc;
    let entries = usize::try_from(number(&footer, 0)).ok()?;
    let bytes = SKIPPABLE_HEADER_BYTES + TABLE_FOOTER_BYTES + entries.checked_mul(TABLE_ENTRY_BYTES)?;
    let is_table = footer.ends_with(&TABLE_END_MAGIC)
        && footer[4] & CHECKSUMS_OR_RESERVED == 0
        && bytes <= TABLE_LIMIT_BYTES;
    is_table.then_some(bytes)
}

/// A seek table, taken apart.
pub(super) struct Table {
    /// Offset, compressed and decompressed length of each frame before the table.
    frames: Vec<(u64, u32, u32)>,
    /// How many of the last frames are ours: details.
    details: usize,
}

impl Table {
    /// Takes a seek table apart; `None` unless its frames lie one behind the other from the file's beginning to
    /// `offset`, where the table begins, and are such as writers make.
    pub(super) fn decode(table: &[u8], offset: u64) -> Option<Self> {
        let (header, rest) = table.split_first_chunk::<SKIPPABLE_HEADER_BYTES>()?;
        let (entries, _) = rest.split_last_chunk::<TABLE_FOOTER_BYTES>()?;
        if !header.starts_with(&TABLE_MAGIC) || number(header, 4) as usize != rest.len() {
            return None;
        }
        let mut end = 0_u64;
        let mut frames = Vec::with_capacity(entries.len() / TABLE_ENTRY_BYTES);
        for entry in entries.chunks_exact(TABLE_ENTRY_BYTES) {
            let (compressed, content) = (number(entry, 0), number(entry, 4));
            if compressed as usize > format::COMPRESSED_LIMIT_BYTES
                || content as usize > format::FRAME_LIMIT_BYTES
            {
                return None;
            }
            frames.push((end, compressed, content));
            end = end.checked_add(compressed.into())?;
        }
        let of_records = frames.iter().filter(|frame| frame.2 > 0).count();
        let details = details_frames(of_records);
        let is_whole = end == offset && of_records <= FRAMES_LIMIT && details < frames.len();
        is_whole.then_some(Self { frames, details })
    }

    /// Offset and length of each frame of details, in their order.
    pub(super) fn details(&self) -> impl Iterator<Item = (u64, u32)> {
        let first = self.frames.len() - self.details;
        self.frames.iter().skip(first).map(|&(offset, compressed, _)| (offset, compressed))
    }

    /// The frames of records, with what the frames of details tell of them; `None` if these are damaged, of a version
    /// that this program does not know, or of other frames.
    pub(super) fn frames(&self, details: &[Vec<u8>]) -> Option<Vec<Frame>> {
        let mut of_records = self.frames.iter().filter(|frame| frame.2 > 0);
        let mut frames: Vec<Frame> = Vec::new();
        for frame in details {
            if !is_details(frame) {
                return None;
            }
            let (header, entries) = frame.split_first_chunk::<DETAILS_HEADER_BYTES>()?;
            let (version, first, entries_told) = (number(header, 16), number(header, 20), number(header, 24));
            let (entries, rest) = entries.as_chunks::<DETAILS_ENTRY_BYTES>();
            let is_next = first as usize == frames.len() && entries_told as usize == entries.len();
            if version != VERSION || !is_next || !rest.is_empty() {
                return None;
            }
            let mut table_crc = crc32fast::Hasher::new();
            for entry in entries {
                let &(offset, compressed_bytes, content_bytes) = of_records.next()?;
                table_crc.update(&table_entry(compressed_bytes, content_bytes));
                let newest_ns = u64::from_le_bytes(*entry.first_chunk()?);
                let (records, record_bytes) = (number(entry, 8), number(entry, 12));
                let before_ns = frames.last().map_or(0, |frame| frame.newest_ns);
                if newest_ns < before_ns || record_bytes as usize > format::FRAME_LIMIT_BYTES {
                    return None;
                }
                frames.push(Frame { offset, compressed_bytes, record_bytes, records, newest_ns });
            }
            if table_crc.finalize() != number(header, SKIPPABLE_HEADER_BYTES + 4) {
                return None;
            }
        }
        of_records.next().is_none().then_some(frames)
    }
}

/// The number at that place; 0 behind the end.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
