//! `tracer export`: a session's events for other programs.

mod draft;

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal as _, Write},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;

use self::draft::Draft;
use super::{
    playback::{Playback, Shifts},
    scope::View,
    status::StatusLine,
    tell,
};
use crate::{
    block::Block,
    decode::{Decoder, split_record},
    filter::{Filter, FindingSieve, Sieve},
    findings::watch::Watched,
    output::export::{Export, ExportFormat},
};

/// Bytes collected before they are written.
const OUTPUT_BYTES: usize = 1 << 16;

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// `tracer export`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The sessions: parts of one recording, or of several nodes; needs no root.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
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
    shifts: Shifts,
    #[command(flatten)]
    view: View,
}

/// Reads the session and writes what it tells in another format.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let playback = Playback::open(&arguments.files, &arguments.shifts, &arguments.view.scope)?;
    for sentence in playback.clocks() {
        tell(&sentence);
    }
    let filter = arguments.view.for_session()?;
    let judged = Judged { watched: Watched::new(arguments.view.scope.state()?), filter };
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
        export(playback, judged, arguments.format, BufWriter::with_capacity(OUTPUT_BYTES, writer))?;
        return Ok(());
    };
    if arguments.files.iter().any(|file| is_same_file(path, file)) {
        bail!("{} is the session itself", path.display());
    }
    let rows = into_file(path, arguments.force, |writer| export(playback, judged, arguments.format, writer))?;
    tell(&format!("{rows} events in {}", path.display()));
    Ok(())
}

