//! Events in the formats of other programs: JSON lines, a Parquet table, packets for Wireshark.
//!
//! Every format holds what `tracer events --json` prints, an object of it each: the same events, in the same order, with
//! the same facts. `docs/export.md` describes them.

mod columns;
mod event_frame;
mod packet;
mod packets;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
};

use tracer_common::record::RecordHeader;
use zerocopy::FromBytes as _;

use self::{packets::Packets, table::Table};
use super::Printer;
use crate::{
    decode::DecodeCounts,
    event::{Event, Netns, Timestamp},
    findings::{Finding, FindingChange},
};

/// A format that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a line, as `tracer events --json` prints them.
    JsonLines,
    /// One Parquet table with a row for each of those objects.
    Parquet,
    /// Packets and events, one for each of those objects, in a pcapng file.
    Packets,
}

impl ExportFormat {
    /// All of them, in the order of this enum.
    pub const ALL: [Self; 3] = [Self::JsonLines, Self::Parquet, Self::Packets];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
            Self::Packets => "pcapng",
        }
    }

    /// Whether people can read it on a terminal.
    pub fn is_text(self) -> bool {
        self == Self::JsonLines
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| format!("no such format; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// What is exported of one event, or of a finding as it opens, changes and closes.
struct Row<'a> {
    /// When it happened.
    time: Timestamp,
    /// The record it comes from; empty for a finding.
    record: &'a [u8],
    /// The finding, if it is one.
    finding: Option<&'a Finding>,
    /// Its JSON object, without a line feed.
    json: &'a str,
}

impl<'a> Row<'a> {
    /// Where it happened; the whole first node where that is not told.
    fn netns(&self) -> Netns {
        if let Some(finding) = self.finding {
            return finding.netns().unwrap_or_default();
        }
        let (header, _) = RecordHeader::read_from_prefix(self.record).unwrap_or_default();
        Netns { node: header.node, inode: header.netns }
    }

    /// The type its object begins with.
    fn type_name(&self) -> &'a str {
        let rest = self.json.strip_prefix(r#"{"type":""#).unwrap_or_default();
        rest.split('"').next().unwrap_or_default()
    }
}

/// Writes events in one format. Memory is bounded, however many there are.
///
/// Errors are those of the writer. A broken pipe among them means that nobody reads on, which a caller takes for a
/// quiet end.
pub struct Export<W: Write + Send> {
    printer: Printer<Vec<u8>, io::Sink>,
    sink: Sink<W>,
    rows: u64,
}

enum Sink<W: Write + Send> {
    Lines(W),
    Table(Box<Table<W>>),
    Packets(Box<Packets<W>>),
}

impl<W: Write + Send> Export<W> {
    /// Begins a file.
    pub fn new(format: ExportFormat, writer: W) -> io::Result<Self> {
        let sink = match format {
            ExportFormat::JsonLines => Sink::Lines(writer),
            ExportFormat::Parquet => Sink::Table(Box::new(Table::new(writer)?)),
            ExportFormat::Packets => Sink::Packets(Box::new(Packets::new(writer)?)),
        };
        Ok(Self { printer: Printer::json(Vec::new(), io::sink()), sink, rows: 0 })
    }

    /// Writes what there is to tell of an event. `record` is the record it was decoded from, `counts` what could be read
    /// up to it.
    pub fn add(&mut self, record: &[u8], event: &Event, counts: DecodeCounts) -> io::Result<()> {
        self.printer.note_unread(counts);
        self.printer.print(event)?;
        self.write_printed(event.time, record, None)
    }

    /// Writes what became of a finding; behind the event that brought it about.
    pub fn add_finding(&mut self, change: &FindingChange) -> io::Result<()> {
        self.printer.print_finding(change)?;
        self.write_printed(change.time, &[], Some(&change.finding))
    }

    fn write_printed(&mut self, time: Timestamp, record: &[u8], finding: Option<&Finding>) -> io::Result<()> {
        let printed = self.printer.writer_mut();
        for line in printed.split_inclusive(|&byte| byte == b'\n') {
            self.rows += 1;
            if let Sink::Lines(writer) = &mut self.sink {
                writer.write_all(line)?;
                continue;
            }
            let json = str::from_utf8(line).map_err(io::Error::other)?.trim_end();
            let row = Row { time, record, finding, json };
            match &mut self.sink {
                Sink::Lines(_) => {}
                Sink::Table(table) => table.add(&row)?,
                Sink::Packets(packets) => packets.add(&row)?,
            }
        }
        printed.clear();
        Ok(())
    }

    /// How many objects were taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what closes the file, and flushes the writer; gives it back.
    pub fn finish(self) -> io::Result<W> {
        let mut writer = match self.sink {
            Sink::Lines(writer) => writer,
            Sink::Table(table) => table.finish()?,
            Sink::Packets(packets) => packets.finish(),
        };
        writer.flush()?;
        Ok(writer)
    }
}
