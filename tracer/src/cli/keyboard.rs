//! Single keys from the terminal, for commands without screens.

use std::{io, mem::MaybeUninit, os::fd::AsFd as _, thread, time::Duration};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{getpgrp, read},
};
use tokio::sync::mpsc;

/// Keys that may wait: more than anybody presses before they are looked at.
const KEYS_WAITING: usize = 16;

/// The terminal gives keys at once and does not show them, as long as this lives. Ctrl-C and the like do what they always
/// do.
pub(super) struct Keyboard {
    before: libc::termios,
    keys: mpsc::Receiver<u8>,
}

impl Keyboard {
    /// `None` if standard input is no terminal, or that of somebody else because tracer runs in the background.
    pub(super) fn open() -> Option<Self> {
        if !is_ours() {
            return None;
        }
        let mut before = MaybeUninit::uninit();
        // SAFETY: the kernel fills the structure if the call succeeds, and only then is it read.
        let before = unsafe {
            if libc::tcgetattr(libc::STDIN_FILENO, before.as_mut_ptr()) != 0 {
                return None;
            }
            before.assume_init()
        };
        let mut mode = before;
        mode.c_lflag &= !(libc::ICANON | libc::ECHO);
        set(&mode);
        let (sender, keys) = mpsc::channel(KEYS_WAITING);
        let reader = thread::Builder::new().name("keyboard".to_owned()).spawn(move || read_keys(&sender));
        let keyboard = Self { before, keys };
        // Dropped without a thread, it puts the mode back.
        reader.is_ok().then_some(keyboard)
    }

    /// Waits for that key; for ever if the terminal is gone.
    pub(super) async fn pressed(&mut self, key: char) {
        loop {
            match self.keys.recv().await {
                Some(pressed) if char::from(pressed) == key => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // In the background the terminal has another's mode, and setting it would stop the process.
        if is_ours() {
            set(&self.before);
        }
    }
}

fn set(mode: &libc::termios) {
    // SAFETY: a whole structure, which lives through the call. A terminal that is gone needs no mode.
    unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, mode) };
}

/// Whether standard input is a terminal whose keys are meant for this process.
fn is_ours() -> bool {
    // SAFETY: both take no memory; of what is no terminal the group is -1.
    unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == getpgrp().as_raw() }
}

/// Until the terminal or the receiver is gone. Waiting in `read` would stop the process once it is put into the
/// background.
fn read_keys(keys: &mpsc::Sender<u8>) {
    const BACKGROUND_INTERVAL: Duration = Duration::from_millis(500);
    let stdin = io::stdin();
    while !keys.is_closed() {
        let mut descriptors = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if poll(&mut descriptors, PollTimeout::from(1_000_u16)) == Ok(0) {
            continue;
        }
        if !is_ours() {
            thread::sleep(BACKGROUND_INTERVAL);
            continue;
        }
        let mut key = [0];
        match read(stdin.as_fd(), &mut key) {
            Ok(1) if keys.blocking_send(key[0]).is_ok() => {}
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => {}
            _ => return,
        }
    }
}
