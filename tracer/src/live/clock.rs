//! Telling what becomes of the node's clocks.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::BytesMut;
use nix::time::ClockId;
use tracer_common::record::{ClockRecord, clock_synchronised, clock_why};

use super::encode::{Stamp, append_record};
use crate::kernel::facts::clock_difference_ns;

/// Less than this is not told: readings are off by some microseconds.
const TOLERANCE_NS: u64 = 1_000_000;

/// How often the kernel is asked whether the wall clock is kept in step; it notices once a second.
const SYNCHRONISATION_INTERVAL: Duration = Duration::from_secs(1);

/// How the clocks stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    wall_minus_boot_ns: i64,
    boot_minus_monotonic_ns: i64,
    synchronisation: Synchronisation,
}

/// What the kernel says of the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Synchronisation {
    /// One of [`clock_synchronised`].
    synchronised: u8,
    largest_error_us: u32,
}

/// Compares the clocks with how they were told last.
#[derive(Debug)]
pub(super) struct ClockWatch {
    told: Reading,
    synchronisation: Synchronisation,
    next_synchronisation: Instant,
}

impl ClockWatch {
    /// Reads the clocks.
    pub(super) fn new() -> anyhow::Result<Self> {
        let synchronisation = synchronisation();
        let next_synchronisation = Instant::now() + SYNCHRONISATION_INTERVAL;
        Ok(Self { told: read(synchronisation)?, synchronisation, next_synchronisation })
    }

    /// Tells them for the first time.
    pub(super) fn begin(&self, buffer: &mut BytesMut, stamp: Stamp) {
        append_record(buffer, stamp, 0, &record(clock_why::START, &self.told), &[]);
    }

    /// Reads them again and tells what is news.
    pub(super) fn look(&mut self, buffer: &mut BytesMut) -> anyhow::Result<()> {
        let now = Instant::now();
        if now >= self.next_synchronisation {
            self.next_synchronisation = now + SYNCHRONISATION_INTERVAL;
            self.synchronisation = synchronisation();
        }
        let reading = read(self.synchronisation)?;
        if let Some(news) = news(&self.told, &reading) {
            append_record(buffer, Stamp::now()?, 0, &news, &[]);
            self.told = reading;
        }
        Ok(())
    }
}

/// What there is to tell of a reading after another.
fn news(before: &Reading, now: &Reading) -> Option<ClockRecord> {
    let step_ns = now.wall_minus_boot_ns.saturating_sub(before.wall_minus_boot_ns);
    let suspended_ns = now.boot_minus_monotonic_ns.saturating_sub(before.boot_minus_monotonic_ns);
    let is_stepped = step_ns.unsigned_abs() >= TOLERANCE_NS;
    let suspended_ns = u64::try_from(suspended_ns).unwrap_or(0);
    let is_resumed = suspended_ns >= TOLERANCE_NS;
    let is_synchronised = now.synchronisation.synchronised;
    let why = if is_resumed {
        clock_why::RESUMED
    } else if is_stepped {
        clock_why::STEPPED
    } else if is_synchronised != before.synchronisation.synchronised {
        clock_why::SYNCHRONISATION
    } else {
        return None;
    };
    Some(ClockRecord {
        step_ns: if is_stepped { step_ns } else { 0 },
        suspended_ns: if is_resumed { suspended_ns } else { 0 },
        ..record(why, now)
    })
}

fn record(why: u8, reading: &Reading) -> ClockRecord {
    ClockRecord {
        wall_minus_boot_ns: reading.wall_minus_boot_ns,
        boot_minus_monotonic_ns: reading.boot_minus_monotonic_ns,
        largest_error_us: reading.synchronisation.largest_error_us,
        why,
        synchronised: reading.synchronisation.synchronised,
        ..ClockRecord::default()
    }
}

fn read(synchronisation: Synchronisation) -> anyhow::Result<Reading> {
    Ok(Reading {
        wall_minus_boot_ns: clock_difference_ns(ClockId::CLOCK_REALTIME, ClockId::CLOCK_BOOTTIME)
            .context("cannot compare the wall clock with the boot clock")?,
        boot_minus_monotonic_ns: clock_difference_ns(ClockId::CLOCK_BOOTTIME, ClockId::CLOCK_MONOTONIC)
            .context("cannot compare the boot clock with the monotonic clock")?,
        synchronisation,
    })
}

