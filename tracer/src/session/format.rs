//! What all parts of the session format share: its version, its limits, and the frame that opens a file.
//!
//! | version | what is new |
//! |---|---|
//! | 1.0 | frames of records; zstd's seek table at the end |
//! | 1.1 | frames may be arranged by field (`arrangement.rs`); details of each frame before the seek table (`index.rs`) |

/// Changed when older readers cannot read what newer writers write.
pub const MAJOR_VERSION: u16 = 1;

/// Changed when newer writers add what older readers may skip.
pub const MINOR_VERSION: u16 = 1;

/// Bytes of records in a frame, at most. A record is at most 64 KiB.
pub(super) const FRAME_BYTES: usize = 1 << 20;

/// Bytes of records a reader accepts in a frame: room for later writers, and a bound on what a hostile file can ask for.
pub(super) const FRAME_LIMIT_BYTES: usize = 4 * FRAME_BYTES;

/// Compressed bytes of a frame a reader accepts, at most: what zstd may need for as many that do not compress.
pub(super) const COMPRESSED_LIMIT_BYTES: usize = FRAME_LIMIT_BYTES + FRAME_LIMIT_BYTES / 128;

/// First bytes of a data frame.
pub(super) const DATA_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// First bytes of the frame that opens a session.
pub(super) const OPENING_MAGIC: [u8; 4] = 0x184d_2a50_u32.to_le_bytes();

/// Bytes of a skippable frame before its content: magic and length.
pub(super) const SKIPPABLE_HEADER_BYTES: usize = 8;

const MARK: [u8; 12] = *b"tracer-sess\n";

/// Bytes of the opening frame.
pub(super) const OPENING_BYTES: usize = SKIPPABLE_HEADER_BYTES + MARK.len() + 4;

/// The opening frame of a version.
pub(super) fn opening(major: u16, minor: u16) -> [u8; OPENING_BYTES] {
    const CONTENT_BYTES: u32 = 16;
    let mut bytes = [0; OPENING_BYTES];
    bytes[..4].copy_from_slice(&OPENING_MAGIC);
    bytes[4..8].copy_from_slice(&CONTENT_BYTES.to_le_bytes());
    bytes[8..20].copy_from_slice(&MARK);
    bytes[20..22].copy_from_slice(&major.to_le_bytes());
    bytes[22..24].copy_from_slice(&minor.to_le_bytes());
    bytes
}

/// The version an opening frame tells; `None` if it is none.
pub(super) fn version(bytes: [u8; OPENING_BYTES]) -> Option<(u16, u16)> {
    let [.., major_low, major_high, minor_low, minor_high] = bytes;
    let major = u16::from_le_bytes([major_low, major_high]);
    let minor = u16::from_le_bytes([minor_low, minor_high]);
    (bytes == opening(major, minor)).then_some((major, minor))
}

/// The length a skippable frame's header tells, its header included; `None` if it is none.
pub(super) fn skippable_bytes(header: [u8; SKIPPABLE_HEADER_BYTES]) -> Option<u64> {
    const SKIPPABLE: u32 = 0x184d_2a50;
    let (magic, length) = header.split_first_chunk::<4>()?;
    let is_skippable = u32::from_le_bytes(*magic) & !0xf == SKIPPABLE;
    let content_bytes = u32::from_le_bytes(*length.first_chunk()?);
    is_skippable.then(|| SKIPPABLE_HEADER_BYTES as u64 + u64::from(content_bytes))
}
