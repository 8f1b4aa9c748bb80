//! A session that can be read only once, from its beginning to its end: it is copied to a file that has no name.

use std::{
    env,
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    cli::status::StatusLine,
    session::{OpenError, SessionReader, Tape},
    tui::text::size,
};

/// Reads the session to its end, into a file that only its owner can read and that is gone with this program.
///
/// Fails if it is none, or if there is no room.
pub(super) fn tape(path: &Path) -> anyhow::Result<Tape> {
    let source = File::open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    let directory = directory();
    let file = tempfile::tempfile_in(&directory).with_context(|| {
        format!("cannot make a file in {}; set TMPDIR to another directory", directory.display())
    })?;
    let copy = Copy { path, directory: &directory, progress: Some(StatusLine::on_stderr()) };
    Ok(Tape::of_file(copy.run(source, file)?, path)?)
}

/// Where the file goes: `TMPDIR`, or where large files are better off than in `/tmp`, which is often memory.
fn directory() -> PathBuf {
    const LARGE: &str = "/var/tmp";
    match env::var_os("TMPDIR") {
        Some(directory) if !directory.is_empty() => directory.into(),
        _ if Path::new(LARGE).is_dir() => LARGE.into(),
        _ => env::temp_dir(),
    }
}

/// What is copied, and where to.
struct Copy<'a> {
    path: &'a Path,
    directory: &'a Path,
    progress: Option<StatusLine>,
}

impl Copy<'_> {
    /// Copies to the end, and gives the file back at its beginning.
    fn run(mut self, mut source: impl Read, mut file: File) -> anyhow::Result<File> {
        /// Enough to tell a session by.
        const HEAD_BYTES: u64 = 4 << 10;
        const STEP_BYTES: usize = 256 << 10;
        const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
        let unread = |source| OpenError::Io { path: self.path.to_owned(), source };
        let no_room = || {
            let (path, directory) = (self.path.display(), self.directory.display());
            format!(
                "cannot keep what comes from {path} in {directory}; set TMPDIR to a directory with room for it"
            )
        };
        let mut bytes = Vec::new();
        source.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes).map_err(unread)?;
        // What is no session is not read to its end.
        SessionReader::new(&bytes[..], self.path)?;
        file.write_all(&bytes).with_context(no_room)?;
        let mut copied = bytes.len() as u64;
        bytes.resize(STEP_BYTES, 0);
        let mut shown = Instant::now();
        loop {
            let length = match source.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(error).into()),
            };
            file.write_all(&bytes[..length]).with_context(no_room)?;
            copied += length as u64;
            if let Some(progress) = &mut self.progress
                && shown.elapsed() >= PROGRESS_INTERVAL
            {
                progress.show(&format!("{} read", size(copied)));
                shown = Instant::now();
            }
        }
        file.rewind().with_context(no_room)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::OpenOptions, path::Path};

    use super::Copy;
    use crate::{
        output::tests::every_event,
        session::{SessionWriter, Tape},
    };

    fn session(directory: &Path) -> Vec<u8> {
        let path = directory.join("session");
        let mut writer = SessionWriter::create(&path, false).unwrap();
        for _ in 0..1_000 {
            writer.append(&every_event()).unwrap();
        }
        writer.finish().unwrap();
        fs::read(path).unwrap()
    }

    fn copy(bytes: &[u8], to: &Path) -> anyhow::Result<Tape> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(to).unwrap();
        let copy = Copy { path: Path::new("a pipe"), directory: to.parent().unwrap(), progress: None };
        Ok(Tape::of_file(copy.run(bytes, file)?, copy_name())?)
    }

    fn copy_name() -> &'static Path {
        Path::new("a pipe")
    }

    #[test]
    fn what_comes_through_a_pipe_is_what_the_file_holds() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = session(directory.path());
        let file = Tape::open(&[directory.path().join("session")]).unwrap();
        let piped = copy(&bytes, &directory.path().join("copy")).unwrap();
        assert_eq!(piped.chapters(), file.chapters());
        assert!(file.chapters().len() > 1);
        for index in 0..file.chapters().len() {
            assert_eq!(piped.read(index).unwrap().0, file.read(index).unwrap().0, "{index}");
        }
        // One that is cut is read as far as it goes, and named as it was asked for.
        let cut = copy(&bytes[..bytes.len() - 10], &directory.path().join("cut")).unwrap();
        assert_eq!(cut.chapters(), file.chapters());
        assert!(cut.damage()[0].starts_with("a pipe: "), "{:?}", cut.damage());
    }

    #[test]
    fn what_is_no_session_and_what_finds_no_room_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = session(directory.path());
        let told = |bytes: &[u8], to: &Path| format!("{:#}", copy(bytes, to).err().unwrap());
        let no_session = told(&vec![b'x'; 100_000], &directory.path().join("none"));
        assert!(no_session.starts_with("a pipe is not a tracer session"), "{no_session}");
        assert_eq!(fs::metadata(directory.path().join("none")).unwrap().len(), 0);
        let full = told(&bytes, Path::new("/dev/full"));
        assert!(
            full.starts_with("cannot keep what comes from a pipe in /dev; set TMPDIR")
                && full.contains("No space left"),
            "{full}"
        );
    }
}
