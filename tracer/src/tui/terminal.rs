//! The terminal, as long as the screens are on it.

use std::{
    io::{self, IsTerminal, Write as _},
    mem::ManuallyDrop,
};

use anyhow::{Context, Result, bail};
use ratatui::{DefaultTerminal, Frame};

/// The terminal in raw mode on its alternate screen; dropping it, or a panic, gives it back as it was.
pub(super) struct Screens {
    /// Never dropped: its own drop prints to standard error when the cursor cannot be shown again, and panics where
    /// that has gone too, before a recording is finished.
    terminal: ManuallyDrop<DefaultTerminal>,
}

/// Fails if there is no terminal for the screens.
pub fn require_terminal() -> Result<()> {
    if !io::stdout().is_terminal() {
        bail!("standard output is not a terminal: use `tracer events` for lines or JSON");
    }
    Ok(())
}

impl Screens {
    /// Takes the terminal over. Fails if standard output is none.
    pub(super) fn open() -> Result<Self> {
        require_terminal()?;
        // This also restores the terminal before a panic's message is printed.
        let terminal = ratatui::try_init().context("taking over the terminal")?;
        Ok(Self { terminal: ManuallyDrop::new(terminal) })
    }

    /// Rows of the terminal.
    pub(super) fn height(&self) -> Result<u16> {
        Ok(self.terminal.size().context("reading the terminal's size")?.height)
    }

    /// Asks the terminal something; if it answers, that comes in like keys. Nothing is asked if keys come from elsewhere.
    pub(super) fn ask(&mut self, question: &str) -> Result<()> {
        if io::stdin().is_terminal() {
            let mut terminal = io::stdout();
            terminal.write_all(question.as_bytes()).context("asking the terminal")?;
            terminal.flush().context("asking the terminal")?;
        }
        Ok(())
    }

    /// Draws one frame.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        self.terminal.draw(picture).context("drawing to the terminal")?;
        Ok(())
    }
}

impl Drop for Screens {
    fn drop(&mut self) {
        // A terminal that has gone needs no restoring, and nobody is left to tell.
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}
