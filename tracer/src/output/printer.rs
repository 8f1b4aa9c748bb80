//! Printing events as they come.

use std::io::{self, Write};

use super::{
    context::{Context, Shown},
    json,
    lines::{LineStyle, Lines},
};
use crate::{
    decode::DecodeCounts,
    event::{Body, Event},
    findings::FindingChange,
};

/// Prints events and findings, as JSON or for people, in the order they come.
///
/// Lines for people go to `writer`; what tells of tracer itself (`# …`: hooks, the summary) goes to `notes`, so that
/// `writer` has data only. JSON tells all of it in objects.
///
/// Errors are those of the writers. A broken pipe among them means that nobody reads on, which a caller takes for a
/// quiet end.
#[derive(Debug)]
pub struct Printer<W: Write, N: Write> {
    writer: W,
    notes: N,
    format: Format,
    context: Context,
    /// What one event prints; kept for its allocation.
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Format {
    Json,
    Lines(Lines),
}

impl<W: Write, N: Write> Printer<W, N> {
    /// Prints one JSON object a line, and no notes.
    pub fn json(writer: W, notes: N) -> Self {
        Self::new(writer, notes, Format::Json)
    }

    /// Prints one line for people an event.
    pub fn lines(writer: W, notes: N, style: LineStyle) -> Self {
        Self::new(writer, notes, Format::Lines(Lines::new(style)))
    }

    fn new(writer: W, notes: N, format: Format) -> Self {
        Self { writer, notes, format, context: Context::default(), buffer: Vec::with_capacity(1024) }
    }

    /// Tells how many records could not be read so far; it is printed with the statistics.
    pub fn note_unread(&mut self, counts: DecodeCounts) {
        self.context.unread = counts;
    }

    /// Prints an event, if there is something to print of it.
    pub fn print(&mut self, event: &Event) -> io::Result<()> {
        let shown = self.context.take_in(event);
        if shown == Shown::Nothing {
            return Ok(());
        }
        self.buffer.clear();
        match &mut self.format {
            Format::Json => json::append(&mut self.buffer, &self.context, event, shown)?,
            Format::Lines(lines) => {
                lines.append(&mut self.buffer, &self.context, event, shown)?;
                if is_note(event) {
                    return self.write_note();
                }
            }
        }
        self.writer.write_all(&self.buffer)
    }

    /// Prints what became of a finding; behind the event that brought it about.
    pub fn print_finding(&mut self, change: &FindingChange) -> io::Result<()> {
        self.buffer.clear();
        match &mut self.format {
            Format::Json => json::append_finding(&mut self.buffer, &self.context, change)?,
            Format::Lines(lines) => lines.append_finding(&mut self.buffer, &self.context, change)?,
        }
        self.writer.write_all(&self.buffer)
    }

    /// Prints what closes the output, a summary for people, and flushes the writers.
    pub fn finish(&mut self) -> io::Result<()> {
        self.buffer.clear();
        if let Format::Lines(lines) = &mut self.format {
            lines.append_summary(&mut self.buffer, &self.context)?;
        }
        self.write_note()
    }

    /// Writes the buffer to the notes, behind the lines before it where both go to one terminal.
    fn write_note(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.notes.write_all(&self.buffer)?;
        self.notes.flush()
    }

    /// Flushes the writer of events.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer of events.
    pub(super) fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// The writers of events and of notes.
    pub fn into_writers(self) -> (W, N) {
        (self.writer, self.notes)
    }
}

/// Whether the lines of an event tell of tracer itself.
fn is_note(event: &Event) -> bool {
    matches!(event.body, Body::Ready | Body::HookStatus(_))
}
