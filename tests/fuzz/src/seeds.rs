//! Inputs to begin with: sessions of all versions, and what their frames hold.

use std::{fs, io, path::Path};

const SESSIONS: [(&str, &[u8]); 2] = [
    ("1.0", include_bytes!("../../../tracer/testdata/sessions/1.0.tracer")),
    ("1.1", include_bytes!("../../../tracer/testdata/sessions/1.1.tracer")),
];

/// Writes them to a directory, a file each.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    for (name, session) in SESSIONS {
        fs::write(directory.join(name), [session, &[0]].concat())?;
        for (number, content) in contents(session).into_iter().enumerate() {
            let length_bytes = u16::try_from(content.len()).unwrap_or(u16::MAX).to_le_bytes();
            let input = [&length_bytes, &[0][..], &content, &[2]].concat();
            fs::write(directory.join(format!("{name}-content-{number}")), input)?;
        }
    }
    let details = [1_000_000_000_u64, 2_000_000_000].map(|newest_ns| {
        [newest_ns.to_le_bytes().as_slice(), &1_u32.to_le_bytes(), &24_u32.to_le_bytes()].concat()
    });
    let index = [&[0; 1 + 3 * 8][..], &details.concat(), &[3]].concat();
    fs::write(directory.join("index"), index)
}

/// What the frames of a session hold, the short ones.
fn contents(session: &[u8]) -> Vec<Vec<u8>> {
    const SHORT_BYTES: usize = 1 << 15;
    const DATA_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
    let places = session.windows(4).enumerate().filter(|(_, magic)| *magic == DATA_MAGIC);
    let frames = places.filter_map(|(place, _)| {
        let rest = session.get(place..)?;
        rest.get(..zstd::zstd_safe::find_frame_compressed_size(rest).ok()?)
    });
    frames.filter_map(|frame| zstd::bulk::decompress(frame, SHORT_BYTES).ok()).collect()
}
