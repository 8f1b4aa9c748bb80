//! The terminal, as long as the screens are on it.

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, stdin, stdout},
    mem::ManuallyDrop,
    os::fd::AsFd as _,
    panic,
};

use anyhow::{Context, Result, bail};
use crossterm::{
    clipboard::CopyToClipboard,
    cursor::Show,
    event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    execute, queue,
    style::Print,
    terminal::{
        BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
        disable_raw_mode, enable_raw_mode,
    },
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::{Frame, Terminal, backend::CrosstermBackend, buffer::Buffer};

/// A frame goes out at once, not in the pieces standard output would make of it.
type OutputTerminal = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal in raw mode on its alternate screen; dropping it, or a panic, gives it back as it was.
pub(super) struct Screens {
    /// Never dropped: its own drop prints to standard error when the cursor cannot be shown again, and panics where
    /// that has gone too, before a recording is finished.
    terminal: ManuallyDrop<OutputTerminal>,
    has_mouse: bool,
    /// What the terminal shows, as long as the mouse may point at it.
    drawn: Buffer,
}

/// Fails if there is no terminal for the screens.
pub fn require_terminal() -> Result<()> {
    if !stdout().is_terminal() {
        bail!("standard output is not a terminal: use `tracer events` for lines or JSON");
    }
    Ok(())
}

/// Whether the terminal has gone, as when its window was closed. Its reader does not tell: it goes on reading nothing.
pub(super) fn is_gone() -> bool {
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    let output = stdout();
    let mut descriptors = [PollFd::new(output.as_fd(), PollFlags::empty())];
    // A call that fails says nothing of the terminal.
    poll(&mut descriptors, PollTimeout::ZERO).is_ok()
        && descriptors[0].revents().is_some_and(|found| found.intersects(gone))
}

impl Screens {
    /// Takes the terminal over. Fails if standard output is none.
    pub(super) fn open() -> Result<Self> {
        require_terminal()?;
        let restore = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // Before its message is printed.
            leave();
            restore(panic);
        }));
        let terminal = enter().inspect_err(|_| leave()).context("taking over the terminal")?;
        Ok(Self { terminal: ManuallyDrop::new(terminal), has_mouse: false, drawn: Buffer::default() })
    }

    /// Rows of the terminal.
    pub(super) fn height(&self) -> Result<u16> {
        Ok(self.terminal.size().context("reading the terminal's size")?.height)
    }

    /// Asks the terminal something; if it answers, that comes in like keys. Nothing is asked if keys come from elsewhere.
    pub(super) fn ask(question: &str) -> Result<()> {
        if stdin().is_terminal() {
            execute!(stdout(), Print(question)).context("asking the terminal")?;
        }
        Ok(())
    }

    /// Draws one frame. A terminal that can shows it when it is whole.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate).context("drawing to the terminal")?;
        let frame = self.terminal.draw(picture).context("drawing to the terminal")?;
        if self.has_mouse {
            self.drawn.clone_from(frame.buffer);
        }
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate).context("drawing to the terminal")
    }

    /// What was drawn last, if the mouse was taken then.
    pub(super) fn drawn(&self) -> &Buffer {
        &self.drawn
    }

    /// Takes the mouse, or leaves it to the terminal, which then can select text.
    pub(super) fn take_mouse(&mut self, take: bool) -> Result<()> {
        self.has_mouse = take;
        let taken = if take {
            execute!(stdout(), EnableMouseCapture)
        } else {
            execute!(stdout(), DisableMouseCapture)
        };
        taken.context("writing to the terminal")
    }

    /// Puts a text into the clipboard of the terminal, wherever that runs. Whether it does so it does not say.
    pub(super) fn copy(text: &str) -> Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text)).context("writing to the terminal")
    }
}

impl Drop for Screens {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<OutputTerminal> {
    /// A frame that changes every cell of a large terminal.
    const FRAME_BYTES: usize = 256 << 10;
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout())))
}

/// Gives the terminal back as it was.
fn leave() {
    // A terminal that has gone needs no restoring, and nobody is left to tell.
    let _ = execute!(stdout(), DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
