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
    filter::Filter,
};

/// Prints events, as JSON or for people, in the order they come.
///
/// Errors are those of the writer. A broken pipe among them means that nobody reads on, which a caller takes for a quiet end.
#[derive(Debug)]
pub struct Printer<W: Write> {
    writer: W,
    format: Format,
    context: Context,
    filter: Option<Filter>,
    /// What one event prints; kept for its allocation.
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Format {
    Json,
    Lines(Lines),
}

impl<W: Write> Printer<W> {
    /// Prints one JSON object a line.
    pub fn json(writer: W) -> Self {
        Self::new(writer, Format::Json)
    }

    /// Prints one line for people an event.
    pub fn lines(writer: W, style: LineStyle) -> Self {
        Self::new(writer, Format::Lines(Lines::new(style)))
    }

    fn new(writer: W, format: Format) -> Self {
        Self { writer, format, context: Context::default(), filter: None, buffer: Vec::with_capacity(1024) }
    }

    /// Tells how many records could not be read so far; it is printed with the statistics.
    pub fn note_unread(&mut self, counts: DecodeCounts) {
        self.context.unread = counts;
    }

    /// Prints only events that match. What the others tell of owners, hooks and the node is kept all the same.
    #[must_use]
    pub fn with_filter(self, filter: Option<Filter>) -> Self {
        Self { filter, ..self }
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let Some(filter) = &self.filter else { return true };
        let process = match &event.body {
            Body::Retransmit(body) => self.context.process(body.process.as_ref(), body.socket_inode),
            _ => None,
        };
        filter.matches_with_process(event, process)
    }

    /// Prints an event, if there is something to print of it.
    pub fn print(&mut self, event: &Event) -> io::Result<()> {
        let shown = self.context.take_in(event);
        if shown == Shown::Nothing || !self.is_wanted(event) {
            return Ok(());
        }
        self.buffer.clear();
        match &mut self.format {
            Format::Json => json::append(&mut self.buffer, &self.context, event, shown)?,
            Format::Lines(lines) => lines.append(&mut self.buffer, &self.context, event, shown)?,
        }
        self.writer.write_all(&self.buffer)
    }

    /// Prints what closes the output, a summary for people, and flushes the writer.
    pub fn finish(&mut self) -> io::Result<()> {
        self.buffer.clear();
        if let Format::Lines(lines) = &mut self.format {
            lines.append_summary(&mut self.buffer, &self.context)?;
        }
        self.writer.write_all(&self.buffer)?;
        self.flush()
    }

    /// Flushes the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer.
    pub fn into_writer(self) -> W {
        self.writer
    }
}
