//! `tracer export`: a session's events for other programs.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, IsTerminal as _, Write},
    os::{
        fd::AsFd as _,
        unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::{playback::Playback, scope::View, status::StatusLine, tell};
use crate::{
    block::Block,
    decode::{Decoder, split_record},
    filter::Sieve,
    output::export::{Export, ExportFormat},
};

/// Bytes collected before they are written.
const OUTPUT_BYTES: usize = 1 << 16;

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// `tracer export`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The session.
    file: PathBuf,
    /// jsonl, a JSON object a line; parquet, a table; pcapng, packets for Wireshark.
    #[arg(long)]
    format: ExportFormat,
    /// Where to write; standard output without it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long, requires = "output")]
    force: bool,
    #[command(flatten)]
    view: View,
}

/// Reads the session and writes what it tells in another format.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let playback = Playback::open(&arguments.file, &arguments.view.scope)?;
    let sieve = Sieve::new(arguments.view.for_session()?);
    let Some(path) = &arguments.output else {
        let stdout = io::stdout();
        if stdout.is_terminal() && !arguments.format.is_text() {
            bail!(
                "{} is nothing for a terminal: name a file with --output, or send it through a pipe",
                arguments.format
            );
        }
        // Not through the library's buffer, which ends at every line feed it finds in a table.
        let writer = File::from(stdout.as_fd().try_clone_to_owned().context("cannot copy standard output")?);
        export(playback, sieve, arguments.format, BufWriter::with_capacity(OUTPUT_BYTES, writer))?;
        return Ok(());
    };
    let file = create(path, arguments.force)?;
    let writer = BufWriter::with_capacity(OUTPUT_BYTES, OwnErrors { file, path: path.clone() });
    match export(playback, sieve, arguments.format, writer) {
        Ok(rows) => {
            tell(&format!("{rows} events in {}", path.display()));
            Ok(())
        }
        Err(error) => {
            // Half a table is none, and half of the rest would pass for the whole.
            if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
                fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
            Err(error)
        }
    }
}

/// Writes everything, and on standard error what could not be read; how many objects were written.
fn export<W: Write + Send>(
    mut playback: Playback,
    mut sieve: Sieve,
    format: ExportFormat,
    writer: W,
) -> anyhow::Result<u64> {
    let mut export = Export::new(format, writer)?;
    let mut decoder = Decoder::default();
    let mut progress = Progress::new();
    for block in &mut playback {
        let mut rest = block?.0;
        while !rest.is_empty() {
            // What is no whole record is the decoder's to count.
            let length = split_record(&rest).map_or(rest.len(), |(_, record, _)| record.len());
            let record = Block(rest.split_to(length));
            let mut result = Ok(());
            decoder.decode_counting(&record, |event, counts| {
                if sieve.passes(&event) {
                    result = export.add(&record.0, &event, counts);
                }
            });
            result?;
        }
        progress.show(export.rows());
    }
    let rows = export.rows();
    export.finish()?;
    drop(progress);
    for damage in playback.damage() {
        tell(&damage);
    }
    Ok(rows)
}

/// Makes the file, for its owner only. A symbolic link is not followed; a file that is there is replaced only with
/// `force`.
fn create(path: &Path, force: bool) -> anyhow::Result<File> {
    const OWNER_ONLY: u32 = 0o600;
    let mut options = OpenOptions::new();
    options.write(true).mode(OWNER_ONLY).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => anyhow!("{} is there already; --force replaces it", path.display()),
        _ => anyhow!("cannot create {}: {error}", path.display()),
    })?;
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(file)
}

/// A file whose errors name it, and never pass for a reader of standard output that has gone.
struct OwnErrors {
    file: File,
    path: PathBuf,
}

impl OwnErrors {
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("cannot write {}: {error}", self.path.display()))
    }
}

impl Write for OwnErrors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => self.named(&error),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| self.named(&error))
    }
}

/// How far it is, on a terminal that is not written to otherwise.
struct Progress {
    line: Option<StatusLine>,
    shown: Instant,
}

impl Progress {
    fn new() -> Self {
        let line = (!io::stdout().is_terminal()).then(StatusLine::on_stderr);
        Self { line, shown: Instant::now() }
    }

    fn show(&mut self, rows: u64) {
        if let Some(line) = &mut self.line
            && self.shown.elapsed() >= PROGRESS_INTERVAL
        {
            line.show(&format!("{rows} events"));
            self.shown = Instant::now();
        }
    }
}
