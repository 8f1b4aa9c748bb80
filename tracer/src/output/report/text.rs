//! Times and lists as the report writes them.

use super::document::{Extent, Moment};
use crate::words::duration;

/// `one`, `one and two`, `one, two and three`.
pub(super) fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Date and time in UTC, to the second: `2026-06-09 10:14:07`.
pub(super) fn time(moment: Moment) -> String {
    wall(moment).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The time of day in UTC, to the millisecond: `10:14:07.123`.
pub(super) fn time_of_day(moment: Moment) -> String {
    wall(moment).strftime("%H:%M:%S%.3f").to_string()
}

/// The time of day in UTC, to the second.
pub(super) fn seconds_of_day(moment: Moment) -> String {
    wall(moment).strftime("%H:%M:%S").to_string()
}

/// From when to when: `10:14:07 to 10:15:00`, or one time if both are within a second.
pub(super) fn span(extent: Extent) -> String {
    let (first, last) = (seconds_of_day(extent.first), seconds_of_day(extent.last));
    if first == last && extent.duration_ns() < 1_000_000_000 { first } else { format!("{first} to {last}") }
}

/// How long a bucket is: `100 ms`, `5 s`, `10m00`.
pub(super) fn bucket(nanoseconds: u64) -> String {
    const SECOND_NS: u64 = 1_000_000_000;
    match nanoseconds {
        0..SECOND_NS => format!("{} ms", nanoseconds / 1_000_000),
        SECOND_NS.. if nanoseconds < 60 * SECOND_NS => format!("{} s", nanoseconds / SECOND_NS),
        _ => duration(nanoseconds),
    }
}

/// Cut to the millisecond, for a time is not later than it was.
fn wall(moment: Moment) -> jiff::Timestamp {
    const MILLISECOND_NS: i64 = 1_000_000;
    let wall_ns = moment.0.wall_ns;
    let cut_ns = wall_ns - wall_ns.rem_euclid(MILLISECOND_NS);
    jiff::Timestamp::from_nanosecond(i128::from(cut_ns)).unwrap_or_default()
}
