//! `tracer events`: a line or a JSON object for each event.

use std::{
    env,
    io::{self, BufWriter, IsTerminal as _, Stderr, StdoutLock, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::bail;
use clap::Args;
use tokio::time::{self, MissedTickBehavior};

use super::{
    judging::FailOn,
    node::{Blocks, Node},
    playback::{Playback, Shifts},
    recording::{self, Recording, RotationArguments},
    scope::View,
    tell,
};
use crate::{
    block::Block,
    decode::Decoder,
    filter::{Filter, FindingSieve, Sieve},
    findings::{
        Opened,
        watch::{Awaited, Wanted, Watched},
    },
    output::{LineStyle, Printer},
    state::State,
};

/// How often it is checked whether anybody still reads the output.
const READER_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes collected before they are written, or until the block ends.
const OUTPUT_BYTES: usize = 1 << 16;

/// `tracer events`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Sessions to print the events of, parts of one recording or of several nodes; needs no root. Without one, those of
    /// this node as they happen.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object a line, the first of them `ready`.
    #[arg(long)]
    json: bool,
    /// Also record everything, whatever the filter says, to this new session file.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    record: Option<PathBuf>,
    /// Replace the session file if there is one.
    #[arg(long, requires = "record")]
    force: bool,
    /// End when a finding opens that is waited for: finding (a warning or worse), finding:ID (of that rule, by itself or
    /// below another that explains it). Exit with status 1 if none does before the end.
    #[arg(long, value_name = "FINDING,…", value_delimiter = ',')]
    until: Vec<Awaited>,
    #[command(flatten)]
    fail_on: FailOn,
    #[command(flatten)]
    shifts: Shifts,
    #[command(flatten)]
    rotation: RotationArguments,
    #[command(flatten)]
    view: View,
}

/// Prints the events of a session or of this node.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !arguments.files.is_empty() {
        return print_session(arguments);
    }
    let node = Node::find(&arguments.view.scope)?;
    let recording =
        Recording::new(arguments.record.as_deref(), arguments.force, arguments.rotation.rotation())?;
    node.run(async |blocks| print(blocks, arguments, recording).await)
}

/// Prints a session's events, and on standard error what of it could not be read.
fn print_session(arguments: &Arguments) -> anyhow::Result<()> {
    let mut playback = Playback::open(&arguments.files, &arguments.shifts, &arguments.view.scope)?;
    for sentence in playback.clocks() {
        tell(&sentence);
    }
    let mut output = on_stdout(arguments, arguments.view.for_session()?)?;
    for block in &mut playback {
        output.print(&block?)?;
        if output.is_over {
            break;
        }
    }
    output.finish()?;
    for damage in playback.damage() {
        tell(&damage);
    }
    output.verdict(arguments.fail_on)
}

/// Prints this node's events, and records them, until something ends them.
async fn print(blocks: &mut Blocks, arguments: &Arguments, mut recording: Recording) -> anyhow::Result<()> {
    let mut output = on_stdout(arguments, arguments.view.filter.clone())?;
    let mut reader_check = time::interval(READER_CHECK_INTERVAL);
    reader_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            block = blocks.next() => {
                let Some(block) = block else { break };
                recording.take(&block);
                output.print(&block)?;
                if output.is_over {
                    break;
                }
            }
            _ = reader_check.tick() => {
                check_reader()?;
                recording.tick();
            }
        }
    }
    output.finish()?;
    if let Some(status) = recording.finish()?.filter(|status| status.lost_records != 0) {
        tell(&format!("{}{}", status.path.display(), recording::lost(&status)));
    }
    output.verdict(arguments.fail_on)
}

