//! The node's clocks.

use std::fmt;

use tracer_common::record::{ClockRecord, clock_synchronised, clock_why};

/// How the node's clocks stand, and why that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Why it is told.
    pub change: ClockChange,
    /// Wall clock minus boot clock in nanoseconds.
    pub wall_minus_boot_ns: i64,
    /// Time since boot spent suspended, in nanoseconds.
    pub boot_minus_monotonic_ns: i64,
    /// By how much the wall clock was set forward; negative if it was set back.
    pub step_ns: i64,
    /// How long the node was suspended.
    pub suspended_ns: u64,
    /// Whether somebody keeps the wall clock in step with the world's, where the kernel told.
    pub is_synchronised: Option<bool>,
    /// The wall clock's largest error in microseconds by the kernel's estimate, where it told.
    pub largest_error_us: Option<u32>,
}

/// Why the clocks are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// They were read first.
    Start,
    /// The wall clock was set.
    Stepped,
    /// The node was suspended.
    Resumed,
    /// Whether the wall clock is kept in step changed.
    Synchronisation,
}

impl ClockChange {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stepped => "stepped",
            Self::Resumed => "resumed",
            Self::Synchronisation => "synchronisation",
        }
    }
}

impl From<&ClockRecord> for Clock {
    fn from(record: &ClockRecord) -> Self {
        let is_known = record.synchronised != clock_synchronised::UNKNOWN;
        Self {
            change: match record.why {
                clock_why::START => ClockChange::Start,
                clock_why::RESUMED => ClockChange::Resumed,
                clock_why::SYNCHRONISATION => ClockChange::Synchronisation,
                _ => ClockChange::Stepped,
            },
            wall_minus_boot_ns: record.wall_minus_boot_ns,
            boot_minus_monotonic_ns: record.boot_minus_monotonic_ns,
            step_ns: record.step_ns,
            suspended_ns: record.suspended_ns,
            is_synchronised: is_known.then_some(record.synchronised == clock_synchronised::YES),
            largest_error_us: is_known.then_some(record.largest_error_us),
        }
    }
}

impl fmt::Display for Clock {
    /// What happened to the clocks, in a few words.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if self.suspended_ns != 0 {
            write!(formatter, "the node was suspended for {}", Length(self.suspended_ns))?;
            separator = ", ";
        }
        if self.step_ns != 0 {
            let direction = if self.step_ns < 0 { "back" } else { "forward" };
            let length = Length(self.step_ns.unsigned_abs());
            write!(formatter, "{separator}the wall clock was set {direction} by {length}")?;
            separator = ", ";
        }
        match (self.change, self.is_synchronised) {
            (ClockChange::Synchronisation, Some(true)) => {
                write!(formatter, "{separator}the wall clock is synchronised")
            }
            (ClockChange::Synchronisation, Some(false)) => {
                write!(formatter, "{separator}the wall clock is no longer synchronised")
            }
            _ => Ok(()),
        }
    }
}

/// Nanoseconds as people write them.
struct Length(u64);

impl fmt::Display for Length {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND_NS: u64 = 1_000_000_000;
        let (whole, unit) = if self.0 < SECOND_NS { (1_000_000, "ms") } else { (SECOND_NS, "s") };
        write!(formatter, "{}.{:03} {unit}", self.0 / whole, self.0 % whole / (whole / 1_000))
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{ClockRecord, clock_synchronised, clock_why};

    use super::Clock;

    #[test]
    fn what_happened_is_told_in_words() {
        const SECOND_NS: i64 = 1_000_000_000;
        for (why, step_ns, suspended_ns, synchronised, expected) in [
            (clock_why::START, 0, 0, clock_synchronised::YES, ""),
            (
                clock_why::STEPPED,
                1_500_000,
                0,
                clock_synchronised::YES,
                "the wall clock was set forward by 1.500 ms",
            ),
            (clock_why::STEPPED, -90 * SECOND_NS, 0, 0, "the wall clock was set back by 90.000 s"),
            (clock_why::RESUMED, 0, 61_020_000_000, 1, "the node was suspended for 61.020 s"),
            (
                clock_why::RESUMED,
                SECOND_NS,
                999_999_999,
                1,
                "the node was suspended for 999.999 ms, the wall clock was set forward by 1.000 s",
            ),
            (clock_why::SYNCHRONISATION, 0, 0, clock_synchronised::YES, "the wall clock is synchronised"),
            (
                clock_why::SYNCHRONISATION,
                0,
                0,
                clock_synchronised::NO,
                "the wall clock is no longer synchronised",
            ),
            (clock_why::STEPPED, i64::MIN, 0, 0, "the wall clock was set back by 9223372036.854 s"),
        ] {
            let record = ClockRecord { why, step_ns, suspended_ns, synchronised, ..ClockRecord::default() };
            assert_eq!(Clock::from(&record).to_string(), expected, "{record:?}");
        }
    }
}
