//! Waiting for conditions. Nothing else in this crate sleeps.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long a condition may take before the case fails. Generous, because an emulated guest is slow; a condition that
/// holds ends the wait at once.
pub const DEADLINE: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(5);

/// Asks `probe` until it has an answer, and returns the answer. Fails with `what` after [`DEADLINE`], or with the
/// probe's own error.
pub fn until<T>(what: &str, probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(DEADLINE, what, probe)
}

/// As [`until`], with a deadline of its own.
pub fn until_within<T>(
    deadline: Duration,
    what: &str,
    probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    until_within_every(POLL, deadline, what, probe)
}

/// As [`until_within`], for a probe whose own work would slow what it waits for: it is asked only every `interval`.
pub fn until_within_every<T>(
    interval: Duration,
    deadline: Duration,
    what: &str,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if start.elapsed() > deadline {
            bail!("waited {} s in vain for {what}", deadline.as_secs());
        }
        thread::sleep(interval);
    }
}

/// Does something at a steady rate.
#[derive(Debug)]
pub struct Pace {
    next: Instant,
    interval: Duration,
}

impl Pace {
    /// A pace of one [`step`](Self::step) an interval, from now.
    pub fn new(interval: Duration) -> Self {
        Self { next: Instant::now(), interval }
    }

    /// Returns when the next step is due; at once if it is overdue.
    pub fn step(&mut self) {
        self.next += self.interval;
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{until, until_within};

    #[test]
    fn a_condition_is_asked_until_it_holds() {
        let mut asked = 0;
        let answer = until("three", || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), 3);
    }

    #[test]
    fn a_condition_that_never_holds_is_named() {
        let answer = until_within(Duration::ZERO, "the end of time", || Ok(None::<()>));
        assert_eq!(answer.unwrap_err().to_string(), "waited 0 s in vain for the end of time");
    }
}
