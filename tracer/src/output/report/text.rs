//! Times and lists as the report writes them.

use super::document::{Document, Extent, Moment};
use crate::words::duration;

/// `one`, `one and two`, `one, two and three`.
pub(super) fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A sentence in its parts, and which of them are commands: those stand between backquotes.
pub(super) fn with_commands(sentence: &str) -> Vec<(bool, &str)> {
    let mut parts = Vec::new();
    let mut rest = sentence;
    while let Some((before, (command, after))) =
        rest.split_once('`').and_then(|(before, after)| Some((before, after.split_once('`')?)))
    {
        parts.extend([(false, before), (true, command)]);
        rest = after;
    }
    parts.push((false, rest));
    parts.retain(|(_, part)| !part.is_empty());
    parts
}

/// Date and time in UTC, to the second: `2026-06-09 10:14:07`.
pub(super) fn time(moment: Moment) -> String {
    wall(moment).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// How times are written: with the date only where a session is of several days.
#[derive(Clone, Copy)]
pub(super) struct Times {
    with_date: bool,
}

impl Times {
    /// Those of a report.
    pub(super) fn of(document: &Document) -> Self {
        let date = |moment: Moment| wall(moment).strftime("%F").to_string();
        Self { with_date: document.span.is_some_and(|span| date(span.first) != date(span.last)) }
    }

    /// To the millisecond, in UTC: `10:14:07.123`, `2026-06-09 10:14:07.123`.
    pub(super) fn exact(self, moment: Moment) -> String {
        wall(moment).strftime(if self.with_date { "%F %H:%M:%S%.3f" } else { "%H:%M:%S%.3f" }).to_string()
    }

    /// To the second, in UTC.
    pub(super) fn seconds(self, moment: Moment) -> String {
        wall(moment).strftime(if self.with_date { "%F %H:%M:%S" } else { "%H:%M:%S" }).to_string()
    }

    /// How many find room on the axis of a chart.
    pub(super) fn most_on_an_axis(self) -> f64 {
        if self.with_date { 5.0 } else { 8.0 }
    }

    /// From when to when: `10:14:07 to 10:15:00`, or one time if both are within a second.
    pub(super) fn span(self, extent: Extent) -> String {
        let (first, last) = (self.seconds(extent.first), self.seconds(extent.last));
        if first == last && extent.duration_ns() < 1_000_000_000 {
            first
        } else {
            format!("{first} to {last}")
        }
    }
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

#[cfg(test)]
mod tests {
    use super::{Times, bucket, joined, with_commands};
    use crate::{
        output::report::document::{Extent, Moment},
        state::fixture::at,
    };

    #[test]
    fn commands_stand_between_backquotes() {
        for (sentence, expected) in [
            ("none", vec![(false, "none")]),
            ("", vec![]),
            ("`one`", vec![(true, "one")]),
            (
                "do `a b`, then `c`.",
                vec![(false, "do "), (true, "a b"), (false, ", then "), (true, "c"), (false, ".")],
            ),
            ("an `open one", vec![(false, "an `open one")]),
            ("`` nothing", vec![(false, " nothing")]),
        ] {
            assert_eq!(with_commands(sentence), expected, "{sentence}");
        }
    }

    #[test]
    fn lists_and_buckets_read_well() {
        let parts = ["one", "two", "three"].map(str::to_owned);
        let told: Vec<String> = (0..=3).map(|count| joined(&parts[..count])).collect();
        assert_eq!(told, ["", "one", "one and two", "one, two and three"]);
        let widths = [100_000_000, 5_000_000_000, 60_000_000_000, 7_200_000_000_000].map(bucket);
        assert_eq!(widths, ["100 ms", "5 s", "1m00", "2h00"]);
    }

    #[test]
    fn the_date_is_told_where_there_are_several_days() {
        let span = Extent { first: Moment(at(1_500)), last: Moment(at(61_700)) };
        for (with_date, exact, of_span) in [
            (false, "10:13:21.500", "10:13:21 to 10:14:21"),
            (true, "2026-06-09 10:13:21.500", "2026-06-09 10:13:21 to 2026-06-09 10:14:21"),
        ] {
            let times = Times { with_date };
            assert_eq!((&*times.exact(span.first), &*times.span(span)), (exact, of_span));
        }
        let instant = Extent { first: span.first, last: Moment(at(1_900)) };
        assert_eq!(Times { with_date: false }.span(instant), "10:13:21");
    }
}
