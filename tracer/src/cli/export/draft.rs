//! A file that gets its name only once it is whole.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process, thread,
};

use anyhow::{Context as _, anyhow};
use tempfile::{NamedTempFile, TempPath};
use tokio::runtime::Runtime;

use crate::{cli::tell, owned, signals::StopSignals};

/// What is written, under a name of its own in the same directory, unless the name it shall have is that of a device or a
/// pipe. Removed when it is dropped before it is finished, or when a signal ends the program.
pub(super) struct Draft {
    path: PathBuf,
    force: bool,
    /// Its own name, if it has one.
    own: Option<TempPath>,
}

impl Draft {
    /// Makes a file that only its owner can read, to be written to; what is there is replaced only with `force`.
    pub(super) fn begin(path: &Path, force: bool) -> anyhow::Result<(Self, File)> {
        let cannot_create = |error: io::Error| anyhow!("cannot create {}: {error}", path.display());
        let found = path.symlink_metadata();
        match &found {
            Ok(_) if !force => return Err(is_there(path)),
            // A device is no file to replace, and of a link it is told that it is none.
            Ok(metadata) if !metadata.is_file() => {
                let file = owned::create(path, force).map_err(cannot_create)?;
                return Ok((Self { path: path.to_owned(), force, own: None }, file));
            }
            _ => {}
        }
        let name = path.file_name().with_context(|| format!("{} is no name for a file", path.display()))?;
        let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let mut own_name = OsString::from(".");
        own_name.push(name);
        own_name.push(".");
        // Before the file is there: a signal in between would leave it.
        let stop = Stop::listen()?;
        let made = tempfile::Builder::new().prefix(&own_name).tempfile_in(directory);
        let (file, own) = made.map(NamedTempFile::into_parts).map_err(cannot_create)?;
        stop.removes(own.to_path_buf())?;
        Ok((Self { path: path.to_owned(), force, own: Some(own) }, file))
    }

    /// Gives the file its name.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self { path, force, own } = self;
        let Some(own) = own else { return Ok(()) };
        let named = if force { own.persist(&path) } else { own.persist_noclobber(&path) };
        named.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => is_there(&path),
            _ => anyhow!("cannot give {} its name: {}", path.display(), error.error),
        })
    }
}

fn is_there(path: &Path) -> anyhow::Error {
    anyhow!("{} is there already; --force replaces it", path.display())
}

/// The signals that end the program, kept from ending it at once.
struct Stop {
    runtime: Runtime,
    signals: StopSignals,
}

impl Stop {
    /// From now on a signal waits until there is what to do about it.
    fn listen() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            StopSignals::listen().context("cannot listen for signals")?
        };
        Ok(Self { runtime, signals })
    }

    /// Has a signal that ends the program remove a file first.
    fn removes(self, file: PathBuf) -> anyhow::Result<()> {
        let Self { runtime, mut signals } = self;
        let wait = move || {
            runtime.block_on(signals.asked());
            // It may have got its name just now, and then it is whole.
            if fs::remove_file(file).is_ok() {
                tell("stopped: nothing was written");
            }
            process::exit(1);
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(wait)
            .context("cannot start the thread that waits for signals")?;
        Ok(())
    }
}