/// Fails with a broken pipe if nobody reads standard output any more. Without this a quiet node would keep a tracer
/// whose reader is gone.
fn check_reader() -> io::Result<()> {
    let mut descriptor = libc::pollfd { fd: libc::STDOUT_FILENO, events: 0, revents: 0 };
    // SAFETY: one descriptor, which lives through the call.
    let ready = unsafe { libc::poll(&raw mut descriptor, 1, 0) };
    if ready > 0 && descriptor.revents & (libc::POLLERR | libc::POLLNVAL) != 0 {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// From blocks to what is printed. It does not depend on where one block ends and the next begins.
struct Output<W: Write, N: Write> {
    decoder: Decoder,
    sieve: Sieve,
    printer: Printer<W, N>,
    /// It sees everything, whatever the filter says.
    watched: Watched,
    findings: FindingSieve,
    opened: Opened,
    wanted: Wanted,
    /// Whether a finding opened that was waited for.
    is_over: bool,
}

fn on_stdout(
    arguments: &Arguments,
    filter: Option<Filter>,
) -> anyhow::Result<Output<BufWriter<StdoutLock<'static>>, Stderr>> {
    let stdout = io::stdout();
    let style = LineStyle::fit(stdout.is_terminal(), |name| env::var(name).ok());
    let writer = BufWriter::with_capacity(OUTPUT_BYTES, stdout.lock());
    let printer = if arguments.json {
        Printer::json(writer, io::stderr())
    } else {
        Printer::lines(writer, io::stderr(), style)
    };
    let wanted = Wanted(arguments.until.clone());
    Ok(Output { wanted, ..Output::new(printer, arguments.view.scope.state()?, filter) })
}

impl<W: Write, N: Write> Output<W, N> {
    fn new(printer: Printer<W, N>, state: State, filter: Option<Filter>) -> Self {
        Self {
            decoder: Decoder::default(),
            sieve: Sieve::new(filter.clone()),
            printer,
            watched: Watched::new(state),
            findings: FindingSieve::new(filter),
            opened: Opened::default(),
            wanted: Wanted::default(),
            is_over: false,
        }
    }

    /// Prints a block's events at once, each with what it brings about, up to the finding that is waited for.
    fn print(&mut self, block: &Block) -> io::Result<()> {
        let Self { decoder, sieve, printer, watched, findings, opened, wanted, is_over } = self;
        let mut result = Ok(());
        let mut watching = watched.begin();
        decoder.decode_counting(block, |event, counts| {
            if result.is_err() || *is_over {
                return;
            }
            if sieve.passes(&event) {
                printer.note_unread(counts);
                result = printer.print(&event);
            }
            watching.push(event, |state, change| {
                if result.is_err() || *is_over || !findings.passes(state, change) {
                    return;
                }
                opened.note(change);
                result = printer.print_finding(change);
                *is_over = wanted.opens_with(&state.findings, change);
            });
        });
        watching.finish();
        result?;
        printer.flush()
    }

    /// What the exit status answers.
    fn verdict(&self, fail_on: FailOn) -> anyhow::Result<()> {
        if !self.wanted.is_nothing() && !self.is_over {
            bail!("no finding opened before the end that was waited for: {}", self.wanted.names());
        }
        fail_on.verdict(&self.opened)
    }

    /// Prints what closes the output.
    fn finish(&mut self) -> io::Result<()> {
        self.printer.note_unread(self.decoder.counts());
        self.printer.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, path::Path};

    use bytes::Bytes;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use tracer_common::record::{ReadyRecord, RecordHeader, RecordKind};
    use zerocopy::IntoBytes as _;

    use super::Output;
    use crate::{
        block::Block,
        decode::split_record,
        filter,
        output::{Arrow, LineStyle, Printer, tests::every_event},
        session::{SessionReader, SessionWriter},
        state::State,
    };

    /// The records of the sample, and among them one of an unknown kind and one too short for its kind.
    fn records() -> Vec<Bytes> {
        let whole = every_event().0;
        let mut records = Vec::new();
        let mut taken = 0;
        while let Some((_, record, _)) = split_record(&whole[taken..]) {
            records.push(whole.slice(taken..taken + record.len()));
            taken += record.len();
        }
        for kind in [60_000, RecordKind::Retransmit as u16] {
            let header =
                RecordHeader { kind, length_bytes: 24, time_ns: 10_000_000_000, ..RecordHeader::default() };
            records.insert(records.len() - 1, Bytes::copy_from_slice(ReadyRecord { header }.as_bytes()));
        }
        records
    }

    fn blocks(records: &[Bytes], a_block: usize) -> Vec<Block> {
        records.chunks(a_block).map(|chunk| Block(chunk.concat().into())).collect()
    }

    fn printed(json: bool, condition: Option<&str>, blocks: &[Block]) -> [Vec<u8>; 2] {
        let style = LineStyle { arrow: Arrow::Unicode, use_colour: false, time_zone: TimeZone::UTC };
        let printer = if json {
            Printer::json(Vec::new(), Vec::new())
        } else {
            Printer::lines(Vec::new(), Vec::new(), style)
        };
        let mut output =
            Output::new(printer, State::default(), condition.map(|text| filter::parse(text).unwrap()));
        for block in blocks {
            output.print(block).unwrap();
        }
        output.finish().unwrap();
        output.printer.into_writers().into()
    }

    fn through_a_session(blocks: &[Block]) -> Vec<Block> {
        let mut writer = SessionWriter::new(Vec::new()).unwrap();
        for block in blocks {
            writer.append(block).unwrap();
        }
        let file = writer.finish().unwrap();
        let reader = SessionReader::new(Cursor::new(file), Path::new("sample")).unwrap();
        reader.map(Result::unwrap).collect()
    }

    proptest! {
        #[test]
        fn a_session_prints_byte_for_byte_what_live_printed(
            a_block in 1_usize..40,
            json in any::<bool>(),
            condition in prop::option::of(prop::sample::select(&["process nginx", "host 10.0.0.9", "not retransmit"][..])),
        ) {
            let live = blocks(&records(), a_block);
            let session = through_a_session(&live);
            let [lines, notes] = printed(json, condition, &live);
            prop_assert!(!lines.is_empty() && notes.is_empty() == json);
            prop_assert_eq!([lines, notes], printed(json, condition, &session));
        }
    }
}
