//! The program's own log on standard error, held back while the screens are there.

use std::{
    io::{self, Write as _},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use env_logger::{Builder, Env, Target};

/// Lines held back, at most so many bytes of them; `None` while they go out at once.
static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

const HELD_BYTES: usize = 1 << 20;

/// Begins to log, from warnings on unless `RUST_LOG` says otherwise.
pub(super) fn init() {
    Builder::from_env(Env::default().default_filter_or("warn")).target(Target::Pipe(Box::new(Log))).init();
}

/// Holds lines back until it is dropped.
pub(super) struct Hold(());

/// Holds lines back from now on.
#[must_use]
pub(super) fn hold() -> Hold {
    *held() = Some(Vec::new());
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        let lines = mem::take(&mut *held()).unwrap_or_default();
        let _ = io::stderr().write_all(&lines);
    }
}

fn held() -> MutexGuard<'static, Option<Vec<u8>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *held() {
            Some(lines) if lines.len() + line.len() <= HELD_BYTES => lines.extend_from_slice(line),
            Some(_) => {}
            // Nobody is left to tell that standard error is closed.
            None => drop(io::stderr().write_all(line)),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
