//! A line on the terminal that says how far long work is.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::tui::text::clip_end;

/// One line at the bottom of standard error, drawn over again and again; nothing if that is no terminal. Gone when it
/// is dropped.
pub(super) struct StatusLine {
    is_terminal: bool,
}

impl StatusLine {
    pub(super) fn on_stderr() -> Self {
        Self { is_terminal: io::stderr().is_terminal() }
    }

    /// When to show how far it is: at once, and then every second.
    pub(super) fn ticks() -> Interval {
        const INTERVAL: Duration = Duration::from_secs(1);
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Shows a text, cut where the terminal ends.
    pub(super) fn show(&mut self, text: &str) {
        const USUAL_COLUMNS: u16 = 80;
        if self.is_terminal {
            let columns = crossterm::terminal::size().map_or(USUAL_COLUMNS, |(columns, _)| columns);
            // The last column stays free: some terminals begin a new line when it is filled.
            let text = clip_end(text, usize::from(columns.saturating_sub(1)));
            Self::put(&format!("\r{text}\x1b[K"));
        }
    }

    /// Takes it off, for something else to be told.
    pub(super) fn clear(&mut self) {
        if self.is_terminal {
            Self::put("\r\x1b[K");
        }
    }

    fn put(text: &str) {
        // A terminal that is gone is no reason to stop the work.
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}
