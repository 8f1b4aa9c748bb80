//! What user space watches in every network namespace: threads that go round them and write records.
//!
//! A watch looks at namespaces one at a time, with its thread inside; it may keep descriptors that wake the thread.
//! Two threads share the work, so that counting long rule sets does not keep a route change waiting.

use std::{
    collections::BTreeMap,
    iter,
    os::fd::{AsFd as _, BorrowedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::BytesMut;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use tracer_common::record::{Record, RetransmitRecord};

use super::encode::{Stamp, append_record};
use crate::namespaces::{Census, Door, EnterError, Namespace};

/// How often every namespace is looked at.
const ROUND: Duration = Duration::from_secs(1);

/// Records handed over at once, at most (a little more: the last record is not cut).
const BATCH_BYTES: usize = 256 << 10;

/// Batches that may wait for the collector before a watch waits too.
const BATCHES_WAITING: usize = 64;

/// Questions that may wait for a watch; more are turned away.
const QUESTIONS_WAITING: usize = 1_024;

/// Something to look at in every namespace. All of it runs on one thread; `appeared` and `sample` run inside the
/// namespace and leave no descriptor of it open but those `vanished` closes: an open socket keeps a namespace alive.
pub(super) trait Watch: Send {
    /// A namespace is seen for the first time. Before the node is ready this is called for all there are.
    fn appeared(&mut self, namespace: &Namespace, records: &mut Records);

    /// A round later, and each round from then on.
    fn sample(&mut self, _namespace: &Namespace, _records: &mut Records) {}

    /// Nobody but tracer uses the namespace any more. Runs outside of it.
    fn vanished(&mut self, _inode: u32, _records: &mut Records) {}

    /// Calls `add` with each descriptor that shall wake the watch, and the namespace it is of.
    fn descriptors<'a>(&'a self, _add: &mut dyn FnMut(u32, BorrowedFd<'a>)) {}

    /// A descriptor of that namespace can be read. Runs outside of it.
    fn readable(&mut self, _inode: u32, _records: &mut Records) {}

    /// The collector wants to know something. Runs outside of all namespaces, with a way into them. Fails only if the
    /// thread could not return from one.
    fn asked(
        &mut self,
        _question: &Question,
        _door: &Door,
        _records: &mut Records,
    ) -> Result<(), EnterError> {
        Ok(())
    }

    /// Every namespace has been looked at once more. Runs outside of all namespaces, with a way into them. Fails only if
    /// the thread could not return from one.
    fn went_round(&mut self, _door: &Door, _records: &mut Records) -> Result<(), EnterError> {
        Ok(())
    }

    /// The end: what has not been told yet is told now or never.
    fn finish(&mut self, _records: &mut Records) {}
}

/// What the collector may ask of the watches.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// How is the other end of this flow reached?
    Retransmit(Box<RetransmitRecord>),
}

/// Where watches put their records.
pub(super) struct Records {
    buffer: BytesMut,
    sender: mpsc::SyncSender<Message>,
    is_closed: bool,
}

impl Records {
    /// Puts a record of a namespace (0 for the node), made now, and the text behind it into the stream.
    pub(super) fn append<R: Record>(&mut self, netns: u32, record: &R, text: &[u8]) {
        let stamp = match Stamp::now() {
            Ok(stamp) => stamp,
            Err(error) => {
                log::error!("a record is left out, for its time is not known: {error:#}");
                return;
            }
        };
        self.append_at(stamp, netns, record, text);
    }

    /// Puts a record that is as old as that into the stream.
    pub(super) fn append_at<R: Record>(&mut self, stamp: Stamp, netns: u32, record: &R, text: &[u8]) {
        append_record(&mut self.buffer, stamp, netns, record, text);
        if self.buffer.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.send(|buffer| Message::Records(buffer.split()));
        }
    }

    fn send(&mut self, message: impl FnOnce(&mut BytesMut) -> Message) {
        let message = message(&mut self.buffer);
        self.is_closed |= self.sender.send(message).is_err();
    }
}

enum Message {
    Records(BytesMut),
    /// Every namespace there was at the start has been looked at.
    FirstRound,
}

impl Message {
    fn records(self) -> Option<BytesMut> {
        match self {
            Self::Records(records) => Some(records),
            Self::FirstRound => None,
        }
    }
}

/// A thread of watches, seen from the collector.
pub(super) struct Watcher {
    messages: mpsc::Receiver<Message>,
    questions: mpsc::SyncSender<Question>,
    wake: Arc<EventFd>,
    is_asked_to_stop: Arc<AtomicBool>,
}

impl Watcher {
    /// Starts the thread, if there is something to watch. All watchers of a node share its census.
    pub(super) fn start(
        name: &str,
        census: Arc<Mutex<Census>>,
        watches: Vec<Box<dyn Watch>>,
    ) -> anyhow::Result<Option<Self>> {
        if watches.is_empty() {
            return Ok(None);
        }
        let (sender, messages) = mpsc::sync_channel(BATCHES_WAITING);
        let (questions, asked) = mpsc::sync_channel(QUESTIONS_WAITING);
        let wake = Arc::new(
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .context("cannot make an event descriptor")?,
        );
        let is_asked_to_stop = Arc::new(AtomicBool::new(false));
        let rounds = Rounds {
            census,
            watches,
            known: BTreeMap::new(),
            records: Records { buffer: BytesMut::new(), sender, is_closed: false },
            asked,
            has_more_to_answer: false,
            wake: Arc::clone(&wake),
            is_asked_to_stop: Arc::clone(&is_asked_to_stop),
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if let Err(error) = rounds.run() {
                    log::error!("network namespaces are no longer watched: {error:#}");
                }
            })
            .with_context(|| format!("cannot start the thread {name}"))?;
        Ok(Some(Self { messages, questions, wake, is_asked_to_stop }))
    }

    /// Batches of records made so far.
    pub(super) fn batches(&self) -> impl Iterator<Item = BytesMut> {
        iter::from_fn(|| self.messages.try_recv().ok()).filter_map(Message::records)
    }

    /// Batches up to the end of the first round, waiting for it, but not beyond `deadline`.
    pub(super) fn first_round(&self, deadline: Instant) -> impl Iterator<Item = BytesMut> {
        iter::from_fn(move || self.receive_until(deadline)).map_while(Message::records)
    }

    /// Ends the thread. Gives its last batches, waiting for them, but not beyond `deadline`.
    pub(super) fn finish(&self, deadline: Instant) -> impl Iterator<Item = BytesMut> {
        self.ask_to_stop();
        iter::from_fn(move || self.receive_until(deadline)).filter_map(Message::records)
    }

    fn receive_until(&self, deadline: Instant) -> Option<Message> {
        self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    /// Asks, unless too many questions wait already; whether it was taken.
    pub(super) fn ask(&self, question: Question) -> bool {
        let is_taken = self.questions.try_send(question).is_ok();
        if is_taken {
            self.wake();
        }
        is_taken
    }

    fn ask_to_stop(&self) {
        self.is_asked_to_stop.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        // Fails only when it is woken 2^64 times over already.
        let _ = self.wake.write(1);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// The thread's side.
struct Rounds {
    census: Arc<Mutex<Census>>,
    watches: Vec<Box<dyn Watch>>,
    known: BTreeMap<u32, Namespace>,
    records: Records,
    asked: mpsc::Receiver<Question>,
    /// Whether the last answers ended with their time, and not with the questions.
    has_more_to_answer: bool,
    wake: Arc<EventFd>,
    is_asked_to_stop: Arc<AtomicBool>,
}

impl Rounds {
    fn run(mut self) -> anyhow::Result<()> {
        let door = Door::new().context("cannot open the own network namespace")?;
        self.go_round(&door)?;
        self.records.flush();
        self.records.send(|_| Message::FirstRound);
        let mut next_round = Instant::now() + ROUND;
        while !self.records.is_closed && !self.is_asked_to_stop.load(Ordering::Relaxed) {
            self.wait_until(next_round, &door)?;
            if Instant::now() >= next_round {
                self.go_round(&door)?;
                next_round = Instant::now() + ROUND;
            }
            self.records.flush();
        }
        // What came in before the end was asked for.
        self.wait_until(Instant::now(), &door)?;
        self.answer(None, &door)?;
        for watch in &mut self.watches {
            watch.finish(&mut self.records);
        }
        self.records.flush();
        Ok(())
    }

    /// Looks at every namespace in use, and lets go of those that are not.
    fn go_round(&mut self, door: &Door) -> Result<(), EnterError> {
        let (found, left_out) =
            self.census.lock().unwrap_or_else(PoisonError::into_inner).look(Instant::now());
        if left_out > 0 {
            log::debug!("{left_out} network namespaces more than are watched");
        }
        let gone: Vec<u32> = self
            .known
            .keys()
            .copied()
            .filter(|inode| !found.iter().any(|namespace| namespace.inode == *inode))
            .collect();
        for inode in gone {
            self.known.remove(&inode);
            for watch in &mut self.watches {
                watch.vanished(inode, &mut self.records);
            }
        }
        for namespace in found {
            let is_new = self.known.insert(namespace.inode, namespace.clone()).is_none();
            let (watches, records) = (&mut self.watches, &mut self.records);
            let entered = door.within(&namespace, || {
                for watch in watches {
                    if is_new {
                        watch.appeared(&namespace, records);
                    } else {
                        watch.sample(&namespace, records);
                    }
                }
            });
            match entered {
                Err(error @ EnterError::Stranded { .. }) => return Err(error),
                // It ended meanwhile, or is another user's: the next census tells.
                Err(error) => {
                    log::debug!("{error}");
                    self.known.remove(&namespace.inode);
                    if !is_new {
                        for watch in &mut self.watches {
                            watch.vanished(namespace.inode, &mut self.records);
                        }
                    }
                }
                Ok(()) => {}
            }
        }
        for watch in &mut self.watches {
            watch.went_round(door, &mut self.records)?;
        }
        Ok(())
    }

    /// Handles what comes in until then, or until woken.
    fn wait_until(&mut self, deadline: Instant, door: &Door) -> anyhow::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = if self.has_more_to_answer { Duration::ZERO } else { left };
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut places = Vec::new();
        let mut polled = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        for (place, watch) in self.watches.iter().enumerate() {
            watch.descriptors(&mut |inode, descriptor| {
                places.push((place, inode));
                polled.push(PollFd::new(descriptor, PollFlags::POLLIN));
            });
        }
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for changes of network namespaces"),
        }
        let is_ready = |descriptor: &PollFd| descriptor.any().unwrap_or(false);
        let ready: Vec<(usize, u32)> = polled
            .iter()
            .skip(1)
            .zip(&places)
            .filter(|(descriptor, _)| is_ready(descriptor))
            .map(|(_, &place)| place)
            .collect();
        // Nothing to read only means that something else woke the thread.
        let _ = self.wake.read();
        for (place, inode) in ready {
            self.watches[place].readable(inode, &mut self.records);
        }
        self.answer(Some(deadline), door)
    }

    /// Answers what was asked, one question at least and then until the deadline: a flood of them keeps no round waiting.
    fn answer(&mut self, deadline: Option<Instant>, door: &Door) -> anyhow::Result<()> {
        self.has_more_to_answer = false;
        while let Ok(question) = self.asked.try_recv() {
            for watch in &mut self.watches {
                watch.asked(&question, door, &mut self.records)?;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.has_more_to_answer = true;
                break;
            }
        }
        Ok(())
    }
}
