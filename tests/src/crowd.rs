//! A crowd: servers and callers of several threads that make thousands of short connections a second, until it is over.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::{Scope, ScopedJoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};

use crate::{namespace::Namespace, traffic};

/// How long a caller waits for a connection, and for what it is told there.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a server that nobody calls looks whether it is over.
const GLANCE: TimeVal = TimeVal::new(0, 100_000);

/// Whether it goes on, and how it went so far.
#[derive(Debug, Default)]
pub struct Crowd {
    is_over: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Crowd {
    /// Whether it goes on.
    pub fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Ends it: every thread of it returns within seconds.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Connections over which the caller heard everything to the end.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Connections that were not made, or broke.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Serves at an address with that many threads: each caller is told a word, and the server hangs up first, so that the
    /// callers' ports are free again at once.
    pub fn serve<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        namespace: &Namespace,
        at: SocketAddr,
        threads: usize,
    ) -> Result<Vec<ScopedJoinHandle<'scope, Result<()>>>> {
        let listener = traffic::listen(namespace, at)?;
        listener.set_nonblocking(false)?;
        setsockopt(&listener, sockopt::ReceiveTimeout, &GLANCE).context("set SO_RCVTIMEO")?;
        let work = |_| {
            let listener = listener.try_clone()?;
            Ok(scope.spawn(move || {
                self.answer(&listener);
                Ok(())
            }))
        };
        (0..threads).map(work).collect()
    }

    /// Answers whoever calls.
    fn answer(&self, listener: &TcpListener) {
        while self.goes_on() {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            // Whom it does not reach is not waited for.
            let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = stream.write_all(b"ready\n");
        }
    }

    /// Calls from a namespace with that many threads, again and again, and listens to the end of what is said.
    pub fn call<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        namespace: &'scope Namespace,
        to: SocketAddr,
        threads: usize,
    ) -> Vec<ScopedJoinHandle<'scope, Result<()>>> {
        let work = move || {
            namespace.enter(|| {
                while self.goes_on() {
                    let count = if hear(to) { &self.answered } else { &self.failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        (0..threads).map(|_| scope.spawn(work)).collect()
    }
}

/// Whether one call was answered to the end.
fn hear(to: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&to, PATIENCE) else { return false };
    let mut said = [0; 64];
    let mut length = 0;
    if stream.set_read_timeout(Some(PATIENCE)).is_err() {
        return false;
    }
    loop {
        match stream.read(&mut said) {
            Ok(0) => return length > 0,
            Ok(more) => length += more,
            Err(_) => return false,
        }
    }
}