/// Makes a file and has it written. It has its name only once it is whole: half a table is none, and half of the rest would
/// pass for the whole.
fn into_file<T>(
    path: &Path,
    force: bool,
    write: impl FnOnce(BufWriter<OwnErrors>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (draft, file) = Draft::begin(path, force)?;
    let written = write(BufWriter::with_capacity(OUTPUT_BYTES, OwnErrors { file, path: path.to_owned() }))?;
    draft.finish()?;
    Ok(written)
}

/// Whether both are one file, by whatever names.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// What judges the events, and what of them and of the findings is written.
struct Judged {
    watched: Watched,
    filter: Option<Filter>,
}

/// Writes everything, and on standard error what could not be read; how many objects were written.
fn export<W: Write + Send>(
    mut playback: Playback,
    Judged { mut watched, filter }: Judged,
    format: ExportFormat,
    writer: W,
) -> anyhow::Result<u64> {
    let mut export = Export::new(format, writer)?;
    let (mut sieve, mut findings) = (Sieve::new(filter.clone()), FindingSieve::new(filter));
    let mut decoder = Decoder::default();
    let mut progress = Progress::new();
    for block in &mut playback {
        let mut rest = block?.0;
        let mut watching = watched.begin();
        while !rest.is_empty() {
            // What is no whole record is the decoder's to count.
            let length = split_record(&rest).map_or(rest.len(), |(_, record, _)| record.len());
            let record = Block(rest.split_to(length));
            let mut result = Ok(());
            decoder.decode_counting(&record, |event, counts| {
                if sieve.passes(&event) {
                    result = export.add(&record.0, &event, counts);
                }
                watching.push(event, |state, change| {
                    if result.is_ok() && findings.passes(state, change) {
                        result = export.add_finding(change);
                    }
                });
            });
            result?;
        }
        watching.finish();
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

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write as _,
        os::unix::fs::{PermissionsExt as _, symlink},
        path::Path,
    };

    use anyhow::bail;

    use super::{into_file, is_same_file, run};
    use crate::{
        cli::{Command, parse},
        output::{export::ExportFormat, tests::every_event},
        session::SessionWriter,
    };

    fn session(directory: &Path) -> String {
        let path = directory.join("session");
        let mut writer = SessionWriter::create(&path, false).unwrap();
        writer.append(&every_event()).unwrap();
        writer.finish().unwrap();
        path.display().to_string()
    }

    fn export(arguments: &[&str]) -> anyhow::Result<()> {
        match parse([&["tracer", "export"], arguments].concat()) {
            Ok(Command::Export(arguments)) => run(&arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_are_the_owners_and_nothing_is_overwritten_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let session = session(directory.path());
        for format in ExportFormat::ALL {
            let file = directory.path().join(format.name());
            let name = file.display().to_string();
            let arguments = [&session, "--format", format.name(), "-o", &name];
            export(&arguments).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{format}");
            let written = fs::read(&file).unwrap();
            assert!(!written.is_empty(), "{format}");
            let error = export(&arguments).unwrap_err().to_string();
            assert_eq!(error, format!("{name} is there already; --force replaces it"));
            fs::write(&file, "something else, and longer than nothing").unwrap();
            export(&[&arguments[..], &["--force"]].concat()).unwrap();
            assert_eq!(fs::read(&file).unwrap(), written, "{format}");
            let filtered = [&arguments[..], &["--force", "--filter", "not retransmit"]].concat();
            export(&filtered).unwrap();
            assert_ne!(fs::read(&file).unwrap(), written, "{format}");
        }
    }

    #[test]
    fn neither_a_links_target_nor_the_session_itself_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let session = session(directory.path());
        let before = fs::read(&session).unwrap();
        let link = directory.path().join("link");
        symlink(&session, &link).unwrap();
        let hard = directory.path().join("hard");
        fs::hard_link(&session, &hard).unwrap();
        for output in [Path::new(&session), &link, &hard] {
            let output = output.display().to_string();
            let error = export(&[&session, "--format", "jsonl", "--force", "-o", &output]).unwrap_err();
            assert_eq!(error.to_string(), format!("{output} is the session itself"));
        }
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "kept").unwrap();
        fs::remove_file(&link).unwrap();
        symlink(&elsewhere, &link).unwrap();
        let link = link.display().to_string();
        let error = export(&[&session, "--format", "jsonl", "--force", "-o", &link]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot create {link}: ")), "{error}");
        assert_eq!((fs::read(&session).unwrap(), fs::read(&elsewhere).unwrap()), (before, b"kept".to_vec()));
        assert!(!is_same_file(Path::new(&session), &directory.path().join("nothing")));
    }

    #[test]
    fn what_could_not_be_written_to_its_end_is_removed_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let session = session(directory.path());
        let file = directory.path().join("file");
        let half = |force| {
            into_file::<()>(&file, force, |mut writer| {
                writer.write_all(b"half")?;
                writer.flush()?;
                bail!("no more")
            })
        };
        let count = || fs::read_dir(directory.path()).unwrap().count();
        for force in [false, true] {
            assert_eq!(half(force).unwrap_err().to_string(), "no more");
            assert_eq!((file.exists(), count()), (false, 1), "{force}");
        }
        fs::write(&file, "whole").unwrap();
        assert!(half(true).is_err());
        assert_eq!((fs::read(&file).unwrap(), count()), (b"whole".to_vec(), 2));
        // Another's file that comes meanwhile stays.
        fs::remove_file(&file).unwrap();
        let late = into_file(&file, false, |mut writer| {
            fs::write(&file, "another's")?;
            Ok(writer.write_all(b"ours")?)
        });
        assert!(late.unwrap_err().to_string().ends_with("--force replaces it"));
        assert_eq!((fs::read(&file).unwrap(), count()), (b"another's".to_vec(), 2));
        // A device is not ours to remove.
        for format in ExportFormat::ALL {
            let arguments = [&session, "--format", format.name(), "--force", "-o", "/dev/full"];
            let error = export(&arguments).unwrap_err();
            assert!(
                error.to_string().starts_with("cannot write /dev/full: No space left"),
                "{format}: {error:#}"
            );
        }
        assert!(Path::new("/dev/full").exists());
    }
}