/// Asks the kernel how well the wall clock is kept. No modes are given, so nothing is set (`adjtimex(2)`); a kernel or
/// a sandbox that refuses leaves it unknown.
fn synchronisation() -> Synchronisation {
    // SAFETY: a plain struct of integers, for which zeros are valid.
    let mut answer: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the struct lives through the call, and its modes are zero.
    if unsafe { libc::adjtimex(&raw mut answer) } == -1 {
        return Synchronisation::default();
    }
    let is_kept = answer.status & libc::STA_UNSYNC == 0;
    Synchronisation {
        synchronised: if is_kept { clock_synchronised::YES } else { clock_synchronised::NO },
        largest_error_us: u32::try_from(answer.maxerror).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tracer_common::record::{clock_synchronised, clock_why};

    use super::{ClockWatch, Reading, Stamp, Synchronisation, news};
    use crate::{
        block::Block,
        decode::Decoder,
        event::{Body, ClockChange},
    };

    #[test]
    fn a_step_a_suspension_and_a_change_of_synchronisation_are_news() {
        const MILLISECOND_NS: i64 = 1_000_000;
        let synchronised = |synchronised| Synchronisation { synchronised, largest_error_us: 5 };
        let before = Reading {
            wall_minus_boot_ns: 1_000 * MILLISECOND_NS,
            boot_minus_monotonic_ns: 7,
            synchronisation: synchronised(clock_synchronised::YES),
        };
        let (yes, no) = (clock_synchronised::YES, clock_synchronised::NO);
        for (step_ns, slept_ns, kept, expected) in [
            (0, 0, yes, None),
            (MILLISECOND_NS - 1, 1 - MILLISECOND_NS, yes, None),
            (MILLISECOND_NS, 0, yes, Some((clock_why::STEPPED, MILLISECOND_NS, 0))),
            (-3_600_000 * MILLISECOND_NS, 0, no, Some((clock_why::STEPPED, -3_600_000 * MILLISECOND_NS, 0))),
            (5, 90 * MILLISECOND_NS, yes, Some((clock_why::RESUMED, 0, 90_000_000))),
            (-MILLISECOND_NS, MILLISECOND_NS, yes, Some((clock_why::RESUMED, -MILLISECOND_NS, 1_000_000))),
            (5, 5, no, Some((clock_why::SYNCHRONISATION, 0, 0))),
        ] {
            let now = Reading {
                wall_minus_boot_ns: before.wall_minus_boot_ns + step_ns,
                boot_minus_monotonic_ns: before.boot_minus_monotonic_ns + slept_ns,
                synchronisation: synchronised(kept),
            };
            let told = news(&before, &now);
            let found = told.map(|record| (record.why, record.step_ns, record.suspended_ns));
            assert_eq!(found, expected, "{now:?}");
            let anchor = told.map(|record| (record.wall_minus_boot_ns, record.synchronised));
            assert!(anchor.is_none_or(|anchor| anchor == (now.wall_minus_boot_ns, kept)), "{now:?}");
        }
    }

    #[test]
    fn the_clocks_of_this_machine_are_told_once() {
        let mut buffer = BytesMut::new();
        let mut watch = ClockWatch::new().unwrap();
        watch.begin(&mut buffer, Stamp::now().unwrap());
        let mut told = Vec::new();
        Decoder::default().decode(&Block(buffer.split().freeze()), |event| told.push(event.body));
        let [Body::Clock(clock)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(clock.change, ClockChange::Start);
        assert!(clock.wall_minus_boot_ns > 0 && clock.boot_minus_monotonic_ns >= -1_000, "{clock:?}");
        // Had the clock been set a moment ago, the next look would tell it.
        watch.told.wall_minus_boot_ns -= 2_000_000_000;
        watch.look(&mut buffer).unwrap();
        Decoder::default().decode(&Block(buffer.split().freeze()), |event| told.push(event.body));
        let Some(Body::Clock(clock)) = told.get(1) else { panic!("{told:?}") };
        assert!(clock.change == ClockChange::Stepped && clock.step_ns.abs_diff(2_000_000_000) < 1_000_000);
    }
}
