//! What is written, read back, against the JSON it was made of.

mod finding;
mod packets;
mod sample;
mod table;

use std::io;

use bytes::Bytes;
use serde_json::Value;

use super::{Export, ExportFormat};
use crate::{
    block::Block,
    decode::{DecodeCounts, Decoder, split_record},
    event::Event,
    output::Printer,
};

/// Every event of some blocks with its record.
fn told(blocks: &[Block]) -> Vec<(Bytes, Event)> {
    let mut decoder = Decoder::default();
    let mut told = Vec::new();
    for Block(bytes) in blocks {
        let mut rest = bytes.clone();
        while let Some((_, record, _)) = split_record(&rest) {
            let record = rest.split_to(record.len());
            decoder.decode(&Block(record.clone()), |event| told.push((record.clone(), event)));
        }
    }
    told
}

fn json_lines(told: &[(Bytes, Event)]) -> Vec<String> {
    let mut printer = Printer::json(Vec::new(), io::sink());
    for (_, event) in told {
        printer.print(event).unwrap();
    }
    let text = String::from_utf8(printer.into_writers().0).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn exported(format: ExportFormat, told: &[(Bytes, Event)]) -> Vec<u8> {
    let mut export = Export::new(format, Vec::new()).unwrap();
    for (record, event) in told {
        export.add(record, event, DecodeCounts::default()).unwrap();
    }
    assert_eq!(usize::try_from(export.rows()), Ok(json_lines(told).len()));
    export.finish().unwrap()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn json_lines_are_those_of_events() {
    let told = told(&sample::blocks());
    let written = String::from_utf8(exported(ExportFormat::JsonLines, &told)).unwrap();
    assert_eq!(written.lines().collect::<Vec<_>>(), json_lines(&told));
}

#[test]
fn formats_are_known_by_their_names() {
    for format in ExportFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "csv".parse::<ExportFormat>().unwrap_err();
    assert_eq!(error, "no such format; there are jsonl, parquet, pcapng");
}

#[test]
fn a_writers_error_reaches_the_caller_in_every_format() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let told = told(&sample::blocks());
    for format in ExportFormat::ALL {
        let written = Export::new(format, Closed).and_then(|mut export| {
            for (record, event) in &told {
                export.add(record, event, DecodeCounts::default())?;
            }
            export.finish().map(drop)
        });
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe, "{format}");
    }
}
