//! The signals that ask the program to end.

use std::{fs, future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM, and SIGHUP unless the program was started to survive it (`nohup`).
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
    /// Taken so that a limit on the size of files fails the write and does not kill the program.
    _file_size: Signal,
}

impl StopSignals {
    /// Listens from now on, for as long as the process lives. Fails outside of a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        // Listening would undo that the signal is ignored.
        let survives_hang_up =
            fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
            hang_up: if survives_hang_up { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits until one of them comes.
    pub(crate) async fn asked(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// Whether a process ignores SIGHUP, by the mask of ignored signals in its `/proc/PID/status`.
fn ignores_hang_up(status: &str) -> bool {
    const HANG_UP_BIT: u64 = 1 << (libc::SIGHUP - 1);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & HANG_UP_BIT != 0)
}

#[cfg(test)]
mod tests {
    use super::ignores_hang_up;

    #[test]
    fn the_mask_of_ignored_signals_tells() {
        for (status, expected) in [
            ("Name:\ttracer\nSigIgn:\t0000000000001001\nSigCgt:\t0\n", true),
            ("SigIgn:\t0000000000001000\n", false),
            ("SigCgt:\t0000000000000001\n", false),
            ("SigIgn:\tnonsense\n", false),
            ("", false),
        ] {
            assert_eq!(ignores_hang_up(status), expected, "{status:?}");
        }
    }
}
