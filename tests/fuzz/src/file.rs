//! Session files made from input, with the right checksums wherever a reader compares one.

use tracer_common::record::RecordHeader;
use zerocopy::IntoBytes as _;

const OPENING: &[u8] = b"\x50\x2a\x4d\x18\x10\0\0\0tracer-sess\n\x01\0\x01\0";

/// A file whose frames have contents from the input: each begins with its length in two bytes, and a third that says
/// whether the rest is the content or an arranged run.
pub(crate) fn of_contents(mut input: &[u8]) -> Vec<u8> {
    let mut file = OPENING.to_vec();
    while let Some((&[low, high, sort], rest)) = input.split_first_chunk::<3>() {
        let length_bytes = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (content, rest) = rest.split_at(length_bytes);
        file.extend(if sort % 2 == 0 { frame(content) } else { frame(&piece(content)) });
        input = rest;
    }
    file
}

/// A file of two frames whose index is the input: a byte for the number of entries of the seek table, those entries,
/// then details. Lengths in the table are added to the right ones, so that most of them stay right.
pub(crate) fn of_index(input: &[u8]) -> Vec<u8> {
    let mut file = OPENING.to_vec();
    let mut right = vec![(OPENING.len() as u32, 0_u32)];
    for second in 1..3 {
        let record = header(second * 1_000_000_000, 68, 24);
        let frame = frame(&record);
        right.push((frame.len() as u32, record.len() as u32));
        file.extend(frame);
    }
    let (&more, input) = input.split_first().unwrap_or((&0, &[]));
    let entries = right.len() + usize::from(more % 8);
    let (lies, details) = input.split_at(input.len().min(8 * entries));
    let details_bytes = (28 + details.len()) as u32;
    right.push((details_bytes, 0));
    let mut table = Vec::new();
    let mut of_records = crc32fast::Hasher::new();
    for entry in 0..entries.max(right.len()) {
        let (compressed, content) = right.get(entry).copied().unwrap_or_default();
        let lie = |at: usize| {
            lies.get(8 * entry + at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let numbers = [compressed.wrapping_add(lie(0)), content.wrapping_add(lie(4))].map(u32::to_le_bytes);
        if numbers[1] != [0; 4] {
            of_records.update(&numbers.concat());
        }
        table.extend(numbers.concat());
    }
    let mut content = of_records.finalize().to_le_bytes().to_vec();
    content.extend([1_u32, 0, details.len() as u32 / 16].map(u32::to_le_bytes).concat());
    content.extend(details);
    file.extend(0x184d_2a51_u32.to_le_bytes());
    file.extend((content.len() as u32 + 4).to_le_bytes());
    file.extend(crc32fast::hash(&content).to_le_bytes());
    file.extend(content);
    file.extend(0x184d_2a5e_u32.to_le_bytes());
    file.extend((table.len() as u32 + 9).to_le_bytes());
    let entries = table.len() as u32 / 8;
    file.extend(table);
    file.extend(entries.to_le_bytes());
    file.push(0);
    file.extend(0x8f92_eab1_u32.to_le_bytes());
    file
}

/// A frame as writers make it.
fn frame(content: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(1).expect("a compressor");
    compressor.include_checksum(true).expect("a checksum");
    compressor.compress(content).expect("a frame")
}

/// A record that holds an arranged run.
fn piece(run: &[u8]) -> Vec<u8> {
    const ARRANGED: u16 = 0xff00;
    let run = run.get(..65_000).unwrap_or(run);
    let length_bytes = (24 + run.len()).next_multiple_of(8);
    let mut record = header(1, ARRANGED, length_bytes as u16);
    record.extend(run);
    record.resize(length_bytes, 0);
    record
}

fn header(time_ns: u64, kind: u16, length_bytes: u16) -> Vec<u8> {
    RecordHeader { time_ns, kind, length_bytes, ..RecordHeader::default() }.as_bytes().to_vec()
}
